package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/sequencer"
	"headrace/l1"
	"headrace/l1/local"
)

// drafts notes what is proposed.
type drafts struct {
	mu  sync.Mutex // guards all
	all []l1.Draft
	err error // for the next ones
}

// of has those of b noted.
func (d *drafts) of(b *inboxBench) {
	b.proposer.refuse = func(draft l1.Draft) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.all = append(d.all, draft)
		return d.err
	}
}

func (d *drafts) sizes() (out []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.all {
		out = append(out, l1.PayloadSize(d.all[i].Blocks))
	}
	return out
}

// Blocks wait to be proposed together until the oldest has waited for as long as it may; then all go, in one proposal.
func TestProposedWhenOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const delay = 30 * time.Second
		var sent drafts
		b := newInboxBench(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) { c.MaxDelay = delay })
		sent.of(b)
		stop := b.run(t)
		start := time.Now()
		time.Sleep(delay - time.Second)
		if n := len(sent.sizes()); n != 0 {
			t.Errorf("%d proposals before the oldest block is old", n)
		}
		if due := b.seq.Status().Load().Due; due.Before(time.Now()) || due.After(start.Add(delay+2*time.Second)) {
			t.Errorf("due at %s, %s after the start, want %s or a little more", due, due.Sub(start), delay)
		}
		time.Sleep(5 * time.Second)
		s := b.machine.Status().Load()
		if s.Proposal.ID != 1 || s.Safe.Height < 90 {
			t.Errorf("got proposal %d and block %d, want one proposal of all blocks", s.Proposal.ID, s.Safe.Height)
		}
		time.Sleep(5 * delay)
		s = b.machine.Status().Load()
		if s.Proposal.ID < 4 || s.Proposal.ID > 6 || len(sent.sizes()) > 6 {
			t.Errorf("got %d proposals in %s, want one each %s", s.Proposal.ID, 6*delay, delay)
		}
		stop()
		b.machine.Close()
	})
}

// However wrong the clock is, and so the times of blocks, they wait no shorter, and no longer: if it was put back, their
// times stand still, and if the L1 is a day ahead, too, they are of tomorrow.
func TestOldByAWrongClock(t *testing.T) {
	for name, off := range map[string]time.Duration{"a day behind": -day, "a day ahead, with the L1": day} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const delay = 30 * time.Second
				var clock wrongClock
				b := newInboxBench(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) { c.MaxDelay, c.Wall = delay, clock.now })
				stop := b.run(t)
				time.Sleep(10 * time.Second)
				if clock.set(off); off > 0 {
					b.chain.IncreaseTime(uint64(off / time.Second))
				}
				time.Sleep(10*delay - 10*time.Second)
				if id := b.machine.Status().Load().Proposal.ID; id < 8 || id > 11 {
					t.Errorf("got %d proposals in %s, want one each %s", id, 10*delay, delay)
				}
				rec, err := b.machine.Block(b.machine.Status().Load().Unsafe.Height)
				if err != nil {
					t.Fatal(err)
				}
				if by := time.Since(rec.Block.Made()); off < 0 && by < 4*time.Minute || off > 0 && by > -day/2 {
					t.Errorf("the newest block's time is %s before the true one: this tests nothing", by)
				}
				stop()
				b.machine.Close()
			})
		})
	}
}

// Blocks that were made before a restart have waited since then.
func TestOldSinceBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInboxBench(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) { c.MaxDelay = time.Hour })
		stop := b.run(t)
		time.Sleep(10 * time.Second)
		stop()
		made := b.machine.Status().Load().Unsafe.Height
		if made < 20 || b.machine.Status().Load().Safe.Height != 0 {
			t.Fatalf("got %+v", b.machine.Status().Load())
		}
		time.Sleep(2 * time.Hour)
		b.start(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) { c.MaxDelay = time.Hour })
		stop = b.run(t)
		time.Sleep(10 * time.Second)
		if s := b.machine.Status().Load(); s.Safe.Height < made {
			t.Errorf("ten seconds after a restart block %d is safe, want %d at least", s.Safe.Height, made)
		}
		stop()
		b.machine.Close()
	})
}

// A proposal goes when it is full, however young its blocks are, and not before. It is full, too, where it holds no more,
// however much is asked for.
func TestProposedWhenFull(t *testing.T) {
	const most = 20_000
	t.Run("as asked for", func(t *testing.T) { proposedWhenFull(t, most, 0, most, 2*most) })
	t.Run("more than it holds", func(t *testing.T) { proposedWhenFull(t, 10*most, most, most/2, most) })
	t.Run("nothing is asked for", func(t *testing.T) { proposedWhenFull(t, 0, most, most/2, most) })
}

