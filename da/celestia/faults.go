package celestia

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"headrace/da"
	"headrace/da/fault"
	"headrace/internal/httpd"
	"headrace/internal/jsonrpc"
)

// Faults on the wire. The chain lies about itself, see package fault and local.View; here connections, channels and
// answers go wrong. Connections are numbered from 1; a POST has no number.

// longestLook is how long a request for the next change of the faults waits for one.
const longestLook = 25 * time.Second

// FaultsHandler serves a set of faults: GET lists them, POST puts one in force and answers with its id, DELETE ends
// the one with ?id=, or all. The ETag of a list counts the changes before it: GET with ?after= such a number answers
// when there is another one, or after 25 seconds. GET of a path that ends in /kinds says what kinds there are.
func FaultsHandler(set *fault.Set) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := func(status int, v any) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(v)
		}
		wrong := func(err error) { answer(http.StatusBadRequest, map[string]string{"error": err.Error()}) }
		switch r.Method {
		case http.MethodGet:
			if strings.HasSuffix(r.URL.Path, "/kinds") {
				answer(http.StatusOK, kinds())
				return
			}
			if text := r.URL.Query().Get("after"); text != "" {
				ctx, stop := context.WithTimeout(r.Context(), longestLook)
				_, _ = set.Changes().Wait(ctx, func(n uint64) bool { return strconv.FormatUint(n, 10) != text })
				stop()
			}
			w.Header().Set("ETag", strconv.Quote(strconv.FormatUint(set.Changes().Load(), 10)))
			answer(http.StatusOK, set.List())
		case http.MethodPost:
			var f fault.Fault
			if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&f); err != nil {
				wrong(err)
				return
			}
			id, err := set.Add(f)
			if err != nil {
				wrong(err)
				return
			}
			answer(http.StatusOK, map[string]int{"id": id})
		case http.MethodDelete:
			if text := r.URL.Query().Get("id"); text != "" {
				id, err := strconv.Atoi(text)
				if err != nil || !set.Remove(id) {
					wrong(errors.New("no fault with this id is in force"))
					return
				}
			} else {
				set.Clear()
			}
			answer(http.StatusOK, set.List())
		default:
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
}

// kind is a kind of faults as /faults/kinds lists it.
type kind struct {
	Kind   fault.Kind `json:"kind"`
	Help   string     `json:"help"`
	Fields []string   `json:"fields"` // that mean something to it
}

func kinds() (all []kind) {
	for _, k := range fault.Kinds() {
		all = append(all, kind{k, k.Help(), k.Fields()})
	}
	return all
}

// serveFaults answers requests about the faults, which no fault keeps away.
func (h *Handler) serveFaults(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/faults" && r.URL.Path != "/faults/kinds" {
		return false
	}
	if code, err := h.mayFault(r); err != nil {
		httpd.Refuse(w, code, err)
		return true
	}
	FaultsHandler(h.opt.Faults).ServeHTTP(w, r)
	return true
}

// mayFault returns why the sender of a request may not see and change the faults.
func (h *Handler) mayFault(r *http.Request) (int, error) {
	if h.opt.Secret != nil {
		if level, err := authorize(h.opt.Secret, r); err != nil || level < Admin {
			return http.StatusUnauthorized, errors.New("faults need an admin token")
		}
		return 0, nil
	}
	if h.exposed(r) {
		return http.StatusForbidden, errors.New("faults are closed to other hosts: listen on 127.0.0.1, or ask for tokens")
	}
	return 0, nil
}

// refuse answers a request with a status, if a fault says so, or takes its wish for a WebSocket away.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request) bool {
	for _, kind := range []fault.Kind{fault.Refuse, fault.Unauthorized, fault.RateLimited} {
		if f, hit := h.opt.Faults.Hit(kind, fault.Target{}); hit {
			h.refused(RefusedByFault)
			w.WriteHeader(f.Status)
			return true
		}
	}
	if upgrades(r) {
		if _, hit := h.opt.Faults.Hit(fault.NoSubscription, fault.Target{}); hit {
			r.Header.Del("Connection") // as a load balancer does that knows no WebSocket
		}
	}
	return false
}

