package ethereum_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"headrace/devnet/geth"
	"headrace/follow"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/watch"
)

// pair is two endpoints of one L1, each over WebSocket and HTTP, that can be broken one by one.
type pair struct {
	*rig
	behind [2]*trailing
	relay  [2]*relay
}

func newPair(r *rig) *pair {
	p := &pair{rig: r}
	for i := range p.relay {
		p.behind[i] = newTrailing(r.t, r.node.HTTP())
		p.relay[i] = newRelay(r.t, p.behind[i].URL)
	}
	return p
}

// client returns one of both endpoints, with clocks that suit a test.
func (p *pair) client(change func(*ethereum.Options)) *ethereum.Client {
	return p.rig.client(func(o *ethereum.Options) {
		o.WS, o.HTTP = nil, nil
		for _, r := range p.relay {
			o.WS, o.HTTP = append(o.WS, httpc.At(r.url())...), append(o.HTTP, httpc.At("http"+strings.TrimPrefix(r.url(), "ws"))...)
		}
		o.CallTimeout, o.Silence, o.Redial = time.Second, 100*time.Millisecond, 50*time.Millisecond
		if change != nil {
			change(o)
		}
	})
}

// breaks are what can become of an endpoint, and what its status says then.
var breaks = []struct {
	name string
	do   func(p *pair, i int)
	says func(follow.SourceStatus) bool
}{
	{"loss", func(p *pair, i int) { p.relay[i].listener.Close(); p.relay[i].cut() }, failing},
	{"lag", func(p *pair, i int) { p.behind[i].lag.Store(3) }, func(s follow.SourceStatus) bool { return s.Lag >= 2 }},
	{"silence", func(p *pair, i int) { p.relay[i].freeze() }, failing},
}

func failing(s follow.SourceStatus) bool {
	return !s.Healthy && s.LastError != "" && s.Errors > 0 && !s.Since.IsZero() && !s.Live
}

// becomes waits until a status is as it should be. Nothing tells of its changes.
func becomes(t *testing.T, c *ethereum.Client, what string, is func([]follow.SourceStatus) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // only for a test that hangs
	defer cancel()
	for !is(c.Endpoints()) {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("%s: got %+v", what, c.Endpoints())
		}
	}
}

// A follower goes on whatever becomes of one of two endpoints, with each block once, and its status names the broken
// one.
func TestFollowerSurvivesEndpoint(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	for _, b := range breaks {
		for i, which := range []string{"first", "second"} {
			t.Run(b.name+" of the "+which, func(t *testing.T) {
				sub := *r
				sub.t = t
				p := newPair(&sub)
				c := p.client(nil)
				start := p.head().Height
				sink, state := follower(t, c, start+1)
				p.propose(payload("before"))
				reach(t, state, p.head())
				b.do(p, i)
				for n := range 4 {
					p.propose(payload(fmt.Sprint("during ", n)))
					reach(t, state, p.head())
				}
				if got, want := sink.Applied(), p.head().Height-start; got != want || sink.Reverted() != 0 {
					t.Errorf("got %d blocks applied and %d reverted, want %d and none", got, sink.Reverted(), want)
				}
				becomes(t, c, "status", func(s []follow.SourceStatus) bool {
					return b.says(s[i]) && s[1-i].Healthy && s[1-i].Live && s[1-i].Lag == 0
				})
			})
		}
	}
}

