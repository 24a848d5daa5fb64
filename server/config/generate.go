package config

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
)

// Sizes of generated secrets, in random bytes before base64.
const (
	tokenKeyBytes      = 64
	adminPasswordBytes = 16
	adminSecretBytes   = 64
	apiKeyBytes        = 64
)

// MinimalFile returns a configuration file with fresh secrets: what a server needs to admit its first client.
func MinimalFile(f Format) ([]byte, error) {
	return encode(f, object{
		{"client", object{
			{"token", object{{"hmac_secret_key", secret(tokenKeyBytes)}}},
			{"allowed_origins", []any{}},
		}},
		{"admin", object{
			{"enabled", false},
			{"password", secret(adminPasswordBytes)},
			{"secret", secret(adminSecretBytes)},
		}},
		{"http_api", object{{"key", secret(apiKeyBytes)}}},
	})
}

// secret returns n random bytes in URL-safe base64 without padding.
func secret(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: the runtime crashes instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// FullFile returns a configuration file with every option of c. Secrets are written as they are. Empty token keys are
// left out: given but empty, they may stop the start.
func FullFile(c *Config, f Format) ([]byte, error) {
	o := root().exportBlock(reflect.ValueOf(c).Elem())
	return encode(f, dropEmptyKeys(o, ""))
}

// isTokenKey reports that path is a key that must not be given and empty.
func isTokenKey(path string) bool {
	return path == "client.token.hmac_secret_key" || path == "client.subscription_token.hmac_secret_key"
}

// dropEmptyKeys removes empty token keys from the object at path.
func dropEmptyKeys(o object, path string) object {
	kept := o[:0]
	for _, m := range o {
		p := join(path, m.name)
		if m.value == "" && isTokenKey(p) {
			continue
		}
		if below, ok := m.value.(object); ok {
			m.value = dropEmptyKeys(below, p)
		}
		kept = append(kept, m)
	}
	return kept
}

// DefaultEnv returns the environment variable of every option with its default, as NAME="value".
func DefaultEnv() []string { return EnvOf(Default(), false) }

// EnvOf returns the environment variable of every option of c with its value, as NAME="value"; with changedOnly
// only those that differ from the default. Lists of objects are JSON text. Empty token keys are left out, as in FullFile.
func EnvOf(c *Config, changedOnly bool) []string {
	def := map[string]string{}
	topLevel(root(), reflect.ValueOf(Default()).Elem(), "", func(path, value string) { def[path] = value })
	var lines []string
	topLevel(root(), reflect.ValueOf(c).Elem(), "", func(path, value string) {
		if changedOnly && def[path] == value || value == "" && isTokenKey(path) {
			return
		}
		lines = append(lines, fmt.Sprintf("%s%s=%s", envPrefixes[0], envKey("", path), shellQuote(value)))
	})
	return lines
}

// topLevel calls visit for each option that does not lie in a list; a list is one value.
func topLevel(n *node, v reflect.Value, path string, visit func(path, value string)) {
	for _, kid := range n.kids {
		f, p := kid.field(v), join(path, kid.name)
		if kid.kind == kindBlock {
			topLevel(kid, f, p, visit)
			continue
		}
		visit(p, kid.text(f))
	}
}

// shellQuote puts s in double quotes for a shell and for a .env file.
func shellQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`", "\n", `\n`).Replace(s) + `"`
}

// Doc is one row of the option reference.
type Doc struct {
	Path    string // elements of a list are written list[]
	Env     string // environment variable; "" inside a list
	Type    string // as in the reference: string, int, Duration, []string, []Namespace{}
	Default string
	Meaning string

	NotBuilt bool // accepted and ignored, with a warning
}

// Docs returns the option reference: every option of the tree, blocks spelled out wherever they are repeated.
func Docs() []Doc {
	var rows []Doc
	root().paths("", func(path string, n *node) {
		d := Doc{Path: path, Type: typeName(n), Default: n.def, Meaning: n.desc, NotBuilt: featureOf(path) >= 0}
		if !strings.Contains(path, "[]") {
			d.Env = envPrefixes[0] + envKey("", path)
		}
		if d.Default == "" && !n.secret {
			zero := reflect.New(n.typ).Elem()
			if n.kind == kindInt || n.kind == kindBool || n.kind == kindDuration {
				d.Default = n.text(zero)
			}
		}
		rows = append(rows, d)
	})
	return rows
}

// typeName returns the type of an option without its package.
func typeName(n *node) string {
	name := n.typ.Name()
	switch n.kind {
	case kindStrings:
		return "[]string"
	case kindList:
		return "[]" + name + "{}"
	}
	return name
}
