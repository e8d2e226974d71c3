package ethereum

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/await"
)

// LogFilter says which logs are meant, as eth_getLogs does.
type LogFilter struct {
	From      uint64           // the first block
	Addresses []common.Address // of the contracts; none: any
	Topics    [][]common.Hash  // by position, one of these; none: any

	Confirmations uint64 // blocks that must stand on the log's block
}

func (f *LogFilter) String() string {
	text := fmt.Sprintf("a log at or after block %d", f.From)
	if len(f.Addresses) > 0 {
		text += fmt.Sprintf(" of %s", f.Addresses)
	}
	if f.Confirmations > 0 {
		text += fmt.Sprintf(", below %d others", f.Confirmations)
	}
	return text
}

// Log waits for the first log at or after a block that the filter matches, and returns it: the first one of the chain
// that is canonical when it is found, with as many blocks on top as the filter wants. Each block is looked at, those
// that were there before too, and those that a reorg brings in the place of others again.
func Log(ctx context.Context, node *Node, filter LogFilter, opts ...await.Option) (*types.Log, error) {
	defer node.Keep()() // from one step to the next
	s := &scan{node: node, filter: filter, next: filter.From, span: mostSpan}
	for {
		found, err := Ask(ctx, node, filter.String(), s.step, opts...)
		if found != nil || err != nil {
			return found, err
		}
	}
}

// The bounds of one step, which ends within the time of a call.
const (
	mostSpan = 10_000 // blocks in one question, as most endpoints bear
	near     = 64     // this close to the head a question names its block by hash: a reorg, or another node behind the same address, cannot change its answer
	atATime  = 4      // blocks that are asked for by hash
	most     = 4096   // blocks remembered
)

// scan is how far the logs have been looked at. It is used by one goroutine.
type scan struct {
	node   *Node
	filter LogFilter
	next   uint64     // all before, from filter.From on, has been looked at
	passed []*Header  // blocks before next, ascending, to find where a branch left
	found  *types.Log // the first one at next; nil: not known
	span   uint64
}

// step looks at some blocks. ok is true without a log if there are more to look at.
func (s *scan) step(ctx context.Context, conn *rpc.Client) (found *types.Log, ok bool, err error) {
	if s.found == nil {
		behind, err := s.advance(ctx, conn)
		if err != nil || s.found == nil {
			return nil, behind, err
		}
	}
	top, err := buried(ctx, conn, s.node.batch, s.found.BlockNumber, s.found.BlockHash, s.filter.Confirmations)
	if err != nil || top != nil {
		return s.found, top != nil, err
	}
	left, err := s.left(ctx, conn)
	if left { // the branch of it was: look again
		s.found = nil
	}
	return nil, left, err
}

// left reports whether another branch has the place of the one with the log that was found.
func (s *scan) left(ctx context.Context, conn *rpc.Client) (bool, error) {
	now, err := byNumber(ctx, conn, s.found.BlockNumber)
	if err != nil || now != nil {
		return now != nil && now.Hash != s.found.BlockHash, err
	}
	head, err := tagged(ctx, conn, "latest")
	if err != nil || head == nil {
		return false, err
	}
	_, left, err := s.goBack(ctx, conn, head.Number)
	return left, err
}

// advance looks at the next blocks, and reports whether there are more.
func (s *scan) advance(ctx context.Context, conn *rpc.Client) (more bool, err error) {
	head, err := tagged(ctx, conn, "latest")
	if err != nil || head == nil {
		return false, err
	}
	if settled, moved, err := s.goBack(ctx, conn, head.Number); err != nil || !settled || head.Number < s.next {
		return moved && !settled, err
	}
	if head.Number-s.next >= near {
		return true, s.far(ctx, conn, min(s.next+s.span-1, head.Number-near))
	}
	blocks, err := numbers(ctx, conn, s.node.batch, s.next, min(s.next+atATime, head.Number+1))
	if err != nil {
		return false, err
	}
	for _, b := range blocks {
		if last := len(s.passed) - 1; b == nil || last >= 0 && s.passed[last].Number+1 == b.Number && s.passed[last].Hash != b.ParentHash {
			return false, nil // a reorg between two reads; its news is on the way
		}
		logs, err := s.logs(ctx, conn, map[string]any{"blockHash": b.Hash})
		if err != nil {
			return false, err
		}
		for i := range logs {
			if logs[i].BlockHash != b.Hash {
				return false, fmt.Errorf("asked for logs of block %s, got some of block %s", b.Hash, logs[i].BlockHash)
			}
		}
		if s.found = first(logs); s.found != nil {
			return false, nil
		}
		s.pass(b)
	}
	return s.next <= head.Number, nil
}

