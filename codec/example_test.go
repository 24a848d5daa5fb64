package codec_test

import (
	"fmt"

	"stentor/codec"
)

func ExampleDecodeCommand() {
	message := []byte(`{"id":2,"subscribe":{"channel":"news"}}` + "\n" + `{"id":3,"publish":{"channel":"news","data":{"n":5}}}`)
	var c codec.Command
	for len(message) > 0 {
		var err error
		if message, err = codec.DecodeCommand(codec.JSON, message, &c); err != nil {
			fmt.Println(err)
			return
		}
		switch c.Method {
		case codec.MethodSubscribe:
			fmt.Println(c.ID, c.Method, c.Subscribe.Channel)
		case codec.MethodPublish:
			fmt.Println(c.ID, c.Method, c.Publish.Channel, string(c.Publish.Data))
		}
	}
	// Output:
	// 2 subscribe news
	// 3 publish news {"n":5}
}

func ExampleNewFrame() {
	p := &codec.Publication{Offset: 5, Data: []byte(`{"n":5}`)}
	buf, err := codec.AppendPublication(make([]byte, codec.HeaderRoom, 128), codec.JSON, "news", p)
	if err != nil {
		fmt.Println(err)
		return
	}
	frame := codec.NewFrame(codec.JSON, buf)
	fmt.Printf("%q\n%q\n", frame.WebSocket(), frame.Messages())
	// Output:
	// "\x81={\"push\":{\"channel\":\"news\",\"pub\":{\"data\":{\"n\":5},\"offset\":5}}}"
	// "{\"push\":{\"channel\":\"news\",\"pub\":{\"data\":{\"n\":5},\"offset\":5}}}\n"
}
