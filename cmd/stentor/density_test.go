//go:build linux && !race

package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Budgets per connected client: heap bytes and objects after a collection, and resident bytes relative to that heap. They are
// those of the longer measurement in docs/benchmarks.md.
const (
	sharedHeapMax, sharedObjectsMax     = 768, 8
	personalHeapMax, personalObjectsMax = 1100, 12
)

// densityStep is the distance between the numbers of clients that the slope is taken over, and densityStepMin the least that
// says anything. Both sides of each connection and what else is open have to fit below the descriptor limit of one process.
const (
	densityStep     = 2000
	densityStepMin  = 250
	densitySteps    = 4
	densityReserved = 1000
)

const densityConfig = `{
  "client": {"token": {"hmac_secret_key": "secret-of-the-tokens"}},
  "http_api": {"key": "secret-of-the-api"},
  "debug": {"enabled": true},
  "channel": {
    "without_namespace": {"allow_subscribe_for_client": true},
    "namespaces": [{"name": "personal", "history_size": 1, "history_ttl": "3600s", "force_recovery": true, "allow_subscribe_for_client": true}]
  }
}`

// TestDensity is the gate on memory: real clients on real sockets against a server process of its own.
func TestDensity(t *testing.T) {
	step := densityStepFor(t)
	t.Run("ten clients to a channel", func(t *testing.T) {
		density(t, step, sharedHeapMax, sharedObjectsMax, "--per-channel", "10")
	})
	t.Run("a personal channel with one publication", func(t *testing.T) {
		density(t, step, personalHeapMax, personalObjectsMax,
			"--per-channel", "1", "--channel", "personal:{n}", "--recoverable", "--publish", "--payload", "100")
	})
}

func densityStepFor(t *testing.T) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	room := int(min(limit.Max, 1<<20)) - densityReserved
	step := min(densityStep, room/densitySteps)
	if step < densityStepMin {
		t.Skipf("a process may open %d files, which is too few to measure memory per client; raise it with ulimit -n", limit.Max)
	}
	if step < densityStep {
		t.Logf("scaled down to steps of %d clients: a process may open %d files", step, limit.Max)
	}
	return step
}

func density(t *testing.T, step int, heapMax, objectsMax int, args ...string) {
	p := start(t, densityConfig)
	var steps []string
	for i := 1; i <= densitySteps; i++ {
		steps = append(steps, strconv.Itoa(i*step))
	}
	args = append([]string{"bench", "idlesub",
		"--url", strings.Replace(p.url, "http", "ws", 1) + "/connection/websocket",
		"--api-key", quickStartAPIKey,
		"--token-hmac-secret", quickStartSecret,
		"--pid", strconv.Itoa(p.cmd.Process.Pid),
		"--pprof-url", p.url + "/debug/pprof",
		"--steps", strings.Join(steps, ","),
		"--max-heap", strconv.Itoa(heapMax),
		"--max-objects", strconv.Itoa(objectsMax),
	}, args...)
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asServer+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("bench idlesub: %v", err)
	}
}
