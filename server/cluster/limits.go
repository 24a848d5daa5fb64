package cluster

import (
	"time"

	"stentor/server/api"
)

// Times of the cluster; those that a node of the other kind must share are the reference's.
const (
	// AnnounceInterval is the time between two announcements of a node.
	AnnounceInterval = 3 * time.Second
	// ForgetAfter is how long a node may be silent.
	ForgetAfter = 7 * time.Second
	// SurveyTimeout is how long answers are waited for.
	SurveyTimeout = 10 * time.Second

	// announceRetry is the time until the next announcement after one that the bus did not take.
	announceRetry = 500 * time.Millisecond
	// sweepInterval is how often silent nodes are looked for.
	sweepInterval = time.Second
	// sendTimeout is how long the bus may take to accept a message.
	sendTimeout = 2 * time.Second
	// leaveTimeout is how long it may take to accept the last one.
	leaveTimeout = 500 * time.Millisecond
	// complaintInterval is the shortest time between two lines of the log about the same.
	complaintInterval = 10 * time.Second
)

// Limits of what others send.
const (
	// NodesMax is how many other nodes are known; further ones do not exist for this node.
	NodesMax = 512
	// UIDBytesMax is the longest id of a node.
	UIDBytesMax = 128
	// TextBytesMax is how much of a node's name and version is kept.
	TextBytesMax = 256
	// MessageBytesMax is the largest control message; only answers are so large.
	MessageBytesMax = 64 << 20
	// OrderBytesMax is the largest order or question: there is no more in it than in a request of the API.
	OrderBytesMax = api.BodyBytesMax + 64<<10
	// NodeMessageBytesMax is the largest announcement.
	NodeMessageBytesMax = 1 << 20

	// OrdersMax is how many orders of other nodes wait to be carried out.
	OrdersMax = 16 << 10
	// OrdersBurst is how many of them are given to the loops before the loops have to have carried them out.
	OrdersBurst = 1024
	// QuestionsMax is how many questions of one kind wait for an answer of this node.
	QuestionsMax = 1024
	// InboxBytesMax is how large the orders and questions that wait are together.
	InboxBytesMax = 64 << 20
	// ErrandsMax is how many short messages to single nodes wait to be sent.
	ErrandsMax = 1024
)

// Limits of what this node asks others.
const (
	// SurveysMax is how many surveys of all nodes are under way; others wait for their turn.
	SurveysMax = 4
	// AsksMax is how many questions to single nodes are under way.
	AsksMax = 16 << 10
	// AnswersBytesMax is how large the answers to one question are together.
	AnswersBytesMax = 64 << 20
)
