package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseKeys(t *testing.T) {
	all := pairs()
	rs, es, es384, es512, ed := all["RS256"], all["ES256"], all["ES384"], all["ES512"], all["EdDSA"]
	long := strings.Repeat("k", KeyIDBytesMax)
	x := jwk(t, es, "k", nil)["x"].(string)
	one := func(p pair, set map[string]any) string { return jwks(t, jwk(t, p, "k", set)) }

	tests := []struct {
		name, document string
		want           map[keyID]string // flaws; the keys without one can be used
	}{
		{"all kinds under one kid", jwks(t, jwk(t, rs, "k", nil), jwk(t, es, "k", nil), jwk(t, es384, "k", nil), jwk(t, es512, "k", nil), jwk(t, ed, "k", nil)),
			map[keyID]string{{"k", kindRSA}: "", {"k", kindP256}: "", {"k", kindP384}: "", {"k", kindP521}: "", {"k", kindEd25519}: ""}},
		{"without use", one(rs, map[string]any{"use": nil}), map[keyID]string{{"k", kindRSA}: ""}},
		{"with key_ops", one(rs, map[string]any{"key_ops": []string{"sign", "verify"}}), map[keyID]string{{"k", kindRSA}: ""}},
		{"with more", one(rs, map[string]any{"x5c": []string{"x"}, "x5t": "x", "ext": true}), map[keyID]string{{"k", kindRSA}: ""}},
		{"the longest kid", jwks(t, jwk(t, rs, long, nil)), map[keyID]string{{long, kindRSA}: ""}},
		{"kid too long", jwks(t, jwk(t, rs, long+"k", nil)), map[keyID]string{}},
		{"no kid", one(rs, map[string]any{"kid": nil}), map[keyID]string{}},
		{"kid a number", one(rs, map[string]any{"kid": 7}), map[keyID]string{}},
		{"for encryption", one(rs, map[string]any{"use": "enc"}), map[keyID]string{{"k", kindRSA}: `is not for signatures (use is "enc")`}},
		{"for signing only", one(rs, map[string]any{"key_ops": []string{"sign"}}), map[keyID]string{{"k", kindRSA}: "is not for verifying"}},
		{"key_ops empty", one(rs, map[string]any{"key_ops": []string{}}), map[keyID]string{{"k", kindRSA}: "is not for verifying"}},
		{"for encryption first, then for signatures", jwks(t, jwk(t, rs, "k", map[string]any{"use": "enc"}), jwk(t, rs, "k", nil)), map[keyID]string{{"k", kindRSA}: ""}},
		{"a secret", `{"keys":[{"kty":"oct","kid":"k","k":"c2VjcmV0","alg":"HS256"}]}`, map[keyID]string{}},
		{"unknown kty", one(rs, map[string]any{"kty": "rsa"}), map[keyID]string{}},
		{"unknown curve", one(es, map[string]any{"crv": "secp256k1"}), map[keyID]string{}},
		{"another OKP", one(ed, map[string]any{"crv": "X25519"}), map[keyID]string{}},
		{"a bad key beside a good one", `{"keys":[7,null,[],{"kty":7},` + jwkText(t, es) + `]}`, map[keyID]string{{"x", kindP256}: ""}},

		{"RSA without n", one(rs, map[string]any{"n": nil}), map[keyID]string{{"k", kindRSA}: "0 bits"}},
		{"RSA without e", one(rs, map[string]any{"e": nil}), map[keyID]string{{"k", kindRSA}: "exponent 0"}},
		{"RSA, e is 1", one(rs, map[string]any{"e": "AQ"}), map[keyID]string{{"k", kindRSA}: "exponent 1,"}},
		{"RSA, e is even", one(rs, map[string]any{"e": "AQAA"}), map[keyID]string{{"k", kindRSA}: "exponent 65536,"}},
		{"RSA, e is huge", one(rs, map[string]any{"e": "gAAAAA"}), map[keyID]string{{"k", kindRSA}: "less than 2147483648"}},
		{"RSA, e is beyond 64 bits", one(rs, map[string]any{"e": "AQAAAAAAAAAAAQ"}), map[keyID]string{{"k", kindRSA}: "less than 2147483648"}},
		{"RSA of 1024 bits", one(rs, map[string]any{"n": strings.Repeat("_", 170) + "w"}), map[keyID]string{{"k", kindRSA}: "is an RSA key of 1024 bits"}},
		{"RSA of 100,000 bits", one(rs, map[string]any{"n": strings.Repeat("_", 16668)}), map[keyID]string{{"k", kindRSA}: "take too long"}},
		{"RSA in standard base64", one(rs, map[string]any{"n": "+/"}), map[keyID]string{{"k", kindRSA}: "base64url"}},
		{"RSA called EC", one(rs, map[string]any{"kty": "EC", "crv": "P-256"}), map[keyID]string{{"k", kindP256}: "32 bytes each"}},
		{"EC of another curve", one(es, map[string]any{"crv": "P-384"}), map[keyID]string{{"k", kindP384}: "48 bytes each"}},
		{"EC not on the curve", one(es, map[string]any{"y": x}), map[keyID]string{{"k", kindP256}: "not a point of P-256"}},
		{"EC at infinity", one(es, map[string]any{"x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43)}), map[keyID]string{{"k", kindP256}: "not a point of P-256"}},
		{"EC with a short x", one(es, map[string]any{"x": "AQ"}), map[keyID]string{{"k", kindP256}: "32 bytes each"}},
		{"Ed25519 too short", one(ed, map[string]any{"x": "AQ"}), map[keyID]string{{"k", kindEd25519}: "must be 32 bytes"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			keys, err := parseKeys([]byte(test.document))
			if err != nil || len(keys) != len(test.want) {
				t.Fatalf("%+v, %v", slices.Collect(maps.Keys(keys)), err)
			}
			for id, flaw := range test.want {
				k, ok := keys[id]
				if !ok || (flaw == "") != (k.flaw == "") || !strings.Contains(k.flaw, flaw) {
					t.Errorf("%v: flaw %q, want %q", id, k.flaw, flaw)
				}
				if flaw == "" && k.key.kind() != id.kind || flaw != "" && k.key.value != nil {
					t.Errorf("%v: a key of kind %d", id, k.key.kind())
				}
			}
		})
	}
	for _, document := range []string{"", "null", "[]", "{}", `{"keys":null}`, `{"keys":[]}`, `{"keys":{}}`, `{"keys":[{}]`, `<html>`, `{"keys":[{}]}x`, strings.Repeat("[", 1e5)} {
		if keys, err := parseKeys([]byte(document)); err == nil {
			t.Errorf("%.20q: %v", document, keys)
		}
	}
}

func TestParseKeysLimit(t *testing.T) {
	p := pairs()["EdDSA"]
	var list []map[string]any
	for i := range DocumentKeysMax + 1 {
		list = append(list, jwk(t, p, fmt.Sprint(i), nil))
	}
	keys, err := parseKeys([]byte(jwks(t, list...)))
	if err != nil || len(keys) != DocumentKeysMax {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

// FuzzParseKeys feeds documents: whatever becomes of them, a key without a flaw is of the kind that it is listed under, and can
// be asked about a signature.
func FuzzParseKeys(f *testing.F) {
	all := pairs()
	for _, p := range all {
		f.Add([]byte(jwks(f, jwk(f, p, "k", nil))))
	}
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"k","n":"AQ","e":"AQAB"},{"kty":"oct","k":"AA"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"AA","y":"AA","key_ops":["verify"]}]}`))
	f.Add([]byte(`{"keys":null}`))
	m := newMemo()
	f.Fuzz(func(t *testing.T, document []byte) {
		keys, err := parseKeys(document)
		if err != nil {
			return
		}
		if !json.Valid(document) {
			t.Error("keys of what is not JSON")
		}
		for id, k := range keys {
			if id.kid == "" || id.kind == kindNone || id.kind == kindHMAC {
				t.Errorf("key %+v", id)
			}
			if k.flaw != "" {
				continue
			}
			if k.key.kind() != id.kind || k.key.print == [32]byte{} {
				t.Errorf("%+v has a key of kind %d", id, k.key.kind())
			}
			for _, a := range algorithms {
				s := signature{alg: a, kid: id.kid, signed: "a.b", bytes: make([]byte, 64)}
				if s.by(&k.key, m) {
					t.Errorf("%+v has signed zeros with %s", id, a.name)
				}
				if err := k.check(&s); err != nil && !errors.Is(err, ErrInvalid) {
					t.Error(err)
				}
			}
		}
	})
}
