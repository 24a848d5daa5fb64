package redislink

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// plain is what a configuration without options says of 127.0.0.1:6379.
func plain(change func(*settings)) settings {
	s := settings{addresses: []string{"127.0.0.1:6379"}, connectTimeout: ConnectTimeoutDefault, ioTimeout: IOTimeoutDefault}
	if change != nil {
		change(&s)
	}
	return s
}

func at(kind kind, addresses ...string) func(*settings) {
	return func(s *settings) { s.kind, s.addresses = kind, addresses }
}

func TestAddresses(t *testing.T) {
	secure := &tls.Config{ServerName: "of the configuration"}
	for _, c := range []struct {
		name string
		cfg  Config
		want []settings
	}{
		{"nothing", Config{}, []settings{plain(nil)}},
		{"host and port", Config{Address: []string{"redis.example:7000"}}, []settings{plain(at(kindPlain, "redis.example:7000"))}},
		{"IPv6", Config{Address: []string{"[::1]:7000"}}, []settings{plain(at(kindPlain, "[::1]:7000"))}},
		{"redis", Config{Address: []string{"redis://h:7000"}}, []settings{plain(at(kindPlain, "h:7000"))}},
		{"tcp", Config{Address: []string{"tcp://h:7000"}}, []settings{plain(at(kindPlain, "h:7000"))}},
		{"no port", Config{Address: []string{"redis://h", "redis://[::1]", "redis+cluster://h"}}, []settings{
			plain(at(kindPlain, "h:6379")), plain(at(kindPlain, "[::1]:6379")), plain(at(kindCluster, "h:6379")),
		}},
		{"database", Config{Address: []string{"redis://h:1/7", "redis://h:1/", "redis://h:1"}, DB: 3}, []settings{
			plain(func(s *settings) { s.addresses, s.db = []string{"h:1"}, 7 }),
			plain(func(s *settings) { s.addresses, s.db = []string{"h:1"}, 3 }),
			plain(func(s *settings) { s.addresses, s.db = []string{"h:1"}, 3 }),
		}},
		{"user and password", Config{Address: []string{"redis://u:p%40%2F%3A@h:1", "redis://:p@h:1", "redis://u@h:1", "redis://h:1"}, User: "cu", Password: "cp"},
			[]settings{
				plain(func(s *settings) { s.addresses, s.user, s.password = []string{"h:1"}, "u", "p@/:" }),
				plain(func(s *settings) { s.addresses, s.user, s.password = []string{"h:1"}, "cu", "p" }),
				plain(func(s *settings) { s.addresses, s.user, s.password = []string{"h:1"}, "u", "cp" }),
				plain(func(s *settings) { s.addresses, s.user, s.password = []string{"h:1"}, "cu", "cp" }),
			}},
		{"unix", Config{Address: []string{"unix:///run/redis.sock", "unix://u:p@/run/redis.sock?io_timeout=2s"}}, []settings{
			plain(at(kindUnix, "/run/redis.sock")),
			plain(func(s *settings) {
				s.kind, s.addresses, s.user, s.password, s.ioTimeout = kindUnix, []string{"/run/redis.sock"}, "u", "p", 2*time.Second
			}),
		}},
		{"all for every shard", Config{
			Address: []string{"a:1", "b:2"}, ConnectTimeout: 2 * time.Second, IOTimeout: 3 * time.Second, DB: 4, User: "u", Password: "p",
			ClientName: "c", ForceRESP2: true, TLS: secure, ReplicaReads: true,
		}, []settings{
			{addresses: []string{"a:1"}, connectTimeout: 2 * time.Second, ioTimeout: 3 * time.Second, db: 4, user: "u", password: "p",
				clientName: "c", forceRESP2: true, tls: secure, replicaReads: true},
			{addresses: []string{"b:2"}, connectTimeout: 2 * time.Second, ioTimeout: 3 * time.Second, db: 4, user: "u", password: "p",
				clientName: "c", forceRESP2: true, tls: secure, replicaReads: true},
		}},
		{"options", Config{Address: []string{"redis://h:1?connect_timeout=2s&io_timeout=3s&force_resp2=true&client_name=n&replica_client_enabled=true"}},
			[]settings{{
				addresses: []string{"h:1"}, connectTimeout: 2 * time.Second, ioTimeout: 3 * time.Second, forceRESP2: true, clientName: "n",
				replicaReads: true,
			}}},
		{"options turned off", Config{Address: []string{"redis://h:1?force_resp2=false&replica_client_enabled=0"}, ForceRESP2: true, ReplicaReads: true},
			[]settings{plain(at(kindPlain, "h:1"))}},
		{"unknown options", Config{Address: []string{"redis://h:1?protocol=3&tls_enable=true"}}, []settings{plain(func(s *settings) {
			s.addresses, s.unknown = []string{"h:1"}, []string{"protocol", "tls_enable"}
		})}},
		{"more nodes", Config{Address: []string{"redis+cluster://a:1?addr=b:2&addr=c", "redis+cluster://?addr=b:2"}}, []settings{
			plain(at(kindCluster, "a:1", "b:2", "c:6379")), plain(at(kindCluster, "b:2")),
		}},
		{"sentinel", Config{Address: []string{"redis+sentinel://u:p@a?sentinel_master_name=m&addr=b:2&sentinel_user=su&sentinel_password=sp&sentinel_client_name=sc"}},
			[]settings{plain(func(s *settings) {
				s.kind, s.addresses, s.user, s.password = kindSentinel, []string{"a:26379", "b:2"}, "u", "p"
				s.masterName, s.sentinelUser, s.sentinelPassword, s.sentinelClientName = "m", "su", "sp", "sc"
			})}},
		{"sentinel by the name of its master", Config{Address: []string{"redis://a:1?sentinel_master_name=m"}}, []settings{plain(func(s *settings) {
			s.kind, s.addresses, s.masterName = kindSentinel, []string{"a:1"}, "m"
		})}},
		{"sentinel with the name from the configuration", Config{Address: []string{"redis+sentinel://a:1"}, SentinelMasterName: "m"},
			[]settings{plain(func(s *settings) { s.kind, s.addresses, s.masterName = kindSentinel, []string{"a:1"}, "m" })}},
		{"lists of sentinels", Config{
			Address: []string{"not read"}, SentinelAddress: []string{"a:1, b:2", "c:3"}, SentinelMasterName: "m", SentinelUser: "su",
			SentinelPassword: "sp", SentinelClientName: "sc", SentinelTLS: secure,
		}, []settings{
			plain(func(s *settings) {
				s.kind, s.addresses, s.masterName, s.sentinelUser = kindSentinel, []string{"a:1", "b:2"}, "m", "su"
				s.sentinelPassword, s.sentinelClientName, s.sentinelTLS = "sp", "sc", secure
			}),
			plain(func(s *settings) {
				s.kind, s.addresses, s.masterName, s.sentinelUser = kindSentinel, []string{"c:3"}, "m", "su"
				s.sentinelPassword, s.sentinelClientName, s.sentinelTLS = "sp", "sc", secure
			}),
		}},
		{"lists of nodes", Config{Address: []string{"not read"}, SentinelAddress: []string{"nor this"}, ClusterAddress: []string{"a:1,b:2", "c:3"}},
			[]settings{plain(at(kindCluster, "a:1", "b:2")), plain(at(kindCluster, "c:3"))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.cfg.settings()
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, c.want)
			}
		})
	}
}

