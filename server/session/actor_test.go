package session

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"stentor/codec"
	"stentor/reactor/loop"
	"stentor/server/metrics"
)

// actor is one client: a pipe that remembers what it was given.
type actor struct {
	st      *stage
	name    string
	form    codec.Form
	session *Session
	handle  loop.Handle
	heard   []string
	ended   bool
	pongs   bool   // answers pings
	deaf    bool   // its pipe takes no pings
	owes    bool   // a pong
	secret  string // for its commands, where it has no pipe for them
}

func (st *stage) open(words []string) {
	a := &actor{st: st, name: words[0], form: st.form}
	conn, o := Conn(a), Options{}
	for _, word := range words[1:] {
		switch header, ok := strings.CutPrefix(word, "user="); {
		case ok:
			o.HeaderUser = header
		case word == "json":
			a.form = codec.JSON
		case word == "protobuf":
			a.form = codec.Protobuf
		case word == "pongs":
			a.pongs = true
		case word == "framepings":
			conn = pinger{a}
		case word == "deaf":
			a.deaf = true
		case word == "uni":
			o.Transport = metrics.UniSSE
		case word == "emulated":
			o.Transport, o.Emulated = metrics.SSE, true
		case word == "refuses":
			conn = refuser{a}
		default:
			st.t.Fatalf("what does this word mean? open %s", strings.Join(words, " "))
		}
	}
	if o.Form = a.form; o.Transport == metrics.UniSSE {
		o.Form = a.form.Bare()
	}
	l := st.node.Loops[0]
	a.handle = l.Add(a)
	a.session = New(st.node, conn, a.handle, o)
	st.actors[a.name] = a
	st.order = append(st.order, a.name)
}

// say sends a message. A Protobuf client's commands are written as JSON too; what is no command is sent as it is.
func (a *actor) say(text string) {
	msg := a.message(text)
	switch {
	case a.ended:
	case a.session.form.Uni():
		a.connect(msg)
	case a.secret != "":
		if !a.st.node.Emulate(a.secret, msg) {
			a.st.t.Fatal("its secret is not known")
		}
	default:
		a.session.Receive(msg)
	}
}

// connect connects a client that only listens.
func (a *actor) connect(request []byte) {
	var r codec.ConnectRequest
	err := codec.DecodeConnectRequest(codec.JSON, request, &r)
	if err == nil {
		request, err = codec.AppendConnectRequest(nil, a.session.form, &r)
	}
	if err == nil {
		err = codec.DecodeConnectRequest(a.session.form, request, &r)
	}
	if err != nil {
		a.st.t.Fatal(err)
	}
	a.session.ConnectUni(&r)
}

// message is what a client sends when it says text.
func (a *actor) message(text string) []byte {
	text = tokenPattern.ReplaceAllStringFunc(text, func(quoted string) string { return a.st.token(strings.TrimSuffix(quoted, `"`)) + `"` })
	msg := []byte(strings.ReplaceAll(text, `\n`, "\n"))
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		var err error
		if msg, err = hex.DecodeString(digits); err != nil {
			a.st.t.Fatal(err)
		}
	} else if a.session.form == codec.Protobuf {
		msg = a.translate(msg)
	}
	return msg
}

var tokenPattern = regexp.MustCompile(`\{\{token .*?\}\}+"`)

func (st *stage) token(pattern string) string {
	words := strings.Fields(pattern[2 : len(pattern)-2])[1:]
	claims := jwt.MapClaims{"sub": strings.Trim(words[0], "-")}
	for _, word := range words[1:] {
		name, text, isClaim := strings.Cut(word, "=")
		if !isClaim {
			claims["exp"] = st.wall.Add(st.duration(word)).Unix()
			continue
		}
		var value any
		if json.Unmarshal([]byte(text), &value) != nil {
			value = text
		}
		claims[name] = value
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
			return append(out, msg...)
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
	for _, line := range a.lines(f) {
		if a.pongs && line == "{}" {
			a.owes = true
			continue
		}
		a.heard = append(a.heard, a.name+"< "+line)
	}
	return true
}

// lines are the messages of a frame in the JSON form.
func (a *actor) lines(f *codec.Frame) (lines []string) {
	if f.Form().Encoding() == codec.JSON {
		lines = strings.Split(strings.TrimSuffix(string(f.Messages()), "\n"), "\n")
	} else {
		lines = a.linesOfProtobuf(f)
	}
	for _, line := range lines {
		if found := volatileSecret.FindString(line); found != "" && a.session.traits&emulated != 0 {
			a.secret = found[len(`"session":"`) : len(found)-1]
		}
	}
	return lines
}

func (a *actor) linesOfProtobuf(f *codec.Frame) (lines []string) {
	for rest := f.Messages(); len(rest) > 0; {
		var r codec.Reply
		var err error
		if rest, err = codec.DecodeReply(f.Form(), rest, &r); err != nil {
			a.st.t.Fatal(err)
		}
		if r.Push != nil && r.Push.Pub != nil && !json.Valid(r.Push.Pub.Data) {
			r.Push.Pub.Data, _ = json.Marshal(string(r.Push.Pub.Data)) // strings cannot fail
		}
		line, err := codec.AppendReply(nil, codec.JSON, &r)
		if f.Form().Uni() {
			line, err = codec.AppendPush(nil, codec.UniJSON, cmp.Or(r.Push, &codec.Push{}))
		}
		if err != nil {
			a.st.t.Fatal(err)
		}
		lines = append(lines, strings.TrimSuffix(string(line), "\n"))
	}
	return lines
}

// Close remembers why the server ended the pipe, and what was said at the end where that is the only way to tell.
func (a *actor) Close(d codec.Disconnect) {
	if o := a.session; o.form.Uni() || o.traits&emulated != 0 {
		if farewell := o.AppendFarewell(make([]byte, codec.HeaderRoom), d); len(farewell) > codec.HeaderRoom {
			a.Send(codec.NewFrame(o.form, farewell))
		}
	}
	a.heard = append(a.heard, fmt.Sprintf("%s! %d %s", a.name, d.Code, d.Reason))
	a.gone()
}

func (a *actor) Arm(at loop.Time)     { a.st.node.Loops[0].Arm(a.handle, at) }
func (a *actor) Expire(now loop.Time) { a.session.Expire(now) }
func (a *actor) Order(what any)       { a.session.Order(what) }

// refuser is the pipe of an actor that tells by itself why it could not connect, if that is an error.
type refuser struct{ *actor }

// Refuse remembers why.
func (r refuser) Refuse(code uint32, reason string) bool {
	if code >= 3000 {
		return false
	}
	r.heard = append(r.heard, fmt.Sprintf("%s! refused with %d %s", r.name, code, reason))
	r.gone()
	return true
}

// pinger is the pipe of an actor that has pings of its own.
type pinger struct{ *actor }

// Ping remembers that there was one.
func (p pinger) Ping() bool {
	if p.deaf {
		p.gone()
		return false
	}
	p.heard = append(p.heard, p.name+"< (ping)")
	return true
}

func (a *actor) takeHeard() []string {
	heard := a.heard
	a.heard = nil
	return heard
}
