package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/exec"
	"headrace/internal/sequencer"
	"headrace/internal/syncer/syncertest"
)

// submitter stands between a sequencer and the DA layer, counts what is posted, and fails on demand.
type submitter struct {
	da.Submitter
	mu     sync.Mutex
	before func(blobs []da.Blob) error // fails and is not done
	after  func() error                // fails but is done
	lie    bool                        // reports success and is not done
	hang   bool                        // it answers nothing, and is not done
	posted map[string]int              // by header hash
}

func (s *submitter) set(edit func(*submitter)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	edit(s)
}

func (s *submitter) Submit(ctx context.Context, blobs []da.Blob) (uint64, error) {
	s.mu.Lock()
	before, after, lie, hang := s.before, s.after, s.lie, s.hang
	s.mu.Unlock()
	if hang {
		<-ctx.Done()
		return 0, fmt.Errorf("%w: %w", da.ErrUnknownOutcome, context.Cause(ctx))
	}
	if before != nil {
		if err := before(blobs); err != nil {
			return 0, err
		}
	}
	if lie {
		return 1, nil
	}
	height, err := s.Submitter.Submit(ctx, blobs)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	for _, b := range blobs {
		if h, err := block.DecodeSignedHeader(b.Data); err == nil && b.Namespace == syncertest.HeaderNS {
			s.posted[h.Header.Hash().String()]++
		}
	}
	s.mu.Unlock()
	if after != nil {
		return 0, after()
	}
	return height, nil
}

// bench is a running sequencer with a witness full node.
type bench struct {
	*syncertest.World
	seq, full *syncertest.Machine
	q         *sequencer.Sequencer
	sub       *submitter
	stop      func()
}

func newBench(t *testing.T, edit func(*sequencer.Config)) *bench {
	w := syncertest.NewWorld(t, 200*time.Millisecond)
	b := &bench{World: w, seq: w.Open(syncertest.NewHome(), nil), full: w.Open(syncertest.NewHome(), nil)}
	b.sub = &submitter{Submitter: w.Chain, posted: map[string]int{}}
	sf, ff := w.Follower(b.seq), w.Follower(b.full)
	b.q = newSequencer(w, b.seq, sf, b.sub, edit)
	b.stop = syncertest.Run(t, w.Chain.Run, sf.Run, ff.Run, b.q.Run)
	return b
}

func (b *bench) close() {
	b.stop()
	b.seq.Close()
	b.full.Close()
}

// A DA layer whose blocks are further apart than a submission usually takes: the submission is waited for, as it is at
// its block time, and nothing is posted twice.
func TestSlowDALayer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 90 * time.Second
		w := syncertest.NewWorld(t, each)
		m := w.Open(syncertest.NewHome(), nil)
		t.Cleanup(m.Close)
		sub := &submitter{Submitter: w.Chain, posted: map[string]int{}}
		f := w.Follower(m)
		q := newSequencer(w, m, f, sub, func(c *sequencer.Config) {
			c.BlockTime, c.Patience = 10*time.Second, func() time.Duration { return 3 * each }
		})
		stop := syncertest.Run(t, w.Chain.Run, f.Run, q.Run)
		time.Sleep(20 * each)
		synctest.Wait()
		if st, of := q.Status().Load(), m.Status().Load(); st.Failures != 0 || of.Safe.Height+30 < of.Unsafe.Height || of.Safe.Height < 100 {
			t.Errorf("got %+v, %v safe of %v, want no submission in vain", st, of.Safe, of.Unsafe)
		}
		stop()
		for hash, n := range sub.posted {
			if n != 1 {
				t.Errorf("block %s was posted %d times", hash, n)
			}
		}
	})
}

// How long a submission may take is asked for each one: blocks that come at longer and longer intervals give it longer.
func TestSubmissionTimeIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most atomic.Int64
		most.Store(int64(5 * time.Second))
		b := newBench(t, func(c *sequencer.Config) {
			c.Patience = func() time.Duration { return time.Second }
			c.SubmitTimeout = func() time.Duration { return time.Duration(most.Load()) }
		})
		b.sub.set(func(s *submitter) { s.hang = true })
		fails := func(within time.Duration) {
			t.Helper()
			before := b.q.Status().Load().Failures
			time.Sleep(time.Minute)
			synctest.Wait()
			if st := b.q.Status().Load(); st.Failures == before || !strings.Contains(st.Failure, "not included within "+within.String()) {
				t.Errorf("got %+v, want that nothing was included within %s", st, within)
			}
		}
		fails(5 * time.Second)
		most.Store(int64(20 * time.Second))
		time.Sleep(20 * time.Second) // what is under way ends
		fails(20 * time.Second)
		b.close()
	})
}