// proposedWhenFull has proposals of at least and at most so many bytes, if one is full with full bytes and holds limit; 0: the
// default.
func proposedWhenFull(t *testing.T, full, limit, least, most int) {
	synctest.Test(t, func(t *testing.T) {
		var sent drafts
		b := newInboxBench(t, local.Options{Limit: limit}, func(c *sequencer.Config, _ *local.Options) { c.MaxDelay, c.Full = time.Hour, full })
		sent.of(b)
		stop := b.run(t)
		for i := range 300 {
			if i%3 > 0 {
				tx := fmt.Sprintf("k%d=%s", i, strings.Repeat("v", 100*(i%7)))
				if err := b.seq.SubmitTx(t.Context(), []byte(tx)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(300 * time.Millisecond)
		}
		sizes := sent.sizes()
		if len(sizes) < 3 {
			t.Errorf("got %d proposals, want some", len(sizes))
		}
		for i, size := range sizes {
			if size < least {
				t.Errorf("proposal %d has %d bytes, want %d at least", i+1, size, least)
			}
			if size > most {
				t.Errorf("proposal %d has %d bytes: it was full long before", i+1, size)
			}
		}
		stop()
		b.machine.Close()
	})
}

// So many blocks that production would have to pause soon are not kept waiting.
func TestProposedBeforeAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInboxBench(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) { c.MaxDelay, c.MaxPending = time.Hour, 20 })
		stop := b.run(t)
		time.Sleep(time.Minute)
		if s := b.machine.Status().Load(); s.Unsafe.Height < 190 || s.Safe.Height < 170 || s.Proposal.ID > s.Safe.Height/9 {
			t.Errorf("got head %d, safe %d after %d proposals; want no pause, and ten blocks a proposal", s.Unsafe.Height, s.Safe.Height, s.Proposal.ID)
		}
		stop()
		b.machine.Close()
	})
}

// An operator has what is pending proposed, once; and so it is when he has stopped the sequencer.
func TestProposedByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hand := handAt(t, "")
		b := newInboxBench(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) { c.MaxDelay, c.Hand = time.Hour, hand })
		stop := b.run(t)
		time.Sleep(10 * time.Second)
		head := b.machine.Status().Load().Unsafe.Height
		hand.Post(head)
		time.Sleep(time.Minute)
		if s := b.machine.Status().Load(); s.Safe.Height < head || s.Proposal.ID != 1 {
			t.Errorf("asked for block %d: got %d proposals up to block %d, want one", head, s.Proposal.ID, s.Safe.Height)
		}
		if err := hand.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if s := b.machine.Status().Load(); s.Safe != s.Unsafe || s.Proposal.ID != 2 {
			t.Errorf("stopped: got %d proposals up to block %d of %d, want all in one more", s.Proposal.ID, s.Safe.Height, s.Unsafe.Height)
		}
		stop()
		b.machine.Close()
	})
}

// Forced items are proposed in time, and not sooner than it takes: some L1 blocks before they are due.
func TestProposedForForcedItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInboxBench(t, local.Options{ForcedDelay: 60}, func(c *sequencer.Config, _ *local.Options) { c.MaxDelay = time.Hour })
		stop := b.run(t)
		time.Sleep(5 * time.Second)
		b.force("forced=yes")
		time.Sleep(45 * time.Second)
		if s := b.machine.Status().Load(); s.Proposal.ID != 0 {
			t.Errorf("got %d proposals 15 s before the item is due, want none", s.Proposal.ID)
		}
		time.Sleep(15 * time.Second)
		state, err := b.chain.State(t.Context(), l1.Hash{})
		if err != nil {
			t.Fatal(err)
		}
		s := b.machine.Status().Load()
		if s.Proposal.ID != 1 || s.Proposal.Void != "" || state.ForcedHead != 1 || b.chain.Failed() != 0 {
			t.Errorf("when the item is due: got %+v, %+v, %d refused; want it taken by one proposal", s.Proposal, state, b.chain.Failed())
		}
		time.Sleep(time.Minute)
		if s := b.machine.Status().Load(); s.Proposal.ID != 1 {
			t.Errorf("got %d proposals a minute later, want no more", s.Proposal.ID)
		}
		stop()
		b.machine.Close()
	})
}

// lost is an inbox whose queue cannot be read.
type lost struct {
	l1.Reader
	queue func() error
}

func (l *lost) Queue(ctx context.Context, at l1.Hash, limit int) ([]l1.Forced, error) {
	if err := l.queue(); err != nil {
		return nil, err
	}
	return l.Reader.Queue(ctx, at, limit)
}

// That the queue cannot be read while blocks wait is no failed submission: nothing was to be submitted.
func TestQueueUnreadWhileBlocksWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inbox := &lost{queue: func() error { return errors.New("no answer") }}
		b := newInboxBench(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) { c.MaxDelay, c.Inbox = time.Minute, inbox })
		inbox.Reader = b.chain
		stop := b.run(t)
		time.Sleep(50 * time.Second)
		if s := b.seq.Status().Load(); s.Failure != "" || s.Failures != 0 || s.Due.IsZero() {
			t.Errorf("while blocks wait: got %+v, want no failure", s)
		}
		time.Sleep(30 * time.Second)
		if s := b.seq.Status().Load(); !strings.Contains(s.Failure, "no answer") {
			t.Errorf("when they are due: got %q, want the cause", s.Failure)
		}
		stop()
		b.machine.Close()
	})
}

