package await_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/await"
	"headrace/watch"
)

// said is what a fake node says of itself.
type said struct {
	await.Progress
	Ready   bool
	Started int64
}

// fake is a running node whose state the test makes, at an address that it keeps when it is down.
type fake struct {
	t     *testing.T
	asked watch.Value[int] // requests

	mu      sync.Mutex // guards the rest
	address string     // which stays
	state   *watch.Value[said]
	server  *http.Server
	instead []http.HandlerFunc // answer the next requests
	onAsked func()             // called once, when a request has come and before the node looks
	starts  int64
	before  int // requests before the last start
}

func newFake(t *testing.T, s said) *fake {
	t.Helper()
	f := &fake{t: t, address: "127.0.0.1:0", state: watch.New(s)}
	f.up(s)
	t.Cleanup(f.down)
	return f
}

func (f *fake) url() string { return "http://" + f.address }

// up starts it, in this state.
func (f *fake) up(s said) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	l, err := net.Listen("tcp", f.address)
	if err != nil {
		f.t.Error(err)
		return
	}
	f.address = l.Addr().String()
	f.starts++
	s.Started, f.before = f.starts, f.asked.Load()
	f.state, f.server = watch.New(s), &http.Server{Handler: f}
	go func() { _ = f.server.Serve(l) }() // until down
}

// down kills it: it says nothing.
func (f *fake) down() {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.server.Close()
}

// end ends it, for a reason that it tells.
func (f *fake) end(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.Close(why)
}

func (f *fake) set(s said) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Started = f.starts
	f.state.Set(s)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	state, onAsked := f.state, f.onAsked
	f.onAsked = nil
	var instead http.HandlerFunc
	if len(f.instead) > 0 {
		instead, f.instead = f.instead[0], f.instead[1:]
	}
	f.mu.Unlock()
	f.asked.Update(func(n int) int { return n + 1 })
	if onAsked != nil {
		onAsked()
	}
	switch {
	case instead != nil:
		instead(w, r)
	case r.URL.Path == "/v1/wait":
		f.wait(w, r, state)
	case r.URL.Path == "/v1/events":
		f.events(w, r, state)
	}
}

func (s said) json() map[string]any {
	m := map[string]any{
		"ready": s.Ready, "started_at": time.Unix(s.Started, 0), "source": map[string]any{"position": s.Scanned}, "position": s.Scanned,
		"heads":    map[string]any{"unsafe": s.Unsafe, "safe": s.Safe, "finalized": s.Finalized},
		"proposal": map[string]any{"id": s.Proposal.ID, "l1": s.Proposal.L1, "tx": s.Proposal.Tx},
	}
	if !s.Ready {
		m["reason"] = "behind"
	}
	return m
}

func (f *fake) wait(w http.ResponseWriter, r *http.Request, state *watch.Value[said]) {
	q := r.URL.Query()
	timeout, err := time.ParseDuration(q.Get("timeout"))
	if err != nil {
		f.t.Errorf("asked with timeout %q", q.Get("timeout"))
	}
	n := func(name string) uint64 { n, _ := strconv.ParseUint(q.Get(name), 10, 64); return n }
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	s, err := await.Value(ctx, state, "it", func(s said) bool {
		switch {
		case q.Has("height"):
			return q.Get("head") == "safe" && s.Safe.Height >= n("height") || q.Get("head") == "unsafe" && s.Unsafe.Height >= n("height")
		case q.Has("proposal"):
			return s.Proposal.ID >= n("proposal")
		case q.Has("proposal_at"):
			var h await.Hash
			_ = h.UnmarshalText([]byte(q.Get("proposal_at")))
			_, ok := s.ProposalAt(h)
			return ok
		case q.Has("position"):
			return s.Scanned.Height >= n("position")
		}
		return q.Get("ready") == "true" && s.Ready || q.Get("not_ready") == "true" && !s.Ready
	})
	answer, code := s.json(), http.StatusOK
	answer["result"] = "reached"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		answer["result"], answer["error"], code = "timeout", err.Error(), http.StatusGatewayTimeout
	case err != nil:
		answer["result"], answer["error"], code = "ended", err.Error(), http.StatusGone
	}
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}

