package reactor

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// rogue is a TLS 1.3 client that seals its records itself after the handshake, and so can send what crypto/tls would not.
type rogue struct {
	*client
	secret []byte // of what it sends
	seal   cipher.AEAD
	iv     []byte
	seq    uint64
}

// keyLog finds the client's first secret in what crypto/tls tells debuggers.
type keyLog struct {
	mu     sync.Mutex
	secret []byte
}

func (l *keyLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if words := strings.Fields(string(line)); words[0] == "CLIENT_TRAFFIC_SECRET_0" {
		l.secret, _ = hex.DecodeString(words[2])
	}
	return len(line), nil
}

func dialRogue(t *testing.T, r *Reactor) *rogue {
	t.Helper()
	log, config := new(keyLog), clientTLS(tls.VersionTLS13)
	config.KeyLogWriter = log
	c := &rogue{client: dialTLS(t, r, config), secret: log.secret}
	if suite := c.Conn.(*tls.Conn).ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("the rogue does not speak %s", tls.CipherSuiteName(suite))
	}
	c.rekey()
	return c
}

// expand is HKDF-Expand-Label of RFC 8446 section 7.1.
func (c *rogue) expand(label string, n int) []byte {
	info := append(binary.BigEndian.AppendUint16(nil, uint16(n)), byte(len("tls13 "+label)))
	out, err := hkdf.Expand(sha256.New, c.secret, string(info)+"tls13 "+label+"\x00", n)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

func (c *rogue) rekey() {
	block, err := aes.NewCipher(c.expand("key", 16))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.seal, err = cipher.NewGCM(block); err != nil {
		c.t.Fatal(err)
	}
	c.iv, c.seq = c.expand("iv", 12), 0
}

// append seals one record.
func (c *rogue) append(dst []byte, kind byte, body string) []byte {
	nonce := bytes.Clone(c.iv)
	for i := range 8 {
		nonce[4+i] ^= byte(c.seq >> (56 - 8*i))
	}
	c.seq++
	header := []byte{23, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(body)+1+c.seal.Overhead()))
	return c.seal.Seal(append(dst, header...), nonce, append([]byte(body), kind), header)
}

// appendKeyUpdate seals a key update, after which all is sealed with the next keys.
func (c *rogue) appendKeyUpdate(dst []byte, requested byte) []byte {
	dst = c.append(dst, 22, "\x18\x00\x00\x01"+string([]byte{requested}))
	c.secret = c.expand("traffic upd", sha256.Size)
	c.rekey()
	return dst
}

func (c *rogue) throw(raw []byte) {
	if _, err := c.Conn.(*tls.Conn).NetConn().Write(raw); err != nil {
		c.t.Log(err)
	}
}

func (c *rogue) upgrade() {
	c.t.Helper()
	c.throw(c.append(nil, 23, upgradeRequest()))
	c.upgraded()
}

// Key updates are honoured in both directions, between records and between a record and what is unsent.
func TestTLSKeyUpdates(t *testing.T) {
	r := start(t, Config{TLS: serverTLS()}, upgradeTo(echo))
	c := dialRogue(t, r)
	c.upgrade()
	for i := range 50 {
		msg := fmt.Sprint("message ", i)
		raw := c.append(nil, 23, text(msg)[:3])
		raw = c.appendKeyUpdate(raw, byte(i%2))
		c.throw(c.append(raw, 23, text(msg)[3:]))
		c.expect(msg)
	}
	if got := r.Stats().TLSBroken; got != 0 {
		t.Errorf("%d conns broken", got)
	}
}

