package talk

import (
	"crypto/tls"
	"testing"

	"stentor/codec"
)

// way is a transport as a client goes it.
type way struct {
	name  string
	forms []codec.Form
	// open connects. batch are the first commands, or the request to connect; a trusted header names the user, if it is not empty.
	open func(t testing.TB, h *house, f codec.Form, user string, batch []byte) peer
	// needs are options of the server that the way needs, and what its clients trust; nil if it needs none.
	needs func(testing.TB) (options string, trust *tls.Config)
}

// peer is a client's end of a connection.
type peer interface {
	// say sends further commands.
	say(batch []byte)
	// hear waits for what comes next; end tells that there is no more.
	hear() (all []codec.Reply, end *codec.Disconnect)
	// close ends the connection from this side.
	close()
}

// gone is the end of a connection of which nobody was told why.
var gone = codec.Disconnect{Reason: "gone"}

// decodeAll takes a number of delimited messages apart.
func decodeAll(t testing.TB, f codec.Form, messages []byte) (all []codec.Reply) {
	for len(messages) > 0 {
		var r codec.Reply
		var err error
		if messages, err = codec.DecodeReply(f, messages, &r); err != nil {
			t.Errorf("%v in %q", err, messages)
			return all
		}
		all = append(all, r)
	}
	return all
}

// cutDisconnect takes a push that says why the server ends the connection off the end of what was heard.
func cutDisconnect(all []codec.Reply) (rest []codec.Reply, end *codec.Disconnect) {
	if len(all) == 0 {
		return all, nil
	}
	last := all[len(all)-1]
	if last.Push == nil || last.Push.Disconnect == nil {
		return all, nil
	}
	return all[:len(all)-1], &codec.Disconnect{Code: last.Push.Disconnect.Code, Reason: last.Push.Disconnect.Reason}
}
