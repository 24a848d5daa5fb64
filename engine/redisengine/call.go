package redisengine

import (
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// call is one command to Redis in the making: its keys and arguments, all of them in one piece of memory that is used again.
type call struct {
	buf  []byte
	keys []string
	args []string
}

// callKeptMax is how large a buffer may be that is kept for the next call, in bytes.
const callKeptMax = 16 << 10

var calls = sync.Pool{New: func() any { return new(call) }}

func newCall() *call {
	c := calls.Get().(*call)
	c.buf, c.keys, c.args = c.buf[:0], c.keys[:0], c.args[:0]
	return c
}

// done gives the memory back. It stays with the library if there was no answer: the command may still wait to be sent.
func (c *call) done(answer rueidis.RedisResult) {
	if answer.NonRedisError() == nil && cap(c.buf) <= callKeptMax {
		calls.Put(c)
	}
}

// text is what was appended to the buffer since it had the length from. It stays where it is if the buffer grows into other memory.
func (c *call) text(from int) string { return textOf(c.buf[from:len(c.buf):len(c.buf)]) }

// key adds a key that belongs to a channel.
func (c *call) key(n names, part, channel string) {
	c.keys = append(c.keys, c.name(n, part, channel))
}

// name writes the name that part has for a channel.
func (c *call) name(n names, part, channel string) string {
	from := len(c.buf)
	c.buf = n.append(c.buf, part, channel)
	return c.text(from)
}

// result adds the key of the result of an idempotency key.
func (c *call) result(n names, channel, idempotencyKey string) {
	from := len(c.buf)
	c.buf = append(append(n.append(c.buf, resultPart, channel), '.'), idempotencyKey...)
	c.keys = append(c.keys, c.text(from))
}

func (c *call) arg(s string) { c.args = append(c.args, s) }

func (c *call) number(v uint64) {
	from := len(c.buf)
	c.buf = strconv.AppendUint(c.buf, v, 10)
	c.args = append(c.args, c.text(from))
}

// milliseconds adds a time, 0 for none. What is less than a millisecond becomes one: Redis would remove the key at once.
func (c *call) milliseconds(d time.Duration) {
	if d > 0 {
		d = max(d, time.Millisecond)
	}
	c.number(uint64(max(d, 0) / time.Millisecond))
}

// flag adds a yes or no.
func (c *call) flag(yes bool) {
	if yes {
		c.arg("1")
	} else {
		c.arg("")
	}
}

// trim takes empty arguments off the end. Each argument costs Redis and us more than its bytes.
func (c *call) trim() {
	for len(c.args) > 0 && c.args[len(c.args)-1] == "" {
		c.args = c.args[:len(c.args)-1]
	}
}
