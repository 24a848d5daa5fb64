package cluster

// Error is what goes wrong between nodes.
type Error string

func (e Error) Error() string { return string(e) }

// Errors of questions to other nodes.
const (
	// ErrUnknownNode: no node has this id. It may have gone.
	ErrUnknownNode = Error("cluster: the node is not known")
	// ErrUnanswered: some nodes did not answer in time.
	ErrUnanswered = Error("cluster: not all nodes have answered in time")
	// ErrRefused: a node could not answer.
	ErrRefused = Error("cluster: a node has answered with an error")
	// ErrBusy: too many questions are under way.
	ErrBusy = Error("cluster: too many questions to other nodes are under way")
	// ErrTooLarge: a message, or all answers to a question together, would be larger than the limit.
	ErrTooLarge = Error("cluster: the message or the answers are too large")
	// errDeaf: what this node sends to all does not come back, so it hears nothing of others either.
	errDeaf = Error("cluster: this node does not hear its own control messages")
)
