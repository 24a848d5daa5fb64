package launch

import (
	"net"
	"os"
	"strconv"
)

func decimal(n int) string    { return strconv.Itoa(n) }
func address(port int) string { return "127.0.0.1:" + decimal(port) }

// serve takes conns for ever.
func serve(port string) {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		os.Exit(1)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			os.Exit(1)
		}
		c.Close()
	}
}
