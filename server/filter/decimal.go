package filter

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// decimal is a number as it is written, of any length and precision: sign, digits and where the point stands. It holds parts of
// the text that it was read from and is compared digit by digit, so nothing is rounded and nothing allocated.
type decimal struct {
	valid bool
	sign  int8 // -1, 0, 1
	// The value is sign × 0.headtail × 10^point. The first digit of both together and the last one are not 0.
	head, tail string
	point      int64
}

// parseDecimal reads [+-]digits[.digits][e[+-]digits], where either side of the point may be empty. Exponents have 32 bits.
func parseDecimal(s string) (d decimal, ok bool) {
	d.valid, d.sign = true, 1
	if s != "" && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			d.sign = -1
		}
		s = s[1:]
	}
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		exponent, err := strconv.ParseInt(s[i+1:], 10, 32)
		if err != nil {
			return decimal{}, false
		}
		d.point, s = exponent, s[:i]
	}
	d.head, d.tail, _ = strings.Cut(s, ".")
	if d.head == "" && d.tail == "" || !digitsOnly(d.head) || !digitsOnly(d.tail) {
		return decimal{}, false
	}
	d.point += int64(len(d.head))
	d.normalize()
	return d, true
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// normalize drops zeros at both ends.
func (d *decimal) normalize() {
	head := strings.TrimLeft(d.head, "0")
	d.point -= int64(len(d.head) - len(head))
	if d.head = head; head == "" {
		tail := strings.TrimLeft(d.tail, "0")
		d.point -= int64(len(d.tail) - len(tail))
		d.tail = tail
	}
	if d.tail = strings.TrimRight(d.tail, "0"); d.tail == "" {
		d.head = strings.TrimRight(d.head, "0")
	}
	if d.head == "" && d.tail == "" {
		d.sign, d.point = 0, math.MinInt64
	}
}

func (d *decimal) digits() int { return len(d.head) + len(d.tail) }

func (d *decimal) digit(i int) byte {
	if i < len(d.head) {
		return d.head[i]
	}
	return d.tail[i-len(d.head)]
}

// compare is -1, 0 or 1 as d is less than, equal to or greater than x.
func (d *decimal) compare(x decimal) int {
	if d.sign != x.sign {
		return cmp.Compare(d.sign, x.sign)
	}
	return int(d.sign) * d.compareSize(&x)
}

func (d *decimal) compareSize(x *decimal) int {
	if d.point != x.point {
		return cmp.Compare(d.point, x.point)
	}
	for i := range min(d.digits(), x.digits()) {
		if a, b := d.digit(i), x.digit(i); a != b {
			return cmp.Compare(a, b)
		}
	}
	return cmp.Compare(d.digits(), x.digits())
}
