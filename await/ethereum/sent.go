package ethereum

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/await"
)

// Sent is a transaction that somebody has sent.
type Sent struct {
	Hash common.Hash

	// By these it is seen that another transaction has its place. A zero Sender: both are learnt from an endpoint that
	// knows the transaction.
	Sender common.Address
	Nonce  uint64

	Confirmations uint64 // blocks that must stand on its block, or on that of the transaction in its place
	Lost          uint64 // heads for which no endpoint knows it, after which it is taken for dropped; 0: it never is
}

// ErrDropped is what the error of Included matches of a transaction that no endpoint knows any more. It may still be
// sent again, by anybody who has it.
var ErrDropped = errors.New("the transaction was dropped: no endpoint knows it")

// ReplacedError is the cause of the error of Included of a transaction that can be in no block any more, as its nonce is
// consumed.
type ReplacedError struct {
	By    common.Hash // the transaction in its place; zero: the nonce was consumed by something else, such as an authorization
	Block *Header     // that has it
}

func (r *ReplacedError) Error() string {
	by := "transaction " + r.By.String()
	if r.By == (common.Hash{}) {
		by = "what is no transaction of its sender"
	}
	return fmt.Sprintf("the transaction was replaced: block %d %s has its nonce consumed by %s", r.Block.Number, r.Block.Hash, by)
}

// Included waits until a transaction is in a canonical block that has as many others on top as it wants, at any of the
// nodes, and returns its receipt. Whether it succeeded is for the caller to see. A reorg before that puts the wait back
// to waiting. It ends with a *ReplacedError when such a block has another transaction of that sender and nonce, and with
// ErrDropped when no node has known the transaction for so many of its heads: one that does not answer may know it.
func Included(ctx context.Context, nodes []*Node, tx Sent, opts ...await.Option) (*types.Receipt, error) {
	what := fmt.Sprintf("the receipt of transaction %s", tx.Hash)
	if tx.Confirmations > 0 {
		what += fmt.Sprintf(" below %d blocks", tx.Confirmations)
	}
	s := &search{Sent: tx, unknown: make([]missing, len(nodes)), known: tx.Sender != common.Address{}}
	waits := make([]func(context.Context) (*outcome, error), len(nodes))
	for i, node := range nodes {
		at := &nonceAt{search: s, node: node, index: i}
		waits[i] = func(ctx context.Context) (*outcome, error) { return Ask(ctx, node, what, at.look, opts...) }
	}
	_, out, err := await.Any(ctx, waits...)
	switch {
	case err != nil:
		return nil, err
	case out.cause != nil:
		return nil, &await.Error{What: what, Cause: out.cause}
	}
	return out.receipt, nil
}

// outcome is a receipt, or why there will be none.
type outcome struct {
	receipt *types.Receipt
	cause   error
}

// search is what is known of the transaction, from all nodes.
type search struct {
	Sent

	mu      sync.Mutex // guards the rest, and Sender and Nonce
	known   bool       // Sender and Nonce
	unknown []missing  // of each node
}

// missing counts the heads for which a node does not know the transaction.
type missing struct {
	at    common.Hash // the last head; zero: it knows it, or has not answered
	heads uint64
}

// sender returns who has sent the transaction, if that is known.
func (s *search) sender() (from common.Address, nonce uint64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Sender, s.Nonce, s.known
}

// seen notes that a node knows the transaction.
func (s *search) seen(node int, tx *sentTx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unknown[node] = missing{}
	if tx != nil {
		s.Sender, s.Nonce, s.known = tx.From, uint64(tx.Nonce), true
	}
}

// unseen notes that a node does not, at this head, and reports whether none has for long enough.
func (s *search) unseen(node int, head common.Hash) (dropped bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := &s.unknown[node]; {
	case m.at == (common.Hash{}):
		m.at = head
	case m.at != head:
		m.at = head
		m.heads++
	}
	for _, m := range s.unknown {
		if m.at == (common.Hash{}) || m.heads < s.Lost {
			return false
		}
	}
	return s.Lost > 0
}

// sentTx is what a node says of a transaction: the part that all Ethereum-like chains have.
type sentTx struct {
	Hash  common.Hash    `json:"hash"`
	From  common.Address `json:"from"`
	Nonce hexutil.Uint64 `json:"nonce"`
}

// nonceAt looks for the transaction, and for what has its nonce, at one node. It is used by one goroutine.
type nonceAt struct {
	*search
	node  *Node
	index int
	free  uint64 // a block after which the nonce was not consumed, when it was looked at last
	asked bool   // free is known
	taken uint64 // one after which it was; 0: not known
	left  int    // questions for the nonce in one look, which ends within the time of a call
}

