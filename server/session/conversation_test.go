package session

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/engine"
	"stentor/engine/memengine"
	"stentor/reactor/loop"
	"stentor/server/auth"
	"stentor/server/channel"
	"stentor/server/config"
	"stentor/server/hub"
	"stentor/server/metrics"
	"stentor/server/policy"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata/*.txt")

// TestConversations plays every file of testdata. A line is
//
//	# …                     a comment
//	config …                options, JSON; only before the first client
//	open NAME [FORM] [pongs]  a client's pipe opens; with "pongs" it answers pings by itself and keeps quiet about them
//	NAME> COMMANDS          the client sends a message, raw; \n parts commands
//	NAME close              the pipe goes
//	api publish CHANNEL DATA
//	api disconnect USER CODE REASON
//	api unsubscribe USER CHANNEL
//	wait DURATION           time passes
//
// In what a client sends, {{token USER}} stands for a token of that user signed with "secret", {{token USER 30s}} for one that
// expires then, and {{token USER channel=C}} for one that permits a subscription.
//
//	NAME< …                 what the client then receives, one line each message; "NAME! CODE REASON" is its end
//
// Run with -update to rewrite the answers, and review the diff.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("%s differs; this is what happened:\n%s", file, got)
			}
		})
	}
}

// play runs the inputs of a conversation and returns it with the answers that came.
func play(t *testing.T, script string) string {
	st := newStage(t)
	var out strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if isAnswer(line) {
			continue
		}
		fmt.Fprintln(&out, line)
		if line != "" && line[0] != '#' {
			st.do(line)
		}
		for _, name := range st.order {
			for _, heard := range st.actors[name].takeHeard() {
				fmt.Fprintln(&out, st.stable(heard))
			}
		}
	}
	return out.String()
}

func isAnswer(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	return strings.HasSuffix(word, "<") || strings.HasSuffix(word, "!")
}

// stage is a node with one loop that is turned by hand.
type stage struct {
	t      *testing.T
	node   *Node
	now    loop.Time
	wall   time.Time
	actors map[string]*actor
	order  []string
	known  map[string]string // volatile text → what stands for it
	rules  *channel.Rules
}

func newStage(t *testing.T) *stage {
	return &stage{t: t, now: 1, wall: time.Unix(1_700_000_000, 0), actors: map[string]*actor{}, known: map[string]string{}}
}

// start makes the node, with options on top of the defaults.
func (st *stage) start(options string) {
	file := filepath.Join(st.t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(cmp.Or(options, "{}")), 0o600); err != nil {
		st.t.Fatal(err)
	}
	loaded, err := config.Load(config.Options{File: file, Env: []string{}})
	if err != nil {
		st.t.Fatal(err)
	}
	cfg := loaded.Config
	log := slog.New(slog.DiscardHandler)
	l := loop.New(0, loop.Config{Ring: func() {}, Log: log})
	l.SetNow(st.now)
	loops := []*loop.Loop{l}
	table := hub.NewTable(loops)
	if st.rules, err = channel.NewRules(cfg); err != nil {
		st.t.Fatal(err)
	}
	connection, subscription, err := auth.NewVerifiers(cfg)
	if err != nil {
		st.t.Fatal(err)
	}
	rules, err := policy.New(cfg, st.rules, connection, subscription, log)
	if err != nil {
		st.t.Fatal(err)
	}
	st.node = &Node{
		Settings: SettingsOf(cfg, "test"),
		Broker:   memengine.New(memengine.Config{}, table),
		Table:    table,
		Users:    hub.NewUsers(),
		Loops:    loops,
		Metrics:  metrics.New(metrics.Config{Loops: 1}),
		Log:      log,
		Now:      func() time.Time { return st.wall },
	}
	st.node.Start(rules)
}

func (st *stage) do(line string) {
	word, rest, _ := strings.Cut(line, " ")
	if word == "config" {
		st.start(rest)
		return
	}
	if st.node == nil {
		st.start("")
	}
	switch {
	case word == "open":
		st.open(strings.Fields(rest))
	case word == "wait":
		d, err := time.ParseDuration(rest)
		if err != nil {
			st.t.Fatal(err)
		}
		st.wait(d)
	case word == "api":
		st.api(rest)
	case strings.HasSuffix(word, ">"):
		st.actor(strings.TrimSuffix(word, ">")).say(rest)
	case rest == "close":
		st.actor(word).gone()
	default:
		st.t.Fatalf("what does this line mean? %q", line)
	}
	st.turn()
}

func (st *stage) actor(name string) *actor {
	a := st.actors[name]
	if a == nil {
		st.t.Fatalf("%s has not been opened", name)
	}
	return a
}

// turn lets the loop work until it has nothing left to do.
func (st *stage) turn() {
	for range 10 {
		st.node.Loops[0].Turn(st.now)
		for _, name := range st.order {
			if a := st.actors[name]; a.owes {
				a.owes = false
				a.say("{}")
			}
		}
	}
}

func (st *stage) wait(d time.Duration) {
	for end := st.now.After(d); st.now < end; {
		st.now++
		st.wall = st.wall.Add(loop.TickPeriod)
		st.turn()
	}
}

func (st *stage) api(line string) {
	args := strings.SplitN(line, " ", 4)
	switch args[0] {
	case "publish":
		ch, answer := st.rules.Resolve(args[1])
		if answer != nil {
			st.t.Fatal(answer)
		}
		p := &codec.Publication{Data: []byte(args[2])}
		if _, err := st.node.Broker.Publish(context.Background(), args[1], p, publishOptions(ch)); err != nil {
			st.t.Fatal(err)
		}
	case "disconnect":
		var d codec.Disconnect
		fmt.Sscan(args[2], &d.Code)
		d.Reason = args[3]
		st.orderUser(args[1], Disconnect{Target: Target{User: args[1]}, Disconnect: d})
	case "unsubscribe":
		st.orderUser(args[1], Unsubscribe{Target: Target{User: args[1]}, Channel: args[2], Unsubscribe: codec.UnsubscribeServer})
	default:
		st.t.Fatalf("what does this line mean? api %s", line)
	}
}

func publishOptions(ch channel.Channel) engine.PublishOptions {
	o := ch.Options
	return engine.PublishOptions{HistorySize: o.HistorySize, HistoryTTL: o.HistoryTTL, HistoryMetaTTL: o.HistoryMetaTTL}
}

func (st *stage) orderUser(user string, what any) {
	for _, h := range st.node.Users.Sessions(nil, user) {
		st.node.Loops[0].Order(h, what)
	}
}

var (
	volatileClient = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	volatileEpoch  = regexp.MustCompile(`"epoch":"[^"]+"`)
)

// stable replaces what differs from run to run by names in order of appearance.
func (st *stage) stable(line string) string {
	name := func(kind string) func(string) string {
		return func(s string) string {
			if st.known[s] == "" {
				n := 1
				for _, have := range st.known {
					if strings.HasPrefix(have, kind) {
						n++
					}
				}
				st.known[s] = fmt.Sprintf("%s%d", kind, n)
			}
			return st.known[s]
		}
	}
	line = volatileClient.ReplaceAllStringFunc(line, name("client-"))
	return volatileEpoch.ReplaceAllStringFunc(line, name("epoch-"))
}

// actor is one client: a pipe that remembers what it was given.
type actor struct {
	st      *stage
	name    string
	form    codec.Form
	session *Session
	handle  loop.Handle
	heard   []string
	ended   bool
	pongs   bool // answers pings
	owes    bool // a pong
}

func (st *stage) open(words []string) {
	a := &actor{st: st, name: words[0], pongs: slices.Contains(words, "pongs")}
	if slices.Contains(words, "protobuf") {
		a.form = codec.Protobuf
	}
	l := st.node.Loops[0]
	a.handle = l.Add(a)
	a.session = New(st.node, a, a.handle, a.form, "")
	st.actors[a.name] = a
	st.order = append(st.order, a.name)
}

// say sends a message. A Protobuf client's words are written as JSON too.
func (a *actor) say(text string) {
	text = tokenPattern.ReplaceAllStringFunc(text, a.st.token)
	msg := []byte(strings.ReplaceAll(text, `\n`, "\n"))
	if a.form == codec.Protobuf {
		msg = a.translate(msg)
	}
	if !a.ended {
		a.session.Receive(msg)
	}
}

var tokenPattern = regexp.MustCompile(`\{\{token [^}]*\}\}`)

func (st *stage) token(pattern string) string {
	words := strings.Fields(strings.Trim(pattern, "{}"))[1:]
	claims := jwt.MapClaims{"sub": words[0]}
	for _, word := range words[1:] {
		if ch, ok := strings.CutPrefix(word, "channel="); ok {
			claims["channel"] = ch
			continue
		}
		d, err := time.ParseDuration(word)
		if err != nil {
			st.t.Fatal(err)
		}
		claims["exp"] = st.wall.Add(d).Unix()
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte("secret"))
	if err != nil {
		st.t.Fatal(err)
	}
	return token
}

func (a *actor) translate(msg []byte) (out []byte) {
	for len(msg) > 0 {
		var c codec.Command
		rest, err := codec.DecodeCommand(codec.JSON, msg, &c)
		if err != nil {
			a.st.t.Fatal(err)
		}
		if out, err = codec.AppendCommand(out, codec.Protobuf, &c); err != nil {
			a.st.t.Fatal(err)
		}
		msg = rest
	}
	return out
}

func (a *actor) gone() {
	a.ended = true
	a.session.Closed()
	a.st.node.Loops[0].Remove(a.handle)
}

// Send remembers the messages of a frame, as JSON.
func (a *actor) Send(f *codec.Frame) bool {
	messages := f.Messages()
	if a.form == codec.JSON {
		for line := range bytes.Lines(messages) {
			if a.pongs && string(line) == "{}\n" {
				a.owes = true
				continue
			}
			a.heard = append(a.heard, a.name+"< "+strings.TrimSuffix(string(line), "\n"))
		}
		return true
	}
	for len(messages) > 0 {
		var r codec.Reply
		rest, err := codec.DecodeReply(codec.Protobuf, messages, &r)
		if err != nil {
			a.st.t.Fatal(err)
		}
		line, err := codec.AppendReply(nil, codec.JSON, &r)
		if err != nil {
			a.st.t.Fatal(err)
		}
		a.heard = append(a.heard, a.name+"< "+strings.TrimSuffix(string(line), "\n"))
		messages = rest
	}
	return true
}

// Close remembers why the server ended the pipe.
func (a *actor) Close(d codec.Disconnect) {
	a.heard = append(a.heard, fmt.Sprintf("%s! %d %s", a.name, d.Code, d.Reason))
	a.gone()
}

func (a *actor) Arm(at loop.Time)     { a.st.node.Loops[0].Arm(a.handle, at) }
func (a *actor) Expire(now loop.Time) { a.session.Expire(now) }
func (a *actor) Order(what any)       { a.session.Order(what) }

func (a *actor) takeHeard() []string {
	heard := a.heard
	a.heard = nil
	return heard
}
