package reactor

import "testing"

func TestEcho(t *testing.T) {
	r := start(t, Config{Loops: 2}, upgradeTo(echo))
	c := dialWS(t, r)
	c.say(text("hello"))
	c.expect("hello")
	c.say(text("a") + text("b") + text(""))
	c.expect("a")
	c.expect("b")
	c.expect("")
	c.say(clientClose(1000, "bye"))
	c.expectClose(1000, "")
	c.expectEnd()
}
