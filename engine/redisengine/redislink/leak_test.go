package redislink

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"stentor/engine/enginetest/redistest"
)

// TestFailedDialsLeaveNothing: a server may be down for days, and is dialled every second.
func TestFailedDialsLeaveNothing(t *testing.T) {
	server, down := redistest.Start(t, "--requirepass", "right"), redistest.Start(t)
	down.Stop()
	for _, address := range []string{
		down.Addr,
		server.Addr,                     // no password
		"redis://:wrong@" + server.Addr, // a wrong one
		"redis://:right@" + server.Addr + "/99",
		"rediss://" + server.Addr + "?connect_timeout=20ms",
		"redis+cluster://:right@" + server.Addr + "?addr=" + down.Addr,
		"redis+sentinel://" + server.Addr + "?sentinel_master_name=m&sentinel_password=right",
		"redis+sentinel://" + down.Addr + "?sentinel_master_name=m&addr=" + server.Addr,
		"unix:///no/such/socket",
	} {
		list, err := Config{Address: []string{address}}.settings()
		if err != nil {
			t.Fatal(err)
		}
		option := list[0].option()
		dial := func() {
			client, err := rueidis.NewClient(option)
			if err == nil {
				t.Fatalf("%s can be reached", address)
			}
			if client != nil {
				client.Close()
			}
		}
		dial()
		const dials = 10
		before := runtime.NumGoroutine()
		for range dials {
			dial()
		}
		eventually(t, fmt.Sprintf("%s leaves nothing behind", address), func() bool {
			return runtime.NumGoroutine() < before+dials/2 && len(strings.Split(server.Must("CLIENT", "LIST"), "\n")) < dials/2
		})
	}
}