// events streams statuses.
func (f *fake) events(w http.ResponseWriter, r *http.Request, state *watch.Value[said]) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		ended := state.Err() // first: then the state is the last one
		s, changed := state.Get()
		body, _ := json.Marshal(s.json())
		fmt.Fprintf(w, "event: status\ndata: %s\n\n", body)
		if ended != nil {
			fmt.Fprintf(w, "event: end\ndata: {\"cause\":%q}\n\n", ended)
			return
		}
		_ = http.NewResponseController(w).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

func say(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// limit is a context for a wait that must not hang; nothing is decided by its time.
func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func (f *fake) client() *await.Client {
	f.t.Helper()
	c, err := await.OpenNode(await.Endpoint{URL: f.url()}, await.ClientOptions{Poll: 300 * time.Millisecond, Quiet: 300 * time.Millisecond, MaxBackoff: 50 * time.Millisecond})
	if err != nil {
		f.t.Fatal(err)
	}
	return c
}

// verb is one wait of a client.
type verb struct {
	name            string
	begins, reaches said
	wait            func(context.Context, *await.Client, ...await.Option) (await.State, error)
}

func verbs() []verb {
	unreached := said{Progress: safe(1)}
	reached := said{Ready: true, Progress: await.Progress{Unsafe: await.Ref{Height: 9}, Safe: await.Ref{Height: 5}, Scanned: await.Ref{Height: 15}, Proposal: proposal(5, 1)}}
	followed := reached
	followed.Earlier = []await.Proposed{proposal(4, 1)}
	ready, unready := unreached, reached
	ready.Ready, unready.Ready = true, false
	type ctx = context.Context
	return []verb{
		{"height", unreached, reached, func(x ctx, c *await.Client, o ...await.Option) (await.State, error) { return c.Height(x, 5, o...) }},
		{"unsafe height", unreached, reached, func(x ctx, c *await.Client, o ...await.Option) (await.State, error) {
			return c.Height(x, 9, append(o, await.WithLabel(await.Unsafe))...)
		}},
		{"proposal", unreached, reached, func(x ctx, c *await.Client, o ...await.Option) (await.State, error) { return c.Proposal(x, 5, o...) }},
		{"proposal at", unreached, followed, func(x ctx, c *await.Client, o ...await.Option) (await.State, error) {
			return c.ProposalAt(x, proposal(4, 1).Tx, o...)
		}},
		{"scanned", unreached, reached, func(x ctx, c *await.Client, o ...await.Option) (await.State, error) { return c.L1Scanned(x, 15, o...) }},
		{"ready", unreached, reached, func(x ctx, c *await.Client, o ...await.Option) (await.State, error) { return c.Ready(x, o...) }},
		{"not ready", ready, unready, func(x ctx, c *await.Client, o ...await.Option) (await.State, error) { return c.NotReady(x, o...) }},
		{"value", unreached, reached, func(x ctx, c *await.Client, o ...await.Option) (await.State, error) {
			return c.Value(x, "all", func(s await.State) bool { return s.Progress().Scanned.Height == 15 }, o...)
		}},
	}
}

// Every wait at a running node keeps the rules of those in the process, whatever stands between, and whatever becomes of
// the node.
func TestEveryWaitAtANodeKeepsTheRules(t *testing.T) {
	t.Parallel()
	broke := errors.New("disk is full")
	for _, v := range verbs() {
		for _, c := range []struct {
			name   string
			before func(*fake)             // the wait begins
			during func(*testing.T, *fake) // when it is under way
			want   error                   // nil: it is reached
			says   string
		}{
			{name: "there already", before: func(f *fake) { f.set(v.reaches) }},
			{name: "between the request and the look", before: func(f *fake) { f.onAsked = func() { f.set(v.reaches) } }},
			{name: "later", during: func(_ *testing.T, f *fake) { f.set(v.reaches) }},
			{name: "the node is killed, and comes back", during: func(t *testing.T, f *fake) {
				f.down()
				if _, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", f.address); err == nil {
					t.Error("it is up")
				}
				f.up(v.begins)
				comes(t, f)
				f.set(v.reaches)
			}},
			{name: "it comes back with what is waited for", during: func(_ *testing.T, f *fake) { f.down(); f.up(v.reaches) }},
			{name: "what stands before it", before: func(f *fake) {
				f.instead = []http.HandlerFunc{
					say(502, "<html>bad gateway</html>"), say(504, "<html>"), hangUp, say(503, `{"error":"1024 requests wait already"}`), say(404, "404 page not found"), say(401, "no"),
					say(429, `{"error":"slow down"}`), say(403, "<html>"), say(400, "bad"),
				}
				f.set(v.reaches)
			}},
			{name: "it hangs without a word", before: func(f *fake) { f.instead = []http.HandlerFunc{silent}; f.set(v.reaches) }},
			{name: "it hangs after its head", before: func(f *fake) {
				f.instead = []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "text/event-stream")
					_ = http.NewResponseController(w).Flush()
					silent(w, r)
				}}
				f.set(v.reaches)
			}},
			{name: "the node ends", during: func(_ *testing.T, f *fake) { f.end(broke) }, want: await.ErrEnded, says: "disk is full"},
			{name: "reached with the node's end", during: func(_ *testing.T, f *fake) { f.set(v.reaches); f.end(broke) }},
			{name: "refused 400", before: func(f *fake) {
				f.instead = []http.HandlerFunc{say(400, `{"error":"it makes no sense"}`)}
				f.set(v.reaches)
			}, want: await.ErrRefused, says: "it makes no sense"},
			{name: "refused 401", before: func(f *fake) {
				f.instead = []http.HandlerFunc{say(401, `{"error":"it makes no sense"}`)}
				f.set(v.reaches)
			}, want: await.ErrRefused, says: "it makes no sense"},
			{name: "refused 404", before: func(f *fake) {
				f.instead = []http.HandlerFunc{say(404, `{"error":"it makes no sense"}`)}
				f.set(v.reaches)
			}, want: await.ErrRefused, says: "it makes no sense"},
			{name: "refused 410", before: func(f *fake) {
				f.instead = []http.HandlerFunc{say(410, `{"error":"it makes no sense"}`)}
				f.set(v.reaches)
			}, want: await.ErrRefused, says: "it makes no sense"},
			{name: "another program", before: func(f *fake) { f.instead = []http.HandlerFunc{say(200, "hello")} }, want: await.ErrOther, says: "is this a headrace node?"},
		} {
			t.Run(v.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				f := newFake(t, v.begins)
				if c.before != nil {
					c.before(f)
				}
				type got struct {
					s   await.State
					err error
				}
				done := make(chan got, 1) // sent to once
				go func() {
					s, err := v.wait(limit(t), f.client())
					done <- got{s, err}
				}()
				if c.during != nil {
					comes(t, f)
					c.during(t, f)
				}
				g := <-done
				if !errors.Is(g.err, c.want) || (g.err == nil) != (c.want == nil) {
					t.Fatalf("got %v, want %v", g.err, c.want)
				}
				if c.want == nil && (g.s.Progress().Scanned.Height != v.reaches.Scanned.Height || g.s.Ready != v.reaches.Ready || g.s.Raw == nil) {
					t.Errorf("got %s, want %+v", g.s, v.reaches)
				}
				if e := (*await.Error)(nil); c.want != nil && (!errors.As(g.err, &e) || e.What == "" || !strings.Contains(g.err.Error(), c.says)) {
					t.Errorf("got %#v, want what was waited for, and %q", g.err, c.says)
				}
				if e := (*await.Error)(nil); c.want == await.ErrEnded && (!errors.As(g.err, &e) || !strings.Contains(e.Last, "safe head 1")) {
					t.Errorf("got %q, want what was seen last", g.err)
				}
			})
		}
		t.Run(v.name+"/the context ends", func(t *testing.T) {
			t.Parallel()
			f := newFake(t, v.begins)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			s, err := v.wait(ctx, f.client())
			if e := (*await.Error)(nil); !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &e) || !strings.Contains(e.Last, "safe head 1") || s.Raw == nil {
				t.Errorf("got %s, %v, want the deadline and what was seen last", s, err)
			}
			f.down()
			gone, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if _, err := v.wait(gone, f.client()); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "last error: ask node: ") {
				t.Errorf("got %v, want the deadline and the last error", err)
			}
		})
		t.Run(v.name+"/another producer ends", func(t *testing.T) {
			t.Parallel()
			f := newFake(t, v.begins)
			result := make(chan error, 1) // sent to once
			asked := f.asked.Load()
			go func() {
				_, _ = f.asked.Wait(limit(t), func(n int) bool { return n > asked })
				result <- broke
			}()
			if _, err := v.wait(limit(t), f.client(), await.WithAbort(await.Exit(result))); !errors.Is(err, await.ErrEnded) || !errors.Is(err, broke) {
				t.Errorf("got %v, want the producer's end", err)
			}
		})
	}
}

