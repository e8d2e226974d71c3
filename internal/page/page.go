// Package page has the pages that a node and the dev DA server show in a browser. It promises to ask no other host for
// anything, to run on what is served beside it alone (it says so to the browser: default-src 'self'), and to put what
// others have chosen, such as a chain's name, into a page as text only.
package page

import (
	"embed"
	"net/http"
	"strings"
)

//go:embed static
var static embed.FS

// Node returns the page of a node, served at / and below /page/. It reads the node's own HTTP endpoints.
func Node() http.Handler { return handler("static/node.html") }

// DA returns the page of a DA server that has faults, likewise.
func DA() http.Handler { return handler("static/da.html") }

// handler serves one page and the files of all.
func handler(index string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "there is only GET", http.StatusMethodNotAllowed)
			return
		}
		name := index
		if file, ok := strings.CutPrefix(r.URL.Path, "/page/"); ok {
			if name = "static/" + file; strings.HasSuffix(name, ".html") {
				http.NotFound(w, r)
				return
			}
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // of another version of the program, perhaps
		http.ServeFileFS(w, r, static, name)
	})
}