// far looks at the blocks through to, which is far below the head.
func (s *scan) far(ctx context.Context, conn *rpc.Client, to uint64) error {
	before, err := byNumber(ctx, conn, to)
	if err != nil {
		return err
	}
	logs, err := s.logs(ctx, conn, map[string]any{"fromBlock": hexutil.Uint64(s.next), "toBlock": hexutil.Uint64(to)})
	if err != nil {
		s.span = max(s.span/2, 1) // it may have been too many
		return err
	}
	after, err := byNumber(ctx, conn, to)
	switch {
	case err != nil:
		return err
	case before == nil || after == nil || before.Hash != after.Hash:
		return errors.New("blocks far below the head have changed while they were looked at")
	}
	s.span = min(2*s.span, mostSpan)
	if s.found = first(logs); s.found == nil {
		s.pass(before)
	}
	return nil
}

// pass notes that everything through b has been looked at.
func (s *scan) pass(b *Header) {
	if len(s.passed) >= most {
		s.passed = append(s.passed[:0], s.passed[most/2:]...)
	}
	s.passed, s.next = append(s.passed, b), b.Number+1
}

// goBack goes back to the last block that was passed and is still canonical, under a head. moved says that some were
// not. settled is false if there is nothing to go on from yet: there are more to go back to, or the
// node is behind what was passed, and has no other blocks in its place.
func (s *scan) goBack(ctx context.Context, conn *rpc.Client, head uint64) (settled, moved bool, err error) {
	i := len(s.passed) - 1
	for i >= 0 && s.passed[i].Number > head {
		i--
	}
	behind := i < len(s.passed)-1
	for asked := 0; i >= 0; i-- {
		if asked++; asked > 4*atATime {
			return false, moved, nil
		}
		now, err := byNumber(ctx, conn, s.passed[i].Number)
		if err != nil || now == nil {
			return false, moved, err
		}
		if now.Hash == s.passed[i].Hash {
			break
		}
		moved, s.passed, s.next = true, s.passed[:i], s.filter.From
		if i > 0 {
			s.next = s.passed[i-1].Number + 1
		}
	}
	return moved || !behind, moved, nil
}

// logs asks for the logs of some blocks that the filter matches.
func (s *scan) logs(ctx context.Context, conn *rpc.Client, of map[string]any) (logs []types.Log, err error) {
	if len(s.filter.Addresses) > 0 {
		of["address"] = s.filter.Addresses
	}
	topics := make([]any, len(s.filter.Topics))
	for i, alternatives := range s.filter.Topics {
		if len(alternatives) > 0 { // else null: any
			topics[i] = alternatives
		}
	}
	if len(topics) > 0 {
		of["topics"] = topics
	}
	if err := conn.CallContext(ctx, &logs, "eth_getLogs", of); err != nil {
		return nil, fmt.Errorf("ask for logs from block %d on: %w", s.next, err)
	}
	return logs, nil
}

// first returns the log that comes first in the chain.
func first(logs []types.Log) (found *types.Log) {
	for i := range logs {
		if l := &logs[i]; found == nil || l.BlockNumber < found.BlockNumber || l.BlockNumber == found.BlockNumber && l.Index < found.Index {
			found = l
		}
	}
	return found
}
