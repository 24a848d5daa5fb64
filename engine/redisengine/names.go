package redisengine

import (
	"strconv"
	"strings"

	"stentor/codec"
	"stentor/engine/redisengine/redislink"
)

// form is how names of Redis are made of names of channels: what is used together has to be on one node of a cluster, and a node is
// chosen by what stands between the first { and the next }.
type form int

const (
	plainNames       form = iota // P.stream.<channel>
	taggedNames                  // P.stream.{<channel>}, in a cluster
	partitionedNames             // P.stream.{<partition>}.<channel>, in a cluster with sharded pub/sub
)

// names is how one shard calls things.
type names struct {
	prefix     string
	form       form
	partitions int
}

// names of a shard. Whether it is a cluster is known once its client is.
func (c Config) names(s *redislink.Shard) names {
	n := names{prefix: c.Prefix, partitions: c.ShardedPubSubPartitions}
	switch {
	case !s.Cluster():
		n.form = plainNames
	case c.ShardedPubSubPartitions > 0:
		n.form = partitionedNames
	default:
		n.form = taggedNames
	}
	return n
}

// Parts of names, after the prefix.
const (
	topicPart      = ".client."
	streamPart     = ".stream."
	streamMetaPart = ".stream.meta."
	listPart       = ".list."
	listMetaPart   = ".list.meta."
	resultPart     = ".result."
	controlPart    = ".control"
	nodePart       = ".node."
	probePart      = ".shard." // as others call topics of connections
)

// append writes the name of what part says for a channel.
func (n names) append(dst []byte, part, channel string) []byte {
	dst = append(append(dst, n.prefix...), part...)
	switch n.form {
	case taggedNames:
		dst = append(append(append(dst, '{'), channel...), '}')
	case partitionedNames:
		dst = append(dst, '{')
		dst = strconv.AppendInt(dst, int64(redislink.Bucket(channel, n.partitions)), 10)
		dst = append(append(dst, "}."...), channel...)
	default:
		dst = append(dst, channel...)
	}
	return dst
}

// topic is where publications of a channel are published.
func (n names) topic(channel string) string { return string(n.append(nil, topicPart, channel)) }

// channel is the one whose topic this is.
func (n names) channel(topic string) (channel string, ok bool) {
	channel, ok = strings.CutPrefix(topic, n.prefix+topicPart)
	switch n.form {
	case taggedNames:
		if !ok || len(channel) < 2 || channel[0] != '{' || channel[len(channel)-1] != '}' {
			return "", false
		}
		return channel[1 : len(channel)-1], true
	case partitionedNames:
		_, channel, ok = strings.Cut(channel, "}.")
	}
	return channel, ok
}

// check refuses a channel that a cluster cannot keep: without a name, or with a } at the front, the tag is empty, and the keys of the
// channel are anywhere.
func (n names) check(channel string) error {
	if n.form == taggedNames && (channel == "" || strings.HasPrefix(channel, "}")) {
		return codec.ErrorBadRequest
	}
	return nil
}
