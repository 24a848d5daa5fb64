package attack

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"stentor/codec"
)

// misuse is a message and what answers it: replies, by id and error code, and a close code if the client is thrown out.
type misuse struct {
	name    string
	message string
	replies string // "id:code", as many as there are
	code    uint16
}

const pub = `{"id":2,"publish":{"channel":"misused","data":1}}`

// beforeConnect are first messages.
func beforeConnect() []misuse {
	return []misuse{
		{"subscribe", `{"id":1,"subscribe":{"channel":"x"}}`, "", 3501},
		{"publish", pub, "", 3501},
		{"unsubscribe", `{"id":1,"unsubscribe":{"channel":"x"}}`, "", 3501},
		{"presence", `{"id":1,"presence":{"channel":"x"}}`, "", 3501},
		{"presence_stats", `{"id":1,"presence_stats":{"channel":"x"}}`, "", 3501},
		{"history", `{"id":1,"history":{"channel":"x"}}`, "", 3501},
		{"rpc", `{"id":1,"rpc":{"method":"x"}}`, "", 3501},
		{"refresh", `{"id":1,"refresh":{"token":"x"}}`, "", 3501},
		{"sub_refresh", `{"id":1,"sub_refresh":{"channel":"x","token":"y"}}`, "", 3501},
		{"send", `{"send":{"data":{}}}`, "", 3501},
		{"unknown method", `{"id":1,"explode":{}}`, "", 3501},
		{"subscribe in front of connect", `{"id":1,"subscribe":{"channel":"x"}}` + "\n" + `{"id":2,"connect":{}}`, "", 3501},
		{"connect with id -1", `{"id":-1,"connect":{}}`, "", 3501},
		{"connect with id 2^32-1", `{"id":4294967295,"connect":{}}`, "4294967295:0", 0},
		{"pong", `{}`, "", 3501},
		{"connect with id 0", `{"connect":{}}`, "", 3501},
		{"connect that is null", `{"id":1,"connect":null}`, "", 3501},
		{"connect that is no object", `{"id":1,"connect":[]}`, "", 3501},
		{"token without end", `{"id":1,"connect":{"token":"` + strings.Repeat("x.", 30_000) + `"}}`, "", 3500},
		{"token of dots", `{"id":1,"connect":{"token":"` + strings.Repeat(".", 60_000) + `"}}`, "", 3500},
		{"2,000 headers and 128 subscriptions", `{"id":1,"connect":{"headers":{` + members(2000, `"%d":"x"`) + `},"subs":{` + members(128, `"%d":{}`) + `}}}`, "1:0", 0},
		{"5,000 subscriptions", `{"id":1,"connect":{"subs":{` + members(5000, `"%d":{}`) + `}}}`, "", 3505},
		{"two connects in a message", `{"id":1,"connect":{}}` + "\n" + `{"id":2,"connect":{}}`, "1:0", 3501},
		{"bytes", "\x00\x01\x02", "", 3501},
	}
}

