package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"stentor/engine/enginetest/redistest"
	"stentor/engine/redisengine/redislink"
	"stentor/server/config"
)

// loadText reads a configuration file with this text, and nothing else but env.
func loadText(t *testing.T, text string, env ...string) (*config.Config, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded, err := config.Load(config.Options{File: file, Dir: dir, Env: append([]string{}, env...), FileRequired: true})
	return loaded.Config, err
}

func TestRedisLink(t *testing.T) {
	usual := redislink.Config{Address: []string{"redis://127.0.0.1:6379"}, ConnectTimeout: time.Second, IOTimeout: 4 * time.Second}
	with := func(change func(*redislink.Config)) redislink.Config {
		c := usual
		change(&c)
		return c
	}
	for _, c := range []struct {
		name string
		text string
		env  []string
		want redislink.Config
	}{
		{"nothing", `{}`, nil, usual},
		{"one address", `{"engine": {"redis": {"address": "redis://:p@h:1/2"}}}`, nil, with(func(l *redislink.Config) {
			l.Address = []string{"redis://:p@h:1/2"}
		})},
		{"shards", `{"engine": {"redis": {"address": ["a:1", "b:2"], "connect_timeout": "2s", "io_timeout": "500ms"}}}`, nil,
			with(func(l *redislink.Config) {
				l.Address, l.ConnectTimeout, l.IOTimeout = []string{"a:1", "b:2"}, 2*time.Second, 500*time.Millisecond
			})},
		{"shards by environment", `{}`, []string{"CENTRIFUGO_ENGINE_REDIS_ADDRESS=a:1 b:2"}, with(func(l *redislink.Config) {
			l.Address = []string{"a:1", "b:2"}
		})},
		{"everything", `{"engine": {"redis": {"db": 3, "user": "u", "password": "p", "client_name": "n", "force_resp2": true,
			"replica_client": {"enabled": true}}}}`, nil, with(func(l *redislink.Config) {
			l.DB, l.User, l.Password, l.ClientName, l.ForceRESP2, l.ReplicaReads = 3, "u", "p", "n", true, true
		})},
		{"sentinels", `{"engine": {"redis": {"sentinel_address": "a:1,b:2", "sentinel_master_name": "m", "sentinel_user": "su",
			"sentinel_password": "sp", "sentinel_client_name": "sn"}}}`, nil, with(func(l *redislink.Config) {
			l.SentinelAddress, l.SentinelMasterName = []string{"a:1,b:2"}, "m"
			l.SentinelUser, l.SentinelPassword, l.SentinelClientName = "su", "sp", "sn"
		})},
		{"clusters", `{"engine": {"redis": {"cluster_address": ["a:1,b:2", "c:3"]}}}`, nil, with(func(l *redislink.Config) {
			l.ClusterAddress = []string{"a:1,b:2", "c:3"}
		})},
		{"names of version 5", `{"redis_address": "a:1", "redis_password": "p", "redis_db": 4}`, nil, with(func(l *redislink.Config) {
			l.Address, l.Password, l.DB = []string{"a:1"}, "p", 4
		})},
		{"TLS that is off", `{"engine": {"redis": {"tls": {"server_ca_pem": "/no/such/file"}}}}`, nil, usual},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := loadText(t, c.text, c.env...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := redisLink("engine.redis", &cfg.Engine.Redis.RedisConnection)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v\nwant %+v", got, err, c.want)
			}
		})
	}
}

