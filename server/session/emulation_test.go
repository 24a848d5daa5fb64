package session

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/metrics"
)

// emulate opens a pipe that goes one way, and connects.
func (st *stage) emulate(f codec.Form) *wire {
	w := st.openWire(Options{Form: f, Transport: metrics.SSE, Emulated: true})
	w.say(codec.Command{ID: 1, Method: codec.MethodConnect})
	return w
}

// secret is the one that the reply to connect told.
func (w *wire) secret(t *testing.T) string {
	t.Helper()
	got := w.replies(t)
	if len(got) != 1 || got[0].Connect == nil || got[0].Connect.Node != "the-node" || len(got[0].Connect.Session) != secretBytes {
		t.Fatalf("replies %+v", got)
	}
	return got[0].Connect.Session
}

// TestSecrets: a secret names its session alone, no other text names any, and a session that has gone is named by what named it.
func TestSecrets(t *testing.T) {
	st := openStage(t, openTo)
	seen := map[string]loop.Handle{}
	for i := range 1000 {
		w := st.emulate(codec.Form(i % codec.NumForms))
		secret := w.secret(t)
		if h, ok := st.node.Emulated(secret); !ok || h != w.handle || seen[secret] != 0 {
			t.Fatalf("%s names %x (%v) and %x", secret, h, ok, seen[secret])
		}
		seen[secret] = w.handle
		if i%2 == 0 {
			w.session.Closed()
			st.node.Loops[0].Remove(w.handle)
		}
	}
	one := st.emulate(codec.JSON)
	secret := one.secret(t)
	id := uuid.MustParse(secret)
	for bit := range 128 {
		id[bit/8] ^= 1 << (bit % 8)
		if h, ok := st.node.Emulated(id.String()); ok {
			t.Errorf("%s names %x", id, h)
		}
		id[bit/8] ^= 1 << (bit % 8)
	}
	other := openStage(t, openTo)
	for _, text := range []string{
		"", "x", one.session.clientID(), st.node.UID, "00000000-0000-0000-0000-000000000000", strings.Repeat("f", 36), secret + "0", secret[:35],
		"{" + secret + "}", "urn:uuid:" + secret, strings.ReplaceAll(secret, "-", ""), other.emulate(codec.JSON).secret(t), strings.Repeat("a", 1<<20),
	} {
		if h, ok := st.node.Emulated(text); ok {
			t.Errorf("%.50q names %x", text, h)
		}
		if st.node.Emulate(text, []byte("{}")) {
			t.Errorf("%.50q takes commands", text)
		}
	}
}

func FuzzSecret(f *testing.F) {
	st := openStage(f, openTo)
	w := st.openWire(Options{Emulated: true})
	f.Add(st.node.secretOf(w.handle))
	f.Add("{00000000-0000-4000-8000-000000000000}")
	f.Fuzz(func(t *testing.T, text string) {
		if h, ok := st.node.Emulated(text); ok && (h != w.handle || !strings.EqualFold(text, st.node.secretOf(w.handle))) {
			t.Fatalf("%q names %x", text, h)
		}
	})
}

// TestPosts: commands from elsewhere are taken as they come, and only so many may be under way.
func TestPosts(t *testing.T) {
	st := openStage(t, openTo)
	w := st.emulate(codec.JSON)
	secret := w.secret(t)
	data := []byte(`{"id":2,"unsubscribe":{"channel":"a"}}` + "\n" + `{"id":3,"unsubscribe":{"channel":"b"}}`)
	if !st.node.Emulate(secret, data) {
		t.Fatal("the secret is not known")
	}
	clear(data) // it was the caller's again
	st.turn()
	if got := w.replies(t); len(got) != 2 || got[0].ID != 2 || got[1].ID != 3 {
		t.Errorf("replies %+v", got)
	}

	large := append([]byte(`{"id":4,"unsubscribe":{"channel":"`+strings.Repeat("x", PostsBytesMax)), `"}}`...)
	st.node.Emulate(secret, large) // alone it may be as large as a post can be
	st.turn()
	if got := w.replies(t); len(got) != 1 || len(w.closed) != 0 {
		t.Errorf("replies %+v, closed with %v", got, w.closed)
	}

	small := []byte(`{"id":5,"unsubscribe":{"channel":"c"}}`)
	const fit = PostsBytesMax / (38 + postBytes)
	for range 3 * fit {
		st.node.Emulate(secret, small)
	}
	if items, bytes := st.node.Loops[0].Waiting(); items != fit+1 || bytes > PostsBytesMax {
		t.Errorf("%d items of %d bytes wait, want %d and the order to end", items, bytes, fit)
	}
	st.turn()
	if got := len(w.replies(t)); got != fit || len(w.closed) != 1 || w.closed[0] != codec.DisconnectTooManyRequests {
		t.Errorf("%d replies, closed with %v", got, w.closed)
	}
	st.checkPosts()
}

