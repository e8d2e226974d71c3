package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"

	"headrace/l1"
)

// Tx is one transaction. At most one of Propose, Force and Prove is set; with none of them it does nothing.
type Tx struct {
	From    l1.Address
	Propose *Call
	Force   []byte // payload to be queued: see l1.EncodeTxs
	Prove   *l1.Proved
}

// Call is a proposal with any payload, garbage too.
type Call struct {
	ID      uint64 // the transaction fails if this is not the next; 0: whatever the next is
	Parent  l1.Hash
	Forced  int // items to be taken from the queue
	Payload []byte
}

type poolTx struct {
	Tx
	hash l1.Hash
}

// receipt is a transaction's outcome. Outcomes of transactions that failed have no place.
type receipt struct {
	at  l1.Inclusion
	err error
}

// Send leaves a transaction to wait for the next block and returns its hash.
func (c *Chain) Send(tx Tx) l1.Hash {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := poolTx{Tx: tx, hash: c.hash("tx")}
	c.pool = append(c.pool, p)
	if c.opt.Instant {
		c.mine()
	}
	return p.hash
}

// Include sends a transaction and returns where it was included, or why it failed. When ctx ends first, the transaction may be included yet.
func (c *Chain) Include(ctx context.Context, tx Tx) (l1.Inclusion, error) {
	hash := c.Send(tx)
	for {
		c.mu.Lock()
		r, ok := c.receipts[hash]
		changed := c.changed
		waits := slices.ContainsFunc(c.pool, func(p poolTx) bool { return p.hash == hash })
		c.mu.Unlock()
		switch {
		case ok:
			return r.at, r.err
		case !waits:
			return l1.Inclusion{}, fmt.Errorf("transaction %s was dropped by a reorg: %w", hash, l1.ErrUnknownOutcome)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return l1.Inclusion{}, fmt.Errorf("wait for transaction %s: %w: %w", hash, l1.ErrUnknownOutcome, context.Cause(ctx))
		}
	}
}

// run carries out one transaction in the block that is being made: the rules of the contract Inbox.
func (n *node) run(tx poolTx, opt Options) receipt {
	m := l1.Message{Tx: tx.hash, LogIndex: uint(len(n.block.Messages))}
	var err error
	switch {
	case tx.Propose != nil:
		m.Proposal, err = n.propose(tx.From, tx.Propose, opt)
	case tx.Prove != nil:
		m.Proved, err = n.prove(*tx.Prove)
	case len(tx.Force) > 0:
		m.Forced, err = n.force(tx.From, tx.Force, opt)
	default:
		return receipt{at: l1.Inclusion{Block: n.block.Ref(), Tx: tx.hash}}
	}
	if err != nil {
		return receipt{err: err}
	}
	n.block.Messages = append(n.block.Messages, m)
	at := l1.Inclusion{Block: n.block.Ref(), Tx: tx.hash, LogIndex: m.LogIndex}
	if m.Proposal != nil {
		at.ID = m.Proposal.ID
	}
	return receipt{at: at}
}

func (n *node) propose(from l1.Address, call *Call, opt Options) (*l1.Proposal, error) {
	switch s := &n.state; {
	case len(opt.Proposers) > 0 && !slices.Contains(opt.Proposers, from):
		return nil, fmt.Errorf("account %s: %w", from, l1.ErrNotProposer)
	case len(call.Payload) == 0:
		return nil, errors.New("proposal without content")
	case call.ID != 0 && call.ID != s.NextID:
		return nil, fmt.Errorf("proposal %d, next is %d: %w", call.ID, s.NextID, l1.ErrStale)
	case s.LastBlock == n.block.Number:
		return nil, fmt.Errorf("second proposal in L1 block %d: %w", n.block.Number, l1.ErrStale)
	case call.Forced < opt.settings().Due(n.queue, n.block.Time):
		return nil, fmt.Errorf("%d forced items taken, %d are due: %w", call.Forced, opt.settings().Due(n.queue, n.block.Time), l1.ErrForcedDue)
	case call.Forced > opt.settings().Fit(n.queue):
		return nil, fmt.Errorf("%d forced items taken, %d can be", call.Forced, opt.settings().Fit(n.queue))
	}
	p := &l1.Proposal{ID: n.state.NextID, Proposer: from, Parent: call.Parent}
	for _, f := range n.queue[:call.Forced] {
		p.Sources = append(p.Sources, f.Source)
	}
	p.Sources = append(p.Sources, n.source(call.Payload))
	p.Resolve(bytes.Clone(call.Payload), nil)

	n.queue = n.queue[call.Forced:]
	n.state.ForcedHead += uint64(call.Forced)
	n.state.NextID++
	n.state.LastBlock = n.block.Number
	own := p.Own().DataHash
	n.state.LastProposal = sha256.Sum256(slices.Concat(n.state.LastProposal[:], uint64Bytes(p.ID), from[:], p.Parent[:], own[:]))
	return p, nil
}

