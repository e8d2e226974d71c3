package ethereum

import (
	"net/http"
	"strconv"
	"time"

	"headrace/follow"
)

// patient returns client as one that leaves an endpoint alone for as long as that has asked for, by Retry-After: until
// then its calls fail without a request. Its health has others asked meanwhile.
func patient(client *http.Client, health *follow.Health) *http.Client {
	c := *client
	c.Transport = resting{client.Transport, health}
	return &c
}

type resting struct {
	next   http.RoundTripper
	health *follow.Health
}

func (r resting) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := r.health.Resting(); err != nil {
		return nil, err
	}
	resp, err := r.next.RoundTrip(req)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		if d := retryAfter(resp.Header); d > 0 {
			r.health.Rest(d)
		}
	}
	return resp, err
}

// CloseIdleConnections is found by http.Client.
func (r resting) CloseIdleConnections() {
	if t, ok := r.next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// maxRest bounds what an endpoint can ask for.
const maxRest = time.Hour

// retryAfter reads for how long an endpoint asks to be left alone: seconds, or a date. 0: it does not ask.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRest)
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(min(time.Until(date), maxRest), 0)
	}
	return 0
}
