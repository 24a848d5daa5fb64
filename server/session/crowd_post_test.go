package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"stentor/codec"
	"stentor/codec/delta"
)

// post is one thing that happens in a channel: a publication, or a client that joins or leaves.
type post struct {
	stream *stream // nil while it has not taken place
	number int
	index  int // in its log
	when   int // of all of the run
	by     *pipe
	move   move // or a publication

	// Of a publication; by is the client that published it, or nil.
	data   string
	tags   int // in tagSets
	offset uint64
	epoch  string
	chains bool // after the one before it: a patch may be made
}

// move is what a client does to a channel.
type move uint8

const (
	stays move = iota
	joins
	leaves
)

// newPost is the next publication. Clients publish without tags.
func (c *crowd) newPost(s *stream, by *pipe) *post {
	n := len(c.posts)
	x := post{number: n, by: by, data: strconv.Itoa(n)}
	if s.options.DeltaPublish {
		x.data = patchable(n, c.rnd.IntN(6))
	}
	if by == nil {
		x.tags = c.rnd.IntN(len(tagSets))
	}
	c.posts = append(c.posts, x)
	return &c.posts[n]
}

// patchable is a payload that may look much like others, or not, and may be shorter than a patch.
func patchable(number, way int) string {
	switch way {
	case 0:
		return strconv.Itoa(number)
	case 1:
		return fmt.Sprintf(`{"n":%d,"text":"%s"}`, number, strings.Repeat(strconv.Itoa(number*7919), 20))
	case 2:
		return fmt.Sprintf(`{"n":%d,"text":"Łódź \"of %d ways\" — %s"}`, number, number%3, strings.Repeat("ü½𝄞 and on ", 8))
	}
	return fmt.Sprintf(`{"n":%d,"list":[%s],"way":%d}`, number, strings.Repeat(`"one and the same",`, 5)+"0", way)
}

// needsPatch reports that x must be a patch for somebody who has base: nobody can think it longer.
func needsPatch(x, base *post) bool {
	const alike = `"one and the same"`
	return x.chains && x.epoch == base.epoch && x.offset == base.offset+1 && strings.Contains(x.data, alike) && strings.Contains(base.data, alike)
}

// numberOf reads the number of a publication, -1 if it has none.
func numberOf(data []byte) int {
	if rest, ok := bytes.CutPrefix(data, []byte(`{"n":`)); ok {
		data, _, _ = bytes.Cut(rest, []byte(","))
	}
	if n, err := strconv.Atoi(string(data)); err == nil {
		return n
	}
	return -1
}

// reading is a payload of a publication that came in a frame, to somebody with a certain base.
type reading struct {
	of   *codec.Publication
	base int
}

// unfold reads the payload of p as a subscriber with deltas does whose last publication was number base, -1 if it had none.
func (c *crowd) unfold(in *content, p *codec.Publication, f codec.Form, base int) (number int, err error) {
	if n, ok := in.read[reading{p, base}]; ok {
		return n, nil
	}
	data := p.Data
	if f.Encoding() == codec.JSON {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return 0, fmt.Errorf("%s is not text: %w", data, err)
		}
		data = []byte(text)
	}
	if p.Delta {
		if base < 0 {
			return 0, fmt.Errorf("a patch without a base: %s", data)
		}
		if data, err = delta.Apply(nil, []byte(c.posts[base].data), data, 1<<20); err != nil {
			return 0, fmt.Errorf("patch %s of %s: %w", p.Data, c.posts[base].data, err)
		}
	}
	if number, err = c.whole(data); err == nil {
		if in.read == nil {
			in.read = map[reading]int{}
		}
		in.read[reading{p, base}] = number
	}
	return number, err
}

// whole finds the publication that data is the payload of.
func (c *crowd) whole(data []byte) (number int, err error) {
	n := numberOf(data)
	if n < 0 || n >= len(c.posts) || c.posts[n].data != string(data) {
		return 0, fmt.Errorf("nobody published %q", data)
	}
	return n, nil
}

// tagSets are the tags that publications have.
var tagSets = []map[string]string{
	nil,
	{"kind": "news"},
	{"kind": "newsflash", "rank": "3"},
	{"kind": "sport", "rank": "12.50"},
	{"kind": "", "rank": "-7"},
	{"rank": "100"},
	{"kind": "transport", "rank": "high"},
}

func sameTags(a, b map[string]string) bool { return len(a) == 0 && len(b) == 0 || maps.Equal(a, b) }
