package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
)

// key is the secret that requests have to name. It keeps only the hash: comparing hashes takes the same time for all keys of all
// lengths.
type key struct {
	hash [sha256.Size]byte
	set  bool
}

func newKey(secret string) key {
	return key{hash: sha256.Sum256([]byte(secret)), set: secret != ""}
}

func (k *key) is(secret string) bool {
	hash := sha256.Sum256([]byte(secret))
	return k.set && subtle.ConstantTimeCompare(k.hash[:], hash[:]) == 1
}

// opens reports whether the request names the key, in the order of the reference (spec: server-api, section 1.1): the header
// X-API-Key; only without it the header Authorization; and, if that was not it, the query.
func (k *key) opens(r *http.Request) bool {
	if given := r.Header.Get("X-Api-Key"); given != "" {
		if k.is(given) {
			return true
		}
	} else if scheme, given, ok := authorization(r); ok && strings.EqualFold(scheme, "apikey") && k.is(given) {
		return true
	}
	return r.URL.RawQuery != "" && k.is(r.URL.Query().Get(keyParameter))
}

func authorization(r *http.Request) (scheme, given string, ok bool) {
	words := strings.Fields(r.Header.Get("Authorization"))
	if len(words) != 2 {
		return "", "", false
	}
	return words[0], words[1], true
}

// keyParameter is the query parameter with the key.
const keyParameter = "api_key"

// secretParameters are the query parameters that must not be seen in logs: the key, and what clients connect with.
var secretParameters = map[string]bool{keyParameter: true, "cf_connect": true, "token": true}

// RedactURL is what may be logged of a request's URL: path and query, without the values that are secret. A parameter whose name
// cannot be read counts as secret.
func RedactURL(u *url.URL) string {
	if u.RawQuery == "" {
		return u.EscapedPath()
	}
	pairs := strings.FieldsFunc(u.RawQuery, func(r rune) bool { return r == '&' || r == ';' })
	for i, pair := range pairs {
		raw, _, valued := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(raw)
		switch {
		case err != nil:
			pairs[i] = "REDACTED"
		case valued && secretParameters[strings.ToLower(name)]:
			pairs[i] = raw + "=REDACTED"
		}
	}
	return u.EscapedPath() + "?" + strings.Join(pairs, "&")
}
