// Package try serves the page on which a newcomer sees the server work: connect, subscribe, publish, watch what arrives. It is
// plain HTML and JavaScript, speaks the protocol itself and fetches nothing from elsewhere.
package try

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed page
var page embed.FS

// Handler serves the page below the root path.
func Handler() http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	serve := http.FileServerFS(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; connect-src 'self' ws: wss:")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		serve.ServeHTTP(w, r)
	})
}