// due returns how many forced items a proposal in the next block must take.
func (c *Chain) due() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.chain[len(c.chain)-1]
	return c.opt.settings().Due(last.queue, max(last.block.Time, now()+c.ahead))
}

func (n *node) force(from l1.Address, payload []byte, opt Options) (*l1.Forced, error) {
	if len(payload) > l1.MaxForced {
		return nil, fmt.Errorf("forced item of %d bytes, an item has %d at most", len(payload), l1.MaxForced)
	}
	f := l1.Forced{Sender: from, Source: n.source(payload)}
	f.Source.Forced, f.Source.Index = true, n.state.ForcedTail
	f.Source.Resolve(bytes.Clone(payload), nil)
	n.state.ForcedTail++
	waits := f
	if opt.ForcedRoom > 0 {
		waits.Room = l1.ForcedItemBytes + len(payload)
	}
	n.queue = append(slices.Clip(n.queue), waits) // the parent's queue stays as it is
	return &f, nil
}

func (n *node) prove(p l1.Proved) (*l1.Proved, error) {
	if p.ID <= n.state.FinalizedID || p.ID >= n.state.NextID {
		return nil, fmt.Errorf("prove proposal %d: proven %d, next %d", p.ID, n.state.FinalizedID, n.state.NextID)
	}
	n.state.FinalizedID, n.state.FinalizedHash = p.ID, p.Hash
	return &p, nil
}

func (n *node) source(payload []byte) l1.Source {
	return l1.Source{Number: n.block.Number, Time: n.block.Time, DataHash: sha256.Sum256(payload)}
}

// Proposer returns an account of the chain that proposes.
func (c *Chain) Proposer(account l1.Address) l1.Proposer {
	return &proposer{chain: c, account: account}
}

type proposer struct {
	chain   *Chain
	account l1.Address
	mu      sync.Mutex // held during Propose
}

func (p *proposer) Limit() int { return p.chain.opt.Limit }

func (p *proposer) Propose(ctx context.Context, d l1.Draft) (l1.Inclusion, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	payload, err := d.Encode(p.Limit())
	switch {
	case err != nil:
		return l1.Inclusion{}, err
	case d.ID == 0 || payload == nil:
		return l1.Inclusion{}, fmt.Errorf("draft with id %d and %d blocks", d.ID, len(d.Blocks))
	}
	if at, found, err := p.lookUp(d, payload); found {
		return at, err
	}
	if due := p.chain.due(); d.Forced < due { // as a client of the contract finds out before it costs a fee
		return l1.Inclusion{}, fmt.Errorf("draft takes %d forced items, %d are due: %w", d.Forced, due, l1.ErrForcedDue)
	}
	at, err := p.chain.Include(ctx, Tx{From: p.account, Propose: &Call{ID: d.ID, Parent: d.Parent, Forced: d.Forced, Payload: payload}})
	if errors.Is(err, l1.ErrStale) { // an earlier attempt of ours may have been included meanwhile
		if at, found, err := p.lookUp(d, payload); found {
			return at, err
		}
	}
	return at, err
}

// Nudge is l1.Nudger's.
func (p *proposer) Nudge(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.chain.Include(ctx, Tx{From: p.account})
	return err
}

// lookUp looks for the proposal with the draft's id: the draft itself, or another, or earlier ones that are missing.
func (p *proposer) lookUp(d l1.Draft, payload []byte) (at l1.Inclusion, found bool, err error) {
	c := p.chain
	c.mu.Lock()
	defer c.mu.Unlock()
	if next := c.chain[len(c.chain)-1].state.NextID; d.ID > next {
		return l1.Inclusion{}, true, fmt.Errorf("proposal %d, next is %d: %w", d.ID, next, l1.ErrStale)
	}
	for _, n := range slices.Backward(c.chain) {
		for _, m := range n.block.Messages {
			if m.Proposal == nil || m.Proposal.ID != d.ID {
				continue
			}
			own := m.Proposal.Own()
			if m.Proposal.Parent != d.Parent || len(m.Proposal.Sources)-1 != d.Forced || own.DataHash != sha256.Sum256(payload) {
				return l1.Inclusion{}, true, fmt.Errorf("proposal %d is another one: %w", d.ID, l1.ErrStale)
			}
			return l1.Inclusion{ID: d.ID, Block: n.block.Ref(), Tx: m.Tx, LogIndex: m.LogIndex}, true, nil
		}
	}
	return l1.Inclusion{}, false, nil
}