// TestTLSOptions: what an address says of TLS.
func TestTLSOptions(t *testing.T) {
	configured := &tls.Config{ServerName: "of the configuration", InsecureSkipVerify: true}
	for _, c := range []struct {
		address        string
		with           *tls.Config
		name, sentinel string // ServerName; "-" no TLS, "" TLS with the name of the host
	}{
		{"h:1", nil, "-", "-"},
		{"h:1", configured, configured.ServerName, "-"},
		{"redis://h:1", configured, configured.ServerName, "-"},
		{"rediss://h:1", nil, "", "-"},
		{"rediss://h:1", configured, configured.ServerName, "-"},
		{"rediss+cluster://h:1", nil, "", "-"},
		{"redis://h:1?tls_enabled=true", nil, "", "-"},
		{"redis://h:1?tls_enabled=false", configured, configured.ServerName, "-"},
		{"redis://h:1?tls_enabled=1&tls_server_name=x", nil, "x", "-"},
		{"rediss://h:1?tls_server_name=x", configured, "x", "-"},
		{"rediss+sentinel://h:1?sentinel_master_name=m", nil, "", ""},
		{"rediss+sentinel://h:1?sentinel_master_name=m&sentinel_tls_enabled=false", nil, "", "-"},
		{"redis+sentinel://h:1?sentinel_master_name=m&sentinel_tls_enabled=true&sentinel_tls_server_name=y", nil, "-", "y"},
		{"rediss+sentinel://h:1?sentinel_master_name=m&tls_server_name=x&sentinel_tls_server_name=y", nil, "x", "y"},
	} {
		list, err := Config{Address: []string{c.address}, TLS: c.with}.settings()
		if err != nil {
			t.Errorf("%s: %v", c.address, err)
			continue
		}
		for _, check := range []struct {
			of   string
			got  *tls.Config
			want string
		}{{"servers", list[0].tls, c.name}, {"sentinels", list[0].sentinelTLS, c.sentinel}} {
			if (check.got == nil) != (check.want == "-") || check.got != nil && check.got.ServerName != check.want {
				t.Errorf("%s: TLS of %s is %+v, want %q", c.address, check.of, check.got, check.want)
			}
		}
		if c.with != nil && list[0].tls != nil && !list[0].tls.InsecureSkipVerify {
			t.Errorf("%s: what the configuration says of TLS is lost", c.address)
		}
	}
}

