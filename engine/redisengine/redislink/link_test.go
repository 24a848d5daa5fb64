package redislink

import (
	"bytes"
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stentor/engine"
	"stentor/engine/enginetest/redistest"
)

// lines is a log that tests read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// with are the lines that contain all of words.
func (l *lines) with(words ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for line := range strings.Lines(l.text.String()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// open runs a link for as long as the test.
func open(t *testing.T, cfg Config) (*Link, *lines) {
	t.Helper()
	said := new(lines)
	link, err := New(cfg, slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- link.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(redistest.Patience):
			t.Error("Run goes on although its context ended")
		}
		for _, s := range link.Shards() {
			if _, err := s.Client(); !errors.Is(err, engine.ErrUnreachable) {
				t.Errorf("after Run: %v, want ErrUnreachable", err)
			}
		}
		if t.Failed() {
			said.mu.Lock()
			defer said.mu.Unlock()
			t.Logf("the log of the link:\n%s", said.text.String())
		}
	})
	return link, said
}

// eventually waits until holds does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(redistest.Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: still not so after %v", what, redistest.Patience)
		}
	}
}

// set writes a key through the shard.
func set(s *Shard, key, value string) error {
	client, err := s.Client()
	if err != nil {
		return err
	}
	return Failure(client.Do(context.Background(), client.B().Set().Key(key).Value(value).Build()).Error())
}

func works(s *Shard) func() bool { return func() bool { return set(s, "k", "v") == nil } }

func unreachable(s *Shard) func() bool {
	return func() bool {
		_, err := s.Client()
		return errors.Is(err, engine.ErrUnreachable)
	}
}

// quick are limits that tests can wait for, and that a busy machine keeps.
func quick(address ...string) Config {
	return Config{Address: address, ConnectTimeout: 2 * time.Second, IOTimeout: 2 * time.Second}
}

func TestComesAndGoes(t *testing.T) {
	t.Parallel() // it waits more than it works
	server := redistest.Start(t)
	server.Stop()
	link, said := open(t, quick(server.Addr))
	shard := link.Shard("any")
	eventually(t, "the log says that it is down", func() bool { return len(said.with("cannot be reached", "start the server")) == 1 })
	if err := set(shard, "k", "v"); !errors.Is(err, engine.ErrUnreachable) {
		t.Errorf("before it starts: %v, want ErrUnreachable", err)
	}
	for turn := range 3 {
		server.Restart()
		eventually(t, "it works", works(shard))
		if got := said.with("Redis is reached"); len(got) != turn+1 {
			t.Errorf("it said %q after %d starts", got, turn+1)
		}
		server.Kill()
		eventually(t, "it is gone", unreachable(shard))
	}
	if shard.Cluster() {
		t.Error("a single server is taken for a cluster")
	}
	eventually(t, "the log says so", func() bool { return len(said.with("cannot be reached", "start the server")) == 4 })
}

// TestFrozen: callers of a server that says nothing any more get their error within the I/O time limit, and then at once.
func TestFrozen(t *testing.T) {
	t.Parallel() // it waits more than it works
	server := redistest.Start(t)
	cfg := quick(server.Addr)
	link, said := open(t, cfg)
	shard := link.Shard("any")
	eventually(t, "it works", works(shard))
	server.Freeze()
	const callers = 50
	outcomes := make(chan error, callers)
	for range callers {
		go func() { outcomes <- set(shard, "k", "v") }()
	}
	for range callers {
		select {
		case err := <-outcomes:
			if !errors.Is(err, engine.ErrUnreachable) {
				t.Errorf("a frozen server answers %v, want ErrUnreachable", err)
			}
		case <-time.After(redistest.Patience):
			t.Fatal("a caller waits for a frozen server for ever")
		}
	}
	eventually(t, "it is given up", unreachable(shard))
	server.Thaw()
	eventually(t, "it works again", works(shard))
	if got := said.with("cannot be reached"); len(got) != 1 {
		t.Errorf("it said %q, want one line", got)
	}
	server.Freeze() // Run has to end all the same
}

