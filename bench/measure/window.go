package measure

// WindowSpan is how many numbers back a Window still tells a late message from one that came twice.
const WindowSpan = 64

// Window follows the numbers that one subscriber receives in a fixed 24 bytes, however many there are. The zero value expects
// number 1 first.
type Window struct {
	seen uint64 // bit i: number top−i has come
	top  uint32 // the highest number so far

	Got       uint32 // different numbers
	Duplicate uint32 // numbers that came again, and those too old to tell
	Late      uint32 // numbers that came after a higher one
}

// Take notes one number and says whether it is new.
func (w *Window) Take(number uint32) bool {
	if number > w.top {
		if gap := number - w.top; gap < WindowSpan {
			w.seen = w.seen<<gap | 1
		} else {
			w.seen = 1
		}
		w.top = number
		w.Got++
		return true
	}
	back := w.top - number
	if back >= WindowSpan || w.seen&(1<<back) != 0 {
		w.Duplicate++
		return false
	}
	w.seen |= 1 << back
	w.Got++
	w.Late++
	return true
}

// Missing is how many of the numbers 1 to last never came.
func (w *Window) Missing(last uint32) uint32 {
	if w.Got >= last {
		return 0
	}
	return last - w.Got
}
