// Package swagger serves a page on which the HTTP API can be read and tried.
//
//	/swagger               the page: Swagger UI, which is embedded from a module and fetches nothing from elsewhere
//	/swagger/openapi.json  what it shows, for programs, too
package swagger

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/swaggest/swgui/v5/static"
)

//go:embed page
var page embed.FS

// file is one answer.
type file struct {
	kind string // content type
	body []byte
	gzip bool // body is compressed
}

// handler serves files by their names below the prefix.
type handler struct {
	prefix string
	files  map[string]file
}

// kinds are the content types of files by extension.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".png": "image/png",
}

// parts are what the page needs of Swagger UI; the module has more.
var parts = []string{"swagger-ui-bundle.js.gz", "swagger-ui.css.gz", "favicon-32x32.png"}

// Handler serves the page at prefix, which does not end in a slash, and what belongs to it below. The document describes the API
// (OpenAPI 3, JSON).
func Handler(prefix string, document []byte) http.Handler {
	h := &handler{prefix: prefix, files: map[string]file{
		"/openapi.json": {kind: "application/json", body: document},
		"/init.js":      newFile(page, "page/init.js"),
	}}
	for _, name := range parts {
		h.files["/"+strings.TrimSuffix(name, ".gz")] = newFile(static.FS, name)
	}
	index := newFile(page, "page/index.html")
	// Links are relative to the last part of the path: a proxy in front may have changed those before it.
	h.files[""] = index.with("BASE", path.Base(prefix)+"/")
	h.files["/"] = index.with("BASE", "./")
	return h
}

// newFile reads an embedded file; the name of a compressed one ends in .gz.
func newFile(from embed.FS, name string) file {
	body, err := from.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded, or the module has changed, which a test finds
	}
	plain, compressed := strings.CutSuffix(name, ".gz")
	return file{kind: kinds[path.Ext(plain)], body: body, gzip: compressed}
}

func (f file) with(old, replacement string) file {
	f.body = bytes.ReplaceAll(f.body, []byte(old), []byte(replacement))
	return f
}

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := h.files[strings.TrimPrefix(r.URL.Path, h.prefix)]
	switch {
	case !ok || !strings.HasPrefix(r.URL.Path, h.prefix):
		http.NotFound(w, r)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	header := w.Header()
	// Swagger UI styles elements one by one, and has its small pictures in the style sheet.
	header.Set("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-cache")
	header.Set("Content-Type", f.kind)
	if f.gzip {
		header.Set("Vary", "Accept-Encoding")
	}
	_ = f.write(w, strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")) // the caller has gone: nobody is left to tell
}

// write sends the file, decompressed unless the caller can do that.
func (f file) write(w http.ResponseWriter, takesGzip bool) error {
	if !f.gzip || takesGzip {
		if f.gzip {
			w.Header().Set("Content-Encoding", "gzip")
		}
		_, err := w.Write(f.body)
		return err
	}
	from, err := gzip.NewReader(bytes.NewReader(f.body))
	if err != nil {
		return err
	}
	_, err = io.Copy(w, from)
	return err
}