// comes waits until a request has come since the node is up.
func comes(t *testing.T, f *fake) {
	t.Helper()
	f.mu.Lock()
	before := f.before
	f.mu.Unlock()
	if _, err := f.asked.Wait(limit(t), func(n int) bool { return n > before }); err != nil {
		t.Error(err)
	}
}

// What was reached before another producer's end counts, although the node's answer to it is still on its way.
func TestReachedBeforeAnotherEnd(t *testing.T) {
	t.Parallel()
	f := newFake(t, said{Progress: safe(1)})
	f.instead = []http.HandlerFunc{silent}
	result := make(chan error, 1) // sent to once
	go func() {
		_, _ = f.asked.Wait(limit(t), func(n int) bool { return n > 0 })
		f.set(said{Progress: safe(7)})
		result <- errors.New("broke")
	}()
	c, err := await.OpenNode(await.Endpoint{URL: f.url()}, await.ClientOptions{Poll: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Height(limit(t), 7, await.WithAbort(await.Exit(result))); err != nil || s.Progress().Safe.Height != 7 {
		t.Errorf("got %s, %v, want height 7", s, err)
	}
}

// A node that has ended has; one that cannot be reached has not, unless nobody listens there.
func TestStopped(t *testing.T) {
	t.Parallel()
	ready := said{Progress: safe(7), Ready: true}
	html := say(502, "<html>bad gateway</html>")
	for name, c := range map[string]struct {
		before func(*fake)
		during func(*fake)
		want   error
		seen   bool
	}{
		"it is not there":           {before: (*fake).down},
		"it is killed":              {during: (*fake).down, seen: true},
		"it ends, and then is gone": {during: func(f *fake) { f.end(nil); f.down() }, seen: true},
		"it ends, behind a gateway": {during: func(f *fake) {
			f.mu.Lock()
			f.instead = slices.Repeat([]http.HandlerFunc{html}, 9)
			f.mu.Unlock()
			f.state.Close(nil)
		}, seen: true},
		"it is started again at once": {before: func(f *fake) {
			body, _ := json.Marshal(f.state.Load().json())
			f.instead = []http.HandlerFunc{stream(false, fmt.Sprintf("event: status\ndata: %s\n\n", body))}
		}, during: func(f *fake) {
			if _, err := f.asked.Wait(limit(f.t), func(n int) bool { return n >= 2 }); err != nil { // so it has seen the first start
				f.t.Error(err)
			}
			f.down()
			f.up(ready)
		}, seen: true},
		"it runs":                      {want: context.DeadlineExceeded, seen: true},
		"a gateway says it is not":     {before: func(f *fake) { f.instead = slices.Repeat([]http.HandlerFunc{html}, 99) }, want: context.DeadlineExceeded},
		"another program":              {before: func(f *fake) { f.instead = []http.HandlerFunc{say(200, "hello")} }, want: await.ErrOther},
		"it hangs, and then is killed": {before: func(f *fake) { f.instead = []http.HandlerFunc{silent} }, during: (*fake).down},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, ready)
			if c.before != nil {
				c.before(f)
			}
			ctx := limit(t)
			if errors.Is(c.want, context.DeadlineExceeded) {
				var cancel func()
				ctx, cancel = context.WithTimeout(t.Context(), 3*time.Second) // it has seen what there is by then
				defer cancel()
			}
			done := make(chan error, 1) // sent to once
			var s await.State
			client := f.client()
			go func() {
				var err error
				s, err = client.Stopped(ctx)
				done <- err
			}()
			if c.during != nil {
				comes(t, f)
				c.during(f)
			}
			if err := <-done; !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.seen && c.during == nil && s.Progress().Safe.Height != 7 {
				t.Errorf("got %s, want what was seen last", s)
			}
		})
	}
}

