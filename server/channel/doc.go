// Package channel knows what the name of a channel says and what configuration alone allows there.
//
//	name ── Rules.Resolve ──► Channel ── CheckName, IsPrivate, IsPattern, IsUserLimited, UserAllowed ──► policy, API
//	                             └─────── Options: history, rights, data format ──────────► policy, API, engine
//
// A name is [private prefix][namespace boundary]rest, and the rest may end in a list of users:
//
//	news   chat:room-42   $chat:secret   chat:#42   dialog#1,2
//
// Rules are built from the configuration once and never change, so that every loop reads them without a lock; a reload
// builds new ones. What hangs on the hot path is resolved here in advance: [Options] has no strings to compare, no
// defaults to fall back to and no regular expression to compile. Resolving and checking a name allocates nothing.
package channel
