package ethereum

import (
	"net/http"

	"headrace/follow"
	"headrace/internal/httpc"
)

// resting leaves an endpoint alone for as long as that has asked for, by Retry-After: until then calls fail without a
// request. Its health has others asked meanwhile.
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
		if d := httpc.RetryAfter(resp.Header); d > 0 {
			r.health.Rest(d)
		}
	}
	return resp, err
}

// CloseIdleConnections is found by http.Client.
func (r resting) CloseIdleConnections() { closeIdle(r.next) }