// A node that is started again behind a gateway, which keeps the address, has stopped in between.
func TestStartedAgain(t *testing.T) {
	t.Parallel()
	f := newFake(t, said{Progress: safe(7)})
	status := func(start, height uint64) http.HandlerFunc {
		body, _ := json.Marshal(said{Progress: safe(height), Started: int64(start)}.json())
		return stream(false, fmt.Sprintf("event: status\ndata: %s\n\n", body))
	}
	f.instead = []http.HandlerFunc{status(10, 7), say(502, "<html>"), status(10, 8), say(502, "<html>"), status(11, 9), silent}
	if s, err := f.client().Stopped(limit(t)); err != nil || s.Progress().Safe.Height != 8 {
		t.Errorf("got %s, %v, want the last state of the first start", s, err)
	}
}

// stream answers with these events, and then hangs without a word, or hangs up.
func stream(hang bool, events ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte("retry: 1000\n\n: alive\n\n" + strings.Join(events, "")))
		if hang {
			_ = http.NewResponseController(w).Flush()
			silent(w, r)
		}
	}
}

// tells is the event of a block of a branch, whose parent is of the same branch unless another is named.
func tells(height uint64, branch byte, parent ...byte) string {
	p := append(parent, branch)[0]
	return fmt.Sprintf("id: %d-%s-0\nevent: block\ndata: {\"height\":%d,\"hash\":%q,\"parent_hash\":%q,\"txs\":2}\n\n", height, on(height, branch), height, on(height, branch), on(height-1, p))
}

