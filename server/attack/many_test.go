package attack

import (
	"fmt"
	"strings"
	"testing"

	"stentor/codec"
	"stentor/codec/ws"
	"stentor/server/config"
)

// TestManyCommands is the part of group 17 that needs larger messages than the default.
func TestManyCommands(t *testing.T) {
	s := attack(t, newHouse(t, func(cfg *config.Config) { cfg.WebSocket.MessageSizeLimit = 1 << 20 }))
	s.row("10,000 commands in a frame", func(t *testing.T) {
		c := joined(t, s.house, codec.JSON, "many")
		var b strings.Builder
		for id := 100; id < 10_100; id++ {
			fmt.Fprintf(&b, `{"id":%d,"unsubscribe":{"channel":"x"}}`+"\n", id)
		}
		c.say(text(b.String()))
		for next := uint32(100); next < 10_100; {
			for _, r := range c.replies() {
				if r.ID != next || r.Unsubscribe == nil {
					t.Fatalf("heard %+v, want the reply to %d", r, next)
				}
				next++
			}
		}
		c.say(closing(1000))
		c.expectClose(1000, "")
	})
	s.row("3,000 publications in a frame", func(t *testing.T) {
		c := joined(t, s.house, codec.JSON, "many")
		var b strings.Builder
		for id := 100; id < 3_100; id++ {
			fmt.Fprintf(&b, `{"id":%d,"publish":{"channel":"many","data":%d}}`+"\n", id, id)
		}
		c.say(text(b.String()))
		s.witness()
		// Each publication comes before its reply, and they come in order.
		push, reply := 100, uint32(100)
		for reply < 3_100 {
			for _, r := range c.replies() {
				switch {
				case r.Push != nil && string(r.Push.Pub.Data) == fmt.Sprint(push):
					push++
				case r.Push == nil && r.ID == reply && r.Error == nil && push > int(reply):
					reply++
				default:
					t.Fatalf("heard %+v behind publication %d and reply %d", r, push-1, reply-1)
				}
			}
		}
		c.say(closing(1000))
		c.expectClose(1000, "")
	})
	s.row("200,000 pongs in a frame", func(t *testing.T) {
		c := joined(t, s.house, codec.JSON, "many")
		c.say(text(strings.Repeat("{}\n", 200_000)))
		c.expectClose(3501, "bad request")
	})
	s.row("message nested 500,000 deep", func(t *testing.T) {
		c := joined(t, s.house, codec.JSON, "many")
		c.say(text(`{"id":9,"rpc":{"data":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + `}}`))
		c.expectClose(3501, "bad request")
	})
	// What a Protobuf client publishes need not be JSON. Either it is refused, or those who read JSON are told why they cannot go on;
	// nobody ever reads a text that is not one.
	for _, data := range []string{"\x00\xff", "", " ", "{", "1 2", "\"a\"\n{\"push\":{\"channel\":\"mixed\",\"pub\":{\"data\":\"forged\"}}}"} {
		s.row(fmt.Sprintf("payload that is no JSON/%q", data), func(t *testing.T) {
			publisher := joined(t, s.house, codec.Protobuf)
			reader := joined(t, s.house, codec.JSON, "mixed")
			publisher.say(publisher.commands(&codec.Command{ID: 9, Method: codec.MethodPublish, Publish: codec.PublishRequest{Channel: "mixed", Data: []byte(data)}}))
			all := publisher.replies()
			if len(all) == 1 && all[0].ID == 9 && errorCode(&all[0]) == 107 {
				return
			}
			if len(all) != 1 || all[0].ID != 9 || errorCode(&all[0]) != 0 {
				t.Fatalf("heard %+v", all)
			}
			reader.expectClose(3506, "inappropriate protocol")
		})
	}
	s.row("payload with line ends", func(t *testing.T) {
		publisher := joined(t, s.house, codec.Protobuf)
		reader := joined(t, s.house, codec.JSON, "lines")
		publisher.say(publisher.commands(&codec.Command{ID: 9, Method: codec.MethodPublish, Publish: codec.PublishRequest{Channel: "lines", Data: []byte("[1,\n\r\n2]")}}))
		publisher.expectReply(9, 0)
		op, payload, err := reader.hear()
		if err != nil || op != ws.OpText || strings.Contains(payload, "\n") {
			t.Fatalf("heard %v %q (%v), want one line", op, payload, err)
		}
	})
}