// The DA layer is away: blocks are made up to the bound, then production pauses and says so; when it is back it
// resumes and everything is posted once.
func TestOutagePausesAndResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *sequencer.Config) { c.MaxPending = 40 })
		time.Sleep(time.Second)
		b.sub.set(func(s *submitter) { s.before = func([]da.Blob) error { return fmt.Errorf("%w: away", da.ErrRejected) } })
		time.Sleep(20 * time.Second)
		synctest.Wait()
		st, q := b.seq.Status().Load(), b.q.Status().Load()
		if pending := st.Unsafe.Height - st.Safe.Height; pending != 40 {
			t.Errorf("%d blocks pending, want the bound, 40", pending)
		}
		if q.Paused == "" || q.Failure == "" {
			t.Errorf("status is %+v, want the pause and the failure", q)
		}
		b.sub.set(func(s *submitter) { s.before = nil })
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if q := b.q.Status().Load(); q.Paused != "" || q.Failure != "" {
			t.Errorf("status is %+v, want neither pause nor failure", q)
		}
		syncertest.Agree(t, st.Unsafe.Height+100, b.seq, b.full)
		b.sub.set(func(s *submitter) {
			for hash, n := range s.posted {
				if n != 1 {
					t.Errorf("header %s was posted %d times, want once", hash, n)
				}
			}
		})
		b.close()
	})
}

// A submission that failed but was done is looked for before it is repeated; one that was reported and not done is
// found missing and repeated.
func TestUnknownOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		time.Sleep(time.Second)
		b.sub.set(func(s *submitter) { s.after = func() error { return da.ErrUnknownOutcome } })
		time.Sleep(10 * time.Second)
		b.sub.set(func(s *submitter) { s.after = nil })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		for hash, n := range b.sub.posted {
			if n != 1 {
				t.Errorf("failed but done: header %s was posted %d times, want once", hash, n)
			}
		}
		before := b.seq.Status().Load().Safe.Height
		b.sub.set(func(s *submitter) { s.lie = true })
		time.Sleep(2 * time.Second)
		b.sub.set(func(s *submitter) { s.lie = false })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		syncertest.Agree(t, before+100, b.seq, b.full)
		b.close()
	})
}

// What is too big for one submission is split.
func TestTooBigIsSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.sub.set(func(s *submitter) {
			s.before = func(blobs []da.Blob) error {
				if len(blobs) > 3 {
					return da.ErrTooBig
				}
				return nil
			}
		})
		for round := range 20 {
			b.seq.Load(t, round, 3)
			time.Sleep(100 * time.Millisecond)
		}
		b.sub.set(func(s *submitter) { s.before = nil })
		time.Sleep(20 * time.Second)
		synctest.Wait()
		syncertest.Agree(t, 100, b.seq, b.full)
		b.close()
	})
}

func TestLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *sequencer.Config) { c.Lazy, c.LazyInterval = true, 10*time.Second })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := b.q.Status().Load(); s.Paused != "" || b.seq.Status().Load().Unsafe.Height != 0 {
			t.Errorf("paused %q, at block %d, with nothing to do at a new chain's head; want neither", s.Paused, b.seq.Status().Load().Unsafe.Height)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := b.seq.Status().Load().Unsafe.Height; got != 3 {
			t.Errorf("%d empty blocks in 35 s, want one each 10 s", got)
		}
		b.seq.Load(t, 1, 1)
		b.q.Notify()
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if got := b.seq.Status().Load().Unsafe.Height; got != 4 {
			t.Errorf("height %d after a transaction, want 4 at once", got)
		}
		b.close()
	})
}

// failsOnce is a builder that fails at first.
type failsOnce struct {
	exec.Builder
	failed *bool
}

func (f failsOnce) Build(ctx context.Context, height, at uint64, most int) ([][]byte, error) {
	if !*f.failed {
		*f.failed = true
		return nil, errors.New("not yet")
	}
	return f.Builder.Build(ctx, height, at, most)
}

// What was in the way of a block is not said any more when there is nothing to do.
func TestLazyAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *sequencer.Config) {
			c.Builder, c.Lazy, c.LazyInterval = failsOnce{c.Builder, new(bool)}, true, time.Hour
		})
		said := false
		if _, err := b.q.Status().Wait(t.Context(), func(s sequencer.Status) bool {
			said = said || strings.Contains(s.Paused, "not yet")
			return said
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := b.q.Status().Load(); s.Paused != "" || b.seq.Status().Load().Unsafe.Height != 0 {
			t.Errorf("paused %q at block %d, want neither", s.Paused, b.seq.Status().Load().Unsafe.Height)
		}
		b.close()
	})
}

