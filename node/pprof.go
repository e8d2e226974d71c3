package node

import (
	"net/http"
	"net/http/pprof"
	"strings"
)

const pprofPath = "/debug/pprof/"

// handlePprof adds the profiles of Go's tools, if the configuration asks for them. The command line is not among them:
// a setting in it may be secret.
func (n *Node) handlePprof(mux *routes) {
	if !n.opt.Config.HTTP.Pprof {
		return
	}
	mux.HandleFunc("GET "+pprofPath, pprof.Index)
	mux.HandleFunc("GET "+pprofPath+"profile", pprof.Profile)
	mux.HandleFunc("GET "+pprofPath+"symbol", pprof.Symbol)
	mux.HandleFunc("GET "+pprofPath+"trace", pprof.Trace)
}

// isPprof reports whether a request is for a profile, which costs as much as a write may: it needs the token too.
func isPprof(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, pprofPath) }