// checkPosts checks that nothing is counted as under way.
func (st *stage) checkPosts() {
	st.t.Helper()
	for i := range st.node.posts {
		if p := &st.node.posts[i]; p.bytes != 0 || p.to != nil {
			st.t.Errorf("%d bytes are under way on loop %d, to %v", p.bytes, i, p.to)
		}
	}
}

// TestPostsInAll: all sessions of a loop together have a limit, too, and a mailbox that is full takes nothing at all.
func TestPostsInAll(t *testing.T) {
	st := openStage(t, openTo)
	data := []byte(strings.Repeat("\n", 200<<10)) // no commands, so that each session ends by it
	var all []*wire
	var secrets []string
	for range PostsLoopBytesMax/len(data) + 1 {
		w := st.emulate(codec.JSON)
		all, secrets = append(all, w), append(secrets, w.secret(t))
	}
	for _, secret := range secrets {
		st.node.Emulate(secret, data)
	}
	if _, bytes := st.node.Loops[0].Waiting(); bytes > PostsLoopBytesMax {
		t.Errorf("%d bytes wait", bytes)
	}
	st.turn()
	for i, w := range all {
		want := codec.DisconnectBadRequest
		if i == len(all)-1 {
			want = codec.DisconnectTooManyRequests
		}
		if len(w.closed) != 1 || w.closed[0] != want {
			t.Errorf("session %d of %d: closed with %v, want %v", i, len(all), w.closed, want)
		}
	}
	st.checkPosts()

	w := st.emulate(codec.JSON)
	secret := w.secret(t)
	st.node.Loops[0].Post(nobody{}, nil, loop.MailboxBytesMax)
	st.node.Emulate(secret, data)
	if items, _ := st.node.Loops[0].Waiting(); items != 1 {
		t.Errorf("%d items wait", items)
	}
	st.turn()
	st.checkPosts()
}

// nobody is a recipient that does nothing.
type nobody struct{}

func (nobody) Take(*loop.Loop, any) {}

// TestPostsToNobody: what comes for a session that has gone, or has a pipe for its commands, or only listens, is forgotten.
func TestPostsToNobody(t *testing.T) {
	st := openStage(t, openTo)
	gone, talks, listens := st.emulate(codec.JSON), st.dial(codec.JSON), st.listen(codec.JSON, codec.ConnectRequest{})
	listens.frames = nil
	for _, w := range []*wire{gone, talks, listens} {
		for range 10 {
			st.node.Emulate(st.node.secretOf(w.handle), []byte(`{"id":2,"subscribe":{"channel":"news"}}`))
		}
	}
	gone.frames = nil
	gone.session.Closed()
	st.node.Loops[0].Remove(gone.handle)
	again := st.openWire(Options{Emulated: true}) // in the same slot
	st.turn()
	for _, w := range []*wire{gone, talks, listens, again} {
		if w.session.subs != nil || len(w.frames) != 0 || len(w.closed) != 0 {
			t.Errorf("%+v", w)
		}
	}
	st.checkPosts()
}

// TestPostsRace: posts of many goroutines to sessions on several loops, each of which gets its own, in order.
func TestPostsRace(t *testing.T) {
	const sessions, each = 8, 200
	st := newStage(t)
	st.loops = 2
	st.start(openTo)
	var all []*wire
	for i := range sessions {
		w := &wire{loop: st.node.Loops[i%2]}
		w.handle = w.loop.Add(w)
		w.session = New(st.node, w, w.handle, Options{Emulated: true})
		w.say(codec.Command{ID: 1, Method: codec.MethodConnect})
		w.frames = nil
		all = append(all, w)
	}
	var posting, turning sync.WaitGroup
	done := make(chan struct{})
	for _, l := range st.node.Loops {
		turning.Go(func() {
			for {
				select {
				case <-done:
					l.Turn(st.now)
					return
				default:
					l.Turn(st.now)
				}
			}
		})
	}
	for _, w := range all {
		posting.Go(func() {
			secret := st.node.secretOf(w.handle)
			for id := range each {
				st.node.Emulate(secret, fmt.Appendf(nil, `{"id":%d,"unsubscribe":{"channel":"x"}}`, id+2))
			}
		})
	}
	posting.Wait()
	close(done)
	turning.Wait()
	for i, w := range all {
		got := w.replies(t)
		if len(got) != each {
			t.Fatalf("session %d: %d replies, closed with %v", i, len(got), w.closed)
		}
		for id, r := range got {
			if int(r.ID) != id+2 {
				t.Fatalf("session %d: reply %d answers %d", i, id, r.ID)
			}
		}
	}
	st.checkPosts()
}
