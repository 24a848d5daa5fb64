package api

import (
	_ "embed"
	"encoding/json"
	"strings"
)

// openAPI describes the HTTP API (OpenAPI 3.0.3). It is written by hand; a test compares it with the methods and the structs of
// requests and results.
//
//go:embed openapi.json
var openAPI string

// OpenAPI is the description of the HTTP API under prefix, for people and programs, as JSON.
func OpenAPI(prefix, version string) []byte {
	field := func(name, value string) string {
		text, err := json.Marshal(value)
		if err != nil {
			panic(err) // any string can be marshalled
		}
		return `"` + name + `": ` + string(text)
	}
	return []byte(strings.NewReplacer(
		field("url", "/api"), field("url", prefix),
		field("version", "0"), field("version", version),
	).Replace(openAPI))
}
