package engine

import "context"

// Bus carries messages between the nodes of a cluster. What is sent while a node cannot be reached is lost: messages are to be such
// that the next one mends it.
type Bus interface {
	// Listen has handle called with every message for all nodes, this one's own included, and with those for node alone. It is
	// called once, before Run. Messages of one sender arrive in order, one at a time; handle must be quick, and message is good
	// until it returns.
	Listen(node string, handle func(message []byte))
	// Broadcast sends to all nodes. Nil means that the message was handed over, not that anybody got it.
	Broadcast(ctx context.Context, message []byte) error
	// Send sends to one node.
	Send(ctx context.Context, node string, message []byte) error
}
