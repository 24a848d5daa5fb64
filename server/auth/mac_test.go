package auth

import (
	"crypto"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// TestMacs: what the library signs is verified, again and again and by many at once, and nothing else is.
func TestMacs(t *testing.T) {
	m, other := &macs{secret: []byte("secret")}, &macs{secret: []byte("other")}
	const signed = "header.claims"
	var all sync.WaitGroup
	for _, method := range []*jwt.SigningMethodHMAC{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
		good, err := method.Sign(signed, []byte("secret"))
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			all.Go(func() {
				for range 100 {
					bad := append([]byte(nil), good...)
					bad[len(bad)/2] ^= 1
					switch {
					case !m.verify(method.Hash, signed, good):
						t.Errorf("%s: a good signature is refused", method.Name)
					case m.verify(method.Hash, signed, bad), m.verify(method.Hash, signed+"x", good), other.verify(method.Hash, signed, good),
						m.verify(method.Hash, signed, good[:len(good)-1]), m.verify(method.Hash, signed, nil), m.verify(crypto.SHA256, "", good):
						t.Errorf("%s: a bad signature is taken", method.Name)
					}
				}
			})
		}
	}
	all.Wait()
}

// TestMacsAllocate: nothing, once a state is there.
func TestMacsAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector pools forget at random")
	}
	m := &macs{secret: []byte("secret")}
	signature, err := jwt.SigningMethodHS256.Sign("x", m.secret)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { m.verify(crypto.SHA256, "x", signature) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
