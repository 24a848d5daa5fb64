package session

import "stentor/codec"

// What a reply lists is counted before it is encoded: a few bytes of a command may ask for gigabytes.

// entryBytesMin is the least that an entry of a list takes on the wire besides what others have put into it.
const entryBytesMin = 8

// memberBytesMin is the least that a client takes in a list of presence: its id, twice.
const memberBytesMin = 2 * 36

// sizeOf is how many bytes a reply that lists publications or clients takes at the least; 0 for others.
func sizeOf(r *codec.Reply) (n int) {
	switch {
	case r.History != nil:
		return sizeOfAll(r.History.Publications)
	case r.Presence != nil:
		for _, info := range r.Presence.Presence {
			n += memberBytesMin + sizeOfInfo(info)
		}
	}
	return n
}

func sizeOfAll(pubs []*codec.Publication) (n int) {
	for _, p := range pubs {
		n += entryBytesMin + len(p.Data)
		for k, v := range p.Tags {
			n += len(k) + len(v)
		}
		if p.Info != nil {
			n += sizeOfInfo(p.Info)
		}
	}
	return n
}

func sizeOfInfo(i *codec.ClientInfo) int { return len(i.User) + len(i.ConnInfo) + len(i.ChanInfo) }
