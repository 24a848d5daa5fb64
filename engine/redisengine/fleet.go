package redisengine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"stentor/engine"
	"stentor/engine/pause"
)

// fleet is the lines of a cluster with sharded pub/sub: one to each node that keeps partitions. It finds out which node that is, and
// again when a line is lost, a partition was refused or unsubscribed by Redis.
type fleet struct {
	shard *shard
	woken chan struct{}

	// Only the goroutine of run touches these.
	lines map[string]*member // by address
}

// member is a line and how to end it.
type member struct {
	line *line
	stop context.CancelFunc
}

// surveyEvery is how often the cluster is asked for its nodes without a reason, and surveyPause how long it is not asked again.
const (
	surveyEvery = 10 * time.Second
	surveyPause = 100 * time.Millisecond
)

func newFleet(s *shard) *fleet {
	return &fleet{shard: s, woken: make(chan struct{}, 1), lines: make(map[string]*member)}
}

// wake makes run look at the cluster, and at who waits for a partition that no line serves.
func (f *fleet) wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

// run serves until ctx ends.
func (f *fleet) run(ctx context.Context) {
	var working sync.WaitGroup
	defer working.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	told := false
	for ctx.Err() == nil {
		owners, err := f.survey(ctx)
		switch {
		case err == nil:
			f.assign(ctx, &working, owners)
			told = false
		case !told && !errors.Is(err, engine.ErrUnreachable): // of that the link speaks
			f.shard.log.Warn("the nodes of the cluster cannot be found out; trying again", "error", err)
			told = true
		}
		f.giveUp()
		if !pause.For(ctx, surveyPause) {
			return
		}
		every := surveyEvery
		if err != nil {
			every = surveyPause
		}
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
		case <-f.woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// giveUp answers those who subscribe to what no line serves.
func (f *fleet) giveUp() {
	for _, p := range f.shard.interests {
		if p.line.Load() == nil {
			p.giveUp(f.shard.patience(), engine.ErrUnreachable)
		}
	}
}

// assign gives each partition to the line of the node that keeps it. A shard that turns out to be no cluster has one line.
func (f *fleet) assign(ctx context.Context, working *sync.WaitGroup, owners []string) {
	served := make(map[string][]*interest)
	for i, p := range f.shard.interests {
		if owners[i] != noOwner {
			served[owners[i]] = append(served[owners[i]], p)
		}
	}
	for address, m := range f.lines {
		if len(served[address]) == 0 {
			m.stop()
			m.line.setInterests(nil)
			delete(f.lines, address)
		}
	}
	for i, p := range f.shard.interests {
		if l := p.line.Load(); l != nil && l.address != owners[i] {
			p.line.Store(nil)
			p.renew(false)
		}
	}
	for address, list := range served {
		m := f.lines[address]
		if m == nil {
			lineCtx, stop := context.WithCancel(ctx)
			m = &member{line: newLine(f.shard, address, f.shard.names().form == partitionedNames, f.shard.receive), stop: stop}
			m.line.onLost = f.wake
			f.lines[address] = m
			working.Go(func() { m.line.run(lineCtx) })
		}
		for _, p := range list {
			p.line.Store(m.line)
		}
		m.line.setInterests(list)
	}
}

// noOwner is the address of the node of a partition that no node keeps; anyOwner that of a shard that is no cluster.
const (
	noOwner  = "none"
	anyOwner = ""
)

// survey asks the cluster which node keeps each partition.
func (f *fleet) survey(ctx context.Context) ([]string, error) {
	owners := make([]string, len(f.shard.interests))
	client, err := f.shard.link.Client()
	if err != nil {
		return nil, err
	}
	if !f.shard.link.Cluster() {
		return owners, nil
	}
	nodes := client.Nodes()
	answers := make(chan []slotRange, len(nodes))
	failures := make(chan error, len(nodes))
	for address, node := range nodes {
		f.shard.broker.working.Go(func() {
			// The library lets callers wait for one dialling together. It must not end for all of them when another node has answered.
			ctx, cancel := context.WithTimeout(ctx, f.shard.link.IOTimeout())
			defer cancel()
			ranges, err := slotsOf(ctx, address, node)
			if err != nil {
				failures <- err
			} else {
				answers <- ranges
			}
		})
	}
	err = errors.New("the cluster has no nodes")
	for range nodes {
		select {
		case ranges := <-answers:
			for i := range owners {
				owners[i] = owner(ranges, slot(partitionTag(i)))
			}
			return owners, nil
		case err = <-failures:
		}
	}
	return nil, err
}

// slotRange is slots that a node keeps.
type slotRange struct {
	first, last int64
	address     string
}

// slotsOf asks one node of the cluster for all of them.
func slotsOf(ctx context.Context, address string, node rueidis.Client) ([]slotRange, error) {
	list, err := node.Do(ctx, node.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ranges := make([]slotRange, 0, len(list))
	for _, item := range list {
		r, err := parseSlots(host, item)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, r)
	}
	if len(ranges) == 0 {
		return nil, errors.New("the cluster keeps no slots yet")
	}
	return ranges, nil
}

// parseSlots reads first slot, last slot, and host and port of the master, after which come the replicas. Without a host, it is the one that
// was asked.
func parseSlots(asked string, item rueidis.RedisMessage) (slotRange, error) {
	fields, err := item.ToArray()
	if err != nil || len(fields) < 3 {
		return slotRange{}, fmt.Errorf("%w: slots of a cluster: %v", errAnswer, err)
	}
	first, err1 := fields[0].AsInt64()
	last, err2 := fields[1].AsInt64()
	master, err3 := fields[2].ToArray()
	if err := errors.Join(err1, err2, err3); err != nil || len(master) < 2 {
		return slotRange{}, fmt.Errorf("%w: slots of a cluster: %v", errAnswer, err)
	}
	host, _ := master[0].ToString() // nil if it is not known
	port, err := master[1].AsInt64()
	if err != nil {
		return slotRange{}, err
	}
	if host == "" {
		host = asked
	}
	r := slotRange{first: first, last: last, address: net.JoinHostPort(host, strconv.FormatInt(port, 10))}
	if host == "?" {
		r.address = noOwner
	}
	return r, nil
}

func owner(ranges []slotRange, slot int64) string {
	for _, r := range ranges {
		if r.first <= slot && slot <= r.last {
			return r.address
		}
	}
	return noOwner
}

// partitionTag is the part of names that decides on the node.
func partitionTag(i int) string { return strconv.Itoa(i) }

// slots is how many a cluster has.
const slots = 16384

// slot is the one in which a cluster keeps a tag: CRC-16 with the polynomial 0x1021, as XMODEM computes it.
func slot(tag string) int64 {
	crc := uint16(0)
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int64(crc % slots)
}
