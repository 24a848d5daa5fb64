package bench

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"stentor/bench/launch"
	"stentor/bench/swarm"
)

// Engines measures what a publication costs through engines on other machines, beside the memory engine.
type Engines struct {
	Target         Target   // the node with the memory engine
	Beside         []string // NAME=COMMAND: the other nodes
	BrokerPIDs     []string // NAME=PID: processes of the broker behind one of them
	Channels       int
	PerChannel     int
	Channel        string
	HistoryChannel string // empty: none
	Rush
	Drain    time.Duration
	OnTopMax time.Duration // gate; 0: none
}

// DefaultEngines is a hundred publishers, each with a channel that one client has subscribed to.
func DefaultEngines() Engines {
	return Engines{
		Target: DefaultTarget(), Channels: 100, PerChannel: 1, Channel: "engines-" + nodeMark + "-{n}",
		Rush:  Rush{PayloadBytes: 100, Publishers: 100, Batch: 1, Phase: 2 * time.Second, Rounds: 9},
		Drain: 10 * time.Second,
	}
}

// nodeMark stands in the name of a channel for that of the node.
const nodeMark = "{node}"

// memoryName is the node that the others are compared with.
const memoryName = "memory"

// besideMax is how many nodes may stand beside that with the memory engine.
const besideMax = 16

const enginesLong = `Publish through the HTTP API of several nodes in turn: the one of --server (or --target with --pid), which has the memory engine, and those
of --beside, whose engines are brokers elsewhere: Redis, NATS. All run for the whole time; which begins changes from round to round.
Publishers send as fast as the API answers, one request each at a time, and every channel has subscribers, so that the way back through
the broker is in the figures. With --history-channel, each node is also measured on channels that keep history.

Measured are, for each node, publications per second, CPU of the node and of the processes of its broker (--broker-pid) per publication,
latency of the API's answers and of the deliveries, and what is missing, came twice or out of order. Against the memory engine, round by
round: the ratio of the CPU of the nodes, and the difference, which is what the engine costs on top of memory.`

const enginesExample = `  # Redis and NATS beside memory, with the CPU of their servers
  stentor bench engines --api-key KEY --server 'stentor -c memory.json -p {port}' \
    --beside 'redis=stentor -c redis.json -p {port}' --broker-pid redis=$(pgrep -xo redis-server) \
    --beside 'nats=stentor -c nats.json -p {port}' --broker-pid nats=$(pgrep -xo nats-server)

  # twenty publications to a request, and a budget for what an engine costs on top
  stentor bench engines --api-key KEY --server 'stentor -c memory.json -p {port}' --beside 'redis=stentor -c redis.json -p {port}' \
    --batch 20 --max-on-top 2us`

func enginesScenario() *scenario {
	o := DefaultEngines()
	return &scenario{
		name: "engines", short: "a publication through engines on other machines, beside memory", long: enginesLong, example: enginesExample,
		target: &o.Target, flags: o.flags, run: o.run,
		plan: func() (int, error) { return o.conns(), o.check() },
	}
}

func (o *Engines) flags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.Beside, "beside", nil, "NAME=COMMAND that starts a node beside the one with the memory engine, with {port} for a free port; give it once for each node")
	f.StringArrayVar(&o.BrokerPIDs, "broker-pid", nil, "NAME=PID of a process of the broker behind a node, to measure its CPU; may be given again, several processes of a node are added up")
	f.IntVar(&o.Channels, "channels", o.Channels, "number of channels of each node")
	f.IntVar(&o.PerChannel, "subscribers-per-channel", o.PerChannel, "subscribers of each channel, connected to the node that is published to")
	f.StringVar(&o.Channel, "channel", o.Channel, "channel name; {n} is its number, {node} the name of the node, which keeps nodes with the same broker apart")
	f.StringVar(&o.HistoryChannel, "history-channel", o.HistoryChannel, "likewise, of channels that keep history; empty: do not measure with history")
	o.Rush.flags(f, "node", "publications in one request: 1 for publish requests, more for batch requests")
	f.DurationVar(&o.Drain, "drain", o.Drain, "how long to wait for what is still on its way")
	f.DurationVar(&o.OnTopMax, "max-on-top", 0, "fail if a node's CPU per publication on top of memory has a median above this; 0: no gate")
}

