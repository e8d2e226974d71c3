package redact

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
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
		if Origin(before.URL) != Origin(req.URL) {
			req.Header.Del("Authorization")
			req.Header.Del("Cookie")
			req.Header.Del("Referer")
		}
	}
	return nil
}

// Origin is where an address leads to: scheme, host and port. An upgrade to a WebSocket goes by the scheme of either.
func Origin(u *url.URL) string {
	scheme, port := u.Scheme, u.Port()
	switch scheme {
	case "ws":
		scheme = "http"
	case "wss":
		scheme = "https"
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[scheme]
	}
	return scheme + " " + strings.ToLower(u.Hostname()) + " " + port
}