// look asks the node once.
func (s *nonceAt) look(ctx context.Context, conn *rpc.Client) (out *outcome, ok bool, err error) {
	s.left = 8
	var r *types.Receipt
	if err := conn.CallContext(ctx, &r, "eth_getTransactionReceipt", s.Hash); err != nil {
		return nil, false, fmt.Errorf("ask for the receipt: %w", err)
	}
	if r != nil && r.BlockNumber != nil {
		s.seen(s.index, nil)
		top, err := buried(ctx, conn, s.node.batch, r.BlockNumber.Uint64(), r.BlockHash, s.Confirmations)
		return &outcome{receipt: r}, top != nil, err
	}
	head, err := tagged(ctx, conn, "latest")
	if err != nil || head == nil {
		return nil, false, err
	}
	var tx *sentTx
	if err := conn.CallContext(ctx, &tx, "eth_getTransactionByHash", s.Hash); err != nil {
		return nil, false, fmt.Errorf("ask for the transaction: %w", err)
	}
	if tx != nil {
		s.seen(s.index, tx)
	}
	from, nonce, known := s.sender()
	if known {
		consumed, out, err := s.replaced(ctx, conn, head.Number, from, nonce)
		if consumed || err != nil {
			return out, out != nil, err
		}
	}
	if tx == nil && s.unseen(s.index, head.Hash) {
		return &outcome{cause: fmt.Errorf("%w, for %d heads", ErrDropped, s.Lost)}, true, nil
	}
	return nil, false, nil
}

// replaced reports whether the nonce is consumed at a block, and how, once that is certain.
func (s *nonceAt) replaced(ctx context.Context, conn *rpc.Client, head uint64, from common.Address, nonce uint64) (consumed bool, out *outcome, err error) {
	free, err := s.isFree(ctx, conn, head, from, nonce)
	if err != nil || free {
		if free {
			s.free, s.asked, s.taken = head, true, 0
		}
		return false, nil, err
	}
	b, txs, err := s.consumer(ctx, conn, head, from, nonce)
	if err != nil || b == nil {
		return true, nil, err
	}
	by := common.Hash{}
	for _, tx := range txs {
		if tx.From == from && uint64(tx.Nonce) == nonce {
			by = tx.Hash
		}
	}
	if by == s.Hash { // its receipt is on the way
		return true, nil, nil
	}
	top, err := buried(ctx, conn, s.node.batch, b.Number, b.Hash, s.Confirmations)
	if err != nil || top == nil {
		return true, nil, err
	}
	if by == (common.Hash{}) { // that nothing of the block has it proves little: a reorg may have passed between two reads
		before, err := s.isFree(ctx, conn, b.Number-1, from, nonce)
		if err != nil || !before {
			return true, nil, err
		}
		if after, err := s.isFree(ctx, conn, b.Number, from, nonce); err != nil || after {
			return true, nil, err
		}
	}
	return true, &outcome{cause: &ReplacedError{By: by, Block: b}}, nil
}

// consumer returns the block at which the nonce is consumed, and its transactions: nil if a reorg passes.
func (s *nonceAt) consumer(ctx context.Context, conn *rpc.Client, head uint64, from common.Address, nonce uint64) (*Header, []sentTx, error) {
	low, high, err := s.bounds(ctx, conn, head, from, nonce)
	for err == nil && low+1 < high { // it is free after low, and not after high
		middle := low + (high-low)/2
		var free bool
		if free, err = s.isFree(ctx, conn, middle, from, nonce); free {
			low = middle
		} else if err == nil {
			high = middle
		}
		s.free, s.taken = low, high
	}
	if err != nil {
		return nil, nil, err
	}
	b, err := byNumber(ctx, conn, low+1)
	if err != nil || b == nil {
		return nil, nil, err
	}
	var body struct {
		Transactions []sentTx `json:"transactions"`
	}
	if err := conn.CallContext(ctx, &body, "eth_getBlockByHash", b.Hash, true); err != nil {
		return nil, nil, fmt.Errorf("ask for the transactions of block %d: %w", b.Number, err)
	}
	return b, body.Transactions, nil
}

// bounds returns a block after which the nonce was not consumed, and one at or below head after which it was: those of
// the look before, if they still are.
func (s *nonceAt) bounds(ctx context.Context, conn *rpc.Client, head uint64, from common.Address, nonce uint64) (low, high uint64, err error) {
	high = head
	if s.taken > 0 && s.taken < head {
		if free, err := s.isFree(ctx, conn, s.taken, from, nonce); err != nil {
			return 0, 0, err
		} else if !free {
			high = s.taken
		}
	}
	s.taken = high
	if s.asked && s.free < high {
		if free, err := s.isFree(ctx, conn, s.free, from, nonce); free || err != nil {
			return s.free, high, err
		}
		s.taken, s.asked = s.free, false
	}
	for step := uint64(1); s.taken > 0; step *= 2 {
		low := s.taken - min(step, s.taken)
		free, err := s.isFree(ctx, conn, low, from, nonce)
		switch {
		case err != nil:
			return 0, 0, err
		case free:
			s.free, s.asked = low, true
			return low, s.taken, nil
		}
		s.taken = low
	}
	return 0, 0, fmt.Errorf("nonce %d of %s was consumed before the first block", nonce, from)
}

// errMore is the error of a look that has not come to an end in time: what it has found out stays.
var errMore = errors.New("the block in which the nonce was consumed is looked for")

// isFree reports whether the nonce was not consumed yet after a block.
func (s *nonceAt) isFree(ctx context.Context, conn *rpc.Client, n uint64, from common.Address, nonce uint64) (bool, error) {
	if s.left--; s.left < 0 {
		return false, errMore
	}
	var count hexutil.Uint64
	if err := conn.CallContext(ctx, &count, "eth_getTransactionCount", from, hexutil.Uint64(n)); err != nil {
		return false, fmt.Errorf("ask for the nonce of %s at block %d: %w", from, n, err)
	}
	return uint64(count) <= nonce, nil
}
