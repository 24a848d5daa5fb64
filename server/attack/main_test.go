package attack

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stentor/codec"
)

// common is the server that most attacks share.
var common *house

func TestMain(m *testing.M) {
	if isChild() {
		os.Exit(runChild())
	}
	os.Exit(runAll(m))
}

// runAll runs the tests between two looks at the common server, which must be the same.
func runAll(m *testing.M) int {
	var err error
	if common, err = open(settings()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bystander := newWitness(exits{}, common, "bystander")
	warmUp()
	if err := refreshLast(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	before := measure()
	code := m.Run()
	if code != 0 {
		return code // what is left then says nothing
	}
	for _, problem := range []string{
		say(bystander.check()),
		common.settle(1),
		say(refreshLast()),
		before.compare(),
		say(bystander.leave()),
		say(common.close()),
		common.logs.errors(),
		say(leaks()),
	} {
		if problem != "" {
			fmt.Fprintln(os.Stderr, "FAIL: after all attacks:", problem)
			code = 1
		}
	}
	return code
}

func say(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// warmUp does once what ordinary clients do, so that what is made once and kept is there before the first look. Go keeps the
// descriptors of as many goroutines as there ever were at once; some attackers are one each.
func warmUp() {
	manyGoroutines()
	for f := range codec.Form(codec.NumForms) {
		c := joined(exits{}, common, f, "warm")
		if err := common.publish("warm", "1"); err != nil {
			exits{}.Fatalf("%v", err)
		}
		c.expectPush("warm", "1")
		const burst = 500
		publish := strings.Repeat(`{"publish":{"channel":"warm","data":1}},`, burst)
		if status, answer, err := common.call("/api/batch", `{"commands":[`+publish[:len(publish)-1]+`]}`); err != nil || status != 200 {
			exits{}.Fatalf("%d %s %v", status, answer, err)
		}
		for heard := 0; heard < burst; {
			heard += len(c.replies())
		}
		c.say(closing(1000))
		c.expectClose(1000, "")
	}
	for path, body := range map[string]string{
		"/api/broadcast": `{"channels":["warm"],"data":1}`,
		"/api/channels":  `{}`,
		"/api/batch":     `{"commands":[{"publish":{"channel":"warm","data":1}},{"disconnect":{"user":"warm"}}]}`,
		"/api":           `{"method":"info"}`,
	} {
		if status, answer, err := common.call(path, body); err != nil || status != 200 {
			exits{}.Fatalf("%s: %d %s %v", path, status, answer, err)
		}
	}
	c := dial(exits{}, common)
	c.say("nonsense\r\n\r\n")
	c.response()
	c.expectEnd()
}

func manyGoroutines() {
	var all sync.WaitGroup
	release := make(chan struct{})
	for range 8 * fleetSize {
		all.Go(func() { <-release })
	}
	close(release)
	all.Wait()
}

// refreshLast runs another server for a moment. gnet's logger, a variable of the process, keeps the server that was started last in
// memory, and that should be one that nobody attacked.
func refreshLast() error {
	h, err := open(settings())
	if err != nil {
		return err
	}
	return h.close()
}

// footprint is what a process holds.
type footprint struct {
	heap       uint64 // bytes after a collection
	goroutines int
}

func measure() footprint {
	common.api.CloseIdleConnections()
	// The first collection empties the pools into their reserve, the second the reserve; finalizers run in between.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return footprint{m.HeapAlloc, runtime.NumGoroutine()}
}

// caches is what the runtime and the libraries of so small a process may keep for later, in bytes: descriptors of ended goroutines,
// free slots, pooled buffers. Thousands of connections come and go in the attacks; what each of them left behind would exceed it.
const caches = 1 << 20

// memoryReturns is how long memory may take to return.
const memoryReturns = 2 * time.Minute

// compare waits until no more is held than before, and says what is too much.
func (before footprint) compare() string {
	var now footprint
	if poll(memoryReturns, func() bool {
		now = measure()
		return now.heap <= before.heap+max(before.heap*15/100, caches) && now.goroutines <= before.goroutines
	}) {
		return ""
	}
	more := fmt.Sprintf("%d bytes of heap and %d goroutines, from %d and %d", now.heap, now.goroutines, before.heap, before.goroutines)
	if now.goroutines > before.goroutines {
		more += "\n" + stacks()
	}
	return more
}

func stacks() string {
	text := make([]byte, 1<<20)
	return string(text[:runtime.Stack(text, true)])
}

// leaks finds goroutines that outlive their server.
func leaks() error {
	return goleak.Find(
		// gnet's worker pool belongs to the process.
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreTopFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)
}

// exits reports for TestMain.
type exits struct{}

func (exits) Helper() {}

func (exits) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}