func (o *Engines) check() error {
	nodes, err := o.nodes()
	if err != nil {
		return err
	}
	switch {
	case len(nodes) == 1:
		return errors.New("engines compares nodes: give at least one --beside NAME=COMMAND")
	case !o.Target.watched():
		return errors.New("engines measures the CPU of nodes: give --server, or the --pid of the one at --target (pgrep -xo stentor)")
	case o.Target.APIURL != "":
		return errors.New("--api-url is the address of one node: the API of each is looked for at /api of its own port")
	case o.Publishers > o.Channels:
		return errors.New("--publishers must not be above --channels: each channel has one publisher, so that the order in it can be told")
	case o.Drain < 0 || o.OnTopMax < 0:
		return errors.New("--drain and --max-on-top must not be below 0")
	}
	for flag, n := range map[string]int{"channels": o.Channels, "subscribers-per-channel": o.PerChannel} {
		if err := checkClients(flag, n); err != nil {
			return err
		}
	}
	if err := checkClients("channels times --subscribers-per-channel", o.conns()); err != nil {
		return err
	}
	for k, name := range o.channelNames() {
		g := o.group(&o.Target, place{}, memoryName, k, name)
		if n := len(names(&g)); n != o.Channels {
			return fmt.Errorf("the channel %q gives %d names to %d channels: it needs {n}, and no mark but {n} and %s", name, n, o.Channels, nodeMark)
		}
	}
	return o.Rush.check()
}

// channelNames are the kinds of channels: without history, with it.
func (o *Engines) channelNames() []string {
	if o.HistoryChannel == "" {
		return []string{o.Channel}
	}
	return []string{o.Channel, o.HistoryChannel}
}

// conns is how many conns each node has at the same time.
func (o *Engines) conns() int { return len(o.channelNames())*o.Channels*o.PerChannel + o.Publishers }

// sideName is that of a node with a kind of channels.
func sideName(node string, kind int) string {
	if kind == 0 {
		return node
	}
	return node + " with history"
}

// group describes the subscribers of a kind of channels at a node.
func (o *Engines) group(t *Target, p place, node string, kind int, channel string) swarm.Group {
	g := t.group(p, "subscribers of "+sideName(node, kind), swarm.Subscriber, o.Channels*o.PerChannel)
	g.First = kind * g.Count
	g.Base, g.Channels, g.PerChannel, g.Subscribed = g.First, strings.ReplaceAll(channel, nodeMark, node), o.PerChannel, 1
	return g
}

// engineNode is a node as it was asked for.
type engineNode struct {
	name    string
	command string // empty: the target
	brokers []int  // process ids
}

// nodes are those to measure, that with the memory engine first.
func (o *Engines) nodes() ([]engineNode, error) {
	all := []engineNode{{name: memoryName}}
	find := func(name string) int { return slices.IndexFunc(all, func(n engineNode) bool { return n.name == name }) }
	for _, text := range o.Beside {
		name, command, ok := strings.Cut(text, "=")
		switch {
		case !ok || !plainName(name):
			return nil, fmt.Errorf("--beside %q is not NAME=COMMAND, with a name of letters, digits, - and _", text)
		case name == memoryName:
			return nil, fmt.Errorf("--beside: %s is the node of --server", memoryName)
		case find(name) >= 0:
			return nil, fmt.Errorf("--beside: there are two nodes with the name %s", name)
		case !strings.Contains(command, launch.PortMark):
			return nil, fmt.Errorf("--beside %s: the command needs %s, where the free port goes that the node is to listen on", name, launch.PortMark)
		case len(all) > besideMax:
			return nil, fmt.Errorf("--beside: at most %d nodes", besideMax)
		}
		all = append(all, engineNode{name: name, command: command})
	}
	for _, text := range o.BrokerPIDs {
		name, digits, _ := strings.Cut(text, "=")
		pid, err := strconv.Atoi(digits)
		if err != nil || pid < 1 {
			return nil, fmt.Errorf("--broker-pid %q is not NAME=PID", text)
		}
		at := find(name)
		if at < 1 {
			return nil, fmt.Errorf("--broker-pid: no --beside has the name %s", name)
		}
		all[at].brokers = append(all[at].brokers, pid)
	}
	return all, nil
}

// plainName is true for names that change nothing in that of a channel.
func plainName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}
