package redislink

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"stentor/engine/pause"
)

// A server is probed every probeInterval. One that does not answer, and one that was not reached yet, is tried again after
// retryFirst, then ever later up to retryLast.
const (
	probeInterval = time.Second
	retryFirst    = 50 * time.Millisecond
	retryLast     = time.Second
)

// probedMax is how many nodes of a cluster are probed at once. One that answers is enough: what the others keep fails by itself.
const probedMax = 16

// line is one client, and whether it can be used.
type line struct {
	shard      *Shard
	option     rueidis.ClientOption
	lost, back string // what the log says

	client atomic.Pointer[rueidis.Client] // nil while it cannot be used

	// Only run touches this.
	told []string // kinds of failure that the log knows of; none while all is well
}

// run dials and probes until ctx ends.
func (l *line) run(ctx context.Context) {
	for {
		client := l.dial(ctx)
		if client == nil {
			return
		}
		again := l.watch(ctx, client)
		l.client.Store(nil)
		client.Close()
		if !again {
			return
		}
	}
}

// dial makes a client that answers and publishes it, however long that takes; nil if ctx ends before.
func (l *line) dial(ctx context.Context) rueidis.Client {
	for delay := retryFirst; ctx.Err() == nil; delay = min(2*delay, retryLast) {
		client, err := rueidis.NewClient(l.option)
		if err == nil {
			err = l.probe(ctx, client)
		}
		if err == nil {
			l.publish(client)
			return client
		}
		if client != nil {
			client.Close()
		}
		l.tellLost(ctx, err)
		pause.For(ctx, delay)
	}
	return nil
}

// watch withdraws the client whenever it does not answer and publishes it when it does. It returns when ctx has ended, with
// false, or when another client is needed.
func (l *line) watch(ctx context.Context, client rueidis.Client) (again bool) {
	for delay := probeInterval; pause.For(ctx, delay); {
		err := l.probe(ctx, client)
		switch {
		case err == nil:
			delay = probeInterval
			if l.client.Load() == nil {
				l.publish(client)
			}
			continue
		case l.client.Swap(nil) != nil:
			delay = retryFirst
		default:
			delay = min(2*delay, retryLast)
		}
		l.tellLost(ctx, err)
		if errors.Is(err, errReplica) {
			return true
		}
	}
	return false
}

func (l *line) publish(client rueidis.Client) {
	if client.Mode() == rueidis.ClientModeCluster {
		l.shard.cluster.Store(true)
	}
	l.told = nil
	l.shard.log.Info(l.back)
	l.client.Store(&client)
}

// tellLost logs that the client cannot be used: each reason once. The end of Run is none.
func (l *line) tellLost(ctx context.Context, err error) {
	kind, remedy := explain(err)
	if ctx.Err() != nil || slices.Contains(l.told, kind) {
		return
	}
	l.told = append(l.told, kind)
	l.shard.log.Error(l.lost, "error", l.shard.settings.withoutSecrets(err.Error()), "remedy", remedy)
}

// errReplica: connections to a master stay when it is made a replica, and a name that leads to the new master is looked up
// only for new ones. Sentinels and clusters see to this themselves.
var errReplica = errors.New("the server is a replica, which takes no writes")

// probe asks for a sign of life.
func (l *line) probe(ctx context.Context, client rueidis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, l.shard.settings.ioTimeout)
	defer cancel()
	switch client.Mode() {
	case rueidis.ClientModeCluster:
		return probeAny(ctx, client, l.shard.settings.ioTimeout)
	case rueidis.ClientModeSentinel:
		return ping(ctx, client)
	}
	answers := client.DoMulti(ctx, client.B().Ping().Build(), client.B().Role().Build())
	if err := answers[0].Error(); err != nil {
		return err
	}
	// Who may not ask for the role, or is told something else, has to do without.
	if role, err := answers[1].ToArray(); err == nil && len(role) > 0 {
		if is, err := role[0].ToString(); err == nil && is == "slave" {
			return errReplica
		}
	}
	return nil
}

func ping(ctx context.Context, client rueidis.Client) error {
	return client.Do(ctx, client.B().Ping().Build()).Error()
}

// probeAny asks some nodes of a cluster, and is content with the first that answers.
func probeAny(ctx context.Context, client rueidis.Client, timeout time.Duration) error {
	answers := make(chan error, probedMax)
	asked := 0
	for _, node := range client.Nodes() {
		if asked == probedMax {
			break
		}
		asked++
		go func() {
			// The library lets callers wait for one dialling together. It must not end for all of them when another node has answered.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
			defer cancel()
			answers <- ping(ctx, node)
		}()
	}
	err := error(rueidis.ErrNoSlot) // a cluster without nodes
	for range asked {
		if err = <-answers; err == nil {
			return nil
		}
	}
	return err
}
