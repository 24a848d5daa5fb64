package codec

import (
	"bytes"
	"io"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"stentor/codec/ws"
)

// pushes makes frames of publications with these payloads, and joins them.
func pushes(t testing.TB, f Form, payloads ...string) *Frame {
	t.Helper()
	var frames []*Frame
	for _, data := range payloads {
		buf, err := AppendPublication(make([]byte, HeaderRoom), f, "c", &Publication{Data: []byte(data)})
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, NewFrame(f, buf))
	}
	return JoinFrames(frames)
}

// readChunks is the body of chunks, as net/http reads it.
func readChunks(t *testing.T, chunks []byte) string {
	t.Helper()
	body, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(slices.Concat(chunks, []byte("0\r\n\r\n")))))
	if err != nil {
		t.Fatalf("%.60q: %v", chunks, err)
	}
	return string(body)
}

var someFrames = map[string][]string{
	"one": {"1"}, "three": {"1", `"two"`, "[3]"}, "a chunk of three digits": {`"` + strings.Repeat("x", 300) + `"`},
	"of two lengths": {`"` + strings.Repeat("x", 70_000) + `"`, "2"}, "white space": {"{\r\n\"a\":\r\r1}", "[\t]"},
}

// TestStream: the messages as they are, and as one chunk.
func TestStream(t *testing.T) {
	for name, payloads := range someFrames {
		for f := range Form(NumAllForms) {
			frame := pushes(t, f, payloads...)
			s := frame.Stream()
			if !bytes.Equal(s.Bytes(), frame.Messages()) {
				t.Errorf("%s, %v: %.60q", name, f, s.Bytes())
			}
			if got := readChunks(t, s.Chunk()); got != string(frame.Messages()) {
				t.Errorf("%s, %v: chunk of %.60q", name, f, got)
			}
			sealed := SealChunk(append(make([]byte, HeaderRoom, HeaderRoom+len(frame.Messages())+2), frame.Messages()...))
			if !bytes.Equal(sealed, s.Chunk()) {
				t.Errorf("%s, %v: sealed %.60q", name, f, sealed)
			}
		}
	}
	empty := NewFrame(JSON, make([]byte, HeaderRoom))
	for _, s := range []*Stream{empty.Stream(), empty.EventStream()} {
		if len(s.Bytes()) != 0 || len(s.Chunk()) != 0 {
			t.Errorf("of nothing: %q in %q, which ends a response", s.Bytes(), s.Chunk())
		}
	}
}

// TestEventStream: a reader of server-sent events by the letter of the HTML standard finds the messages, each in an event.
func TestEventStream(t *testing.T) {
	for name, payloads := range someFrames {
		for _, f := range []Form{JSON, UniJSON} {
			frame := pushes(t, f, payloads...)
			s := frame.EventStream()
			want := ""
			for message := range frame.Each() {
				want += "data: " + strings.ReplaceAll(string(message), "\r", " ") + "\n\n"
			}
			if string(s.Bytes()) != want || readChunks(t, s.Chunk()) != want {
				t.Errorf("%s, %v:\n got %.80q\nas chunk %.80q\nwant %.80q", name, f, s.Bytes(), s.Chunk(), want)
			}
			if got, want := readEvents(s.Bytes()), len(payloads); len(got) != want {
				t.Errorf("%s, %v: %d events, want %d", name, f, len(got), want)
			}
			for i, event := range readEvents(s.Bytes()) {
				var r Reply
				if rest, err := DecodeReply(f, []byte(event), &r); err != nil || len(rest) > 0 {
					t.Errorf("%s, %v: event %d is %q: rest %q, error %v", name, f, i, event, rest, err)
				}
			}
			if !bytes.Contains(frame.Messages(), []byte("data: ")) && bytes.Equal(frame.Messages(), s.Bytes()) {
				t.Errorf("%s, %v: the frame itself was changed", name, f)
			}
		}
	}
}

// readEvents is the algorithm of the HTML standard, section 9.2.6, as far as the data of events goes.
func readEvents(stream []byte) (events []string) {
	text := strings.ReplaceAll(string(stream), "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	var data []string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			if data != nil {
				events = append(events, strings.Join(data, "\n"))
			}
			data = nil
			continue
		}
		if field, value, _ := strings.Cut(line, ":"); field == "data" {
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	return events
}

