package node

import (
	"context"
	"log/slog"
	"math/big"
	"time"

	"headrace/internal/edge"
	"headrace/internal/syncer"
	"headrace/watch"
)

// ForcedQueue is what waits in the inbox's forced queue, and how it is there with an item that is queued next: one of
// 200 bytes, with a small transaction.
type ForcedQueue struct {
	L1     uint64  `json:"l1"` // the L1 block as of which this is
	Items  uint64  `json:"items"`
	Bytes  int     `json:"bytes"`   // of room that they take; 0 in an inbox of version 1
	FeeGas uint64  `json:"fee_gas"` // at the L1's base fee, beside the transaction's; 0 in version 1
	FeeETH float64 `json:"fee_eth"`
	Wait   int     `json:"wait"` // it is in one of so many proposals from when it is due
}

const (
	queueItem  = 200              // bytes of the item whose fee is told
	queueEvery = 10 * time.Second // at most: it is a probe of something outside
)

// watchQueue asks for the forced queue with each L1 block that was applied, as often as it may. While it gets no answer, what
// was known stays: it has the block's number.
func watchQueue(ctx context.Context, ask func(context.Context) (*ForcedQueue, error), status *watch.Value[syncer.Status], queue *watch.Value[*ForcedQueue], log *slog.Logger) error {
	var said edge.Log
	at := uint64(0)
	for {
		s, err := status.Wait(ctx, func(s syncer.Status) bool { return s.Position.Height != at })
		if err != nil {
			return err
		}
		asked, cancel := context.WithTimeout(ctx, 30*time.Second) // one endpoint may be silent
		q, err := ask(asked)
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			said.Warn(log, "forced queue not known", err)
		default:
			at = s.Position.Height
			queue.Set(q)
		}
		pause := time.NewTimer(queueEvery)
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// inETH returns wei in ETH, as exactly as a float is.
func inETH(wei *big.Int) float64 {
	eth, _ := new(big.Rat).SetFrac(wei, big.NewInt(1e18)).Float64()
	return eth
}
