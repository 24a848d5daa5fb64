package config

import (
	"log/slog"
	"reflect"
	"regexp"
)

// hidden stands in place of a secret.
const hidden = "***"

var (
	userInfo    = regexp.MustCompile(`://[^/@\s]*@`)
	secretQuery = regexp.MustCompile(`(?i)([?&][a-z_]*(?:password|secret|token|key)=)[^&\s]*`)
)

// Redacted returns a copy of c that may be shown: secrets, the values of string maps (headers that are always sent)
// and the credentials inside addresses are replaced by ***. An empty secret stays empty.
func (c *Config) Redacted() *Config {
	out := new(Config)
	redact(root(), reflect.ValueOf(out).Elem(), reflect.ValueOf(c).Elem())
	return out
}

func redact(n *node, to, from reflect.Value) {
	for _, kid := range n.kids {
		dst, src := kid.field(to), kid.field(from)
		switch kid.kind {
		case kindBlock:
			redact(kid, dst, src)
		case kindList:
			list := reflect.MakeSlice(src.Type(), src.Len(), src.Len())
			for i := range src.Len() {
				redact(kid, list.Index(i), src.Index(i))
			}
			dst.Set(list)
		case kindString, kindPEM:
			dst.SetString(shown(src.String(), kid.secret))
		case kindStrings:
			list := make([]string, src.Len())
			for i := range list {
				list[i] = shown(src.Index(i).String(), kid.secret)
			}
			dst.Set(reflect.ValueOf(list))
		case kindMap:
			m := MapStringString{}
			for k := range src.Interface().(MapStringString) {
				m[k] = hidden
			}
			dst.Set(reflect.ValueOf(m))
		default:
			dst.Set(src)
		}
	}
}

func shown(s string, secret bool) string {
	if s == "" {
		return ""
	}
	if secret {
		return hidden
	}
	s = userInfo.ReplaceAllString(s, "://"+hidden+"@")
	return secretQuery.ReplaceAllString(s, "${1}"+hidden)
}

// LogValue returns the options that differ from their defaults, without secrets, so that logging a Config by
// accident tells nothing that must not be told.
func (c *Config) LogValue() slog.Value {
	safe := c.Redacted()
	values := safe.values()
	var attrs []slog.Attr
	for _, path := range safe.changedFromDefault() {
		attrs = append(attrs, slog.String(path, values[path]))
	}
	return slog.GroupValue(attrs...)
}

// values returns the text of every option by its path.
func (c *Config) values() map[string]string {
	m := map[string]string{}
	root().walk(reflect.ValueOf(c).Elem(), "", func(n *node, path string, v reflect.Value) {
		m[path] = n.text(v)
	})
	return m
}