// wire is a connection with faults.
type wire struct {
	faults *fault.Set
	number int
	mu     sync.Mutex
	until  time.Time // when what was written is through, with a limited bandwidth
}

func (h *Handler) newWire(*http.Request) jsonrpc.Wire {
	return &wire{faults: h.opt.Faults, number: int(h.conns.Add(1))}
}

func (w *wire) target() fault.Target { return fault.Target{Conn: w.number} }

// deadPoll is how often a dead connection looks whether it may live again: a probe of what the operator does, not of
// our own state.
const deadPoll = 20 * time.Millisecond

func (w *wire) Write(ctx context.Context, size int) error {
	for !w.Alive() {
		if err := pause(ctx, deadPoll); err != nil {
			return err
		}
	}
	if _, hit := w.faults.Hit(fault.Disconnect, w.target()); hit {
		return errors.New("cut by a fault")
	}
	if f, hit := w.faults.Hit(fault.Bandwidth, w.target()); hit && size > 0 {
		w.mu.Lock()
		if now := time.Now(); w.until.Before(now) {
			w.until = now
		}
		w.until = w.until.Add(time.Duration(float64(size) / float64(f.PerSecond) * float64(time.Second)))
		until := w.until
		w.mu.Unlock()
		return pause(ctx, time.Until(until))
	}
	return nil
}

// Alive is false while the connection is half open.
func (w *wire) Alive() bool {
	_, dead := w.faults.Hit(fault.HalfOpen, w.target())
	return !dead
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d) // the fault itself, or a bound on what is outside
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// connOf returns the number of the connection that a call came by.
func connOf(ctx context.Context) int {
	if w, ok := jsonrpc.WireOf(ctx).(*wire); ok {
		return w.number
	}
	return 0
}

// delayed makes a method late while latency is in force. Calls are late side by side, not one after the other.
func (h *Handler) delayed(m jsonrpc.Method) jsonrpc.Method {
	bind := m.Bind
	m.Bind = func(a *jsonrpc.Args) jsonrpc.Run {
		run := bind(a)
		return func(ctx context.Context) (any, error) {
			result, err := run(ctx)
			if f, hit := h.opt.Faults.Hit(fault.Latency, fault.Target{Conn: connOf(ctx)}); hit {
				if err := pause(ctx, time.Duration(f.Delay)); err != nil {
					return nil, err
				}
			}
			return result, err
		}
	}
	return m
}

// faultyStream decides what becomes of each event of one subscription.
type faultyStream struct {
	ended  bool // the channel is to be closed
	faults *fault.Set
	target fault.Target
	held   []uint64 // heights to be sent after the next one
}

func (h *Handler) newFaultyStream(ctx context.Context, ns da.Namespace) *faultyStream {
	return &faultyStream{faults: h.opt.Faults, target: fault.Target{Namespace: ns, Conn: connOf(ctx)}}
}

// heights returns which heights to send when a height has come.
func (s *faultyStream) heights(height uint64) []uint64 {
	if s.faults == nil {
		return []uint64{height}
	}
	t := s.target
	t.Height = height
	hit := func(k fault.Kind) bool { _, hit := s.faults.Hit(k, t); return hit }
	switch {
	case hit(fault.Gap), hit(fault.Stall):
		return nil
	case hit(fault.ChannelClose):
		s.ended = true
		return nil
	case len(s.held) == 0 && hit(fault.Reorder):
		s.held = append(s.held, height)
		return nil
	}
	out := append([]uint64{height}, s.held...)
	s.held = nil
	if hit(fault.Duplicate) {
		out = append(out, height)
	}
	return out
}

// late makes an event late by what its data is looked for, and while latency is in force: counted from now, so that events
// stay as far apart as they are.
func (s *faultyStream) late(search time.Duration, value func() (jsonrpc.Raw, error)) any {
	f, hit := s.faults.Hit(fault.Latency, fault.Target{Conn: s.target.Conn})
	if hit {
		search += time.Duration(f.Delay)
	}
	if search == 0 {
		return value
	}
	return jsonrpc.Delayed{Until: time.Now().Add(search), Value: value}
}
