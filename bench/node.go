package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"stentor/bench/launch"
	"stentor/bench/probe"
	"stentor/bench/publish"
)

// serverFilesSpare are the descriptors that a server needs beside its clients: its listeners, its logs, HTTP conns.
const serverFilesSpare = 256

// node is a server that is measured.
type node struct {
	target   *Target
	place    place
	api      *publish.Client
	launched *launch.Server // nil: somebody else runs the server
	server   *probe.Process // nil without a process id
}

// reach locates the server, and starts it if we are to. clients is the most that will be connected at the same time; ended is told if the
// server that we started ends.
func (n *node) reach(ctx context.Context, p *progress, clients int, ended func(error)) error {
	t := n.target
	if t.Server != "" {
		if err := n.launch(ended); err != nil {
			return err
		}
	}
	var err error
	if n.place, err = t.locate(ctx); err != nil {
		return err
	}
	n.api = publish.New(n.place.api, t.APIKey, n.place.trust)
	if n.launched != nil {
		p.phase(launch.ReadyTimeout, "waiting for the server on %s", n.place.addr)
		if err := n.launched.Await(ctx, n.place.addr.String()); err != nil {
			return err
		}
	}
	pid := n.pid()
	if pid == 0 {
		return nil
	}
	server, err := probe.Open(pid)
	if err != nil {
		return fmt.Errorf("--pid: %w", err)
	}
	n.server = &server
	return checkFiles(server, clients)
}

// pid is the server's process id, 0 if it is unknown.
func (n *node) pid() int {
	if n.launched != nil {
		return n.launched.PID()
	}
	return n.target.PID
}

// launch starts the server. With a mark for the port in its command, a free one is chosen for it and for the target.
func (n *node) launch(ended func(error)) error {
	port := 0
	if strings.Contains(n.target.Server, launch.PortMark) {
		var err error
		if port, err = launch.FreePort(); err != nil {
			return err
		}
		if err := n.target.moveTo(port); err != nil {
			return err
		}
	}
	s, err := launch.Start(n.target.Server, port)
	if err != nil {
		return err
	}
	n.launched = s
	go func() {
		<-s.Done()
		ended(s.Err())
	}()
	return nil
}

// checkFiles refuses more clients than the server can have.
func checkFiles(server probe.Process, clients int) error {
	files, limited, err := server.FilesMax()
	if err != nil {
		return err
	}
	if need := int64(clients + serverFilesSpare); limited && files < need {
		return fmt.Errorf("process %d may have %d files open, %d clients need at least %d: restart the server under a higher limit (ulimit -n), or measure with fewer clients",
			server.PID(), files, clients, need)
	}
	return nil
}

// stop ends a server that we started.
func (n *node) stop() {
	if n.launched != nil {
		n.launched.Stop()
	}
}

// cpu is the CPU time that the server has used; zero if its process is unknown.
func (n *node) cpu() (time.Duration, error) {
	if n.server == nil {
		return 0, nil
	}
	return n.server.CPU()
}

// resident is the server's memory; 0 if it is unknown.
func (n *node) resident() int64 {
	if n.server == nil {
		return 0
	}
	status, err := n.server.Status()
	if err != nil {
		return 0
	}
	return status.RSS
}

// page is the address of a page of the server: address itself, or on the target's host if it is only a path.
func (n *node) page(address string) string {
	switch {
	case !strings.HasPrefix(address, "/"):
		return address
	case n.place.tls != nil:
		return "https://" + n.place.host + address
	}
	return "http://" + n.place.host + address
}