func on(height uint64, branch byte) await.Hash { return await.Hash{branch, byte(height)} }

func back(from, to uint64, branch byte) string {
	return fmt.Sprintf("id: %d-%s-0\nevent: reorg\ndata: {\"from\":{\"height\":%d},\"to\":{\"height\":%d,\"hash\":%q}}\n\n", to, on(to, branch), from, to, on(to, branch))
}

// Each block is taken once, in order, whatever a stream does: it ends, is cut in the middle, hangs, repeats blocks, leaves
// some out, or goes back without saying so. It goes on after the last one that was taken.
func TestEventsInOrder(t *testing.T) {
	t.Parallel()
	f := newFake(t, said{})
	resumes := []string{}
	conns := []http.HandlerFunc{
		stream(false, tells(1, 1), tells(2, 1), "id: 3-x\nevent: block\ndata: {\"hei"), // cut in the middle
		hangUp,
		say(502, "<html>"),
		stream(false, tells(3, 1), tells(3, 1)),    // repeats
		stream(false, tells(4, 1), tells(2, 1)),    // goes back
		stream(false, tells(6, 1)),                 // leaves one out
		stream(false, tells(5, 2)),                 // of another branch
		stream(false, back(5, 9, 1), tells(10, 1)), // goes back to what comes later
		stream(true, tells(5, 1)),                  // hangs
		stream(false, "event: novelty\ndata: {}\n\n", "event: end\ndata: {\"cause\":\"stopped\"}\n\n"), // ends
		stream(true, back(5, 3, 1), tells(4, 2, 1), tells(5, 2), tells(6, 2)),
	}
	for i, h := range conns {
		conns[i] = func(w http.ResponseWriter, r *http.Request) {
			resumes = append(resumes, strings.SplitN(r.Header.Get("Last-Event-ID"), "-", 2)[0]) // one after the other
			h(w, r)
		}
	}
	f.instead = conns
	var got []string
	var lost []string
	enough := errors.New("enough")
	s := await.Stream{From: 1, Lost: func(err error) { lost = append(lost, err.Error()) }}
	err := f.client().Events(limit(t), s, func(e await.Event) error {
		switch {
		case e.Block != nil:
			got = append(got, fmt.Sprint(e.Block.Height, "/", e.Block.Hash[0]))
			if e.Block.Height == 6 {
				return enough
			}
		case e.Reorg != nil:
			got = append(got, fmt.Sprint("back to ", e.Reorg.To.Height))
		default:
			got = append(got, e.Kind)
		}
		return nil
	})
	if want := "1/1 2/1 3/1 4/1 5/1 novelty back to 3 4/2 5/2 6/2"; err != enough || strings.Join(got, " ") != want {
		t.Errorf("got %q, %v, want %q", strings.Join(got, " "), err, want)
	}
	if want := " 2 2 2 3 4 4 4 4 5 5"; strings.Join(resumes, " ") != want {
		t.Errorf("got resumptions %q, want %q", strings.Join(resumes, " "), want)
	}
	text := strings.Join(lost, "\n")
	for _, want := range []string{"after block 3 0x", "after block 4 0x", "no sign of life", "producer has ended: stopped"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s, want %q in it", text, want)
		}
	}
}