// inSession are messages of a client that is connected; misused is its channel.
func inSession() []misuse {
	return []misuse{
		{"empty", "", "", 3501},
		{"newline", "\n", "", 3501},
		{"empty line between commands", `{"id":2,"unsubscribe":{"channel":"x"}}` + "\n\n" + pub, "2:0", 3501},
		{"empty object", `{}`, "", 3501},
		{"null", `null`, "", 3501},
		{"list", `[` + pub + `]`, "", 3501},
		{"string", `"` + "x" + `"`, "", 3501},
		{"text behind a command", pub + "x", "", 3501},
		{"bad command behind a good one", `{"id":2,"unsubscribe":{"channel":"x"}}` + "\n" + `{`, "2:0", 3501},
		{"cut off", pub[:len(pub)-1], "", 3501},
		{"comma at the end", `{"id":2,"unsubscribe":{"channel":"x"},}`, "", 3501},
		{"comment", `{"id":2,/**/"unsubscribe":{"channel":"x"}}`, "", 3501},
		{"single quotes", `{'id':2,'unsubscribe':{'channel':'x'}}`, "", 3501},
		{"byte order mark", "\xef\xbb\xbf" + pub, "", 3501},
		{"control character in a string", "{\"id\":2,\"unsubscribe\":{\"channel\":\"a\x01b\"}}", "", 3501},
		{"second connect", `{"id":2,"connect":{}}`, "", 3501},
		{"ping command", `{"id":2,"ping":{}}`, "", 3501},
		{"unknown method", `{"id":2,"explode":{}}`, "", 3501},
		{"no method", `{"id":2}`, "", 3501},
		{"send", `{"send":{"data":{}}}`, "", 3508},
		{"send with an id", `{"id":2,"send":{"data":{}}}`, "", 3508},
		{"id 0", `{"id":0,"subscribe":{"channel":"x"}}`, "", 3501},
		{"id of -1", `{"id":-1,"subscribe":{"channel":"x"}}`, "", 3501},
		{"id of 2^32-1", `{"id":4294967295,"unsubscribe":{"channel":"x"}}`, "4294967295:0", 0},
		{"id of 2^32", `{"id":4294967296,"unsubscribe":{"channel":"x"}}`, "", 3501},
		{"id of 1e309", `{"id":1e309,"unsubscribe":{"channel":"x"}}`, "", 3501},
		{"id that is a fraction", `{"id":1.5,"unsubscribe":{"channel":"x"}}`, "", 3501},
		{"id that is a string", `{"id":"2","unsubscribe":{"channel":"x"}}`, "", 3501},
		{"id with a leading zero", `{"id":02,"unsubscribe":{"channel":"x"}}`, "", 3501},
		{"id of 60,000 digits", `{"id":` + strings.Repeat("9", 60_000) + `,"unsubscribe":{"channel":"x"}}`, "", 3501},
		{"offset of 2^64-1", `{"id":2,"subscribe":{"channel":"x","recover":true,"offset":18446744073709551615}}`, "2:0", 0},
		{"offset of 2^64", `{"id":2,"subscribe":{"channel":"x","recover":true,"offset":18446744073709551616}}`, "", 3501},
		{"offset of -1", `{"id":2,"subscribe":{"channel":"x","recover":true,"offset":-1}}`, "", 3501},
		{"payload of a huge number", `{"id":2,"rpc":{"data":1e999999999}}`, "2:108", 0},
		{"payload nested 1,000 deep", `{"id":2,"rpc":{"data":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}}`, "2:108", 0},
		{"payload nested 30,000 deep", `{"id":2,"rpc":{"data":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `}}`, "", 3501},
		{"payload opened 60,000 deep", `{"id":2,"rpc":{"data":` + strings.Repeat("[", 60_000), "", 3501},
		{"payload of objects nested 9,000 deep", `{"id":2,"rpc":{"data":` + strings.Repeat(`{"a":`, 9_000) + "1" + strings.Repeat("}", 9_000) + `}}`, "", 3501},
		{"unknown key nested 30,000 deep", `{"x":` + strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000) + `,"id":2,"unsubscribe":{"channel":"x"}}`, "", 3501},
		{"filter nested 5,000 deep", `{"id":2,"subscribe":{"channel":"x","tf":` + strings.Repeat(`{"nodes":[`, 5_000) + "{}" + strings.Repeat(`]}`, 5_000) + `}}`, "", 3501},
		{"filter of 10,000 values", `{"id":2,"subscribe":{"channel":"x","tf":{"op":"in","vals":[` + strings.Repeat(`"a",`, 10_000) + `"a"]}}}`, "2:107", 0},
		{"duplicate id", `{"id":2,"id":3,"unsubscribe":{"channel":"x"}}`, "3:0", 0},
		{"duplicate method", `{"id":2,"unsubscribe":{"channel":"x"},"unsubscribe":{}}`, "2:0", 0},
		{"two methods", `{"id":2,"unsubscribe":{},"subscribe":{"channel":"misused"}}`, "2:105", 0},
		{"empty channel", `{"id":2,"subscribe":{"channel":""}}`, "", 3501},
		{"unsubscribe from no channel", `{"id":2,"unsubscribe":{}}`, "", 3501},
		{"publish to no channel", `{"id":2,"publish":{"data":1}}`, "", 3501},
		{"publish without data", `{"id":2,"publish":{"channel":"misused"}}`, "2:107", 0},
		{"escaped NUL in a channel", `{"id":2,"subscribe":{"channel":"a\u0000b"}}`, "2:107", 0},
		{"escaped newline in a channel", `{"id":2,"subscribe":{"channel":"a\nb"}}`, "2:107", 0},
		{"lone high surrogate in a channel", `{"id":2,"subscribe":{"channel":"a\ud800b"}}`, "2:107", 0},
		{"lone low surrogate in a channel", `{"id":2,"subscribe":{"channel":"\udc00"}}`, "2:107", 0},
		{"surrogates in the wrong order", `{"id":2,"subscribe":{"channel":"\udc00\ud800"}}`, "2:107", 0},
		{"half an escape", `{"id":2,"subscribe":{"channel":"a\ud80"}}`, "", 3501},
		{"unknown escape", `{"id":2,"subscribe":{"channel":"a\x41"}}`, "", 3501},
		{"channel of 60,000 bytes", `{"id":2,"subscribe":{"channel":"` + strings.Repeat("c", 60_000) + `"}}`, "2:107", 0},
		{"unknown namespace", `{"id":2,"subscribe":{"channel":"no:such"}}`, "2:102", 0},
		{"unknown namespace without end", `{"id":2,"subscribe":{"channel":"` + strings.Repeat(":", 60_000) + `"}}`, "2:107", 0},
		{"same channel twice", `{"id":2,"subscribe":{"channel":"misused"}}`, "2:105", 0},
		{"refresh without a token", `{"id":2,"refresh":{}}`, "", 3501},
		{"refresh with a bad token", `{"id":2,"refresh":{"token":"a.b.c"}}`, "", 3500},
		{"sub_refresh of a channel that it is not on", `{"id":2,"sub_refresh":{"channel":"x","token":"y"}}`, "2:103", 0},
		{"presence", `{"id":2,"presence":{"channel":"misused"}}`, "2:108", 0},
		{"history", `{"id":2,"history":{"channel":"misused","limit":-1}}`, "2:108", 0},
		{"history limit of -2^31", `{"id":2,"history":{"channel":"misused","limit":-2147483648}}`, "2:108", 0},
		{"history limit of -2^31-1", `{"id":2,"history":{"channel":"misused","limit":-2147483649}}`, "", 3501},
		{"history limit of 2^31", `{"id":2,"history":{"channel":"misused","limit":2147483648}}`, "", 3501},
		{"history limit that is a fraction", `{"id":2,"history":{"channel":"misused","limit":0.5}}`, "", 3501},
		{"history since 2^64", `{"id":2,"history":{"channel":"misused","since":{"offset":18446744073709551616}}}`, "", 3501},
		{"history since -1", `{"id":2,"history":{"channel":"misused","since":{"offset":-1}}}`, "", 3501},
		{"history since nothing", `{"id":2,"history":{"channel":"misused","since":null}}`, "2:108", 0},
		{"publication that looks like protocol", `{"id":2,"publish":{"channel":"x","data":"\n{\"id\":9}\n"}}`, "2:0", 0},
		{"good command and Protobuf", `{"id":2,"unsubscribe":{"channel":"x"}}` + "\n" + delimited([]byte(id2+string(field(6, field(1, 'x')...)))...), "2:0", 3501},
		{"Protobuf", "\x0d\x08\x02\x3a\x09\x0a\x01x\x12\x04null", "", 3501},
	}
}

func members(n int, format string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(all, ",")
}

// delimited is a Protobuf message in a frame of commands.
func delimited(message ...byte) string {
	return string(protowire.AppendBytes(nil, message))
}

// field is one field of a Protobuf message, of bytes.
func field(n protowire.Number, value ...byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, n, protowire.BytesType), value)
}

func nested(n protowire.Number, depth int) (message []byte) {
	for range depth {
		message = field(n, message...)
	}
	return message
}

// manySubs are fields of a connect command, subs.
func manySubs(n int) (fields []byte) {
	for i := range n {
		fields = append(fields, field(3, append(field(1, fmt.Append(nil, i)...), field(2)...)...)...)
	}
	return fields
}

// id2 is the id of a command, in Protobuf.
const id2 = "\x08\x02"

func protobufBeforeConnect() []misuse {
	return []misuse{
		{"pong", "\x00", "", 3501},
		{"subscribe", delimited([]byte(id2 + string(field(5, field(1, 'x')...)))...), "", 3501},
		{"publish", delimited([]byte(id2 + string(field(7, field(1, 'x')...)))...), "", 3501},
		{"presence", delimited([]byte(id2 + string(field(8, field(1, 'x')...)))...), "", 3501},
		{"presence_stats", delimited([]byte(id2 + string(field(9, field(1, 'x')...)))...), "", 3501},
		{"history", delimited([]byte(id2 + string(field(10, field(1, 'x')...)))...), "", 3501},
		{"rpc", delimited([]byte(id2 + string(field(13)))...), "", 3501},
		{"refresh", delimited([]byte(id2 + string(field(14, field(1, 'x')...)))...), "", 3501},
		{"sub_refresh", delimited([]byte(id2 + string(field(15, field(1, 'x')...)))...), "", 3501},
		{"send", delimited(field(12)...), "", 3501},
		{"unknown method", delimited([]byte(id2 + string(field(99)))...), "", 3501},
		{"connect with id 0", delimited(field(4)...), "", 3501},
		{"connect with id 2^32-1", delimited([]byte("\x08\xff\xff\xff\xff\x0f" + string(field(4)))...), "4294967295:0", 0},
		{"two connects in a message", strings.Repeat(delimited([]byte(id2+string(field(4)))...), 2), "2:0", 3501},
		{"5,000 subscriptions", delimited([]byte(id2 + string(field(4, manySubs(5000)...)))...), "", 3505},
		{"JSON", `{"id":1,"connect":{}}`, "", 3501},
		{"5,000 headers", delimited([]byte(id2 + string(field(4, []byte(strings.Repeat(string(field(6)), 5000))...)))...), "2:0", 0},
	}
}

func protobufInSession() []misuse {
	return []misuse{
		{"empty", "", "", 3501},
		{"length over the frame", "\x7f" + id2, "", 3501},
		{"length of 2^31", "\x80\x80\x80\x80\x08" + id2, "", 3501},
		{"length of 2^63", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01" + id2, "", 3501},
		{"length of 2^64-1", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + id2, "", 3501},
		{"length over 64 bits", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02" + id2, "", 3501},
		{"length of eleven bytes", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01" + id2, "", 3501},
		{"length without end", strings.Repeat("\x80", 1000), "", 3501},
		{"length cut off", "\x80", "", 3501},
		{"good command and a length over the frame", delimited([]byte(id2+string(field(6, field(1, 'x')...)))...) + "\x7f", "2:0", 3501},
		{"varint of eleven bytes", delimited([]byte("\x08" + strings.Repeat("\x80", 10) + "\x01")...), "", 3501},
		{"varint cut off", delimited([]byte("\x08\x80")...), "", 3501},
		{"no varint", delimited([]byte("\x08")...), "", 3501},
		{"id over 32 bits", delimited([]byte("\x08\x82\x80\x80\x80\x10" + string(field(6, field(1, 'x')...)))...), "2:0", 0}, // as Protobuf has it
		{"id of 2^32-1", delimited([]byte("\x08\xff\xff\xff\xff\x0f" + string(field(6, field(1, 'x')...)))...), "4294967295:0", 0},
		{"id of -1", delimited([]byte("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + string(field(6, field(1, 'x')...)))...), "4294967295:0", 0}, // likewise
		{"id 0", delimited(field(5, field(1, 'x')...)...), "", 3501},
		{"no id", delimited([]byte("\x08\x00" + string(field(5, field(1, 'x')...)))...), "", 3501},
		{"unknown method", delimited([]byte(id2 + string(field(99)))...), "", 3501},
		{"no method", delimited([]byte(id2)...), "", 3501},
		{"ping command", delimited([]byte(id2 + string(field(11)))...), "", 3501},
		{"duplicate id", delimited([]byte("\x08\x03" + id2 + string(field(6, field(1, 'x')...)))...), "2:0", 0},
		{"duplicate method", delimited([]byte(id2 + string(field(6, field(1, 'x')...)) + string(field(6)))...), "2:0", 0}, // they are merged
		{"duplicate channel", delimited([]byte(id2 + string(field(5, append(field(1, 'x'), field(1, []byte("misused")...)...)...)))...), "2:105", 0},
		{"two methods", delimited([]byte(id2 + string(field(6, field(1, 'x')...)) + string(field(5, field(1, []byte("misused")...)...)))...), "2:105", 0},
		{"empty channel", delimited([]byte(id2 + string(field(5)))...), "", 3501},
		{"channel of 60,000 bytes", delimited([]byte(id2 + string(field(5, field(1, []byte(strings.Repeat("c", 60_000))...)...)))...), "2:107", 0},
		{"channel with half a surrogate", delimited([]byte(id2 + string(field(5, field(1, 'a', 0xed, 0xa0, 0x80)...)))...), "", 3501},
		{"offset of 2^64-1", delimited([]byte(id2 + string(field(5, []byte("\x0a\x01x\x18\x01\x38\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")...)))...), "2:0", 0},
		{"good command and JSON", delimited([]byte(id2+string(field(6, field(1, 'x')...)))...) + `{"id":3,"unsubscribe":{"channel":"x"}}`, "2:0", 3501},
		{"inner length over the message", delimited([]byte(id2 + "\x32\x7f\x0a")...), "", 3501},
		{"inner length of 2^63", delimited([]byte(id2 + "\x32\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")...), "", 3501},
		{"inner length of 2^64-1", delimited([]byte(id2 + "\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")...), "", 3501},
		{"string length over its message", delimited([]byte(id2 + string(field(6, []byte("\x0a\x7fx")...)))...), "", 3501},
		{"field number 0", delimited([]byte(id2 + "\x02\x00")...), "", 3501},
		{"field number over 2^29", delimited([]byte(id2 + "\xfa\xff\xff\xff\xff\x01\x00")...), "", 3501},
		{"wire type 6", delimited([]byte(id2 + "\x36")...), "", 3501},
		{"wire type 7", delimited([]byte(id2 + "\x37")...), "", 3501},
		{"wrong wire type of the id", delimited([]byte("\x0a\x01x")...), "", 3501},
		{"end of a group that has not begun", delimited([]byte(id2 + "\xa4\x06")...), "", 3501},
		{"group that does not end", delimited([]byte(id2 + "\xa3\x06")...), "", 3501},
		{"groups nested 15,000 deep", delimited([]byte(id2 + strings.Repeat("\xa3\x06", 15_000) + strings.Repeat("\xa4\x06", 15_000))...), "", 3501},
		{"filter nested 2,000 deep", delimited([]byte(id2 + string(field(5, field(13, nested(6, 2000)...)...)))...), "", 3501},
		{"filter of 20,000 empty nodes", delimited([]byte(id2 + string(field(5, append(field(1, 'x'), field(13, []byte(strings.Repeat(string(field(6)), 20_000))...)...)...)))...), "2:107", 0},
		{"unknown fields", delimited([]byte(id2 + strings.Repeat(string(field(1000)), 5000) + string(field(6, field(1, 'x')...)))...), "2:0", 0},
		{"channel that is not UTF-8", delimited([]byte(id2 + string(field(5, field(1, 0xff, 0xfe)...)))...), "", 3501},
		{"channel with NUL", delimited([]byte(id2 + string(field(5, field(1, 'a', 0, 'b')...)))...), "2:107", 0},
		{"second connect", delimited([]byte(id2 + string(field(4)))...), "", 3501},
		{"send", delimited(field(12)...), "", 3508},
		{"JSON", `{"id":2,"unsubscribe":{"channel":"x"}}`, "", 3501},
		{"10,000 commands in a frame", strings.Repeat(delimited([]byte(id2+string(field(13)))...), 10_000), strings.TrimSpace(strings.Repeat("2:108 ", 10_000)), 0},
	}
}

// TestProtocolMisuse is group 17: commands that a client must not send, or not then, or not like that.
func TestProtocolMisuse(t *testing.T) {
	s := attack(t, common)
	for _, table := range []struct {
		form  codec.Form
		fresh bool
		rows  []misuse
	}{
		{codec.JSON, true, beforeConnect()},
		{codec.JSON, false, inSession()},
		{codec.Protobuf, true, protobufBeforeConnect()},
		{codec.Protobuf, false, protobufInSession()},
	} {
		for _, test := range table.rows {
			s.row(fmt.Sprintf("%v/fresh=%v/%s", table.form, table.fresh, test.name), func(t *testing.T) {
				c := upgraded(t, common, table.form)
				if !table.fresh {
					c.join("misused")
				}
				c.say(frame(c.opCode(), true, test.message))
				c.expectMisuse(test)
			})
		}
	}
}

// expectMisuse hears what answers a misuse. A client that is not thrown out goes on as before.
func (c *client) expectMisuse(test misuse) {
	c.r.Helper()
	var heard []string
	for len(heard) < len(strings.Fields(test.replies)) {
		for _, r := range c.replies() {
			heard = append(heard, fmt.Sprintf("%d:%d", r.ID, errorCode(&r)))
		}
	}
	if got := strings.Join(heard, " "); got != test.replies {
		c.r.Fatalf("heard %.500s, want %.500s", got, test.replies)
	}
	if test.code != 0 {
		c.expectClose(test.code, anyReason)
		return
	}
	c.say(c.commands(&codec.Command{ID: 77, Method: codec.MethodUnsubscribe, Unsubscribe: codec.UnsubscribeRequest{Channel: "misused"}}))
	c.expectReply(77, 0)
	c.say(closing(1000))
	c.expectClose(1000, "")
}
