package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"stentor/codec"
	"stentor/engine"
	"stentor/server/channel"
	"stentor/server/config"
)

// waitFor polls until ok or the test has waited long enough.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for " + what)
		}
	}
}

// Broadcasts and batches are worked on in parallel where that is worth it, and only so far.
func TestParallel(t *testing.T) {
	many := 3 * ParallelMax
	batch := `{"parallel":true,"commands":[` + strings.TrimSuffix(strings.Repeat(`{"publish":{"channel":"a","data":1}},`, many), ",") + `]}`
	broadcast := `{"data":1,"channels":[` + strings.TrimSuffix(strings.Repeat(`"a",`, many), ",") + `]}`
	for _, tt := range []struct {
		name, path, body string
		remote           bool
		most             int
	}{
		{"batch", "/api/batch", batch, false, ParallelMax},
		{"batch in order", "/api/batch", strings.Replace(batch, "true", "false", 1), true, 1},
		{"broadcast to a remote engine", "/api/broadcast", broadcast, true, ParallelMax},
		{"broadcast to a local engine", "/api/broadcast", broadcast, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.remote, w.hold = tt.remote, make(chan struct{})
			got := make(chan string)
			go func() { got <- post(w.open(), tt.path, tt.body).Body.String() }()
			waitFor(t, "the publications", func() bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				return w.busy == tt.most
			})
			close(w.hold)
			if n := strings.Count(<-got, "{}"); n != many {
				t.Errorf("%d results, want %d", n, many)
			}
			if w.most != tt.most {
				t.Errorf("%d at once, want %d", w.most, tt.most)
			}
			if n := len(w.api.helpers); n != 0 {
				t.Errorf("%d helpers did not come back", n)
			}
		})
	}
}

