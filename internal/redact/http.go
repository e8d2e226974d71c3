package redact

import (
	"errors"
	"net/http"
)

// Redirect is a http.Client's CheckRedirect. A redirect is followed, but away from scheme, host and port it carries
// neither a token nor, as a referrer, the address that was asked. One that would make a GET of something else is not
// followed: its answer would be no answer to what was asked.
func Redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	if len(via) > 0 && req.Method != via[0].Method {
		return http.ErrUseLastResponse
	}
	for _, before := range via {
		if origin(before) != origin(req) {
			req.Header.Del("Authorization")
			req.Header.Del("Cookie")
			req.Header.Del("Referer")
		}
	}
	return nil
}

// origin is where a request goes. An upgrade to a WebSocket goes by the scheme of either.
func origin(req *http.Request) string {
	scheme, port := req.URL.Scheme, req.URL.Port()
	switch scheme {
	case "ws":
		scheme = "http"
	case "wss":
		scheme = "https"
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + " " + req.URL.Hostname() + " " + port
}