func TestWrongAddresses(t *testing.T) {
	const secret = "s3cret"
	for _, c := range []struct {
		name string
		cfg  Config
		want string // in the error
	}{
		{"no port", Config{Address: []string{"localhost"}}, "entry 1: this is no host:port"},
		{"no host", Config{Address: []string{"a:1", ":6379"}}, "entry 2: this is no host:port"},
		{"port", Config{Address: []string{"h:redis"}}, "this is no host:port"},
		{"port too large", Config{Address: []string{"redis://h:65536"}}, "this is no host:port"},
		{"port 0", Config{Address: []string{"redis://h:0"}}, "this is no host:port"},
		{"scheme", Config{Address: []string{"http://:s3cret@h:1"}}, "a URL starts with redis://"},
		{"slash in the password", Config{Address: []string{"redis://:s3/cret@h:1"}}, "write them as %XX"},
		{"question mark in the password", Config{Address: []string{"redis://u:123?s3cret@h:1"}}, "write its ? as %3F"},
		{"question mark and more in the password", Config{Address: []string{"redis://u:123?s3cret=x@h:1"}}, "write its ? as %3F"},
		{"hash in the password", Config{Address: []string{"redis://:s3#cret@h:1"}}, "%XX"},
		{"hash", Config{Address: []string{"redis://h:1#s3cret"}}, "%23"},
		{"at in a host", Config{Address: []string{":s3cret@h:1"}}, "this is no host:port"},
		{"database", Config{Address: []string{"redis://h:1/s3cret"}}, "the number of a database"},
		{"database below 0", Config{Address: []string{"redis://h:1/-1"}}, "count from 0"},
		{"database of a cluster", Config{ClusterAddress: []string{"h:1"}, DB: 1}, "a cluster has database 0 only"},
		{"time", Config{Address: []string{"redis://h:1?io_timeout=5"}}, "option io_timeout of the URL is no time"},
		{"no time", Config{Address: []string{"redis://h:1?connect_timeout=0s"}}, "option connect_timeout of the URL is no time above 0"},
		{"time below 0", Config{IOTimeout: -1}, "must be above 0"},
		{"neither", Config{Address: []string{"redis://h:1?force_resp2=s3cret"}}, "option force_resp2 of the URL is neither true nor false"},
		{"twice", Config{Address: []string{"redis://h:1?sentinel_password=s3cret&sentinel_password=s3cret"}}, "more than once"},
		{"query", Config{Address: []string{"redis://h:1?a=%s3cret"}}, "options of the URL cannot be read"},
		{"another address", Config{Address: []string{"redis://h:1?addr=s3cret:x"}}, "this is no host:port"},
		{"no master", Config{SentinelAddress: []string{"h:1"}}, "set sentinel_master_name"},
		{"no master in a URL", Config{Address: []string{"redis+sentinel://h:1"}}, "set sentinel_master_name"},
		{"URL of a cluster", Config{ClusterAddress: []string{"redis://:s3cret@h:1"}}, "starting with redis+cluster://"},
		{"URL of a sentinel", Config{SentinelAddress: []string{"redis://:s3cret@h:1"}}, "starting with redis+sentinel://"},
		{"empty place in a list", Config{ClusterAddress: []string{"h:1,,h:2"}}, "cluster_address: entry 1: this is no host:port"},
		{"socket without a path", Config{Address: []string{"unix://"}}, "unix:///run/redis.sock"},
		{"socket with a host", Config{Address: []string{"unix://run/redis.sock"}}, "unix:///run/redis.sock"},
		{"socket with TLS", Config{Address: []string{"unix:///run/redis.sock?tls_enabled=true"}}, "speaks no TLS"},
		{"TLS off", Config{Address: []string{"redis://h:1?tls_server_name=x"}}, "option tls_enabled of the URL is not set"},
		{"TLS of sentinels off", Config{Address: []string{"redis+sentinel://h:1?sentinel_master_name=m&sentinel_tls_insecure_skip_verify=true"}},
			"option sentinel_tls_enabled of the URL is not set"},
		{"TLS authority", Config{Address: []string{"rediss://h:1?tls_server_ca_pem=/no/such/file"}}, "server_ca_pem: file /no/such/file"},
		{"TLS key", Config{Address: []string{"rediss://h:1?tls_cert_pem=/no/such/file&tls_key_pem=s3cret"}}, "cert_pem"},
		{"too many", Config{Address: slices.Repeat([]string{"h:1"}, ShardsMax+1)}, "more than the 1024"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(c.cfg, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			for _, part := range []string{secret, "cret"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("there is a password in %q", err)
				}
			}
		})
	}
}