// Replies keep the order of the commands, whoever runs them.
func TestParallelKeepsOrder(t *testing.T) {
	w := newWorld(t)
	req := &BatchRequest{Parallel: true}
	for i := range 500 {
		c := &Command{Info: &InfoRequest{}}
		if i%3 == 0 {
			c = &Command{RPC: &RPCRequest{Method: "x"}}
		}
		req.Commands = append(req.Commands, c)
	}
	res, err := w.api.Batch(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range res.Replies {
		if (r.Error == ErrorNotFound) != (i%3 == 0) || (r.Info != nil) == (i%3 == 0) {
			t.Fatalf("reply %d is %+v", i, r)
		}
	}
}

// A panic in a goroutine that helps reaches the caller, where net/http looks after it; it does not end the process.
func TestPanicOfAHelper(t *testing.T) {
	w := newWorld(t)
	w.remote = true
	channels := make([]string, 200)
	for i := range channels {
		channels[i] = "panic"
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		if n := len(w.api.helpers); n != 0 {
			t.Errorf("%d helpers did not come back", n)
		}
	}()
	w.api.Broadcast(context.Background(), &BroadcastRequest{Channels: channels, Message: Message{Data: json.RawMessage("1")}})
}

// keeper keeps publications as an engine does, and orders as sessions do.
type keeper struct {
	*world
	kept       []*codec.Publication
	subscribes []Subscribe
	refreshes  []Refresh
}

func (k *keeper) Subscribe(_ context.Context, _ Target, o Subscribe) error {
	k.subscribes = append(k.subscribes, o)
	return nil
}

func (k *keeper) Refresh(_ context.Context, _ Target, o Refresh) error {
	k.refreshes = append(k.refreshes, o)
	return nil
}

func (k *keeper) Publish(_ context.Context, ch string, p *codec.Publication, _ engine.PublishOptions) (engine.PublishResult, error) {
	p.Channel = ch // as the engine's own copy of the name would be
	k.kept = append(k.kept, p)
	return engine.PublishResult{}, nil
}

// What was published does not change when the buffer of its request is used again.
func TestPublicationsOutliveTheirRequests(t *testing.T) {
	w := newWorld(t)
	k := &keeper{world: w}
	w.api.cfg.Broker = k
	h := w.open()
	for _, letter := range []string{"a", "b", "c"} {
		body := `{"channel":"xxxxx","data":{"x":"xxxxxxxxxxxx"},"tags":{"xxxxx":"xxxx"}}`
		body = strings.ReplaceAll(body, "x", letter)
		if got := post(h, "/api/publish", body).Body.String(); got != done {
			t.Fatal(got)
		}
		post(h, "/api", `{"params":`+body+`}`)
	}
	for i, p := range k.kept {
		letter := []string{"a", "b", "c"}[i/2]
		n := func(times int) string { return strings.Repeat(letter, times) }
		want := &codec.Publication{Channel: n(5), Data: []byte(`{"` + letter + `":"` + n(12) + `"}`), Tags: map[string]string{n(5): n(4)}}
		if !reflect.DeepEqual(p, want) {
			t.Errorf("publication %d is %+v %s", i, p, p.Data)
		}
	}
}

// Nor does what sessions were ordered.
func TestOrdersOutliveTheirRequests(t *testing.T) {
	w := newWorld(t)
	k := &keeper{world: w}
	w.api.cfg.Clients = k
	h := w.open()
	letters := []string{"a", "b", "c"}
	for _, letter := range letters {
		sub := strings.ReplaceAll(`{"channel":"xxxxx","info":"xxxxxxxxxx","data":["xxxxxxxxxx"],"recover_since":{"epoch":"xxxx"}}`, "x", letter)
		refresh := strings.ReplaceAll(`{"info":"xxxxxxxxxx"}`, "x", letter)
		post(h, "/api/subscribe", sub)
		post(h, "/api/refresh", refresh)
	}
	if len(k.subscribes) != len(letters) || len(k.refreshes) != len(letters) {
		t.Fatalf("%d and %d orders", len(k.subscribes), len(k.refreshes))
	}
	for i, letter := range letters {
		n := func(times int) string { return strings.Repeat(letter, times) }
		o := k.subscribes[i]
		if o.Channel != n(5) || string(o.Info) != `"`+n(10)+`"` || string(o.Data) != `["`+n(10)+`"]` || o.RecoverSince.Epoch != n(4) {
			t.Errorf("order %d is %+v", i, o)
		}
		if r := k.refreshes[i]; string(r.Info) != `"`+n(10)+`"` {
			t.Errorf("order %d is %+v", i, r)
		}
	}
}

func TestSetRules(t *testing.T) {
	w := newWorld(t)
	h := w.open()
	const body = `{"channel":"new:1","data":1}`
	if got := post(h, "/api/publish", body).Body.String(); got != unknown {
		t.Fatal(got)
	}
	cfg := config.Default()
	cfg.Channel.Namespaces = []config.Namespace{{Name: "new"}}
	rules, err := channel.NewRules(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.api.SetRules(rules)
	if got := post(h, "/api/publish", body).Body.String(); got != done {
		t.Fatal(got)
	}
}

// The same over a real connection, from many clients at once, to a server that stops taking requests.
func TestOverTheWire(t *testing.T) {
	w := newWorld(t)
	srv := httptest.NewServer(NewHTTP(w.api, HTTPConfig{Prefix: "/api", Key: "k", Log: w.logger()}))
	defer srv.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				req, _ := http.NewRequest("POST", srv.URL+"/api/publish", strings.NewReader(`{"channel":"chat:1","data":{"a":1}}`))
				req.Header.Set("X-API-Key", "k")
				res, err := srv.Client().Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				var got struct{ Result PublishResult }
				if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.StatusCode != 200 || got.Result.Offset == 0 {
					t.Errorf("got %d %+v %v", res.StatusCode, got, err)
				}
				res.Body.Close()
			}
		})
	}
	wg.Wait()
	if n := strings.Count(w.take(), "publish chat:1"); n != 160 {
		t.Errorf("%d publications", n)
	}
}

// TestSlowAnswers: a method that takes longer than the server gives to a response is still answered.
func TestSlowAnswers(t *testing.T) {
	w := newWorld(t)
	w.hold = make(chan struct{})
	srv := httptest.NewUnstartedServer(w.open())
	srv.Config.WriteTimeout = 2 * slowRequest
	srv.Start()
	defer srv.Close()
	const publish = `{"channel":"news","data":1}`
	for path, body := range map[string]string{"/api/publish": publish, "/api": `{"method":"publish","params":` + publish + `}`} {
		go func() {
			time.Sleep(2 * srv.Config.WriteTimeout)
			w.hold <- struct{}{}
		}()
		res, err := srv.Client().Post(srv.URL+path, "", strings.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if got, err := io.ReadAll(res.Body); err != nil || string(got) != done {
			t.Errorf("%s: %s, %v", path, got, err)
		}
		res.Body.Close()
	}
}

func TestPatterns(t *testing.T) {
	long := strings.Repeat("a", 255)
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "news", true},
		{"*", "chat:1", true},
		{"chat:*", "chat:1", true},
		{"chat:?", "chat:22", false},
		{"{news,chat:[0-9]}", "chat:1", true},
		{strings.Repeat("*a", 100) + "b", long, false}, // what a backtracking matcher never ends with
		{strings.Repeat("{a,aa}", 40) + "b", long, false},
	} {
		match, err := CompilePattern(tt.pattern)
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
			continue
		}
		if got := match(tt.name); got != tt.want {
			t.Errorf("%q matches %q: %v", tt.pattern, tt.name, got)
		}
	}
}

