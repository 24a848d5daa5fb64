package bench

import (
	"fmt"

	"stentor/bench/measure"
	"stentor/bench/publish"
)

// flood makes numbered, stamped publications for many channels, as many in each as its publisher gets round to. A channel has one
// publisher, so that the order in it holds.
type flood struct {
	batch      int // publications in one request
	publishers []*flooder
}

// flooder is one publisher.
type flooder struct {
	bodies [][]byte // by channel: a publish request, to be stamped
	sent   []int    // by channel: the number of the newest publication
	at     int      // the channel that is next
	out    []byte
}

// newFlood shares the channels out. There are no more publishers than channels.
func newFlood(channels []string, bytes, batch, publishers int) (*flood, error) {
	data, err := measure.AppendPayload(nil, measure.Stamp{Number: 1}, bytes)
	if err != nil {
		return nil, err
	}
	f := &flood{batch: batch}
	for p := range publishers {
		part := portion(channels, p, publishers)
		one := &flooder{sent: make([]int, len(part))}
		for _, name := range part {
			body, err := publish.Body(name, data)
			if err != nil {
				return nil, err
			}
			one.bodies = append(one.bodies, body)
		}
		f.publishers = append(f.publishers, one)
	}
	return f, nil
}

// next is a nextRequest.
func (f *flood) next(p int, begun int64) (method string, body []byte, err error) {
	o := f.publishers[p]
	if f.batch == 1 {
		body, err = o.publication(begun)
		return "publish", body, err
	}
	o.out = publish.AppendBatch(o.out[:0], f.batch, func(int) []byte {
		one, failed := o.publication(begun)
		if failed != nil {
			err = failed
		}
		return one
	})
	return "batch", o.out, err
}

// publication stamps the next one. Its bytes are valid until the channel has the next.
func (o *flooder) publication(due int64) ([]byte, error) {
	c := o.at
	o.at = (c + 1) % len(o.bodies)
	if o.sent[c]++; o.sent[c] > measure.NumberMax {
		return nil, fmt.Errorf("more than %d publications into a channel", measure.NumberMax)
	}
	return o.bodies[c], measure.Restamp(o.bodies[c], measure.Stamp{Number: uint32(o.sent[c]), Due: due})
}

// sent is how many publications each channel has had. Nobody may publish meanwhile.
func (f *flood) sent() (all []int) {
	for _, o := range f.publishers {
		all = append(all, o.sent...)
	}
	return all
}
