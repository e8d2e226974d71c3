package await_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/await"
	"headrace/watch"
)

// txs is a node in whose chain one transaction comes to be.
type txs struct {
	status watch.Value[await.Progress]
	at     map[await.Label]bool
	err    error
}

func (n *txs) Status() *watch.Value[await.Progress] { return &n.status }

func (n *txs) FindTx(hash await.Hash, head await.Label) (string, bool, error) {
	return "here", hash == await.Hash{7} && n.at[head], n.err
}

// reach publishes that the transaction is in a block up to some heads.
func (n *txs) reach(heads ...await.Label) {
	n.status.Update(func(p await.Progress) await.Progress {
		for _, h := range heads {
			n.at[h] = true
		}
		p.Safe.Height++
		return p
	})
}

func TestTx(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &txs{at: map[await.Label]bool{}}
		go func() {
			time.Sleep(time.Second)
			n.reach(await.Unsafe)
			time.Sleep(time.Second)
			n.reach(await.Safe)
		}()
		start := time.Now()
		for i, label := range []await.Label{await.Unsafe, await.Safe} {
			got, err := await.Tx(t.Context(), n, [32]byte{7}, await.WithLabel(label))
			if took := time.Since(start); err != nil || got != "here" || took != time.Duration(i+1)*time.Second {
				t.Errorf("%s: got %q, %v after %s", label, got, err, took)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n.err = errors.New("the disk fails")
		_, err := await.Tx(ctx, n, [32]byte{8})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "transaction 0x08") || !strings.Contains(err.Error(), "last seen: safe head 2") || !strings.HasSuffix(err.Error(), "last error: the disk fails") {
			t.Errorf("got %v, want what was waited for, was seen last and failed last", err)
		}
		n.err = await.ErrNoTxs
		if _, err := await.Tx(t.Context(), n, [32]byte{8}); !errors.Is(err, await.ErrNoTxs) {
			t.Errorf("got %v, want %v", err, await.ErrNoTxs)
		}
		n.err = nil
		n.status.Close(errors.New("broken"))
		if _, err := await.Tx(t.Context(), n, [32]byte{8}); !errors.Is(err, await.ErrEnded) || !strings.Contains(err.Error(), "broken") {
			t.Errorf("got %v, want the end of the node", err)
		}
	})
}
