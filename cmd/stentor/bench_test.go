//go:build linux && !race

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"stentor/bench/cost"
)

const benchConfig = `{
  "client": {"token": {"hmac_secret_key": "secret-of-the-tokens"}, "ping_interval": "1s", "pong_timeout": "0.5s", "queue_max_size": 262144},
  "http_api": {"key": "secret-of-the-api"},
  "prometheus": {"enabled": true},
  "channel": {
    "without_namespace": {"allow_subscribe_for_client": true},
    "namespaces": [
      {"name": "recover", "history_size": 100, "history_ttl": "300s", "force_recovery": true, "allow_subscribe_for_client": true},
      {"name": "presence", "presence": true, "join_leave": true, "allow_presence_for_client": true, "allow_subscribe_for_client": true}
    ]
  }
}`

// TestBenchAgainstServer runs every scenario of the load generator for a moment against a server of ours: whatever it counts as
// missing, twice, out of order or not recovered fails here.
func TestBenchAgainstServer(t *testing.T) {
	p := start(t, benchConfig)
	another := "another=" + os.Args[0] + " --config " + filepath.Join(p.cmd.Dir, "config.json") + " --http_server.address 127.0.0.1 --http_server.port {port}"
	for _, args := range [][]string{
		{"idle", "--clients", "50", "--settle", "200ms"},
		{"idlesub", "--clients", "50", "--subscriptions", "3", "--channel", "idle-{n}-{s}", "--settle", "200ms"},
		{"ping", "--clients", "50", "--settle", "1s", "--window", "2s", "--rounds", "1", "--floor"},
		{"fanout", "--subscribers", "50", "--rate", "20", "--step", "500ms", "--steps", "3"},
		{"fanout", "--subscribers", "50", "--pace", "rate", "--rate", "50", "--duration", "500ms", "--protobuf"},
		{"fanout", "--subscribers", "50", "--floor", "--rounds", "2"},
		{"many", "--subscribers", "50", "--rate", "100", "--step", "500ms", "--steps", "3", "--batch", "5"},
		{"api", "--phase", "100ms", "--rounds", "1", "--history-channel", "recover:api-{n}"},
		{"engines", "--beside", another, "--phase", "200ms", "--rounds", "2", "--history-channel", "recover:engines-{n}"},
		{"engines", "--beside", another, "--phase", "200ms", "--rounds", "2", "--batch", "20", "--protobuf"},
		{"connect", "--clients", "50", "--rounds", "2", "--settle", "100ms", "--floor", "--pipeline", "none"},
		{"connect", "--clients", "50", "--rounds", "2", "--settle", "100ms"},
		{"connect", "--clients", "50", "--rounds", "2", "--settle", "100ms", "--pipeline", "all", "--protobuf"},
		{"recover", "--clients", "50", "--rounds", "3", "--away", "50ms"},
		{"recover", "--clients", "50", "--rounds", "3", "--away", "50ms", "--protobuf", "--pipeline", "all", "--channel", "recover:p-{n}"},
		{"churn", "--subscribers", "50", "--churners", "50", "--phase", "500ms", "--rounds", "1"},
		{"presence", "--channels", "5", "--phase", "1s", "--settle", "500ms"},
		{"slow", "--subscribers", "5", "--stalled", "3", "--payload", "20000", "--phase", "2s", "--rounds", "1"},
		{"trickle", "--subscribers", "10", "--slow", "10", "--phase", "500ms", "--rounds", "1"},
		{"mixed", "--subscribers", "50", "--requesters", "10", "--rate", "10", "--phase", "500ms", "--rounds", "1", "--overload", "500ms"},
		{"soak", "--subscribers", "50", "--requesters", "10", "--churners", "10", "--duration", "2s"},
	} {
		t.Run(strings.Join(args[:1], " "), func(t *testing.T) {
			args := append([]string{"bench", args[0],
				"--target", strings.Replace(p.url, "http", "ws", 1) + "/connection/websocket",
				"--api-key", quickStartAPIKey, "--token-hmac-secret", quickStartSecret, "--pid", strconv.Itoa(p.cmd.Process.Pid),
			}, args[1:]...)
			out, err := generator(args...).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// generator is this program as the load generator.
func generator(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asServer+"=1")
	return cmd
}

// TestCalibrate measures with servers that it starts itself, and plan reckons with what it found.
func TestCalibrate(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	file := filepath.Join(t.TempDir(), "coefficients.json")
	if out, err := generator("bench", "--calibrate", "--clients", "200", "--coefficients", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c, err := cost.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]float64{
		"bytes per client": c.BytesPerClientHeap, "resident without clients": c.BaseBytesRSS, "delivery": c.NsPerDelivery, "batched": c.NsPerDeliveryBatched,
		"ping": c.NsPerPing, "connect": c.NsPerConnect, "publish": c.NsPerPublish,
	} {
		if v <= 0 {
			t.Errorf("%s was not measured: %+v", name, c)
		}
	}
	out, err := generator("plan", "--connections", "1000", "--coefficients", file, "--json").Output()
	if err != nil || !json.Valid(out) || !bytes.Contains(out, []byte(file)) {
		t.Errorf("%v\n%s", err, out)
	}
}