// sealing is a builder with a transaction of its own at the front of each block.
type sealing struct{ exec.Builder }

func (sealing) OwnTxs() int   { return 1 }
func (sealing) OwnBytes() int { return 20 }

func (s sealing) Build(ctx context.Context, height, at uint64, most int) ([][]byte, error) {
	txs, err := s.Builder.Build(ctx, height, at, most-s.OwnBytes())
	return append([][]byte{fmt.Appendf(nil, "seal=%d", height)}, txs...), err
}

// An empty block is one without transactions of users, whatever the engine puts into each.
func TestLazyWithASeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *sequencer.Config) {
			c.Builder, c.Lazy, c.LazyInterval = sealing{c.Builder}, true, time.Minute
		})
		for range 5 {
			b.q.Notify() // of transactions that no block takes
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if got := b.seq.Status().Load().Unsafe.Height; got != 0 {
			t.Errorf("at block %d with nothing to do, want none", got)
		}
		b.seq.Load(t, 1, 1)
		b.q.Notify()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := b.seq.Status().Load().Unsafe.Height; got != 1 {
			t.Errorf("at block %d after a transaction, want 1", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := b.seq.Status().Load().Unsafe.Height; got != 2 {
			t.Errorf("at block %d a minute later, want 2", got)
		}
		b.close()
	})
}

// A sequencer that lost its store signs nothing before it has seen what the DA layer has of its chain.
func TestEmptyStoreWaitsForTheDALayer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		time.Sleep(5 * time.Second)
		top := b.full.Status().Load().Safe
		b.stop()

		again := b.Open(syncertest.NewHome(), nil)
		f := b.Follower(again)
		q := newSequencer(b.World, again, f, b.Chain, nil)
		stop := syncertest.Run(t, q.Run) // the follower is not running: the DA layer is away
		time.Sleep(10 * time.Second)
		if st := again.Status().Load(); st.Unsafe.Height != 0 || q.Status().Load().Paused == "" {
			t.Errorf("height %d, paused %q; want no block and the reason", st.Unsafe.Height, q.Status().Load().Paused)
		}
		stopAll := syncertest.Run(t, b.Chain.Run, f.Run)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		rec, err := again.Block(top.Height)
		if err != nil || rec.Block.Hash() != top.Hash {
			t.Errorf("block %d is %v (%v), want %s from the DA layer", top.Height, rec.Block, err, top.Hash)
		}
		if again.Status().Load().Unsafe.Height <= top.Height {
			t.Error("no block was made after catching up")
		}
		stop()
		stopAll()
		again.Close()
		b.close()
	})
}

func TestWrongKey(t *testing.T) {
	w := syncertest.NewWorld(t, -1)
	other, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	m := w.Open(syncertest.NewHome(), nil)
	defer m.Close()
	if _, err := sequencer.New(sequencer.Config{Syncer: m.Syncer, Key: other}); err == nil {
		t.Fatal("a key that is not the proposer's was accepted")
	}
}

// Of a thousand submissions that fail at a gateway, before and after the node took them, none is posted twice: it is
// looked for first, also when that takes longer than any back-off. And all that is made becomes safe.
func TestThousandUnknownOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		var mu sync.Mutex // guards the two
		failures, n := 0, 0
		fail := func() error {
			mu.Lock()
			defer mu.Unlock()
			if n++; failures < 1000 && n%5 != 0 {
				failures++
				return fmt.Errorf("%w: 504", da.ErrUnknownOutcome)
			}
			return nil
		}
		b.sub.set(func(s *submitter) {
			s.before = func([]da.Blob) error {
				mu.Lock()
				even := n%2 == 0
				mu.Unlock()
				if even {
					return fail()
				}
				return nil
			}
			s.after = fail
		})
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour) // of the bubble's clock
		defer cancel()
		for done := false; !done; {
			time.Sleep(time.Minute)
			mu.Lock()
			done = failures == 1000
			mu.Unlock()
			if ctx.Err() != nil {
				t.Fatalf("%d failures in a day", failures)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		syncertest.Agree(t, 1000, b.seq, b.full)
		b.sub.set(func(s *submitter) {
			for hash, n := range s.posted {
				if n != 1 {
					t.Errorf("header %s was posted %d times, want once", hash, n)
				}
			}
		})
		b.close()
	})
}

