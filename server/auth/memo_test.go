package auth

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"stentor/server/config"
)

func randomEntries(n int) []memoEntry {
	r := rand.New(rand.NewPCG(1, 2))
	list := make([]memoEntry, n)
	for i := range list {
		binary.LittleEndian.PutUint64(list[i][:], r.Uint64())
		binary.LittleEndian.PutUint64(list[i][8:], r.Uint64())
	}
	return list
}

func TestMemo(t *testing.T) {
	m := newMemo()
	entries := randomEntries(2000)
	for _, e := range entries {
		if m.has(e) {
			t.Fatalf("%x was never added", e)
		}
		m.add(e)
		m.add(e)
		if !m.has(e) {
			t.Fatalf("%x is forgotten at once", e)
		}
	}
	found := 0
	for _, e := range entries {
		if m.has(e) {
			found++
		}
	}
	if found < len(entries)*9/10 {
		t.Errorf("of %d entries %d are left", len(entries), found)
	}
}

// TestMemoBound: a network comes back, with as many clients as a memo is made for, and then as many others. One shard stands
// for all.
func TestMemoBound(t *testing.T) {
	m := newMemo()
	entries := randomEntries(2 * memoEntriesMax)
	for i := range entries {
		entries[i][0] = 0
	}
	for _, e := range entries[:memoEntriesMax] {
		m.add(e)
	}
	found := 0
	for _, e := range entries[:memoEntriesMax] {
		if m.has(e) {
			found++
		}
	}
	if found < memoEntriesMax*3/4 {
		t.Errorf("of %d entries %d are left", memoEntriesMax, found)
	}
	for _, e := range entries[memoEntriesMax:] {
		m.add(e)
	}
	if s := &m.shards[0]; len(s.entries) != memoEntriesMax || s.used > len(s.entries) {
		t.Errorf("the shard has room for %d entries and %d are used", len(s.entries), s.used)
	}
}

// TestMemoEmpty: who has no key pairs pays next to nothing.
func TestMemoEmpty(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const verifiers = 100
	list := make([]*Verifier, verifiers)
	for i := range list {
		list[i] = verifier(t, config.Token{HMACSecretKey: secret}, false)
		if _, err := list[i].Connect(hs256(t, `{}`), now); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if bytes := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / verifiers; bytes > 8<<10 {
		t.Errorf("a verifier takes %d bytes", bytes)
	}
	runtime.KeepAlive(list)
}

// TestRemembered: a token that was right is judged again in everything but its signature, and nothing that was wrong gets in.
func TestRemembered(t *testing.T) {
	p := pairs()["ES512"]
	c := config.Token{ECDSAPublicKey: publicPEM(t, p)}
	v := verifier(t, c, false)
	token := signWith(t, p, "", `{"sub":"42","exp":1700000010}`)
	for at, want := range map[time.Duration]error{0: nil, 9 * time.Second: nil, 10 * time.Second: ErrExpired} {
		for range 2 {
			_, err := v.Connect(token, now.Add(at))
			check(t, err, want, "")
		}
	}
	// Exactly one signature is known: a bad one of the same token is not, and neither is the token to another key.
	last := token[len(token)-4:]
	bad := token[:len(token)-4] + map[bool]string{true: "AAAB", false: "AAAA"}[last == "AAAA"]
	_, err := v.Connect(bad, now)
	check(t, err, ErrInvalid, "")
	used := 0
	for i := range v.memo.shards {
		used += v.memo.shards[i].used
	}
	if used != 1 {
		t.Errorf("%d signatures are remembered", used)
	}
	s := signature{alg: algorithms["ES512"], signed: "a.b", bytes: []byte("cd")}
	k1, k2 := newKey(p.private.Public(), "", 0), newKey(pairs()["ES256"].private.Public(), "", 0)
	e := v.memo.entry(&s, &k1)
	moved := signature{alg: s.alg, signed: "a.bc", bytes: []byte("d")}
	if e == v.memo.entry(&s, &k2) || e == v.memo.entry(&moved, &k1) || e == newMemo().entry(&s, &k1) {
		t.Error("another key, other bytes and another seed have the same entry")
	}
}
