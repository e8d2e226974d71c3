package syncer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/l1"
	"headrace/l1/local"
)

// A hundred items whose transactions are missing, and an engine that is slow to say why: a sequencer asks once about
// each, for its draft, and again for nobody; a node that has the blocks asks before it judges the proposal. Blocks are
// made meanwhile: none waits for an answer.
func TestJudgingHoldsNoBlockUp(t *testing.T) {
	const n = 100
	var queue []l1.Forced
	var items [][]byte
	for i := range n {
		txs := [][]byte{fmt.Appendf(nil, "forced-%d", i)}
		items = append(items, l1.EncodeTxs(txs))
		queue = append(queue, l1.Forced{Source: l1.Source{Forced: true, Index: uint64(i), Txs: txs}})
	}
	for _, drafted := range []bool{true, false} {
		t.Run(fmt.Sprintf("drafted %v", drafted), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newInboxWorld(t, local.Options{ForcedMax: n, Limit: 1 << 22, ForcedDelay: 3600})
				w.stop()
				ctx := t.Context()
				var mu sync.Mutex
				asked, answers := 0, make(chan struct{}) // closed to let all answers come
				produce := func() *block.Block {
					t.Helper()
					var made *block.Block
					if _, err := w.node.Produce(ctx, func(_ context.Context, p syncer.Parent) (*block.Block, error) {
						made = signTxs(t, w.World, p, []string{fmt.Sprintf("own-%d=1", p.Ref.Height)})
						return made, nil
					}); err != nil {
						t.Fatal(err)
					}
					return made
				}
				blocks := []*block.Block{produce(), produce()}
				w.engine.exempt = exemptAll(&mu, &asked, answers)
				while := func(judging func() error) {
					t.Helper()
					done := make(chan error, 1) // the judging's result
					go func() { done <- judging() }()
					synctest.Wait() // it waits for the engine
					if !w.node.Free() {
						close(answers)
						t.Fatalf("judged in the section, where no block can be made meanwhile: %v", <-done)
					}
					for range 5 {
						produce()
					}
					select {
					case err := <-done:
						t.Fatalf("judged without the engine: %v", err)
					default:
					}
					close(answers)
					if err := <-done; err != nil {
						t.Fatal(err)
					}
				}
				draft := func() error {
					taken, err := w.node.Taken(ctx, blocks, queue)
					if err == nil && taken != n {
						err = fmt.Errorf("%d items taken, want all", taken)
					}
					return err
				}
				if drafted {
					while(draft)
				}
				for _, payload := range items {
					w.l1.Send(local.Tx{From: l1.Address{7}, Force: payload})
				}
				in := w.propose(n, blocks...)
				apply := func() error {
					return w.l1.Fetch(ctx, 1, in.Block.Height+1, func(it follow.Item[l1.Block]) error { return w.node.L1.Apply(ctx, it) })
				}
				if drafted {
					if err := apply(); err != nil {
						t.Fatal(err)
					}
				} else {
					while(apply)
				}
				st := w.node.Status().Load()
				if st.Safe != blocks[1].Ref() || st.Unsafe.Height != 7 || st.Counts.Void != 0 || st.Counts.Exempt != n {
					t.Errorf("got %v, unsafe %d, %+v; want the proposal canonical below the blocks made meanwhile", st.Safe, st.Unsafe.Height, st.Counts)
				}
				if asked != n {
					t.Errorf("the engine was asked %d times about %d items, want once about each", asked, n)
				}
			})
		})
	}
}

// exemptAll answers, once answers is closed, that no block could include anything.
func exemptAll(mu *sync.Mutex, asked *int, answers <-chan struct{}) func(uint64, [][]byte) ([]string, error) {
	return func(_ uint64, item [][]byte) ([]string, error) {
		<-answers
		mu.Lock()
		defer mu.Unlock()
		*asked++
		why := make([]string, len(item))
		for i := range why {
			why[i] = "no pair"
		}
		return why, nil
	}
}

// An answer that came while the engine was taken back may be of another block: it is not kept.
func TestAnswerOfAnotherBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		w.stop()
		ctx := t.Context()
		w.node.L1.Offers.SetGate(ctx, true)
		b := w.branch("a")
		first := b.next()
		if _, err := w.offer(first); err != nil {
			t.Fatal(err)
		}
		asked := 0
		w.engine.exempt = func(uint64, [][]byte) ([]string, error) {
			if asked++; asked > 1 {
				return []string{""}, nil
			}
			if err := w.node.DropAbove(ctx, 0, "test"); err != nil { // and the same block again
				t.Error(err)
			}
			if _, err := w.offer(first); err != nil {
				t.Error(err)
			}
			return []string{"as it was on another block"}, nil
		}
		n, err := w.node.Taken(ctx, []*block.Block{first}, []l1.Forced{{Source: l1.Source{Forced: true, Txs: [][]byte{[]byte("forced=1")}}}})
		if n != 0 || err != nil || asked != 2 {
			t.Errorf("got %d items taken, %v, after %d questions; want none taken, by the second answer", n, err, asked)
		}
	})
}
