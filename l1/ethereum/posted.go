package ethereum

import (
	"math/big"
	"sync"

	"github.com/ethereum/go-ethereum/core/types"
)

// Posted counts what proposals came to, since their account was made: those that this account has sent and seen included.
type Posted struct {
	Proposals uint64
	Blocks    uint64 // of the rollup, in them
	Bytes     uint64 // of their payloads
	Gas       uint64 // of transactions of this kind, those that were reverted too
	BlobGas   uint64
	Wei       *big.Int // that they have cost
}

// posted counts by whether the transactions have blobs. The zero value is ready to use.
type posted struct {
	mu sync.Mutex
	by [2]Posted // without blobs, and with
}

func (p *posted) of(r *types.Receipt) *Posted {
	if r.Type == types.BlobTxType {
		return &p.by[1]
	}
	return &p.by[0]
}

// paid counts what a transaction has cost.
func (p *posted) paid(r *types.Receipt, cost *big.Int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := p.of(r)
	to.Gas, to.BlobGas = to.Gas+r.GasUsed, to.BlobGas+r.BlobGasUsed
	if to.Wei == nil {
		to.Wei = new(big.Int)
	}
	to.Wei = new(big.Int).Add(to.Wei, cost) // whoever was given the one before may keep it
}

// proposed counts a proposal.
func (p *posted) proposed(r *types.Receipt, blocks, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	to := p.of(r)
	to.Proposals, to.Blocks, to.Bytes = to.Proposals+1, to.Blocks+uint64(blocks), to.Bytes+uint64(bytes)
}

// Posted returns what the account has posted in call data, and in blobs.
func (a *Account) Posted() (callData, blobs Posted) {
	a.posted.mu.Lock()
	defer a.posted.mu.Unlock()
	return a.posted.by[0], a.posted.by[1]
}