// A block that is refused as too big even alone is named in the status, with what to do, until it is posted.
func TestTooBigAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.sub.set(func(s *submitter) { s.before = func([]da.Blob) error { return da.ErrTooBig } })
		time.Sleep(time.Minute)
		if s := b.q.Status().Load(); !strings.HasPrefix(s.Stuck, "block ") || !strings.Contains(s.Stuck, "client_max_body_size") {
			t.Errorf("got %q, want the block and the remedy", s.Stuck)
		}
		b.sub.set(func(s *submitter) { s.before = nil })
		time.Sleep(time.Minute)
		if s := b.q.Status().Load(); s.Stuck != "" || s.Failure != "" {
			t.Errorf("got %q, %q after it was posted", s.Stuck, s.Failure)
		}
		b.close()
	})
}

// What fails with an unknown outcome because of its size is tried with less, whatever is said of it; and once less was
// taken, more is tried seldom.
func TestUnknownOutcomeOfSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		refused := 0
		b.sub.set(func(s *submitter) {
			s.before = func(blobs []da.Blob) error {
				if len(blobs) > 8 {
					refused++
					return fmt.Errorf("%w: 502", da.ErrUnknownOutcome)
				}
				return nil
			}
		})
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if s := b.seq.Status().Load(); s.Safe.Height < 1000 {
			t.Errorf("safe head %d after five minutes, want it to move", s.Safe.Height)
		}
		if b.sub.set(func(*submitter) {}); refused > 30 {
			t.Errorf("%d submissions were too large: the size is not remembered", refused)
		}
		b.close()
	})
}

// What was sent may be in a later block than the next one: it is looked for in some. And a DA layer may have several
// blocks before it has arrived there: it is given the time. Nothing is posted twice.
func TestLateArrival(t *testing.T) {
	for _, c := range []struct{ arrival, takes time.Duration }{{0, 900 * time.Millisecond}, {1, 450 * time.Millisecond}} {
		t.Run(c.takes.String(), func(t *testing.T) { lateArrival(t, c.arrival, c.takes) })
	}
}

func lateArrival(t *testing.T, arrival, takes time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *sequencer.Config) { c.Arrival = arrival })
		time.Sleep(time.Second)
		var late sync.WaitGroup
		var lost atomic.Int64
		b.sub.set(func(s *submitter) {
			s.before = func(blobs []da.Blob) error {
				late.Go(func() {
					time.Sleep(takes) // blocks are 200 ms apart
					if _, err := b.Chain.Submit(t.Context(), blobs); err != nil {
						t.Error(err)
					}
				})
				lost.Add(1)
				return fmt.Errorf("%w: 504", da.ErrUnknownOutcome)
			}
		})
		time.Sleep(30 * time.Second)
		b.sub.set(func(s *submitter) { s.before = nil })
		synctest.Wait() // a submission under way has joined the late ones
		late.Wait()
		time.Sleep(10 * time.Second)
		if n := lost.Load(); n < 5 {
			t.Errorf("%d submissions came late, want more: this shows nothing", n)
		}
		copies := map[string]int{}
		for h := uint64(1); h <= b.Chain.Head().Load().Height; h++ {
			blobs, err := b.Chain.Blobs(h, syncertest.HeaderNS)
			if err != nil {
				t.Fatal(err)
			}
			for _, blob := range blobs {
				copies[string(blob.Data)]++
			}
		}
		for data, n := range copies {
			if n != 1 {
				t.Errorf("a header of %d bytes was posted %d times", len(data), n)
			}
		}
		b.close()
	})
}

// When the blocks are found, posting goes on at once: nothing else is waited for.
func TestLookEndsWhenFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(c *sequencer.Config) { c.Arrival = time.Hour })
		b.sub.set(func(s *submitter) { s.after = func() error { return da.ErrUnknownOutcome } })
		time.Sleep(time.Minute)
		if s := b.seq.Status().Load(); s.Safe.Height < 1000 {
			t.Errorf("safe head %d after a minute, want 20 blocks a second", s.Safe.Height)
		}
		b.close()
	})
}

// The heights that are looked through are counted from the DA layer's newest, which the follower may not have heard of.
func TestLookFromTheNewestHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ahead = 20
		failed := false
		b := newBench(t, func(c *sequencer.Config) {
			c.Head = func(context.Context) (uint64, error) {
				if !failed {
					failed = true
					return 0, da.ErrSyncing // it is asked again
				}
				return c.Syncer.Status().Load().Position.Height + ahead, nil
			}
		})
		var tries []time.Time
		b.sub.set(func(s *submitter) {
			s.before = func([]da.Blob) error {
				if tries = append(tries, time.Now()); len(tries) == 1 {
					return da.ErrUnknownOutcome
				}
				return nil
			}
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(tries) < 2 || tries[1].Sub(tries[0]) < ahead*200*time.Millisecond {
			t.Errorf("tried at %v, want the second try after %d blocks, of 200 ms each", tries[:min(len(tries), 2)], ahead)
		}
		b.close()
	})
}
