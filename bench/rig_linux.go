package bench

import (
	"context"
	"fmt"
	"time"

	"stentor/bench/fleet"
	"stentor/bench/probe"
	"stentor/bench/publish"
)

// serverFilesSpare are the descriptors that a server needs beside its clients: its listeners, its logs, HTTP conns.
const serverFilesSpare = 256

// rig is what every scenario works with.
type rig struct {
	*Streams
	target *Target
	place  place
	api    *publish.Client
	server *probe.Process // nil without --pid
	fleets []*fleet.Fleet
}

// newRig finds the target. clients is the most that will be connected at the same time.
func newRig(ctx context.Context, t *Target, s *Streams, clients int) (*rig, error) {
	p, err := t.locate(ctx)
	if err != nil {
		return nil, err
	}
	r := &rig{Streams: s, target: t, place: p, api: publish.New(p.api, t.APIKey)}
	if t.PID == 0 {
		return r, nil
	}
	server, err := probe.Open(t.PID)
	if err != nil {
		return nil, err
	}
	r.server = &server
	files, limited, err := server.FilesMax()
	if err != nil {
		return nil, err
	}
	if need := int64(clients + serverFilesSpare); limited && files < need {
		return nil, fmt.Errorf("process %d may have %d files open, %d clients need at least %d: restart the server under a higher limit (ulimit -n), or measure with fewer clients",
			t.PID, files, clients, need)
	}
	return r, nil
}

// fleet starts worker processes for so many conns. They end with close.
func (r *rig) fleet(conns, workers int) (*fleet.Fleet, error) {
	n, err := fleet.Size(conns, workers)
	if err != nil {
		return nil, err
	}
	f, err := fleet.Start(r.Worker, n)
	if err != nil {
		return nil, err
	}
	r.fleets = append(r.fleets, f)
	return f, nil
}

func (r *rig) close() {
	for _, f := range r.fleets {
		f.Close()
	}
}

// cpu is the CPU time that the server has used; zero if its process is unknown.
func (r *rig) cpu() (time.Duration, error) {
	if r.server == nil {
		return 0, nil
	}
	return r.server.CPU()
}

// pause waits for d, or returns the error of ctx.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
