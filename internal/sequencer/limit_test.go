package sequencer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/exec"
	"headrace/exec/kv"
	"headrace/internal/sequencer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1/local"
)

// sized is a key-value transaction of so many bytes.
func sized(n, size int) []byte {
	tx := fmt.Appendf(nil, "k%d=", n)
	return append(tx, bytes.Repeat([]byte{'x'}, size-len(tx))...)
}

// One number decides what is accepted, built and posted: what a proposal takes of one block. Nothing that is larger
// is accepted, by the sequencer or by the engine alone; all that is accepted is in a block within ten, and posted.
func TestOneLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInboxBench(t, local.Options{}, nil)
		stop := b.run(t)
		most := b.seq.MaxTx()
		if most < 117_900 || most > 118_000 {
			t.Errorf("the largest transaction has %d bytes, want about 117,900 of a proposal in call data", most)
		}
		time.Sleep(5 * time.Second)
		for n := range 141 {
			err := b.seq.SubmitTx(t.Context(), sized(n, 118_731))
			if !errors.Is(err, exec.ErrTooBig) || !strings.Contains(err.Error(), fmt.Sprint(most)) {
				t.Fatalf("transaction %d, larger than a proposal takes: got %v, want %v and the number", n, err, exec.ErrTooBig)
			}
		}
		if err := b.machine.KV.SubmitTx(t.Context(), sized(0, most+1)); !errors.Is(err, exec.ErrTooBig) {
			t.Errorf("the engine alone: got %v, want %v", err, exec.ErrTooBig)
		}
		height := map[string]uint64{} // of the head when it was accepted
		for n := range 141 {
			tx := sized(n, []int{most, 20, most / 2}[n%3])
			for {
				head := b.machine.Status().Load().Unsafe.Height
				if err := b.seq.SubmitTx(t.Context(), bytes.Clone(tx)); err == nil {
					height[string(tx)] = head
					break
				} else if !errors.Is(err, exec.ErrFull) {
					t.Fatal(err)
				}
				if b.seq.Status().Load().Full.Since.IsZero() {
					t.Fatal("the pool is full, and the status does not say since when")
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
		if s := b.seq.Status().Load(); s.Full.Refused == 0 {
			t.Error("nothing was refused: the pool was not full, and this shows nothing")
		}
		for n, err := 1000, error(nil); !errors.Is(err, exec.ErrFull); n++ { // full at the end, and nobody asks again
			if err = b.seq.SubmitTx(t.Context(), sized(n, most)); err != nil && !errors.Is(err, exec.ErrFull) {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		st := b.machine.Status().Load()
		for h := uint64(1); h <= st.Safe.Height; h++ {
			rec, err := b.machine.Block(h)
			if err != nil {
				t.Fatal(err)
			}
			for _, tx := range rec.Block.Data.Txs {
				if at, ok := height[string(tx)]; ok && h > at+11 { // one block may have been made before it came
					t.Errorf("a transaction of %d bytes, accepted at %d, is in block %d", len(tx), at, h)
				}
				delete(height, string(tx))
			}
		}
		if len(height) > 0 {
			t.Errorf("%d accepted transactions are in no safe block", len(height))
		}
		if s := b.seq.Status().Load(); !s.Full.Since.IsZero() || s.Failures > 0 || b.machine.KV.Dropped() > 0 {
			t.Errorf("got %+v and %d dropped, want a pool with room, and nothing dropped", s, b.machine.KV.Dropped())
		}
		stop()
		b.machine.Close()
	})
}

// byteCounter is an engine that counts nothing but the transactions' own bytes.
type byteCounter struct {
	exec.Builder
	txs [][]byte
}

func (c *byteCounter) Build(_ context.Context, _, _ uint64, most int) (txs [][]byte, err error) {
	for _, tx := range c.txs {
		if most -= len(tx); most < 0 {
			break
		}
		txs = append(txs, tx)
	}
	return txs, nil
}

// What an engine gives beyond the number is asked for again, not posted in vain.
func TestEngineThatCountsOtherwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInboxBench(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) {
			counter := &byteCounter{Builder: struct{ exec.Builder }{c.Builder}}
			for range 120_000 {
				counter.txs = append(counter.txs, []byte("="))
			}
			c.Builder = counter
		})
		stop := b.run(t)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		rec, err := b.machine.Block(1)
		if size := exec.Size(rec.Block.Data.Txs); err != nil || size < 100_000 || size > 118_000 {
			t.Errorf("block 1 holds %d bytes (%v), want nearly what a proposal takes", size, err)
		}
		if st := b.machine.Status().Load(); st.Safe.Height == 0 || b.seq.Status().Load().Failures > 0 {
			t.Errorf("safe head %d, %+v: want blocks that can be posted", st.Safe.Height, b.seq.Status().Load())
		}
		stop()
		b.machine.Close()
	})
}

// When the number falls, what waits and is larger is dropped and counted, before a block is made; the rest is kept.
func TestLimitFalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var engine *kv.Engine
		b := newInboxBench(t, local.Options{}, func(c *sequencer.Config, _ *local.Options) {
			engine = c.Builder.(*kv.Engine)
			engine.Limit(500_000)
			for n, size := range []int{200_000, 20, 118_731, 100_000} {
				if err := engine.SubmitTx(t.Context(), sized(n, size)); err != nil {
					t.Fatal(err)
				}
			}
		})
		if st := engine.Stats(); st.Dropped != 2 || st.PoolTxs != 2 {
			t.Errorf("got %+v, want the two dropped that no proposal takes", st)
		}
		stop := b.run(t)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		for key, want := range map[string]bool{"k0": false, "k1": true, "k2": false, "k3": true} {
			if _, ok, err := engine.Get([]byte(key)); err != nil || ok != want {
				t.Errorf("%s is included: %v, %v, want %v", key, ok, err, want)
			}
		}
		stop()
		b.machine.Close()
	})
}

// A sequencer that could put no transaction into a block says so.
func TestNoRoomForATransaction(t *testing.T) {
	w := syncertest.NewWorld(t, -1)
	m := w.OpenL1(syncertest.NewHome(), nil)
	defer m.Close()
	chain := local.New(local.Options{Limit: 2048})
	_, err := sequencer.New(sequencer.Config{Syncer: m.Syncer, Builder: m.KV, Key: w.Key, Proposer: chain.Proposer([20]byte{1})})
	if err == nil || !strings.Contains(err.Error(), "holds no transaction") {
		t.Errorf("got %v, want that no transaction fits", err)
	}
}
