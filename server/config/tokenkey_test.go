package config

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func pemOf(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func pkix(t *testing.T, key crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	return pemOf(t, "PUBLIC KEY", der, err)
}

// rsaOf returns an RSA public key of the modulus and exponent given, whether they make sense or not.
func rsaOf(bits uint, low int64, e int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), bits-1)
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(low)), E: e}
}

func TestTokenKeys(t *testing.T) {
	good := rsaOf(2048, 1, 65537)
	goodPEM := pkix(t, good)
	ec := map[elliptic.Curve]*ecdsa.PrivateKey{}
	for _, c := range []elliptic.Curve{elliptic.P224(), elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		ec[c] = k
	}
	p256 := pkix(t, ec[elliptic.P256()].Public())
	private, err := x509.MarshalPKCS8PrivateKey(ec[elliptic.P256()])
	privatePEM := pemOf(t, "PRIVATE KEY", private, err)
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// A point that is on no curve: the last byte of a real one changed.
	off, err := x509.MarshalPKIXPublicKey(ec[elliptic.P256()].Public())
	off[len(off)-1] ^= 1
	offPEM := pemOf(t, "PUBLIC KEY", off, err)
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, []byte(goodPEM), 0o600); err != nil {
		t.Fatal(err)
	}
	huge, err := asn1.Marshal(struct {
		N *big.Int
		E int64
	}{good.N, 1 << 31})
	hugePEM := pemOf(t, "RSA PUBLIC KEY", huge, err)

	tests := []struct {
		name           string
		rsa, ecdsa     string
		problem        string // none: accepted
		unsaid, remedy string
	}{
		{name: "RSA", rsa: goodPEM},
		{name: "RSA in PKCS #1", rsa: pemOf(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(good), nil)},
		{name: "RSA in base64", rsa: base64.StdEncoding.EncodeToString([]byte(goodPEM))},
		{name: "RSA in a file", rsa: file},
		{name: "RSA, the longest", rsa: pkix(t, rsaOf(RSABitsMax, 1, 3))},
		{name: "P-256", ecdsa: p256},
		{name: "P-384", ecdsa: pkix(t, ec[elliptic.P384()].Public())},
		{name: "P-521", ecdsa: pkix(t, ec[elliptic.P521()].Public())},

		{name: "RSA too short", rsa: pkix(t, rsaOf(2047, 1, 65537)), problem: "2047 bits", remedy: "openssl"},
		{name: "RSA too long", rsa: pkix(t, rsaOf(RSABitsMax+1, 1, 65537)), problem: "8193 bits"},
		{name: "exponent 1", rsa: pkix(t, rsaOf(2048, 1, 1)), problem: "exponent 1,"},
		{name: "exponent 2", rsa: pkix(t, rsaOf(2048, 1, 2)), problem: "exponent 2,"},
		{name: "exponent even", rsa: pkix(t, rsaOf(2048, 1, 65536)), problem: "exponent 65536,"},
		{name: "exponent too large", rsa: hugePEM, problem: "public key"},
		{name: "modulus even", rsa: pkix(t, rsaOf(2048, 0, 65537)), problem: "modulus is even"},
		{name: "ECDSA where RSA belongs", rsa: p256, problem: "holds an ECDSA key and not an RSA key", remedy: "ecdsa_public_key"},
		{name: "RSA where ECDSA belongs", ecdsa: goodPEM, problem: "holds an RSA key and not an ECDSA key", remedy: "rsa_public_key"},
		{name: "Ed25519", rsa: pkix(t, edwards), problem: "a key of another kind"},
		{name: "P-224", ecdsa: pkix(t, ec[elliptic.P224()].Public()), problem: "curve P-224", remedy: "P-256 (ES256)"},
		{name: "not on the curve", ecdsa: offPEM, problem: "holds no public key"},
		{name: "a private key", ecdsa: privatePEM, problem: "holds a private key", unsaid: privatePEM[40:60], remedy: "-pubout"},
		{name: "a certificate", rsa: pemOf(t, "CERTIFICATE", []byte("x"), nil), problem: "holds a certificate", remedy: "-pubkey"},
		{name: "another block", rsa: pemOf(t, "SOMETHING", []byte("x"), nil), problem: `"SOMETHING" is not a public key`},
		{name: "no DER", rsa: pemOf(t, "PUBLIC KEY", []byte("x"), nil), problem: "holds no public key"},
		{name: "no PEM", rsa: "s3cret", problem: ErrNotPEM.Error(), unsaid: "s3cret", remedy: "PEM text"},
		{name: "no such file", ecdsa: file + ".x", problem: "no such file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			block := Token{RSAPublicKey: test.rsa, ECDSAPublicKey: test.ecdsa}
			r, err1 := block.RSAKey()
			e, err2 := block.ECDSAKey()
			err := errors.Join(err1, err2)
			if test.problem == "" {
				if err != nil || (r != nil) != (test.rsa != "") || (e != nil) != (test.ecdsa != "") {
					t.Errorf("%v, %v, %v", r, e, err)
				}
				return
			}
			var told *Error
			if !errors.As(err, &told) || !strings.Contains(told.Problem, test.problem) || told.Remedy == "" || !strings.Contains(told.Remedy, test.remedy) {
				t.Errorf("%v, want %q; %q", err, test.problem, test.remedy)
			}
			if test.unsaid != "" && strings.Contains(err.Error(), test.unsaid) {
				t.Errorf("the value is repeated: %v", err)
			}
			// The check of the configuration says the same, at the option's place.
			cfg := Default()
			cfg.Client.Token = block
			if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "client.token."+told.Path) || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("Validate: %v", err)
			}
		})
	}
}

func TestCheckSecret(t *testing.T) {
	for secret, public := range map[string]bool{
		"": false, "secret": false, "-----BEGIN": false,
		"-----BEGIN PUBLIC KEY-----\nMIIB":              true,
		" \n-----BEGIN PUBLIC KEY-----\nMIIB":           true,
		pemOf(t, "RSA PUBLIC KEY", []byte("x"), nil):    true,
		pemOf(t, "CERTIFICATE", []byte("x"), nil):       true,
		pemOf(t, "PRIVATE KEY", []byte("x"), nil):       false, // odd, and secret
		"x" + pemOf(t, "PUBLIC KEY", []byte("x"), nil):  false,
		"\n" + pemOf(t, "PUBLIC KEY", []byte("x"), nil): true,
	} {
		if err := CheckSecret(secret); (err != nil) != public {
			t.Errorf("%q: %v", secret, err)
		}
	}
}
