package pipe

import (
	"encoding/json"
	"errors"
	"io"
	"sync"
)

// Reply answers one question. It is called once, at any time and from any goroutine.
type Reply func(result any, err error)

// Serve reads questions from in until it ends, calls handle with each in turn, and writes the replies to out. A nil error says that in
// has ended.
func Serve(in io.Reader, out io.Writer, handle func(op string, body json.RawMessage, reply Reply)) error {
	questions := json.NewDecoder(in)
	answers := json.NewEncoder(out)
	var mu sync.Mutex
	for {
		var q question
		if err := questions.Decode(&q); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		handle(q.Op, q.Body, func(result any, err error) {
			a := answer{ID: q.ID}
			if err == nil {
				a.Body, err = json.Marshal(result)
			}
			if err != nil {
				a.Error = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			_ = answers.Encode(a) // a parent that is gone ends us through in
		})
	}
}
