package sequencer_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/exec"
	"headrace/internal/sequencer"
	"headrace/internal/syncer/syncertest"
)

// A transaction with the bytes of one in a block that was signed before a crash, and is stored after it, is a transaction
// of its own: it is in a later block.
func TestTheSameBytesAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tx = "a=1"
		w := syncertest.NewWorld(t, 100*time.Millisecond)
		flaky := &flaky{}
		flaky.set(true, false)
		m := w.Open(syncertest.NewHome(), flaky.wrap)
		f := w.Follower(m)
		q := newSequencer(w, m, f, w.Chain, nil)
		if err := m.KV.SubmitTx(t.Context(), []byte(tx)); err != nil {
			t.Fatal(err)
		}
		stopChain := syncertest.Run(t, w.Chain.Run)
		stop := syncertest.Run(t, f.Run, q.Run)
		time.Sleep(3 * time.Second)
		last, signed, err := m.Syncer.LastSigned()
		if head := m.Status().Load().Unsafe.Height; err != nil || !signed || head >= last.Ref.Height {
			t.Fatalf("signed %v %+v, %v; head %d: want a block that is signed and not stored", signed, last, err, head)
		}
		stop()
		home := m.Crash(vfs.CrashCloneCfg{})

		m = w.Open(home, nil)
		defer m.Close()
		f = w.Follower(m)
		q = newSequencer(w, m, f, w.Chain, nil)
		taken := make(chan error, 1)
		go func() { taken <- q.SubmitTx(t.Context(), []byte(tx)) }() // its client is faster than the sequencer
		synctest.Wait()
		stop = syncertest.Run(t, f.Run, q.Run)
		time.Sleep(3 * time.Second)
		if err := <-taken; err != nil {
			t.Fatal(err)
		}
		if times := placesOf(t, m, tx); times != 2 {
			t.Errorf("it is in the chain %d times, want 2: one was sent before the crash, one after", times)
		}
		stop()
		stopChain()
	})
}

// gatedEngine is an engine that executes nothing before it is let.
type gatedEngine struct {
	exec.Engine
	let atomic.Bool
}

func (g *gatedEngine) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	if !g.let.Load() {
		return nil, errors.New("the engine is busy")
	}
	return g.Engine.Execute(ctx, b)
}

// An engine that has lost blocks in a crash is given them again before any transaction is taken: one with the bytes of
// theirs is a transaction of its own, and in a later block.
func TestTheSameBytesAfterTheEngineHasLostBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tx = "a=1"
		w := syncertest.NewWorld(t, 100*time.Millisecond)
		home := syncertest.NewHome()
		m := w.Open(home, nil)
		f := w.Follower(m)
		hand, err := sequencer.OpenHand("")
		if err != nil {
			t.Fatal(err)
		}
		q := newSequencer(w, m, f, w.Chain, func(cfg *sequencer.Config) { cfg.Hand = hand })
		stopChain := syncertest.Run(t, w.Chain.Run)
		stop := syncertest.Run(t, f.Run, q.Run)
		for range 3 {
			if err := q.SubmitTx(t.Context(), []byte(tx)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
		}
		if err := hand.Stop(t.Context()); err != nil { // the block under way is done
			t.Fatal(err)
		}
		stop()
		home.Engine = home.Engine.(*vfs.MemFS).CrashClone(vfs.CrashCloneCfg{})
		m.Close()

		var gate *gatedEngine
		m = w.Open(home, func(e exec.Engine) exec.Engine { gate = &gatedEngine{Engine: e}; return gate })
		defer m.Close()
		if at, err := m.KV.Head(t.Context()); err != nil || at.Height >= m.Status().Load().Unsafe.Height {
			t.Fatalf("the engine is at %d, %v, and the store at %d: want an engine that has lost blocks", at.Height, err, m.Status().Load().Unsafe.Height)
		}
		if last, signed, err := m.Syncer.LastSigned(); err != nil || !signed || last.Ref.Height > m.Status().Load().Unsafe.Height {
			t.Fatalf("signed %v %+v, %v: want that all that was signed is stored", signed, last, err)
		}
		f = w.Follower(m)
		q = newSequencer(w, m, f, w.Chain, func(cfg *sequencer.Config) { cfg.HoldTx = time.Minute })
		taken := make(chan error, 1)
		stop = syncertest.Run(t, f.Run, q.Run)
		go func() { taken <- q.SubmitTx(t.Context(), []byte(tx)) }()
		time.Sleep(3 * time.Second)
		if len(taken) > 0 {
			t.Error("a transaction is taken while the engine has not all blocks")
		}
		gate.let.Store(true)
		time.Sleep(30 * time.Second) // what was tried in vain is tried again
		if err := <-taken; err != nil {
			t.Fatal(err)
		}
		if times := placesOf(t, m, tx); times != 4 {
			t.Errorf("it is in the chain %d times, want 4: three were sent before the crash, one after", times)
		}
		stop()
		stopChain()
	})
}

// placesOf counts the places of a transaction in the chain of a home.
func placesOf(t *testing.T, m *syncertest.Machine, tx string) (times int) {
	t.Helper()
	for h := uint64(1); h <= m.Status().Load().Unsafe.Height; h++ {
		rec, err := m.Store.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range rec.Block.Data.Txs {
			if string(got) == tx {
				times++
			}
		}
	}
	return times
}

// A sequencer that does not know yet what it has signed refuses a transaction after a while, and says what it waits for;
// one whose transactions are executed once at most takes it; one that has ended says so.
func TestNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := syncertest.NewWorld(t, 100*time.Millisecond) // its chain does not run
		m := w.Open(syncertest.NewHome(), nil)
		defer m.Close()
		f := w.Follower(m)
		away := func(cfg *sequencer.Config) {
			cfg.CaughtUp = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		}
		q := newSequencer(w, m, f, w.Chain, away)
		stop := syncertest.Run(t, q.Run)
		synctest.Wait()
		start := time.Now()
		err := q.SubmitTx(t.Context(), []byte("a=1"))
		if !errors.Is(err, sequencer.ErrNotBegun) || !strings.Contains(err.Error(), "waiting for the DA layer") || time.Since(start) != 10*time.Second {
			t.Errorf("got %v after %s, want ErrNotBegun with what it waits for after 10 s", err, time.Since(start))
		}
		given, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := q.SubmitTx(given, []byte("a=1")); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, sequencer.ErrNotBegun) {
			t.Errorf("within a second: got %v, want the caller's deadline, and that it was not offered", err)
		}
		for most, want := range map[time.Duration]time.Duration{0: 0, 3 * time.Second: 3 * time.Second, time.Minute: 10 * time.Second} {
			start := time.Now()
			err := q.SubmitTxWithin(t.Context(), []byte("a=1"), most)
			if !errors.Is(err, sequencer.ErrNotBegun) || !strings.Contains(err.Error(), "waiting for the DA layer") || time.Since(start) != want {
				t.Errorf("within %s: got %v after %s, want ErrNotBegun with what it waits for after %s", most, err, time.Since(start), want)
			}
		}
		stop()
		if err := q.SubmitTx(t.Context(), []byte("a=1")); !errors.Is(err, context.Canceled) || !errors.Is(err, sequencer.ErrNotBegun) {
			t.Errorf("after its end: got %v, want the reason of its end, and that it was not offered", err)
		}
		once := newSequencer(w, m, f, w.Chain, func(cfg *sequencer.Config) { cfg.TxOnce = true })
		if err := once.SubmitTx(t.Context(), []byte("a=1")); err != nil {
			t.Errorf("executed once at most: got %v, want it taken at once", err)
		}
	})
}
