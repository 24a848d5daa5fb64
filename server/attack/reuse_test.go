package attack

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"stentor/codec"
)

const (
	reuseCycles  = 6000 // connections, in all
	reuseWorkers = 8
)

// TestDescriptorReuse is group 16: connections close and others take over their descriptors while broadcasts run. Each client
// subscribes to a channel of its own and to one that all share, and a frame for any other channel went to the wrong connection.
func TestDescriptorReuse(t *testing.T) {
	s := attack(t, common)
	var next atomic.Int64
	var recent [64]atomic.Int64 // clients that were there a moment ago, or are
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		broadcastTo(t, s.house, &recent, stop)
	}()
	var workers sync.WaitGroup
	for range reuseWorkers {
		workers.Go(func() {
			for n := next.Add(1); n <= reuseCycles && !t.Failed(); n = next.Add(1) {
				recent[n%int64(len(recent))].Store(n)
				if err := reuseOnce(s.house, n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	workers.Wait()
	close(stop)
	<-stopped
	s.witness()
	if err := s.await("all have gone", func(m map[string]int64) bool { return m["stentor_loop_conns"] == 2 }); err != nil {
		t.Error(err)
	}
}

// broadcastTo publishes its own name to each recent client's channel, again and again.
func broadcastTo(t *testing.T, h *house, recent *[64]atomic.Int64, stop <-chan struct{}) {
	for {
		for i := range recent {
			select {
			case <-stop:
				return
			default:
			}
			name := ownChannel(recent[i].Load())
			body := fmt.Sprintf(`{"commands":[{"publish":{"channel":%q,"data":%q}},{"publish":{"channel":"shared","data":"shared"}}]}`, name, name)
			if status, answer, err := h.call("/api/batch", body); err != nil || status != 200 || strings.Contains(answer, "error") {
				t.Errorf("publish: %d %s %v", status, answer, err)
				return
			}
		}
	}
}

func ownChannel(n int64) string { return fmt.Sprintf("own-%d", n) }

// reuseOnce connects, subscribes, hears some publications and leaves in one of several ways.
func reuseOnce(h *house, n int64) (err error) {
	defer failed(&err)
	own := ownChannel(n)
	c := dial(failures{}, h)
	defer c.Close()
	c.form = codec.Form(n % codec.NumForms)
	request := upgradeRequest
	if c.form == codec.Protobuf {
		request = strings.Replace(request, endpoint, endpoint+"?format=protobuf", 1)
	}
	first := uint32(10 * n) // no two clients have an id in common
	c.say(request + c.commands(
		&codec.Command{ID: first, Method: codec.MethodConnect},
		&codec.Command{ID: first + 1, Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{Channel: own}},
		&codec.Command{ID: first + 2, Method: codec.MethodSubscribe, Subscribe: codec.SubscribeRequest{Channel: "shared"}}))
	c.hearUpgrade()
	// Three replies, and then as many publications as it happens to stay for.
	for left := 3 + rand.IntN(3); left > 0; {
		op, payload, err := c.hear()
		if err != nil || op != c.opCode() {
			return fmt.Errorf("client %d heard %v %q (%v)", n, op, payload, err)
		}
		all, err := decode(c.form, payload)
		if err != nil {
			return fmt.Errorf("client %d: %w in %q", n, err, payload)
		}
		for _, reply := range all {
			left--
			if err := rightful(&reply, first, own); err != nil {
				return fmt.Errorf("client %d: %w", n, err)
			}
		}
	}
	// It leaves with a publication of its own under way: the reply to that must not find anybody else.
	publish := c.commands(&codec.Command{ID: first + 3, Method: codec.MethodPublish,
		Publish: codec.PublishRequest{Channel: own, Data: fmt.Appendf(nil, "%q", own)}})
	switch n % 3 {
	case 0:
		c.say(publish)
		c.reset()
	case 1:
		c.say(publish + closing(1000))
	}
	return nil
}

// rightful checks that a reply is no error, and answers this client or brings a publication for it.
func rightful(r *codec.Reply, first uint32, own string) error {
	if r.Push == nil {
		if r.Error != nil || r.ID < first || r.ID > first+3 {
			return fmt.Errorf("heard a reply of someone else: %+v", r)
		}
		return nil
	}
	name := r.Push.Channel
	if r.Push.Pub == nil || name != own && name != "shared" || string(r.Push.Pub.Data) != fmt.Sprintf("%q", name) {
		return fmt.Errorf("heard a publication for %q, %s", name, r.Push.Pub.Data)
	}
	return nil
}

// failures is a reporter for goroutines other than the test's: it panics with what it is told, and failed makes that an error.
type failures struct{}

type failure struct{ error }

func (failures) Helper() {}

func (failures) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

func failed(err *error) {
	switch v := recover().(type) {
	case nil:
	case failure:
		*err = v.error
	default:
		panic(v)
	}
}