// An event that does not end is not read to its end: the stream is begun anew.
func TestEndlessEvent(t *testing.T) {
	t.Parallel()
	f := newFake(t, said{})
	line := []byte("data: " + strings.Repeat("x", 1<<20) + "\n")
	var read atomic.Int64
	f.instead = []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, err := w.Write([]byte("event: block\n")); err == nil && read.Load() < 300; _, err = w.Write(line) {
			read.Add(1)
		}
	}, stream(true, tells(1, 1))}
	enough := errors.New("enough")
	var lost []string
	err := await.Node(f.url()).Events(limit(t), await.Stream{From: 1, Lost: func(err error) { lost = append(lost, err.Error()) }}, func(await.Event) error { return enough })
	if err != enough || len(lost) != 1 || !strings.Contains(lost[0], "one of them has more than 67108864 bytes") || read.Load() >= 300 {
		t.Errorf("got %v and %.300q after %d MiB, want the stream begun anew after some 64", err, lost, read.Load())
	}
}

// A whole block has the transactions in the place of their number: the engine's own, which have no hash, do not count.
func TestEventsOfWholeBlocks(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`"txs":2`:  2,
		`"txs":[]`: 0,
		`"txs":["YQ==","Yg==","Yw=="],"tx_hashes":["` + on(1, 1).String() + `","` + on(2, 1).String() + `"]`: 2,
		`"txs":["YQ=="]`: 0,
	} {
		f := newFake(t, said{})
		f.instead = []http.HandlerFunc{stream(true, strings.Replace(tells(1, 1), `"txs":2`, body, 1))}
		enough := errors.New("enough")
		err := f.client().Events(limit(t), await.Stream{From: 1, Body: true}, func(e await.Event) error {
			if e.Block.Txs != want || e.Block.Height != 1 || e.Block.Hash != on(1, 1) || !strings.Contains(string(e.Data), body) {
				t.Errorf("%s: got %+v with data %s, want %d transactions", body, e.Block, e.Data, want)
			}
			return enough
		})
		if err != enough {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

// A node that goes on after an id may not begin elsewhere.
func TestEventsGoOnAfter(t *testing.T) {
	t.Parallel()
	f := newFake(t, said{})
	f.instead = []http.HandlerFunc{stream(false, tells(7, 1)), stream(true, tells(8, 1))}
	enough := errors.New("enough")
	var got []uint64
	id := fmt.Sprintf("7-%s-3", on(7, 1))
	if err := f.client().Events(limit(t), await.Stream{After: id}, func(e await.Event) error {
		got = append(got, e.Block.Height)
		return enough
	}); err != enough || !slices.Equal(got, []uint64{8}) {
		t.Errorf("got %v, %v, want block 8", got, err)
	}
}

// A stream ends as the waits do.
func TestEventsEnd(t *testing.T) {
	t.Parallel()
	none := func(await.Event) error { return nil }
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   error
		says   string
	}{
		"pruned":          {say(410, `{"error":"block 3 is pruned: the oldest one here is 9"}`), await.ErrRefused, "block 3 is pruned"},
		"foreign":         {say(409, `{"error":"block 3 is of another chain"}`), await.ErrRefused, "of another chain"},
		"another program": {say(200, "hello"), await.ErrOther, "is this a headrace node?"},
		"the node ends":   {stream(false, tells(1, 1), "event: end\ndata: {\"cause\":\"producer has ended: disk is full\"}\n\n"), await.ErrEnded, "disk is full; last seen: block 1 0x01"},
		"no JSON":         {stream(true, "event: block\ndata: {\n\n"), nil, "read block event"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, said{})
			f.instead = []http.HandlerFunc{c.answer}
			err := f.client().Events(limit(t), await.Stream{From: 1, Ends: true}, none)
			if e := (*await.Error)(nil); !errors.As(err, &e) || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v and %q", err, c.want, c.says)
			}
		})
	}
}

