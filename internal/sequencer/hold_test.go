package sequencer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

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
		times := 0
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
		if times != 2 {
			t.Errorf("it is in the chain %d times, want 2: one was sent before the crash, one after", times)
		}
		stop()
		stopChain()
	})
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
