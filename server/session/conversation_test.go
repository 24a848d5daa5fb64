package session

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"stentor/codec"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata/*.txt")

// TestConversations plays every file of testdata twice, once with JSON clients and once with Protobuf clients: the answers must
// be the same. They are shown as JSON, a payload that is none in quotes, and what a client sends is written as JSON too; only what
// is no command goes to the server as it stands. A client whose form matters says which it has when it opens.
//
// A line is one or more of these, with " && " between those that happen before the loop turns again:
//
//	# …                     a comment
//	config …                options, JSON; only before the first client
//	open NAME [WORDS]       a client's pipe opens. "json" or "protobuf" is its form; with "pongs" it answers pings by itself and
//	                        keeps quiet about them; "user=U" is what the trusted HTTP header says; with "framepings" the pipe
//	                        has pings of its own, and with "deaf" they fail
//	NAME pong               the pong of such a ping comes
//	NAME> COMMANDS          the client sends a message; \n parts commands, and hex:… is taken as bytes
//	NAME close              the pipe goes
//	api publish CHANNEL DATA
//	api tagged CHANNEL KEY=VALUE,… DATA     with tags
//	api version CHANNEL NUMBER[/EPOCH] DATA
//	api history_remove CHANNEL
//	api disconnect USER CODE REASON
//	api unsubscribe USER CHANNEL        "*" is every channel
//	api subscribe USER CHANNEL JSON     the fields of the server API; expire_at is in seconds from now
//	api refresh USER JSON               likewise
//	api shutdown            the node sends everybody away
//	engine broken|full|well what the engine answers from now on
//	far hold|go             with an engine that is not local: nothing comes back from there, until it goes on
//	far refusing|well       it takes no new channels, or does
//	wait DURATION           time passes
//	jump DURATION           the wall clock is set; no time passes
//
// USER may be USER/NAME for one client only, or USER!NAME to spare one. In what a client sends, {{token USER WORDS}} stands for a
// token of that user ("-" is nobody) signed with "secret". Of its words "30s" is when it expires, and "claim=JSON" anything else.
//
//	NAME< …                 what the client then receives, one line each message; "NAME! CODE REASON" is its end
//
// Run with -update to rewrite the answers, and review the diff.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations: %v", err)
	}
	for _, file := range files {
		for f := range codec.Form(codec.NumForms) {
			t.Run(fmt.Sprintf("%s/%v", strings.TrimSuffix(filepath.Base(file), ".txt"), f), func(t *testing.T) {
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				got := play(t, string(want), f)
				if *update && f == codec.JSON {
					if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				if got != string(want) {
					t.Errorf("%s differs; this is what happened:\n%s", file, got)
				}
			})
		}
	}
}

// play runs the inputs of a conversation, with clients of form f, and returns it with the answers that came. The clock of the
// bubble stands still, so that turns of the loop do not end early on a busy machine.
func play(t *testing.T, script string, f codec.Form) (played string) {
	synctest.Test(t, func(t *testing.T) { played = newStage(t).play(script, f) })
	return played
}

func (st *stage) play(script string, f codec.Form) string {
	st.form = f
	var out strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if isAnswer(line) {
			continue
		}
		fmt.Fprintln(&out, line)
		if line != "" && line[0] != '#' {
			for one := range strings.SplitSeq(line, " && ") {
				st.do(one)
			}
			st.turn()
		}
		for _, name := range st.order {
			for _, heard := range st.actors[name].takeHeard() {
				fmt.Fprintln(&out, st.stable(heard))
			}
		}
	}
	return out.String()
}

func isAnswer(line string) bool {
	word, _, _ := strings.Cut(line, " ")
	return strings.HasSuffix(word, "<") || strings.HasSuffix(word, "!")
}
