package ethereum_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"headrace/devnet/geth"
	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// An endpoint that asks to be left alone is, for so long, by whatever is asked of it: reads and proposals. Others are
// asked meanwhile. That no news is asked for either is follow.Best's.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	for name, c := range map[string]struct {
		status int
		says   string
		rests  bool
	}{
		"seconds":              {http.StatusTooManyRequests, "3000", true},
		"a date":               {http.StatusServiceUnavailable, time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), true},
		"longer than we bear":  {http.StatusTooManyRequests, "4000000000", true},
		"nothing":              {http.StatusTooManyRequests, "", false},
		"nonsense":             {http.StatusTooManyRequests, "soon", false},
		"a date that is over":  {http.StatusTooManyRequests, "Thu, 01 Jan 2026 00:00:00 GMT", false},
		"no time at all":       {http.StatusTooManyRequests, "0", false},
		"less than no time":    {http.StatusTooManyRequests, "-5", false},
		"beside a good answer": {http.StatusOK, "3000", false},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				w.Header().Set("Retry-After", c.says)
				w.WriteHeader(c.status)
			}))
			defer s.Close()
			client := r.client(func(o *ethereum.Options) { o.WS, o.HTTP, o.Poll = nil, httpc.At(s.URL), time.Millisecond })
			defer client.Close()
			var err error
			for range 3 {
				_, err = client.State(t.Context(), l1.Hash{})
			}
			if got := asked.Load(); err == nil || c.rests != (got == 1) || c.rests != strings.Contains(err.Error(), "left alone until") {
				t.Errorf("asked %d times, last %v; rests: want %t", got, err, c.rests)
			}
			before := asked.Load()
			errors := client.Endpoints()[0].Errors
			if _, err := r.account(client, r.proposer, ethereum.CallData).Propose(t.Context(), draft(1, "a")); err == nil || c.rests != (asked.Load() == before) {
				t.Errorf("proposal: got %v, asked %d times more", err, asked.Load()-before)
			}
			if st := client.Endpoints()[0]; c.rests && st.Errors != errors {
				t.Errorf("got %+v: what was not asked is held against it", st)
			}
			both := r.client(func(o *ethereum.Options) { o.WS, o.HTTP = nil, httpc.At(s.URL, r.node.HTTP()) })
			defer both.Close()
			before = asked.Load()
			for range 3 {
				if _, err := both.State(t.Context(), l1.Hash{}); err != nil {
					t.Errorf("with another one: %v", err)
				}
			}
			if got := asked.Load() - before; c.rests && got != 1 {
				t.Errorf("with another one: it was asked %d times, want once", got)
			}
		})
	}
}

// When the time is over, the endpoint is asked again.
func TestRestEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	var refused atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if refused.CompareAndSwap(false, true) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		http.Redirect(w, req, r.node.HTTP(), http.StatusTemporaryRedirect)
	}))
	defer s.Close()
	client := r.client(func(o *ethereum.Options) { o.WS, o.HTTP = nil, httpc.At(s.URL) })
	if _, err := client.State(t.Context(), l1.Hash{}); err == nil {
		t.Fatal("got an answer from an endpoint that refuses")
	}
	_, state := follower(t, client, r.head().Height+1)
	r.propose(payload("a"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only for a test that hangs
	defer cancel()
	if _, err := state.Wait(ctx, func(s follow.State) bool { return s.Last == r.head() }); err != nil {
		t.Errorf("not followed once the time was over: %v, %+v", err, client.Endpoints())
	}
}