func TestCutObject(t *testing.T) {
	for _, tt := range []struct{ text, object, rest string }{
		{`{}`, `{}`, ``},
		{` {"a":{"b":"}\"{"}} {}`, `{"a":{"b":"}\"{"}}`, ` {}`},
		{`{}{`, `{}`, `{`},
		{`{"a":[}]}`, `{"a":[}`, `]}`}, // what is in an object is the decoder's affair
		{`{"a`, `{"a`, ``},
		{`{"a\`, `{"a\`, ``},
		{`[]{}`, `[]{}`, ``},
		{`}`, `}`, ``},
		{" \n", ``, ``},
	} {
		object, rest := cutObject(tt.text)
		if object != tt.object || rest != tt.rest {
			t.Errorf("%q was cut into %q and %q", tt.text, object, rest)
		}
	}
}

func checkJSON(t *testing.T, text string) {
	t.Helper()
	if !json.Valid([]byte(text)) {
		t.Fatalf("%q is no JSON", text)
	}
}

// checkPublished checks that what the broker was given, and was not base64, can go to JSON clients.
func checkPublished(t *testing.T, w *world) {
	t.Helper()
	for note := range strings.SplitSeq(w.take(), "\n") {
		if !utf8.ValidString(note) {
			t.Fatalf("%q is not UTF-8", note)
		}
	}
}

// FuzzAPIBody looks for a body that breaks a method, or that gets something published that is not JSON.
func FuzzAPIBody(f *testing.F) {
	for m := range numMethods {
		f.Add(uint8(m), `{"channel":"chat:1","data":{"a":[1,2.5e3,"x\u00e9",null]},"tags":{"a":"b"},"version":1}`)
		f.Add(uint8(m), `{"channels":["a","chat:b"],"data":"\ud83d\ude00","idempotency_key":"k"}`)
		f.Add(uint8(m), `{"user":"1","disconnect":{"code":4000,"reason":"x"},"whitelist":["a"],"pattern":"{a,b}*[!c]"}`)
		f.Add(uint8(m), `{"channel":"chat:1","user":"1","expire_at":5,"limit":-1,"reverse":true,"since":{"offset":4,"epoch":"xyz"},"info":[1],`+
			`"b64data":"AP8=","recover_since":{},"override":{"presence":{"value":true},"join_leave":null}}`)
		f.Add(uint8(m), `{"channel":"pres:bytes","expired":true,"info":null}`)
		f.Add(uint8(m), `{"commands":[{"publish":{"channel":"a","data":1}},null,{"info":{}}],"parallel":true}`)
	}
	f.Add(uint8(methodPublish), "{\"channel\":\"a\",\"data\":\"\xff\\ud800\"}")
	w := newWorld(f)
	k := &keeper{world: w}
	w.api.cfg.Broker = k
	h := w.open()
	f.Fuzz(func(t *testing.T, m uint8, body string) {
		got := post(h, "/api/"+methods[int(m)%numMethods].name, body)
		checkAnswer(t, got)
		if got.Code == 200 {
			checkJSON(t, got.Body.String())
			checkJSON(t, strings.ToValidUTF8(body, "\ufffd"))
		}
		for _, p := range k.kept {
			if !strings.Contains(strings.ToLower(body), "b64") && (!json.Valid(p.Data) || !utf8.Valid(p.Data)) {
				t.Fatalf("%q was published", p.Data)
			}
			if len(p.Data) == 0 || p.Channel == "" || !utf8.ValidString(p.Channel) {
				t.Fatalf("%q was published to %q", p.Data, p.Channel)
			}
		}
		k.kept = nil
		w.take()
	})
}