// FuzzSealEvents: in place or not, what is sealed is what a straightforward writer would write.
func FuzzSealEvents(f *testing.F) {
	f.Add([]byte("{}\n{\"a\":\r1}\n"), 0)
	f.Add([]byte("\n\n\n"), 100)
	f.Fuzz(func(t *testing.T, messages []byte, spare int) {
		if len(messages) > 0 && messages[len(messages)-1] != '\n' {
			messages = append(messages, '\n')
		}
		want := ""
		for line := range bytes.Lines(messages) {
			want += "data: " + strings.ReplaceAll(strings.TrimSuffix(string(line), "\n"), "\r", " ") + "\n\n"
		}
		buf := make([]byte, HeaderRoom, HeaderRoom+len(messages)+min(max(spare, 0), 1000))
		buf = SealEvents(append(buf, messages...))
		if got := string(buf[HeaderRoom:]); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
		chunk := ""
		if want != "" {
			chunk = strconv.FormatInt(int64(len(want)), 16) + "\r\n" + want + "\r\n"
		}
		if got := string(SealChunk(buf)); got != chunk {
			t.Fatalf("got %q, want %q", got, chunk)
		}
	})
}

// TestEach: the messages without what delimits them, and as ws frames of their own.
func TestEach(t *testing.T) {
	for name, payloads := range someFrames {
		for f := range Form(NumAllForms) {
			frame := pushes(t, f, payloads...)
			n, rebuilt := 0, []byte{}
			for message := range frame.Each() {
				if n++; f.isProtobuf() {
					rebuilt = append(rebuilt, delimited(string(message))...)
				} else {
					rebuilt = append(append(rebuilt, message...), '\n')
				}
			}
			if n != len(payloads) || !bytes.Equal(rebuilt, frame.Messages()) {
				t.Errorf("%s, %v: %d messages, want %d", name, f, n, len(payloads))
			}
			for range frame.Each() {
				break // must be possible
			}
			buf := append(make([]byte, HeaderRoom), frame.Messages()...)
			checkApart(t, frame, frame.Apart(nil), n)
			checkApart(t, frame, SealApart(f, buf), n)
			checkApart(t, frame, frame.Apart(ws.NewDeflater(1, 0)), n)
		}
	}
}

// checkApart checks that frames are the n messages of a frame, one each.
func checkApart(t *testing.T, frame *Frame, frames []byte, n int) {
	t.Helper()
	var got []byte
	for ; len(frames) > 0; n-- {
		h, size, ok, err := ws.ParseHeader(frames)
		if err != nil || !ok || h.OpCode != frame.Form().opCode() || !h.Fin || h.Masked {
			t.Fatalf("%+v, error %v", h, err)
		}
		payload := frames[size : size+int(h.Length)]
		if h.Rsv != 0 {
			var z ws.Inflater
			if payload, err = z.Inflate(h.OpCode, payload, 1<<20); err != nil {
				t.Fatal(err)
			}
		}
		if got = append(got, payload...); !frame.Form().isProtobuf() {
			got = append(got, '\n')
		}
		frames = frames[size+int(h.Length):]
	}
	if n != 0 || !bytes.Equal(got, frame.Messages()) {
		t.Errorf("%v: %d frames too few, messages %.60q, want %.60q", frame.Form(), n, got, frame.Messages())
	}
}

// TestVariantsOnce: each variant is made once, whoever asks, and costs nothing from then on.
func TestVariantsOnce(t *testing.T) {
	d := ws.NewDeflater(1, 0)
	for name, of := range map[string]func(f *Frame) []byte{
		"chunk":    func(f *Frame) []byte { return f.Stream().Chunk() },
		"messages": func(f *Frame) []byte { return f.Stream().Bytes() },
		"events":   func(f *Frame) []byte { return f.EventStream().Bytes() },
		"chunk of events": func(f *Frame) []byte {
			return f.EventStream().Chunk()
		},
		"apart": func(f *Frame) []byte { return f.Apart(nil) },
	} {
		f := pushes(t, UniJSON, "1", "2", "3")
		found := make([][]byte, 4)
		var all sync.WaitGroup
		for i := range found {
			all.Go(func() { found[i] = of(f) })
		}
		all.Wait()
		for _, b := range found {
			if &b[0] != &found[0][0] {
				t.Errorf("%s: made more than once", name)
			}
		}
		if raceDetector {
			continue
		}
		noAllocations(t, name, func() { of(f) })
		noAllocations(t, "apart, compressed", func() { f.Apart(d) })
		one := pushes(t, UniJSON, "1")
		noAllocations(t, "apart, one", func() { one.Apart(nil) })
	}
}

// TestSealInPlace: replies are framed where they are.
func TestSealInPlace(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	buf := make([]byte, HeaderRoom, 4096)
	buf = append(buf, "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n"...)
	copyOf := bytes.Clone(buf)
	noAllocations(t, "chunk", func() { SealChunk(buf) })
	noAllocations(t, "events", func() { SealChunk(SealEvents(buf[:copy(buf, copyOf)])) })
	one := append(make([]byte, HeaderRoom, 100), "{}\n"...)
	noAllocations(t, "apart", func() { SealApart(UniJSON, one) })
}