// A proposer goes on whatever becomes of one of two endpoints just when that has taken a transaction: each draft is
// included once, at the cost of one transaction.
func TestProposerSurvivesEndpoint(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	for _, b := range breaks {
		for i, which := range []string{"first", "second"} {
			for _, following := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s of the %s, following %t", b.name, which, following), func(t *testing.T) {
					sub := *r
					sub.t = t
					p := newPair(&sub)
					var fault sync.Once
					sends := watch.New(0)
					c := p.client(func(o *ethereum.Options) {
						o.Observer.Called = func(method string, _ int, _ time.Duration, err error) {
							if method == "eth_sendRawTransaction" && err == nil {
								sends.Update(func(n int) int { return n + 1 })
								if sends.Load() == 2 {
									fault.Do(func() { b.do(p, i) })
								}
							}
						}
					})
					if following {
						_, _ = follower(t, c, p.head().Height+1)
					}
					first, txs := p.state().NextID, p.nonce(p.proposer)
					a := ethereum.NewAccount(c, p.proposer, ethereum.AccountOptions{Content: ethereum.CallData, Resend: 2 * time.Second})
					from := p.head().Height + 1
					p.mining(func(ctx context.Context) {
						ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // only for a test that hangs
						defer cancel()
						for n := range uint64(4) {
							d := draft(first+n, "a")
							at, err := a.Propose(ctx, d)
							for ; err != nil && ctx.Err() == nil; at, err = a.Propose(ctx, d) { // as the sequencer does
								if errors.Is(err, l1.ErrStale) || errors.Is(err, l1.ErrForcedDue) || errors.Is(err, l1.ErrNotProposer) {
									t.Errorf("proposal %d: got the verdict %v", d.ID, err)
								}
							}
							if err != nil || at.ID != d.ID {
								t.Fatalf("proposal %d: got %+v, %v", d.ID, at, err)
							}
						}
					})
					if got := p.nonce(p.proposer) - txs; got != 4 || p.state().NextID != first+4 {
						t.Errorf("got %d transactions, next id %d, want 4 and %d", got, p.state().NextID, first+4)
					}
					proposals := 0
					for _, b := range fetch(t, p.rig.client(nil), from, p.head().Height+1) {
						for _, m := range b.Messages {
							if m.Proposal == nil || m.Proposal.Void != "" || m.Proposal.ID != first+uint64(proposals) {
								t.Errorf("got %+v", m)
							}
							proposals++
						}
					}
					if proposals != 4 {
						t.Errorf("got %d proposals, want 4", proposals)
					}
				})
			}
		}
	}
}

// What an endpoint that is behind says of the account or the inbox is no verdict, and a receipt that one keeps back
// another may have.
func TestNoVerdictFromBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	force := func(p *pair, c *ethereum.Client, after func(context.Context)) {
		p.t.Helper()
		a := ethereum.NewAccount(c, geth.DevKey(5), ethereum.AccountOptions{Content: ethereum.CallData, Resend: time.Hour})
		p.mining(func(ctx context.Context) {
			ctx, cancel := context.WithCancel(ctx)
			var work sync.WaitGroup
			defer work.Wait()
			defer cancel()
			work.Go(func() { after(ctx) })
			if _, err := a.Force(ctx, [][]byte{{1}}); err != nil {
				p.t.Errorf("got %v, want the inclusion", err)
			}
		})
	}
	sent := func(do func()) func(*ethereum.Options) {
		return func(o *ethereum.Options) {
			o.Observer.Called = func(method string, _ int, _ time.Duration, err error) {
				if method == "eth_sendRawTransaction" && err == nil {
					do()
				}
			}
		}
	}
	t.Run("a receipt kept back", func(t *testing.T) {
		sub := *r
		sub.t = t
		p := newPair(&sub)
		p.behind[0].noReceipts.Store(true)
		c := p.client(func(o *ethereum.Options) { o.WS = nil })
		force(p, c, func(context.Context) {})
	})
	t.Run("a nonce that is taken", func(t *testing.T) {
		sub := *r
		sub.t = t
		p := newPair(&sub)
		asked := watch.New(int64(0))
		c := p.client(func(o *ethereum.Options) {
			o.WS = nil
			sent(func() {
				for _, e := range p.behind {
					e.noReceipts.Store(true)
				}
				p.behind[0].freshNonce.Store(true)
				p.behind[0].lag.Store(3)
			})(o)
			observe := o.Observer.Called
			o.Observer.Called = func(method string, n int, took time.Duration, err error) {
				observe(method, n, took, err)
				if method == "eth_getTransactionReceipt" {
					asked.Set(p.behind[0].receipts.Load())
				}
			}
		})
		_, _ = follower(t, c, p.head().Height+1)
		force(p, c, func(ctx context.Context) {
			_, _ = asked.Wait(ctx, func(n int64) bool { return n >= 8 }) // it ends before that if there was a verdict
			for _, e := range p.behind {
				e.noReceipts.Store(false)
			}
		})
	})
	t.Run("a proposal that is too early", func(t *testing.T) {
		sub := *r
		sub.t = t
		p := newPair(&sub)
		c := p.client(func(o *ethereum.Options) { o.WS = nil })
		_, state := follower(t, c, p.head().Height+1)
		p.propose(payload("x"))
		p.propose(payload("y"))
		reach(t, state, p.head())
		becomes(t, c, "heads", func(s []follow.SourceStatus) bool {
			return s[0].Head == p.head().Height && s[1].Head == p.head().Height
		})
		p.behind[0].lag.Store(2)
		p.relay[1].setDown(true)
		next := p.state().NextID
		a := p.account(c, p.proposer, ethereum.CallData)
		if _, err := a.Propose(t.Context(), draft(next, "a")); err == nil || errors.Is(err, l1.ErrStale) || !strings.Contains(err.Error(), "behind") {
			t.Errorf("at an endpoint that is behind: got %v, want an error that says so and is no verdict", err)
		}
		p.behind[0].lag.Store(0)
		if _, err := a.Propose(t.Context(), draft(next+1, "a")); !errors.Is(err, l1.ErrStale) {
			t.Errorf("at one that is not: got %v, want ErrStale", err)
		}
	})
}

