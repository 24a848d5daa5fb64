package gate

import (
	"net/url"
	"strings"
)

// ConnectParameter is where the query of a request has what a client that only listens, or one of a stream, has to say.
const ConnectParameter = "cf_connect"

// ConnectOf is what a query has there; nil if it has nothing.
func ConnectOf(query string) []byte {
	if !strings.Contains(query, ConnectParameter) && !strings.Contains(query, "%") {
		return nil
	}
	values, _ := url.ParseQuery(query) // pairs that are malformed are left out
	if text := values.Get(ConnectParameter); text != "" {
		return []byte(text)
	}
	return nil
}
