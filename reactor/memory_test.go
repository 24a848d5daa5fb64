package reactor

import (
	"net"
	"reflect"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"stentor/reactor/loop"
)

// connBytesMax is the largest Conn that still fits the allocator's class of 112 bytes.
const connBytesMax = 112

func TestConnSize(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > connBytesMax {
		t.Errorf("a Conn has %d bytes, want %d at the most", n, connBytesMax)
	}
	if refBytes != 16 {
		t.Errorf("a queued reference has %d bytes", refBytes)
	}
}

// idler is a receiver without any memory of its own.
type idler struct{}

func (idler) Receive([]byte)   {}
func (idler) Expire(loop.Time) {}
func (idler) Order(any)        {}
func (idler) Closed()          {}

// rawClients connects and upgrades n clients that have a descriptor each and nothing on the heap.
func rawClients(t testing.TB, r *Reactor, n int) []int { return rawRequests(t, r, n, upgradeRequest()) }

// rawRequests is the same for clients that say something else.
func rawRequests(t testing.TB, r *Reactor, n int, say string) []int {
	addr := r.Addr().(*net.TCPAddr)
	to := &syscall.SockaddrInet4{Port: addr.Port, Addr: [4]byte{127, 0, 0, 1}}
	request, answer := []byte(say), make([]byte, 1024)
	fds := make([]int, 0, n)
	t.Cleanup(func() {
		for _, fd := range fds {
			syscall.Close(fd)
		}
	})
	for range n {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		if err := syscall.Connect(fd, to); err != nil {
			t.Fatal(err)
		}
		if _, err := syscall.Write(fd, request); err != nil {
			t.Fatal(err)
		}
		if n, err := syscall.Read(fd, answer); err != nil || n == 0 {
			t.Fatalf("read: %d, %v", n, err)
		}
	}
	return fds
}

// heap is what lives on the heap after a collection.
func heap() (bytes, objects int64) {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.Mallocs - m.Frees)
}

// idleBytesMax and idleObjectsMax are what an idle upgraded conn may cost, gnet's part included, the receiver's not.
const (
	idleBytesMax   = 480
	idleObjectsMax = 3
)

func TestMemoryOfIdleConns(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has its own memory")
	}
	idle := serving(parrot)
	for _, kind := range []struct {
		name    string
		request string
		router  Router
	}{
		{"WebSocket", upgradeRequest(), routes(func(*Head) Verdict {
			return Verdict{Kind: Upgrade, Open: func(*Conn) Receiver { return idler{} }}
		})},
		{"stream", post("/x", "hello"), serving(func(c *Conn, _ string, _ []byte) { c.Stream(Response{}, idler{}) })},
		{"stream in HTTP/1.0", "GET /x HTTP/1.0\r\n\r\n", serving(func(c *Conn, _ string, _ []byte) { c.Stream(Response{}, idler{}) })},
		{"kept alive", post("/x", "hello"), idle},
		{"kept alive after chunks", postChunked("/x", "hello"), idle},
	} {
		t.Run(kind.name, func(t *testing.T) {
			const clients = 2000
			r := start(t, Config{Loops: 2}, kind.router)
			rawRequests(t, r, 100, kind.request) // pools and tables get their first size
			bytesBefore, objectsBefore := heap()
			rawRequests(t, r, clients, kind.request)
			bytesAfter, objectsAfter := heap()
			bytes := float64(bytesAfter-bytesBefore) / clients
			objects := float64(objectsAfter-objectsBefore) / clients
			t.Logf("%.0f bytes and %.2f objects", bytes, objects)
			if bytes > idleBytesMax || objects > idleObjectsMax {
				t.Errorf("%.0f bytes and %.2f objects, want %d and %d at the most", bytes, objects, idleBytesMax, idleObjectsMax)
			}
		})
	}
}

// gnet's conn is laid out as addr_drop.go takes it to be. When this fails after a new version of gnet: read whether it uses
// these fields now, and change addr_drop.go. Until then the memory is not saved and nothing else happens.
func TestGnetLayout(t *testing.T) {
	router, ch := conns(silent)
	r := start(t, Config{}, router)
	c, s := opened(t, r, ch)
	onLoop(r, 0, func() {
		if !s.driver.layout.known {
			t.Error("gnet's conn is not what it was in v2.10.0")
		}
		if addr := s.gc.RemoteAddr(); addr != nil {
			t.Errorf("gnet still knows %v", addr)
		}
		if got, want := s.RemoteAddr(), c.LocalAddr().String(); got != want {
			t.Errorf("the peer is %s, want %s", got, want)
		}
	})
	for _, other := range []any{0, "", struct{}{}, &struct{ remote int }{}, &struct{ pollAttachment struct{ Callback int } }{}} {
		if layoutOf(reflect.TypeOf(other)).known {
			t.Errorf("%T passes for gnet's conn", other)
		}
	}
}