// What is read beside the blocks is read at the endpoint that has it, if the first does not answer or is behind.
func TestReadsFallOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{ForcedDelay: 1000})
	r.mine(r.tx(geth.DevKey(4), r.inbox(), bindings.PackForce(l1.EncodeTxs([][]byte{{1}}))))
	r.check(r.chain.Tag(t.Context(), r.chain.Head().Hash(), r.chain.Head().Hash()))
	away := httptest.NewServer(nil)
	away.Close()
	behind := newTrailing(t, r.node.HTTP())
	behind.lag.Store(1)
	head := l1.Hash(r.chain.Head().Hash())
	for name, first := range map[string]string{"away": away.URL, "behind": behind.URL} {
		for what, read := range map[string]func(*ethereum.Client) error{
			"state":     func(c *ethereum.Client) error { _, err := c.State(t.Context(), head); return err },
			"settings":  func(c *ethereum.Client) error { _, err := c.Settings(t.Context()); return err },
			"finalized": func(c *ethereum.Client) error { _, err := c.Finalized(t.Context()); return err },
			"safe":      func(c *ethereum.Client) error { _, err := c.Safe(t.Context()); return err },
			"owner":     func(c *ethereum.Client) error { _, err := c.Owner(t.Context()); return err },
			"queue": func(c *ethereum.Client) error {
				queue, err := c.Queue(t.Context(), head, 10)
				if err == nil && len(queue) != 1 {
					err = fmt.Errorf("%d items, want 1", len(queue))
				}
				return err
			},
			"blocks": func(c *ethereum.Client) error {
				_, err := tryFetch(t.Context(), c, 1, r.head().Height+1)
				return err
			},
		} {
			c := r.client(func(o *ethereum.Options) { o.WS, o.HTTP = nil, httpc.At(first, r.node.HTTP()) })
			if err := read(c); err != nil {
				t.Errorf("%s, the first endpoint is %s: %v", what, name, err)
			}
			if s := c.Endpoints(); name == "away" && (s[0].Healthy || s[0].Errors == 0 || !s[1].Healthy) {
				t.Errorf("%s, the first endpoint is %s: got %+v", what, name, s)
			}
		}
	}
}

// The content of a head that several endpoints announce is read once.
func TestContentIsReadOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	var content atomic.Int64
	c := r.client(func(o *ethereum.Options) {
		o.WS = httpc.At(r.node.WS(), r.node.WS(), r.node.WS())
		o.Observer.Called = func(method string, _ int, _ time.Duration, _ error) {
			if method == "eth_getBlockReceipts" {
				content.Add(1)
			}
		}
	})
	_, state := follower(t, c, r.head().Height+1)
	becomes(t, c, "subscriptions", func(s []follow.SourceStatus) bool { return s[0].Live && s[1].Live && s[2].Live })
	for n := int64(1); n <= 5; n++ {
		r.propose(payload("a"))
		reach(t, state, r.head())
		becomes(t, c, "heads", func(s []follow.SourceStatus) bool {
			at := r.head().Height
			return s[0].Head == at && s[1].Head == at && s[2].Head == at
		})
	}
	if got := content.Load(); got != 5 {
		t.Errorf("got receipts read %d times, want 5", got)
	}
}