// Records without data are bounded at once, whatever kind they are, and so is a message that takes more and more of them.
func TestTLSSilentRecords(t *testing.T) {
	for name, raw := range map[string]func(c *rogue) []byte{
		"key updates": func(c *rogue) (raw []byte) {
			for range 1000 {
				raw = c.appendKeyUpdate(raw, 1)
			}
			return raw
		},
		"key updates with data in between": func(c *rogue) (raw []byte) {
			for range 1000 {
				raw = c.append(c.appendKeyUpdate(raw, 0), 23, text("x"))
			}
			return raw
		},
		"empty records": func(c *rogue) (raw []byte) {
			for range 1000 {
				raw = c.append(raw, 23, "")
			}
			return raw
		},
		"warnings": func(c *rogue) (raw []byte) {
			for range 1000 {
				raw = c.append(raw, 21, "\x01\x5a")
			}
			return raw
		},
		"a certificate of 250 KB": func(c *rogue) []byte {
			raw := c.append(nil, 22, "\x0b\x03\xd0\x90"+strings.Repeat("x", 16000))
			for range 14 {
				raw = c.append(raw, 22, strings.Repeat("x", 16000))
			}
			return raw
		},
		"a ClientHello": func(c *rogue) []byte { return c.append(nil, 22, "\x01\x00\x00\x02\x03\x03") },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, Config{TLS: serverTLS()}, upgradeTo(silent))
			c := dialRogue(t, r)
			c.upgrade()
			c.throw(raw(c))
			eventually(t, "broken", func() bool { return r.Stats().TLSBroken == 1 })
			_, _ = io.Copy(io.Discard, c.in)
			c.Conn.(*tls.Conn).NetConn().Close()
			eventually(t, "gone", func() bool { return r.Stats().Conns == 0 })
		})
	}
}

// Half a message of TLS itself is memory like half a message of ours, and has the same deadline, also if it trickles in.
func TestTLSHalfHandshakeMessage(t *testing.T) {
	t.Parallel() // it waits most of the time
	router, ch := conns(silent)
	r := start(t, Config{TLS: serverTLS(), FragmentTimeout: 300 * time.Millisecond}, router)
	const half = "\x0b\x00\x3f\x00"
	for _, trickles := range []bool{false, true} {
		c := dialRogue(t, r)
		c.upgrade()
		s := <-ch
		c.throw(c.append(nil, 22, half+strings.Repeat("x", 12000)))
		eventually(t, "it is accounted for", func() bool { return r.Stats().QueuedBytes >= 12000 })
		onLoop(r, 0, func() {
			if s.weight() < 12000 || len(r.drivers[0].holders) != 1 {
				t.Errorf("it weighs %d, %d hold memory", s.weight(), len(r.drivers[0].holders))
			}
		})
		eventually(t, "closed", func() bool {
			if trickles {
				time.Sleep(20 * time.Millisecond)
				c.throw(c.append(nil, 22, "x"))
			}
			var code uint16
			onLoop(r, 0, func() { code = s.CloseCode() })
			return code == 1008
		})
		if n := r.Stats().TLSBroken; n > 0 {
			t.Errorf("%d broken", n)
		}
		c.expectClose(1008, "message not completed in time")
		c.Close()
		eventually(t, "gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })
	}
	// What has ended does not run out of time.
	c := dialRogue(t, r)
	c.upgrade()
	s := <-ch
	c.throw(c.append(nil, 22, "\x18\x00\x00"))
	eventually(t, "a deadline", func() (is bool) { onLoop(r, 0, func() { is = s.partialAt != 0 && s.secured().rest > 0 }); return is })
	c.throw(c.append(nil, 22, "\x01\x00"))
	c.secret = c.expand("traffic upd", sha256.Size)
	c.rekey()
	eventually(t, "none", func() (is bool) { onLoop(r, 0, func() { is = s.partialAt == 0 && s.secured().rest == 0 }); return is })
}

// Answers to key updates do not pile up for a client that takes none.
func TestTLSKeyUpdateAnswersAreBounded(t *testing.T) {
	t.Parallel() // it waits most of the time
	r := start(t, Config{TLS: serverTLS(), SendBufferBytes: 4 << 10}, upgradeTo(silent))
	c := dialRogue(t, r)
	c.upgrade()
	for deadline := time.Now().Add(waitMax); r.Stats().Conns > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the conn lives on")
		}
		raw := c.append(nil, 23, text("x"))
		for range silentRecordsMax / 2 {
			raw = c.appendKeyUpdate(raw, 1)
		}
		if _, err := c.Conn.(*tls.Conn).NetConn().Write(raw); err != nil {
			break
		}
	}
	eventually(t, "gone", func() bool { s := r.Stats(); return s.Conns == 0 && s.QueuedBytes == 0 })
}
