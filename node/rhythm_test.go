package node_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/follow"
	"headrace/follow/followtest"
	"headrace/node"
)

// pulse is a source whose heads a test announces.
type pulse struct {
	health *follow.Health
	heads  chan uint64 // sent to by the test
}

func (p *pulse) Health() *follow.Health { return p.health }

func (p *pulse) at(height uint64) follow.Item[int] {
	hash := func(height uint64) (h follow.Hash) { h[0], h[1] = byte(height), byte(height>>8); return h }
	return follow.Item[int]{Height: height, Hash: hash(height), Parent: hash(height - 1)}
}

func (p *pulse) Subscribe(ctx context.Context, update func(follow.Update[int])) error {
	for {
		select {
		case height := <-p.heads:
			p.health.Heard(height, "websocket")
			item := p.at(height)
			update(follow.Update[int]{Head: item.Ref(), Item: &item})
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *pulse) Fetch(_ context.Context, from, to uint64, deliver func(follow.Item[int]) error) error {
	for ; from < to; from++ {
		if err := deliver(p.at(from)); err != nil {
			return err
		}
	}
	return nil
}

// A beat of a chain: a wait, and then news of a head that is so many blocks higher. With 0 it is the same one again.
type beat struct {
	wait time.Duration
	up   uint64
}

func times(n int, b beat) []beat {
	var out []beat
	for range n {
		out = append(out, b)
	}
	return out
}

// Readiness goes by the chain's own clock. A node is ready through what a healthy chain does: missed slots, a burst after
// an outage, blocks on demand. It is not ready when there is nothing new, or nothing at all, for longer: above all not
// since an endpoint that stands still answers (I5).
func TestReadinessByTheChainsClock(t *testing.T) {
	const slot, short = 12 * time.Second, 200 * time.Millisecond
	steady := times(12, beat{2 * time.Second, 1})
	burst := append([]beat{{59 * time.Second, 1}}, times(29, beat{time.Millisecond, 1})...)
	for name, c := range map[string]struct {
		l1     bool
		fixed  time.Duration
		before []beat        // until it is looked at
		beats  []beat        // while it is
		unless time.Duration // it is ready until so long after the first of beats began; 0: for all of them
		why    string
	}{
		"slots":                             {true, slot, nil, times(5, beat{slot, 1}), 0, ""},
		"two missed slots":                  {true, slot, nil, []beat{{3*slot + 4*time.Second, 1}, {slot, 1}}, 0, ""},
		"two missed slots, and it answers":  {true, slot, nil, []beat{{15 * time.Second, 0}, {15 * time.Second, 0}, {10 * time.Second, 1}}, 0, ""},
		"an L1 that stands still":           {true, slot, nil, times(200, beat{time.Second, 0}), 3*slot + slot/2, "no new L1 block for"},
		"a DA layer that stands still":      {false, 2 * time.Second, nil, times(60, beat{time.Second, 0}), 6 * time.Second, "no new DA block for"},
		"the same, as it is measured":       {false, 0, steady, times(60, beat{time.Second, 0}), 6 * time.Second, "no new DA block for"},
		"the same, not measured yet":        {false, 0, nil, times(60, beat{time.Second, 0}), 18 * time.Second, "no new DA block for"},
		"silent":                            {false, 0, steady, []beat{{time.Minute, 1}}, 6 * time.Second, "no new DA block for"},
		"after an outage and its burst":     {false, 0, append(steady, burst...), times(20, beat{5 * time.Second, 1}), 0, ""},
		"silent after an outage":            {false, 0, append(append(steady, burst...), beat{2 * time.Second, 1}), []beat{{time.Minute, 1}}, 6 * time.Second, "no new DA block for"},
		"short block times have a floor":    {false, 0, times(20, beat{short, 1}), times(20, beat{900 * time.Millisecond, 1}), 0, ""},
		"silent with short block times":     {false, 0, times(20, beat{short, 1}), []beat{{time.Minute, 1}}, time.Second, "the bound is 1s"},
		"on demand, nobody mines":           {true, node.OnDemand, nil, times(1000, beat{2 * time.Second, 0}), 0, ""},
		"on demand, and then mined at once": {true, node.OnDemand, nil, append(times(100, beat{2 * time.Second, 0}), times(100, beat{0, 1})...), 0, ""},
		"on demand, and gone":               {true, node.OnDemand, nil, []beat{{time.Minute, 0}}, 6 * time.Second, "the L1 at ws://here has not answered for"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &pulse{health: follow.NewHealth("ws://here", "news", nil), heads: make(chan uint64)}
				p.health.Paced(c.fixed)
				best := follow.Best[int](p)
				sink := followtest.NewSink[int](10)
				f := follow.New[int](best, sink, follow.Options{Stall: time.Hour})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- f.Run(ctx) }()
				defer func() { cancel(); <-ended }()

				head := uint64(10)
				p.heads <- head
				synctest.Wait()
				announce := func(up uint64) {
					head += up
					p.heads <- head
					synctest.Wait()
				}
				look := func() (bool, string, time.Duration) {
					blockTime := best.Pace()
					if c.fixed < 0 {
						blockTime = c.fixed
					}
					return node.Readiness(c.l1, blockTime, f.State().Load(), sink.Last().Height)
				}
				for _, b := range c.before {
					time.Sleep(b.wait)
					announce(b.up)
				}
				start := time.Now()
				for _, b := range c.beats {
					for end := time.Now().Add(b.wait); time.Now().Before(end); {
						time.Sleep(min(100*time.Millisecond, time.Until(end)))
						ready, reason, next := look()
						since := time.Since(start)
						if want := c.unless == 0 || since < c.unless; ready != want || !ready && !strings.Contains(reason, c.why) {
							t.Fatalf("after %s: got ready %t, %q, want %t, %q", since, ready, reason, want, c.why)
						}
						if next <= 0 {
							t.Fatalf("after %s: the answer %t changes in %s", since, ready, next)
						}
					}
					announce(b.up)
				}
				if announce(1); !f.State().Load().Live {
					t.Fatal("the follower is not live")
				}
				if ready, reason, _ := look(); !ready {
					t.Errorf("not ready after the next block: %s", reason)
				}
			})
		})
	}
}

// TestSubmitTimeoutSetting: how long a submission may wait for its block is a setting, and the status says what it was.
func TestSubmitTimeoutSetting(t *testing.T) {
	t.Parallel()
	faults := &fault.Set{}
	if _, err := faults.Add(fault.Fault{Kind: fault.SubmitTimeout}); err != nil {
		t.Fatal(err)
	}
	d, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: 50 * time.Millisecond}, Handler: celestia.HandlerOptions{Faults: faults}})
	if err != nil {
		t.Fatal(err)
	}
	goRun(t, "DA layer", d.Run)
	o := newChain(t, "late").sequencer(t, d.URL(), 50*time.Millisecond)
	o.Config.DA.SubmitTimeout = 123 * time.Millisecond
	seq := start(t, o)
	seq.until(t, "a submission given up", func(s node.Status) bool { return strings.Contains(s.Sequencer.Failure, "not included within 123ms") })
	seq.stopped(t)
}