// The content of a head is asked for where that was announced, and not where reading is best otherwise: an endpoint
// that has fallen silent since it was asked last does not hold news up.
func TestContentFromWhoAnnounces(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	var content atomic.Int64
	reading := refusing(t, r.node.HTTP(), func(method string) string {
		if method == "eth_getBlockReceipts" {
			content.Add(1)
		}
		return ""
	})
	c := r.client(func(o *ethereum.Options) { o.HTTP = httpc.At(reading) })
	_, state := follower(t, c, r.head().Height+1)
	becomes(t, c, "endpoints", func(s []follow.SourceStatus) bool { return s[0].Live && s[1].Head > 0 })
	r.propose(payload("a"))
	reach(t, state, r.head())
	if st := state.Load(); content.Load() != 0 || st.Counts.Inline == 0 {
		t.Errorf("got receipts read %d times at the endpoint for reading, %d blocks with their news; want none, and one", content.Load(), st.Counts.Inline)
	}
}

// What is called finalized never goes back, whatever an endpoint that is behind calls so.
func TestFinalizedNeverGoesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	r.mine()
	var early any
	r.check(r.eth.Client().Call(&early, "eth_getBlockByNumber", "0x1", false))
	final, _ := r.chain.At(2)
	r.check(r.chain.Tag(t.Context(), final.Hash(), final.Hash()))
	liar := newLiar(t, r.node.HTTP())
	c := r.client(func(o *ethereum.Options) { o.HTTP = httpc.At(liar.URL) })
	want := l1.Ref{Height: 2, Hash: [32]byte(final.Hash())}
	for name, lie := range map[string]func(any) any{"as it is": nil, "one that is behind": func(any) any { return early }, "one that has none": func(any) any { return nil }} {
		if lie != nil {
			if _, err := c.Finalized(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		liar.set("eth_getBlockByNumber", lie)
		if got, err := c.Finalized(t.Context()); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
		liar.set("", nil)
	}
}

// Blobs are read at the beacon API that has them, whichever others there are.
func TestBeacons(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	away := httptest.NewServer(nil)
	away.Close()
	pruned := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(pruned.Close)
	c := r.client(func(o *ethereum.Options) { o.Beacon = httpc.At(away.URL, pruned.URL, r.beacon.URL) })
	var number uint64
	r.mining(func(ctx context.Context) {
		at, err := r.account(c, r.proposer, ethereum.Blobs).Propose(ctx, draft(1, "a"))
		r.check(err)
		number = at.Block.Height
	})
	for range 2 {
		if p := one(t, c, number).Proposal; p.Void != "" || len(p.Blocks) != 1 {
			t.Errorf("got %+v", p)
		}
	}
	s := c.Endpoints()[2:]
	if s[0].Healthy || s[0].Calls != 1 || !s[1].Healthy || s[1].Calls != 1 || !s[2].Healthy || s[2].Calls < 4 {
		t.Errorf("got %+v, want the two others asked once, and the first of them failing", s)
	}
}

// Endpoints are listed in the order of the options, and tell nobody's secrets.
func TestEndpointNames(t *testing.T) {
	c, err := ethereum.New(ethereum.Options{
		WS: httpc.At("ws://u:p@one/", "wss://two/v3/p?token=p"), HTTP: httpc.At("http://three#p"), Beacon: httpc.At("https://u:p@four?p"), ChainID: 1, Inbox: l1.Address{1},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []string
	for _, s := range c.Endpoints() {
		got = append(got, s.Role+" "+s.Address)
		if !s.Healthy || s.Live || s.Lag != 0 {
			t.Errorf("before anything was asked: got %+v", s)
		}
	}
	if want := "[news ws://one/ news wss://two read http://three beacon https://four]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