// While an event is taken nobody listens to the node, so it is not silent.
func TestSlowTaker(t *testing.T) {
	t.Parallel()
	f := newFake(t, said{})
	taken := make(chan struct{}) // closed when the first block is
	f.instead = []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
		stream(false, tells(1, 1))(w, r)
		_ = http.NewResponseController(w).Flush()
		<-taken
		stream(true, tells(2, 1))(w, r)
	}, say(410, `{"error":"asked twice"}`)}
	c, err := await.OpenNode(await.Endpoint{URL: f.url()}, await.ClientOptions{Quiet: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	err = c.Events(limit(t), await.Stream{From: 1}, func(e await.Event) error {
		if e.Block.Height == 2 {
			return enough
		}
		<-time.After(200 * time.Millisecond) // four times what a silent node has
		close(taken)
		return nil
	})
	if err != enough {
		t.Errorf("got %v, want both blocks of one connection", err)
	}
}

// After the end of the context nothing is taken any more, though it has been received.
func TestNothingIsTakenAfterTheEnd(t *testing.T) {
	t.Parallel()
	f := newFake(t, said{})
	f.instead = []http.HandlerFunc{stream(true, tells(1, 1), tells(2, 1))}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var got []uint64
	err := f.client().Events(ctx, await.Stream{From: 1}, func(e await.Event) error {
		got = append(got, e.Block.Height)
		cancel()
		return nil
	})
	if e := (*await.Error)(nil); !errors.Is(err, context.Canceled) || !errors.As(err, &e) || !strings.HasPrefix(e.Last, "block 1 ") || len(got) != 1 {
		t.Errorf("got %v, %v, want block 1 alone", got, err)
	}
}

// A node that does not wait as it is asked to is not asked again and again.
func TestHastyNodeIsNoHotLoop(t *testing.T) {
	t.Parallel()
	f := newFake(t, said{})
	f.instead = slices.Repeat([]http.HandlerFunc{say(504, `{"result":"timeout","heads":{}}`)}, 1000)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := await.Node(f.url()).Ready(ctx); !errors.Is(err, context.DeadlineExceeded) || f.asked.Load() > 20 {
		t.Errorf("got %v after %d requests, want a pause between them", err, f.asked.Load())
	}
}

// The token goes to the node alone, and neither it nor what is secret in the address is in a text.
func TestClientToken(t *testing.T) {
	t.Parallel()
	f := newFake(t, said{Progress: safe(3)})
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("planted-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	checks := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer planted-token" {
			t.Errorf("got %q, want the token", r.Header.Get("Authorization"))
		}
		say(400, `{"error":"no `+r.URL.String()+` for planted-token"}`)(w, r)
	}
	f.instead = []http.HandlerFunc{checks, checks}
	u, _ := url.Parse(f.url())
	u.User, u.Path = url.UserPassword("planteduser", "plantedpass"), "/plantedpath"
	c, err := await.OpenNode(await.Endpoint{URL: u.String(), TokenFile: file}, await.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Ready(limit(t))
	stream := c.Events(limit(t), await.Stream{}, func(await.Event) error { return nil })
	if text := fmt.Sprint(err, stream, c); !errors.Is(err, await.ErrRefused) || !errors.Is(stream, await.ErrRefused) || strings.Contains(text, "planted") {
		t.Errorf("got %s, want the refusal without what is secret", text)
	}
	if _, err := await.OpenNode(await.Endpoint{URL: f.url(), TokenFile: file + "x"}, await.ClientOptions{}); err == nil {
		t.Error("got a client without the token that it is to have")
	}
	for _, wrong := range []string{"ftp://127.0.0.1", "127.0.0.1:7331", "", "http://"} {
		if _, err := await.Node(wrong).Ready(limit(t)); err == nil || !strings.Contains(err.Error(), "not a URL") {
			t.Errorf("%q: got %v, want it refused", wrong, err)
		}
		if err := await.Node(wrong).Events(limit(t), await.Stream{}, nil); err == nil || !strings.Contains(err.Error(), "not a URL") {
			t.Errorf("%q: got %v, want it refused", wrong, err)
		}
	}
}

// Over TLS the certificates of the options are believed, and others are not.
func TestClientTLS(t *testing.T) {
	t.Parallel()
	f := newFake(t, said{Progress: safe(3), Ready: true})
	s := httptest.NewTLSServer(f)
	defer s.Close()
	for _, believed := range []bool{true, false} {
		var opt await.ClientOptions
		if believed {
			opt.TLS = s.Client().Transport.(*http.Transport).TLSClientConfig
		}
		c, err := await.OpenNode(await.Endpoint{URL: s.URL}, opt)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if believed {
			ctx = limit(t)
		}
		if _, err := c.Ready(ctx); (err == nil) != believed {
			t.Errorf("believed %t: got %v", believed, err)
		}
		cancel()
	}
}
