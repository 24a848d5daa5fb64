package reactor

import (
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// bell wakes a driver: a byte written to one end of a socketpair whose other end is a conn of gnet's loop. It takes its turn
// in epoll with every socket, unlike gnet's own task queue, which is drained until it is empty and can starve them.
type bell struct {
	driver *driver
	hand   net.Conn // rung from any goroutine
	clap   net.Conn // enrolled in gnet's loop, which takes a copy of it
}

var toll = []byte{1}

// hang makes the pair. What is rung before the loop has its end waits in the socket.
func (b *bell) hang(d *driver) (err error) {
	b.driver = d
	b.hand, b.clap, err = socketPair()
	return err
}

// ring does not block: loop.Loop lets one ring be under way at a time. After close it does nothing, as the loop then ends.
func (b *bell) ring() { _, _ = b.hand.Write(toll) }

func (b *bell) close() {
	_ = b.hand.Close()
	_ = b.clap.Close()
}

// socketPair makes a pair of connected stream sockets. They are net.Conns so that a write after the close cannot reach a
// descriptor that was given to someone else since.
func socketPair() (a, b net.Conn, err error) {
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("reactor: socketpair: %w", err)
	}
	if a, err = fdConn(fds[0]); err != nil {
		_ = unix.Close(fds[1])
		return nil, nil, err
	}
	if b, err = fdConn(fds[1]); err != nil {
		_ = a.Close()
		return nil, nil, err
	}
	return a, b, nil
}

// fdConn makes a net.Conn of a descriptor, which it owns from now on.
func fdConn(fd int) (net.Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("reactor: %w", err)
	}
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close() // FileConn takes a copy
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("reactor: %w", err)
	}
	return conn, nil
}
