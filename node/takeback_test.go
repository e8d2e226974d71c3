package node_test

import (
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/internal/nettest"
	"headrace/node"
)

// A sequencer whose home is empty, or an older copy, takes back from another node what its key has signed and nobody
// has posted, before it signs: the other node sees no second block at any height. With nobody who answers it waits for
// a while, and says so.
func TestTakesBackWhatItSigned(t *testing.T) {
	t.Parallel()
	faults := new(fault.Set)
	d, err := devnet.NewDA(devnet.DAOptions{
		Listen: "127.0.0.1:0", Chain: local.Options{Interval: 50 * time.Millisecond}, Handler: celestia.HandlerOptions{Faults: faults},
	})
	if err != nil {
		t.Fatal(err)
	}
	goRun(t, "DA layer", d.Run)
	c := newChain(t, "lost")
	o := c.sequencer(t, d.URL(), 20*time.Millisecond)
	o.Config.Sequencer.MaxPending = 100_000
	o.Bounds.Flight = 100 * time.Millisecond
	seq := start(t, o)
	seq.until(t, "at block 5", func(s node.Status) bool { return s.Heads.Safe.Height >= 5 })
	backup := t.TempDir()
	seq.stopped(t)
	overwrite(t, o.Home, backup)
	if _, err := faults.Add(fault.Fault{Kind: fault.SubmitReject}); err != nil { // what is signed from now on is posted nowhere
		t.Fatal(err)
	}

	seq = start(t, o)
	f := c.full(t, d.URL())
	f.Config.Unsafe.From = node.At(seq.URL())
	full := start(t, f)
	full.until(t, "forty blocks ahead", func(s node.Status) bool { return s.Heads.Unsafe.Height >= s.Heads.Safe.Height+40 })
	seq.stopped(t)
	// What the others have of it: what was signed just before the end may have come to nobody.
	known := func() block.Ref {
		return full.until(t, "without a sequencer", func(s node.Status) bool { return !s.Unsafe.From[0].Live }).Heads.Unsafe
	}
	top := known()
	address, trusted := seq.Address(), t.TempDir()
	overwrite(t, backup, trusted)
	for what, home := range map[string]string{"an older copy": backup, "an older copy that is trusted": trusted, "empty": t.TempDir()} {
		next := o
		next.Home, next.Config.HTTP.Address, next.Config.Unsafe.From = home, address, node.At(full.URL())
		next.Config.Sequencer.TrustHome = home == trusted
		again := start(t, next)
		s := again.until(t, "making blocks", func(s node.Status) bool { return s.Counts.Produced >= 5 })
		if first := s.Heads.Unsafe.Height - s.Counts.Produced; first < top.Height {
			t.Errorf("%s: block %d was signed anew, the last one before was %d", what, first+1, top.Height)
		}
		s = full.until(t, "following", unsafeAt(again.Status().Load().Heads.Unsafe.Height+5))
		if s.Counts.SignedTwice != 0 || s.Counts.RevertedUnsafe != 0 {
			t.Errorf("%s: got %+v of who has followed all the time, want no second block", what, s.Counts)
		}
		again.stopped(t)
		top = known()
	}
}

// With nobody who answers a home that may have lost something waits for sequencer.recover, and says so; then it goes on
// as one that has nobody to ask.
func TestNobodySaysWhatItSigned(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "alone")
	o := c.sequencer(t, d.URL(), 20*time.Millisecond)
	o.Config.Unsafe.From = node.At("http://" + nettest.FreeAddress(t))
	o.Config.Sequencer.Recover = time.Hour
	n := start(t, o)
	s := n.until(t, "asking", func(s node.Status) bool { return strings.Contains(s.Sequencer.Paused, "asking other nodes") })
	if s.Counts.Produced != 0 || !strings.Contains(s.Sequencer.Paused, "sequencer.recover") {
		t.Errorf("got %d blocks, paused by %q; want none, and what it waits for", s.Counts.Produced, s.Sequencer.Paused)
	}
	n.stopped(t)
	o.Config.Sequencer.Recover = 500 * time.Millisecond
	start(t, o).until(t, "making blocks", func(s node.Status) bool { return s.Counts.Produced > 0 })
}

// A copy of a home that is at work elsewhere, and whose blocks are posted nowhere, takes them for what they are: while
// another node gets more of them it signs nothing, and says that there is another sequencer. When that has ended it goes
// on where it was.
func TestCopyOfASequencerThatDoesNotPost(t *testing.T) {
	t.Parallel()
	faults := new(fault.Set)
	d, err := devnet.NewDA(devnet.DAOptions{
		Listen: "127.0.0.1:0", Chain: local.Options{Interval: 50 * time.Millisecond}, Handler: celestia.HandlerOptions{Faults: faults},
	})
	if err != nil {
		t.Fatal(err)
	}
	goRun(t, "DA layer", d.Run)
	c := newChain(t, "silent")
	o := c.sequencer(t, d.URL(), 20*time.Millisecond)
	o.Config.Sequencer.MaxPending = 1_000_000
	o.Bounds.Flight = 15 * time.Second // a busy machine may make no block for some time
	seq := start(t, o)
	seq.until(t, "at block 5", func(s node.Status) bool { return s.Heads.Safe.Height >= 5 })
	seq.stopped(t)
	copied := t.TempDir()
	overwrite(t, o.Home, copied)
	if _, err := faults.Add(fault.Fault{Kind: fault.SubmitReject}); err != nil { // what is signed from now on is posted nowhere
		t.Fatal(err)
	}

	seq = start(t, o)
	f := c.full(t, d.URL())
	f.Config.Unsafe.From = node.At(seq.URL())
	full := start(t, f)
	full.until(t, "ahead", func(s node.Status) bool { return s.Heads.Unsafe.Height >= s.Heads.Safe.Height+10 })
	two := o
	two.Home, two.Config.Unsafe.From = copied, node.At(full.URL())
	second := start(t, two)
	s := second.until(t, "saying that there is another one", func(s node.Status) bool {
		return s.Sequencer != nil && strings.Contains(s.Sequencer.Paused, "another sequencer with this key") || s.Counts.Produced > 0
	})
	if s.Counts.Produced > 0 {
		t.Fatalf("got %+v, want no block while another sequencer signs", s.Counts)
	}
	seq.stopped(t)
	top := full.until(t, "without a sequencer", func(s node.Status) bool { return !s.Unsafe.From[0].Live }).Heads.Unsafe
	s = second.until(t, "making blocks", func(s node.Status) bool { return s.Counts.Produced > 0 })
	if first := s.Heads.Unsafe.Height - s.Counts.Produced; first < top.Height {
		t.Errorf("block %d was signed anew, the last one before was %d", first+1, top.Height)
	}
	if b, err := second.Block(top.Height); err != nil || b.Hash != top.Hash.String() {
		t.Errorf("block %d is %s (%v), want %s", top.Height, b.Hash, err, top.Hash)
	}
}
