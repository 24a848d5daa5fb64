package cluster

import (
	"log/slog"

	"stentor/reactor/quiet"
	"stentor/server/metrics"
)

// complaint is one kind of trouble.
type complaint uint8

const (
	complaintUnsent complaint = iota
	complaintJunk
	complaintDropped
	complaintRefused
	complaintStranger
	complaintTwin
	complaintDeaf
	complaintUnanswered

	numComplaints
)

// complaintTexts say what happened and what to do about it. The last ones count nothing.
var complaintTexts = [numComplaints]struct {
	counts metrics.ControlFailure
	text   string
}{
	complaintUnsent: {metrics.ControlUnsent, "a control message to other nodes was not sent; see whether the servers behind the engine are up"},
	complaintJunk: {metrics.ControlJunk, "a message on the control channel cannot be read and is ignored; if other applications use the same servers, " +
		"give this cluster a prefix of its own"},
	complaintDropped:  {metrics.ControlDropped, "a control message was dropped because too many wait already"},
	complaintRefused:  {metrics.ControlRefused, "an order of another node was refused: it is for labels or for all users, which this server does not know"},
	complaintStranger: {metrics.ControlStranger, "a node was ignored because too many are known; clusters that share servers need a prefix each"},
	complaintTwin:     {0, "another node uses the id of this one, and neither hears the other; restart one of them"},
	complaintDeaf: {0, "control messages of this node do not come back to it: until they do, it carries out no orders of other nodes, " +
		"and knows only itself; see whether the servers behind the engine are up"},
	complaintUnanswered: {0, "an answer to another node was not sent"},
}

// complaints go to the log, each kind once in a while with the number of those that were left out.
type complaints struct {
	log   *slog.Logger
	lines [numComplaints]quiet.Line
}

func newComplaints(log *slog.Logger) *complaints {
	c := &complaints{log: log}
	for i := range c.lines {
		c.lines[i].Every = complaintInterval
	}
	return c
}

func (c *complaints) say(what complaint, args ...any) {
	c.lines[what].Say(c.log, slog.LevelWarn, complaintTexts[what].text, args...)
}