// picky is a proposer for whom a part of a payload is worth its price.
type picky struct {
	*proposer
	most int
}

func (p *picky) Worth(_ context.Context, size int) (int, error) { return min(size, p.most), nil }

// A proposal is cut to what is worth its price; the rest follows. But what forced items need is proposed all the same, and
// no block is dropped.
func TestProposalsAreWorthTheirPrice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 5_000
		var sent drafts
		var choosy *picky
		b := newInboxBench(t, local.Options{ForcedDelay: 30}, func(c *sequencer.Config, _ *local.Options) {
			c.MaxDelay, c.Full = time.Hour, 50_000
			c.Patience = func() time.Duration { return time.Second / 2 }
		})
		b.rebuild(t, func(c *sequencer.Config) {
			choosy = &picky{b.proposer, most}
			c.Proposer = choosy
		})
		sent.of(b)
		stop := b.run(t)
		time.Sleep(20 * time.Second)
		b.force("forced=yes") // in a later block than a proposal has that is worth its price
		time.Sleep(5 * time.Minute)
		s := b.machine.Status().Load()
		state, err := b.chain.State(t.Context(), l1.Hash{})
		if err != nil {
			t.Fatal(err)
		}
		if state.ForcedHead != 1 || s.Counts.Dropped != 0 || s.Counts.Void != 0 {
			t.Errorf("got %d forced items taken, %d blocks dropped, %d proposals void; want 1, none, none", state.ForcedHead, s.Counts.Dropped, s.Counts.Void)
		}
		cut := 0
		for _, size := range sent.sizes() {
			if size <= most {
				cut++
			}
		}
		if cut == 0 || cut == len(sent.sizes()) {
			t.Errorf("of %d proposals %d were cut to %d bytes, want some: %v", len(sent.sizes()), cut, most, sent.sizes())
		}
		stop()
		b.machine.Close()
	})
}

// That the L1 asks for more than may be paid does not make proposals smaller.
func TestFeeCapIsNoMatterOfSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent drafts
		b := newInboxBench(t, local.Options{}, nil)
		sent.of(b)
		sent.err = fmt.Errorf("the L1's base fee is too high: %w: %w", l1.ErrFeeCap, l1.ErrUnknownOutcome)
		stop := b.run(t)
		time.Sleep(2 * time.Minute)
		sizes := sent.sizes()
		for i := 1; i < len(sizes); i++ {
			if sizes[i] < sizes[i-1] {
				t.Errorf("after %d bytes %d are tried", sizes[i-1], sizes[i])
			}
		}
		if s := b.seq.Status().Load(); len(sizes) < 5 || !strings.Contains(s.Failure, "above what may be paid") {
			t.Errorf("%d tries, failure %q", len(sizes), s.Failure)
		}
		stop()
		b.machine.Close()
	})
}

// While a proposal is under way it can be had with the blocks that were made meanwhile, behind the same ones; and what is
// proposed so becomes safe, whole.
func TestFullerDraft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInboxBench(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) { c.MaxDelay = 20 * time.Second })
		fuller := 0
		b.proposer.answer = func(d l1.Draft) (l1.Inclusion, error) {
			if again, ok := d.Fuller(t.Context()); ok {
				t.Errorf("at once there are %d blocks in the place of %d", len(again.Blocks), len(d.Blocks))
			}
			for range 3 {
				time.Sleep(time.Second)
				next, ok := d.Fuller(t.Context())
				if !ok || next.ID != d.ID || next.Parent != d.Parent || len(next.Blocks) <= len(d.Blocks) || string(next.Blocks[len(d.Blocks)-1].Header) != string(d.Blocks[len(d.Blocks)-1].Header) {
					t.Errorf("a second later: got %v, %d blocks, want more than %d behind the same", ok, len(next.Blocks), len(d.Blocks))
					break
				}
				next.Fuller = d.Fuller
				d = next
				fuller++
				if f := b.seq.Status().Load().Flight; f.To-f.From+1 != uint64(len(d.Blocks)) {
					t.Errorf("blocks %d to %d are said to be under way, want %d", f.From, f.To, len(d.Blocks))
				}
			}
			return b.proposer.Proposer.Propose(t.Context(), d)
		}
		stop := b.run(t)
		time.Sleep(2 * time.Minute)
		if s := b.machine.Status().Load(); fuller < 9 || s.Counts.Void != 0 || s.Safe.Height < 300 || b.seq.Status().Load().Failures != 0 {
			t.Errorf("after %d fuller drafts: got %+v up to block %d, %+v", fuller, s.Counts, s.Safe.Height, b.seq.Status().Load())
		}
		stop()
		b.machine.Close()
	})
}
