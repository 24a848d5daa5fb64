// Package hub finds who listens to a channel and hands each of them the same bytes.
//
//	engine ── Publication, Join, Leave ──► Table (stripe) ──► mailbox of each loop ──► Channel ──► its subscriptions ──► their conns
//
// The Table is one per node and striped: per channel the loops that listen and the number of subscribers. A Channel is what one
// loop knows of a channel; only that loop touches its members. Publications wait in the Channel until its turn comes; then all
// that wait are joined into one frame per form, and one walk over the members hands it out. The frame also says whether slow clients
// may miss it (Table.SetSlow). A walk that is too long for one turn keeps its place. Nothing here waits and nothing does I/O.
//
// What a member gets of a batch is its variant: the form, with joins and leaves or without, payloads plain or as deltas. Each variant
// is encoded at most once for a publication and joined at most once for a batch. A patch is sent only to members of whom it is
// certain that they have its base: the publication before it, of the same epoch, was the last one that they got. Filters by tags are
// asked once for a batch and not per member; members with equal ones share them, and choices that are equal share their frames.
// What only such members need lies beside the list of the channels that have some.
//
// A name may be a pattern (wildcard.go). While somebody is subscribed to one, publications look through the tree of patterns, too.
// A publication first looks there and then for the loops that listen to what it found; so a subscriber enters the tree before it listens,
// and listens no more before it leaves the tree. Whoever hears one publication of a channel then hears those that follow: an engine
// hands over the publications of a channel one after the other. A remote broker matches by itself, and its publications name the pattern:
// the tree stays empty, and finding the loops that listen is one step under one lock.
//
// Joins and leaves are told only to loops where somebody wants some. When the last such member leaves and others stay, those that are on
// their way are dropped (fence.go): whoever wants some next hears of all from then on, and of none before.
//
// With a broker on other machines (Table.Connect) a channel is asked for when its first subscriber comes and given up a while after the
// last one has left (upstream.go); whoever needs it waits with Await. A member that has to read history there first is silent until it
// has, and what comes meanwhile is collected for it (collect.go).
//
// A Life hears when a channel gets its first subscriber and loses its last one, for the metrics.
//
// Order of locks: engine stripe, table stripe, mailbox. Loops are woken after all of them are released.
package hub
