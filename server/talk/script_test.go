package talk

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"stentor/codec"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata from what the first transport brings")

// A conversation is a file of lines:
//
//	# …                  a comment
//	config …             options, JSON; only before anything else
//	NAME WORD=VALUE …    what NAME's first request has beside its commands: user=U in the trusted header
//	NAME> COMMANDS       the client sends a batch of commands, its first one opening its connection; \n parts them. A client that
//	                     only listens sends a request to connect, once
//	NAME close           the client goes
//	NAME awaits N        N pings come, which are not shown otherwise
//	api METHOD JSON      a call of the server API
//	shutdown             the server sends everybody away
//
// and of what NAME then hears, in its order: "NAME< …" is a message, as JSON, and "NAME! CODE REASON" its end. Ids of clients and epochs
// are replaced by names; what only emulated sessions are told is left out. In what a client sends, {{token USER WORDS}} stands for a
// token: see sign.
type conversation struct {
	t      *testing.T
	house  *house
	way    way
	form   codec.Form
	people map[string]*person
	known  map[string]string // ids that have names
}

// person is one client of a conversation.
type person struct {
	name  string
	user  string
	peer  peer
	heard chan string // lines
	pings chan struct{}
}

// playAll plays all conversations of a directory over all ways and in each of their forms.
func playAll(t *testing.T, directory string, ways []way) {
	files, err := filepath.Glob(filepath.Join("testdata", directory, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range ways {
			for _, form := range w.forms {
				name := fmt.Sprintf("%s/%s/%s", strings.TrimSuffix(filepath.Base(file), ".txt"), w.name, form)
				t.Run(name, func(t *testing.T) {
					if *update && (i > 0 || form != w.forms[0]) {
						t.Skip("the answers are those of the first transport")
					}
					t.Parallel()
					got := play(t, string(script), w, form)
					if *update {
						if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
							t.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// play does what a script says and returns it with the answers that came.
func play(t *testing.T, script string, w way, f codec.Form) string {
	c := &conversation{t: t, way: w, form: f, people: map[string]*person{}, known: map[string]string{}}
	var out strings.Builder
	lines := strings.Split(strings.TrimSuffix(script, "\n"), "\n")
	for len(lines) > 0 {
		line := lines[0]
		lines = lines[1:]
		fmt.Fprintln(&out, line)
		if line != "" && line[0] != '#' {
			c.do(line)
		}
		var want []string
		for len(lines) > 0 && isAnswer(lines[0]) {
			want = append(want, lines[0])
			lines = lines[1:]
		}
		for _, heard := range c.hear(line, want) {
			fmt.Fprintln(&out, heard)
		}
	}
	for _, p := range c.people {
		p.peer.close()
		for line := range p.heard {
			t.Errorf("nobody expected: %s", line)
		}
	}
	return out.String()
}

func isAnswer(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	return strings.HasSuffix(word, "<") || strings.HasSuffix(word, "!")
}

// do does one line.
func (c *conversation) do(line string) {
	c.t.Helper()
	word, rest, _ := strings.Cut(line, " ")
	if word == "config" {
		c.house = c.way.house(c.t, rest)
		return
	}
	if c.house == nil {
		c.house = c.way.house(c.t, "")
	}
	switch name, speaks := strings.CutSuffix(word, ">"); {
	case word == "api":
		method, body, _ := strings.Cut(rest, " ")
		c.house.call(method, body)
	case word == "shutdown":
		c.house.stop()
	case speaks:
		c.say(name, c.fill(rest))
	case rest == "close":
		c.people[word].peer.close()
	case strings.HasPrefix(rest, "awaits "):
		c.awaitPings(c.people[word], strings.TrimPrefix(rest, "awaits "))
	default:
		c.person(word).user = strings.TrimPrefix(rest, "user=")
	}
}

func (c *conversation) person(name string) *person {
	p := c.people[name]
	if p == nil {
		p = &person{name: name, heard: make(chan string, 1024), pings: make(chan struct{}, 1024)}
		c.people[name] = p
	}
	return p
}

// say sends a batch, which opens the connection if it is the first.
func (c *conversation) say(name, text string) {
	c.t.Helper()
	p := c.person(name)
	batch := c.encode(strings.ReplaceAll(text, `\n`, "\n"))
	if p.peer != nil {
		p.peer.say(batch)
		return
	}
	p.peer = c.way.open(c.t, c.house, c.form, p.user, batch)
	go func() {
		defer close(p.heard)
		for {
			replies, end := p.peer.hear()
			for _, r := range replies {
				if isPing(&r) {
					p.pings <- struct{}{}
					continue
				}
				p.heard <- fmt.Sprintf("%s< %s", name, show(c.form, &r))
			}
			if end != nil {
				if *end != gone {
					p.heard <- fmt.Sprintf("%s! %d %s", name, end.Code, end.Reason)
				}
				return
			}
		}
	}()
}

func isPing(r *codec.Reply) bool { return r.ID == 0 && r.Push == nil && r.Error == nil }

func (c *conversation) awaitPings(p *person, number string) {
	c.t.Helper()
	n, err := strconv.Atoi(number)
	if err != nil {
		c.t.Fatal(err)
	}
	for range n {
		select {
		case <-p.pings:
		case <-time.After(patience):
			c.t.Fatalf("%s was not pinged", p.name)
		}
	}
}

// encode turns commands, or a request to connect, from JSON into the form.
func (c *conversation) encode(text string) (batch []byte) {
	c.t.Helper()
	if c.form.Uni() {
		var req codec.ConnectRequest
		if codec.DecodeConnectRequest(codec.UniJSON, []byte(text), &req) != nil {
			return []byte(text) // as it stands
		}
		batch, err := codec.AppendConnectRequest(nil, c.form, &req)
		if err != nil {
			c.t.Fatal(err)
		}
		return batch
	}
	for line := range strings.SplitSeq(text, "\n") {
		var cmd codec.Command
		if _, err := codec.DecodeCommand(codec.JSON, []byte(line), &cmd); err != nil {
			return append(batch, line...)
		}
		var err error
		if batch, err = codec.AppendCommand(batch, c.form, &cmd); err != nil {
			c.t.Fatal(err)
		}
	}
	return batch
}

// show is a message as JSON.
func show(f codec.Form, r *codec.Reply) string {
	if r.Connect != nil {
		r.Connect.Session, r.Connect.Node = "", ""
	}
	var line []byte
	var err error
	switch {
	case !f.Uni():
		line, err = codec.AppendReply(nil, codec.JSON, r)
	case r.Push == nil:
		line = []byte("{}")
	default:
		if r.Push.Connect != nil {
			r.Push.Connect.Session = ""
		}
		line, err = codec.AppendPush(nil, codec.UniJSON, r.Push)
	}
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(string(line), "\n")
}

// quiet is how long nothing may come before a line has all its answers, where those are written anew.
const quiet = 300 * time.Millisecond

// hear waits for the answers to a line, in the order of each client, and returns what came.
func (c *conversation) hear(line string, want []string) (all []string) {
	c.t.Helper()
	if *update {
		return c.hearUntilQuiet()
	}
	for _, w := range want {
		word, _, _ := strings.Cut(w, " ")
		p := c.people[word[:len(word)-1]]
		if p == nil {
			c.t.Fatalf("nobody is called so: %s", w)
		}
		select {
		case heard, ok := <-p.heard:
			if heard = c.stable(heard); !ok || heard != w {
				c.t.Fatalf("after %s\nheard %s\nwant  %s", line, heard, w)
			}
			all = append(all, heard)
		case <-time.After(patience):
			c.t.Fatalf("after %s\nnever heard %s", line, w)
		}
	}
	return all
}

func (c *conversation) hearUntilQuiet() (all []string) {
	for deadline := time.Now().Add(quiet); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, p := range c.people {
			select {
			case heard, ok := <-p.heard:
				if ok {
					all = append(all, c.stable(heard))
					deadline = time.Now().Add(quiet)
				}
			default:
			}
		}
	}
	return all
}

var (
	volatileClient = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	volatileEpoch  = regexp.MustCompile(`"epoch":"[^"]+"`)
	tokenOf        = regexp.MustCompile(`\{\{token ([^}]*)\}\}`)
)

// stable replaces what differs each time.
func (c *conversation) stable(line string) string {
	name := func(kind string) func(string) string {
		return func(s string) string {
			if c.known[s] == "" {
				n := 1
				for _, have := range c.known {
					if strings.HasPrefix(have, kind) {
						n++
					}
				}
				c.known[s] = fmt.Sprintf("%s%d", kind, n)
			}
			return c.known[s]
		}
	}
	line = volatileClient.ReplaceAllStringFunc(line, name("client-"))
	return volatileEpoch.ReplaceAllStringFunc(line, func(s string) string { return `"epoch":"` + name("epoch-")(s) + `"` })
}

// fill puts tokens, and what stable has named, in the place of their names.
func (c *conversation) fill(text string) string {
	for id, name := range c.known {
		if epoch, ok := strings.CutPrefix(id, `"epoch":`); ok {
			text = strings.ReplaceAll(text, `"`+name+`"`, epoch)
		} else {
			text = strings.ReplaceAll(text, `"`+name+`"`, `"`+id+`"`)
		}
	}
	return tokenOf.ReplaceAllStringFunc(text, func(s string) string {
		words := strings.Fields(tokenOf.FindStringSubmatch(s)[1])
		return sign(c.t, words[0], words[1:]...)
	})
}