// TestNotTwice: a command that the server took and did not answer is not sent again by itself.
func TestNotTwice(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	link, _ := open(t, quick(server.Addr))
	shard := link.Shard("any")
	eventually(t, "it works", works(shard))
	sent, failed := 0, 0
	for range 20 {
		client, err := shard.Client()
		if err != nil {
			t.Fatal(err)
		}
		answer := make(chan error, 1)
		go func() { answer <- client.Do(context.Background(), client.B().Incr().Key("n").Build()).Error() }()
		sent++
		if sent%2 == 0 {
			server.Kill()
		}
		if err := <-answer; err != nil {
			failed++
		}
		if sent%2 == 0 {
			server.Restart("--appendonly", "yes", "--appendfsync", "always")
			eventually(t, "it works again", works(shard))
		}
	}
	n, err := strconv.Atoi(server.Must("GET", "n"))
	if err != nil || n > sent || n < sent-failed {
		t.Errorf("%d commands, %d without an answer, were carried out %d times (%v)", sent, failed, n, err)
	}
}

func TestPassword(t *testing.T) {
	t.Parallel() // it waits more than it works
	server := redistest.Start(t, "--requirepass", "right-one")
	for _, password := range []string{"wrong-one", ""} {
		cfg := quick(server.Addr)
		cfg.Password = password
		link, said := open(t, cfg)
		eventually(t, "the log tells of the password", func() bool { return len(said.with("cannot be reached", "password")) == 1 })
		time.Sleep(5 * retryFirst) // it goes on trying
		if got := said.with("cannot be reached"); len(got) != 1 || strings.Contains(got[0], "wrong-one") {
			t.Errorf("with password %q it said %q", password, got)
		}
		if err := set(link.Shard(""), "k", "v"); !errors.Is(err, engine.ErrUnreachable) {
			t.Errorf("with password %q: %v, want ErrUnreachable", password, err)
		}
	}
	link, _ := open(t, quick("redis://:right-one@"+server.Addr))
	eventually(t, "it works with the right one", works(link.Shard("")))

	// A password that is put right on the server is enough.
	cfg := quick(server.Addr)
	cfg.User, cfg.Password = "joe", "joes-one"
	link, said := open(t, cfg)
	eventually(t, "the log tells of the password", func() bool { return len(said.with("cannot be reached", "password")) == 1 })
	server.Must("ACL", "SETUSER", "joe", "on", ">joes-one", "~*", "&*", "+@all")
	eventually(t, "it works with a new user", works(link.Shard("")))
}

