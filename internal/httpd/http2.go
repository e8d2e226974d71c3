package httpd

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// http2Limits bounds what a connection of HTTP/2 holds before its requests are looked at.
func http2Limits() *http.HTTP2Config { // its server writes to it
	return &http.HTTP2Config{
		MaxConcurrentStreams:          16, // a tool has a stream open for reflection beside its calls
		MaxReadFrameSize:              16 << 10,
		MaxReceiveBufferPerConnection: 64 << 10,
		MaxReceiveBufferPerStream:     64 << 10,
	}
}

// begin counts a request over HTTP/2, and returns what ends it; nil if it is refused. Its time is bounded: whoever holds
// back the answers of a connection keeps that alive at no cost.
func (s *Server) begin(w http.ResponseWriter, r *http.Request) (end func()) {
	if !s.isHTTP2(r.URL.Path) {
		Refuse(w, http.StatusHTTPVersionNotSupported, errHTTP2)
		return nil
	}
	select {
	case s.streams <- struct{}{}:
	default:
		w.Header().Set("Retry-After", "1")
		Refuse(w, http.StatusServiceUnavailable, ErrFull)
		return nil
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.opt.Stream)) // one of HTTP/2 has this
	return func() { <-s.streams }
}

var errHTTP2 = errors.New("this is served over HTTP/1.1 alone")

func (s *Server) isHTTP2(path string) bool {
	for _, p := range s.opt.HTTP2 {
		if path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}