// TestRedisLinkTLS: each block of TLS goes where it belongs, and what is wrong in it is named.
func TestRedisLinkTLS(t *testing.T) {
	a, other := redistest.NewAuthority(t), redistest.NewAuthority(t)
	block := func(name, options string) string {
		return fmt.Sprintf(`{"broker": {"redis": {%q: {"enabled": true %s}}}}`, name, options)
	}
	full := fmt.Sprintf(`, "server_ca_pem": %q, "cert_pem": %q, "key_pem": %q, "server_name": "n"`, a.CAFile, a.CertFile, a.KeyFile)
	read := func(text string) (redislink.Config, error) {
		t.Helper()
		cfg, err := loadText(t, text)
		if err != nil {
			t.Fatal(err)
		}
		return redisLink("broker.redis", &cfg.Broker.Redis.RedisConnection)
	}
	for name, of := range map[string]func(redislink.Config) (set, unset *tls.Config){
		"tls":          func(c redislink.Config) (set, unset *tls.Config) { return c.TLS, c.SentinelTLS },
		"sentinel_tls": func(c redislink.Config) (set, unset *tls.Config) { return c.SentinelTLS, c.TLS },
	} {
		c, err := read(block(name, full))
		if err != nil {
			t.Fatal(err)
		}
		set, unset := of(c)
		if set == nil || unset != nil || set.ServerName != "n" || set.RootCAs == nil || len(set.Certificates) != 1 || set.InsecureSkipVerify ||
			set.MinVersion != tls.VersionTLS12 {
			t.Errorf("%s: %+v, and the other %+v", name, set, unset)
		}
		if c, err = read(block(name, `, "insecure_skip_verify": true`)); err != nil {
			t.Fatal(err)
		}
		if set, _ := of(c); set == nil || !set.InsecureSkipVerify || set.RootCAs != nil {
			t.Errorf("%s without verification: %+v", name, set)
		}
		for options, want := range map[string]string{
			`, "server_ca_pem": "/no/such/file"`: "server_ca_pem: file /no/such/file: no such file",
			`, "server_ca_pem": "-----BEGIN x"`:  "server_ca_pem: there is no certificate in it",
			`, "key_pem": "x"`:                   "cert_pem and key_pem belong together",
			fmt.Sprintf(`, "cert_pem": %q, "key_pem": %q`, a.CertFile, other.KeyFile): fmt.Sprintf(
				"cert_pem (file %s) and key_pem (file %s): tls: private key does not match", a.CertFile, other.KeyFile),
		} {
			_, err := read(block(name, options))
			if want = "broker.redis." + name + "." + want; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s with %s: %v, want %s", name, options, err, want)
			}
		}
	}
}

// TestWrongRedis: what is wrong with an address is found before anything runs, under the name of its option, and no password is told.
func TestWrongRedis(t *testing.T) {
	for text, want := range map[string]string{
		`{"engine": {"type": "redis", "redis": {"address": "redis://:s3/cret@h:1"}}}`:                             "engine.redis.address: entry 1: ",
		`{"engine": {"type": "redis", "redis": {"sentinel_address": "h:1"}}}`:                                     "engine.redis.sentinel_address: entry 1: ",
		`{"broker": {"enabled": true, "type": "redis", "redis": {"cluster_address": ["h:1", "h"]}}}`:              "broker.redis.cluster_address: entry 2: ",
		`{"presence_manager": {"enabled": true, "type": "redis", "redis": {"address": "redis://h:1/s3cret"}}}`:    "presence_manager.redis.address: entry 1: ",
		`{"engine": {"type": "redis", "redis": {"address": "rediss://h:1?tls_server_ca_pem=/no/such/file"}}}`:     "engine.redis.address: entry 1: option tls_",
		`{"engine": {"type": "redis", "redis": {"prefix": "a{b"}}}`:                                               "engine.redis: the prefix",
		`{"engine": {"type": "redis", "redis": {"tls": {"enabled": true, "server_ca_pem": "/no/such/file"}}}}`:    "engine.redis.tls.server_ca_pem: ",
		`{"engine": {"type": "redis", "redis": {"sentinel_tls": {"enabled": true, "key_pem": "/no/such/file"}}}}`: "engine.redis.sentinel_tls.cert_pem and",
	} {
		cfg, err := loadText(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		err = checkEngines(cfg)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "cret") {
			t.Errorf("%s\ngives %v\nwant %q", text, err, want)
		}
	}
}