// TestUnknownOption: the operator hears of an option that does nothing, but not what is in it.
func TestUnknownOption(t *testing.T) {
	said := new(lines)
	if _, err := New(Config{Address: []string{"redis://h:1?pasword=s3cret"}}, slog.New(slog.NewTextHandler(said, nil))); err != nil {
		t.Fatal(err)
	}
	if got := said.with("option=pasword", "redis=h:1"); len(got) != 1 || strings.Contains(got[0], "s3cret") {
		t.Errorf("it said %q", got)
	}
}

func TestNames(t *testing.T) {
	for address, want := range map[string]string{
		"redis://u:s3cret@h:1/2": "h:1",
		"unix://:s3cret@/a/b":    "unix:/a/b",
		"redis+sentinel://:s3cret@h?sentinel_master_name=m&sentinel_password=s3cret": "m of sentinels h:26379",
		"rediss+cluster://:s3cret@h?addr=g:1":                                        "cluster h:6379,g:1",
	} {
		link, err := New(Config{Address: []string{address}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Errorf("%s: %v", address, err)
		} else if got := link.Shards()[0].Name(); got != want {
			t.Errorf("%s is called %q, want %q", address, got, want)
		}
	}
}

// FuzzAddress: an address is read or refused, and neither an error nor a name tells a password.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{
		"h:1", "redis://h:1/2?addr=b:2", "rediss://u:%s@h", "redis+sentinel://a?sentinel_master_name=m&sentinel_password=%s",
		"unix://:%s@/run/redis.sock", "redis+cluster://:%s@?addr=b:2&io_timeout=1s", "redis://:%s/@h", "redis://[::1]:%s@h", "redis://%s#@h:1",
		"redis://a:1?tls_enabled=true&tls_key_pem=%s&tls_cert_pem=x", "redis://:%s@[", "redis://h:1?x=%%&sentinel_password=%s",
	} {
		f.Add(strings.ReplaceAll(seed, "%s", "xq7zk"))
	}
	f.Fuzz(func(t *testing.T, address string) {
		const secret = "xq7zk"
		for _, cfg := range []Config{
			{Address: []string{address}, SentinelMasterName: "m"}, {ClusterAddress: []string{address}}, {SentinelAddress: []string{address}, SentinelMasterName: "m"},
		} {
			list, err := cfg.settings()
			if err != nil {
				if strings.Contains(err.Error(), secret) && !strings.Contains(err.Error(), "_pem: file") { // names of files are told
					t.Fatalf("the error says %q", err)
				}
				continue
			}
			for _, s := range list {
				checkRead(t, s, secret)
			}
		}
	})
}

// checkRead looks at an address that was taken.
func checkRead(t *testing.T, s settings, secret string) {
	t.Helper()
	for _, name := range s.unknown { // they are logged
		if !optionName.MatchString(name) {
			t.Fatalf("%q is taken for an option", name)
		}
	}
	if len(s.addresses) == 0 || s.connectTimeout <= 0 || s.ioTimeout <= 0 || s.db < 0 {
		t.Fatalf("%+v can never work", s)
	}
	// A password that is taken out of the URL is nowhere else.
	if strings.Contains(s.password+s.sentinelPassword, secret) && strings.Contains(fmt.Sprint(s.addresses, s.name()), secret) {
		t.Fatalf("the name is %q", s.name())
	}
	if o := s.option(); o.ConnWriteTimeout <= 0 || o.Dialer.Timeout <= 0 || len(o.InitAddress) == 0 {
		t.Fatalf("options %+v can never work", o)
	}
	for _, a := range s.addresses {
		if err := checkHostPort(a); err != nil && s.kind != kindUnix {
			t.Fatalf("%q: %v", a, err)
		}
	}
}