func TestOptionsReachTheServer(t *testing.T) {
	server := redistest.Start(t, "--unixsocket", "s.sock") // in its own directory, which is a long name already
	for _, address := range []string{"redis://" + server.Addr + "/3?client_name=of-the-url", "unix://" + server.Dir + "/s.sock?client_name=of-the-url"} {
		for _, resp2 := range []bool{false, true} {
			cfg := quick(address)
			cfg.DB, cfg.ForceRESP2 = 3, resp2
			link, _ := open(t, cfg)
			shard := link.Shard("")
			eventually(t, "it works", works(shard))
			client, err := shard.Client()
			if err != nil {
				t.Fatal(err)
			}
			info, err := client.Do(context.Background(), client.B().ClientInfo().Build()).ToString()
			if err != nil || !strings.Contains(info, " name=of-the-url ") || !strings.Contains(info, " db=3 ") ||
				resp2 != strings.Contains(info, " resp=2") {
				t.Errorf("%s, RESP2 %v: the server sees %q, %v", address, resp2, info, err)
			}
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel() // it waits more than it works
	a, other := redistest.NewAuthority(t), redistest.NewAuthority(t)
	server := redistest.StartTLS(t, a, "--tls-auth-clients", "yes")
	for _, c := range []struct {
		name    string
		address string
		said    string // the remedy, empty if it works
	}{
		{"all right", "rediss://" + server.Addr + "?tls_server_ca_pem=" + a.CAFile + "&tls_cert_pem=" + a.CertFile + "&tls_key_pem=" + a.KeyFile, ""},
		{"by name", "redis://" + server.Addr + "?tls_enabled=true&tls_server_name=" + redistest.ServerName + "&tls_server_ca_pem=" + a.CAFile +
			"&tls_cert_pem=" + a.CertFile + "&tls_key_pem=" + a.KeyFile, ""},
		{"another authority", "rediss://" + server.Addr + "?tls_server_ca_pem=" + other.CAFile, "set tls.server_ca_pem"},
		{"authorities of the system", "rediss://" + server.Addr, "set tls.server_ca_pem"},
		{"nothing shown", "rediss://" + server.Addr + "?tls_server_ca_pem=" + a.CAFile, "certificate that the server wants"},
		{"plain text", "redis://" + server.Addr, "whether it speaks TLS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			link, said := open(t, quick(c.address))
			if c.said == "" {
				eventually(t, "it works", works(link.Shard("")))
				return
			}
			eventually(t, "the log tells what to do", func() bool { return len(said.with("cannot be reached", c.said)) == 1 })
			if err := set(link.Shard(""), "k", "v"); !errors.Is(err, engine.ErrUnreachable) {
				t.Errorf("%v, want ErrUnreachable", err)
			}
		})
	}
	plain := redistest.Start(t)
	_, said := open(t, quick("rediss://"+plain.Addr))
	eventually(t, "the log tells what to do", func() bool { return len(said.with("cannot be reached", "speaks TLS")) == 1 })
}

// TestManyCallers: what many send at once is carried out once each, and each gets its own answer.
func TestManyCallers(t *testing.T) {
	server := redistest.Start(t)
	link, _ := open(t, quick(server.Addr))
	shard := link.Shard("")
	eventually(t, "it works", works(shard))
	client, err := shard.Client()
	if err != nil {
		t.Fatal(err)
	}
	const callers, each = 5000, 4 // more than a pipeline holds
	var working sync.WaitGroup
	for i := range callers {
		working.Go(func() {
			for n := range each {
				word := strconv.Itoa(i*each + n)
				if got, err := client.Do(context.Background(), client.B().Echo().Message(word).Build()).ToString(); err != nil || got != word {
					t.Errorf("%s is answered with %s, %v", word, got, err)
				}
			}
		})
	}
	working.Wait()
	if n := strings.Count(server.Must("CLIENT", "LIST"), "lib-name=rueidis"); n > 3 {
		t.Errorf("there are %d connections", n)
	}
}

// TestReplica: an address that leads to a replica is no place to write. When it leads to the master it is taken.
func TestReplica(t *testing.T) {
	t.Parallel() // it waits more than it works
	master, server := redistest.Start(t), redistest.Start(t)
	link, said := open(t, quick(server.Addr))
	shard := link.Shard("")
	eventually(t, "it works", works(shard))
	server.Must("REPLICAOF", "127.0.0.1", strconv.Itoa(master.Port))
	eventually(t, "it is given up", unreachable(shard))
	eventually(t, "the log tells what to do", func() bool { return len(said.with("cannot be reached", "use the address of the master")) == 1 })
	server.Must("REPLICAOF", "NO", "ONE")
	eventually(t, "it works again", works(shard))
}

func TestShards(t *testing.T) {
	t.Parallel() // it waits more than it works
	a, b := redistest.Start(t), redistest.Start(t)
	link, _ := open(t, quick(a.Addr, b.Addr))
	for _, shard := range link.Shards() {
		eventually(t, "it works", works(shard))
	}
	for i := range 100 {
		channel := strconv.Itoa(i)
		if err := set(link.Shard(channel), channel, "v"); err != nil {
			t.Fatal(err)
		}
		if link.Shard(channel) != link.Shard(strings.Clone(channel)) {
			t.Errorf("channel %s has two places", channel)
		}
	}
	for _, server := range []*redistest.Server{a, b} {
		if n, err := server.Do("DBSIZE").AsInt64(); err != nil || n < 30 || n > 72 {
			t.Errorf("of 100 channels one of two servers has %d, %v", n, err)
		}
	}
	// One that is gone takes nothing else along.
	a.Kill()
	eventually(t, "one is gone", unreachable(link.Shards()[0]))
	if err := set(link.Shards()[1], "k", "v"); err != nil {
		t.Errorf("the other: %v", err)
	}
}

// TestHash holds the two functions that decide who keeps a channel against the standard library and published values.
func TestHash(t *testing.T) {
	for _, s := range []string{"", "a", "news", "chat:room-42", "é", "\x00\xff"} {
		h := fnv.New64a()
		h.Write([]byte(s))
		if hash(s) != h.Sum64() {
			t.Errorf("FNV-1a of %q is %d", s, hash(s))
		}
	}
	for _, c := range []struct {
		key     uint64
		n, want int
	}{{1, 1, 0}, {42, 57, 43}, {0xDEAD10CC, 1, 0}, {0xDEAD10CC, 666, 361}, {256, 1024, 520}} {
		if got := jump(c.key, c.n); got != c.want {
			t.Errorf("bucket of %d among %d is %d, want %d", c.key, c.n, got, c.want)
		}
	}
}
