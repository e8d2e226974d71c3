package ethereum_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/core/types"

	"headrace/devnet/geth"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/watch"
)

// Blob fees that are nothing, and above all that call data costs.
const cheapBlobs, dearBlobs = "0x1", "0x174876e800" // 100 gwei

// of returns a draft whose payload has so many bytes, about.
func of(id uint64, size int) l1.Draft {
	d := draft(id, fmt.Sprint("of ", size))
	d.Blocks[0].Data = bytes.Repeat([]byte{7}, size)
	return d
}

// priced is a client of the L1 as it would be with a blob fee.
func (r *rig) priced(t *testing.T, blobFee string, change func(*ethereum.Options)) *ethereum.Client {
	t.Helper()
	liar := newLiar(t, r.node.HTTP())
	liar.set("eth_blobBaseFee", func(any) any { return blobFee })
	return r.client(func(o *ethereum.Options) {
		o.HTTP, o.WS = httpc.At(liar.URL), nil
		if change != nil {
			change(o)
		}
	})
}

// With auto a proposal goes where a byte of it costs less when it is sent.
func TestAutoGoesByPrice(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	id := uint64(0)
	for _, c := range []struct {
		blobFee     string
		size, worth int
		blobs       bool
	}{
		{cheapBlobs, 100, 100, false}, // a blob's hash alone costs more
		{cheapBlobs, 100_000, 100_000, true},
		{dearBlobs, 100_000, 100_000, false},
		{dearBlobs, 200_000, 120_000, true}, // call data does not hold it
		{cheapBlobs, 200_000, l1.BlobCapacity, true},
	} {
		a := r.account(r.priced(t, c.blobFee, nil), r.proposer, ethereum.Cheapest)
		if got, err := a.Worth(t.Context(), c.size); err != nil || got != c.worth {
			t.Errorf("blob fee %s, %d bytes: %d of them are worth it, %v, want %d", c.blobFee, c.size, got, err, c.worth)
		}
		id++
		r.mining(func(ctx context.Context) {
			at, err := a.Propose(ctx, of(id, c.size))
			r.check(err)
			if tx, _ := r.included(at.Tx); (tx.Type() == types.BlobTxType) != c.blobs {
				t.Errorf("blob fee %s, %d bytes: got a transaction of type %d, want blobs: %t", c.blobFee, c.size, tx.Type(), c.blobs)
			}
		})
	}
}

// What an earlier process has left in the pool has blobs, or has none, and nodes take nothing of the other kind in its
// place. So with auto a proposal goes in the same kind, whatever costs less by now; else the error says what to do.
func TestKindAfterARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	id := uint64(0)
	for _, c := range []struct {
		left  ethereum.Content
		now   string // what blobs cost after the restart
		other ethereum.Content
	}{
		{ethereum.Blobs, dearBlobs, ethereum.CallData}, {ethereum.CallData, cheapBlobs, ethereum.Blobs},
	} {
		id++
		d := of(id, 50_000)
		client, ctx := r.sentOnce()
		if _, err := r.account(client, r.proposer, c.left).Propose(ctx, d); !errors.Is(err, l1.ErrUnknownOutcome) {
			t.Fatalf("got %v, want it to be left in the pool", err)
		}
		before := r.nonce(r.proposer)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := r.account(r.client(nil), r.proposer, c.other).Propose(ctx, d)
		cancel()
		if err == nil || !strings.Contains(err.Error(), "l1.content") || ctx.Err() == context.DeadlineExceeded {
			t.Errorf("content %d after %d: got %v, want what to do", c.other, c.left, err)
		}
		sent := watch.New(0)
		a := r.account(r.priced(t, c.now, func(o *ethereum.Options) {
			o.Observer.Called = func(method string, _ int, _ time.Duration, err error) {
				if method == "eth_sendRawTransaction" && err == nil {
					sent.Update(func(n int) int { return n + 1 })
				}
			}
		}), r.proposer, ethereum.Cheapest)
		done := make(chan l1.Inclusion, 1) // sent to once
		go func() {
			at, err := a.Propose(t.Context(), d)
			if err != nil {
				t.Error(err)
			}
			done <- at
		}()
		atLeast(t, sent, 1) // in the place of what waits
		r.mining(func(context.Context) {
			tx, _ := r.included((<-done).Tx)
			if (tx.Type() == types.BlobTxType) != (c.left == ethereum.Blobs) {
				t.Errorf("got a transaction of type %d in the place of content %d", tx.Type(), c.left)
			}
		})
		if n := r.nonce(r.proposer); n != before+1 {
			t.Errorf("%d transactions were included, want one", n-before)
		}
	}
}

// Where a limit allows nothing that nodes would take in a transaction's place, the others are at their limits at once,
// nothing else is sent, and the error names the setting.
func TestNothingCanTakeItsPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t, geth.Prague, l1.Settings{})
	most := new(big.Int).Mul(r.chain.Head().Header.BaseFee, big.NewInt(20))
	id := uint64(0)
	for name, c := range map[string]struct {
		opt  ethereum.AccountOptions
		says string
	}{
		"blob fee": {ethereum.AccountOptions{Content: ethereum.Blobs, MaxFee: most, MaxBlobFee: big.NewInt(3)}, "l1.max_blob_fee allows no more"},
		"tip":      {ethereum.AccountOptions{Content: ethereum.CallData, MaxFee: most, MaxTip: big.NewInt(3)}, "l1.max_tip allows no more"},
	} {
		id++
		sent := watch.New(0)
		client := r.client(func(o *ethereum.Options) {
			o.Observer.Called = func(method string, _ int, _ time.Duration, err error) {
				if method == "eth_sendRawTransaction" {
					sent.Update(func(n int) int { return n + 1 })
				}
			}
		})
		c.opt.Resend = time.Millisecond
		account := ethereum.NewAccount(client, r.proposer, c.opt)
		for sends := 4; ; sends *= 2 { // while the L1 seems to be behind what it has said, it is sent as it is
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error, 1) // sent to once
			before := sent.Load()
			go func() {
				_, err := account.Propose(ctx, draft(id, name))
				result <- err
			}()
			atLeast(t, sent, before+sends)
			cancel()
			err := <-result
			if !errors.Is(err, l1.ErrUnknownOutcome) || errors.Is(err, l1.ErrFeeCap) != strings.Contains(err.Error(), c.says) {
				t.Fatalf("%s: got %v, want ErrFeeCap, %q", name, err, c.says)
			}
			if errors.Is(err, l1.ErrFeeCap) {
				break
			}
		}
		r.mining(func(ctx context.Context) {
			at, err := ethereum.NewAccount(r.client(nil), r.proposer, c.opt).Propose(ctx, draft(id, name))
			r.check(err)
			tx, _ := r.included(at.Tx)
			if tx.GasFeeCap().Cmp(most) != 0 || c.opt.Content == ethereum.Blobs && tx.BlobGasFeeCap().Cmp(c.opt.MaxBlobFee) != 0 {
				t.Errorf("%s: got fee cap %s, blob fee cap %s, want the highest at once", name, tx.GasFeeCap(), tx.BlobGasFeeCap())
			}
		})
	}
}
