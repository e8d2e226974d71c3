package syncer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/internal/derive"
	"headrace/l1"
)

// What an engine says of a forced item after a block never changes. So it is asked before the section is taken, where
// the block is stored already: by a sequencer for its draft, and by every node for a proposal of blocks that it has.
// The section then finds the answer here. It asks itself only about blocks that it has executed just now, or when the
// engine needs the state brought back.

const (
	keepJudged = 4       // blocks after which answers are kept
	maxJudged  = 1 << 12 // items kept of one block, each a byte for a transaction
)

// judged holds answers of the engine. It is safe for concurrent use.
type judged struct {
	mu     sync.Mutex
	blocks []judgedAfter // the newest last
}

type judgedAfter struct {
	block block.Hash
	items map[[32]byte][]bool // whether each transaction is exempt
}

func itemKey(txs [][]byte) [32]byte {
	h := sha256.New()
	for _, tx := range txs {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(tx))))
		h.Write(tx)
	}
	return [32]byte(h.Sum(nil))
}

func (j *judged) get(after block.Hash, item [][]byte) (exempt []bool, ok bool) {
	key := itemKey(item)
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.blocks {
		if j.blocks[i].block == after {
			exempt, ok = j.blocks[i].items[key]
		}
	}
	return exempt, ok
}

func (j *judged) put(after block.Hash, item [][]byte, why []string) (exempt []bool) {
	for _, reason := range why {
		exempt = append(exempt, reason != "")
	}
	key := itemKey(item)
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.blocks {
		if j.blocks[i].block == after {
			if len(j.blocks[i].items) < maxJudged {
				j.blocks[i].items[key] = exempt
			}
			return exempt
		}
	}
	j.blocks = append(j.blocks[max(len(j.blocks)-keepJudged+1, 0):], judgedAfter{after, map[[32]byte][]bool{key: exempt}})
	return exempt
}

// foresee asks the engine, outside of the section, about the items of what is missing after a stored block. What
// fails, or is about a block that has given way meanwhile, the section finds out for itself.
func (s *Syncer) foresee(ctx context.Context, after block.Ref, items []l1.Source, missing []derive.MissingTx) {
	e, ok := s.cfg.Engine.(exec.Exempter)
	if !ok {
		return
	}
	for i := range missing {
		if i > 0 && missing[i].Source == missing[i-1].Source {
			continue
		}
		item := items[missing[i].Source].Txs
		if _, ok := s.judged.get(after.Hash, item); ok {
			continue
		}
		before, ok := s.stands(after)
		if !ok {
			return
		}
		start := time.Now()
		why, err := e.Exempt(ctx, after.Height, item)
		s.Took(StepExempt, after.Height, start, err)
		if err != nil || len(why) != len(item) {
			return
		}
		if now, ok := s.stands(after); !ok || now != before {
			return // it may have answered for another block
		}
		s.judged.put(after.Hash, item, why)
	}
}

// stands reports whether the engine has this block, and how often it has been reverted.
func (s *Syncer) stands(at block.Ref) (reverts uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ref, err := s.cfg.Store.Ref(at.Height)
	return s.reverts, s.engineKnown && err == nil && ref == at
}

// foreseeAll is foresee for an L1 block: for those of its proposals whose blocks are here already, as a sequencer's own
// are.
func (k *L1Sink) foreseeAll(ctx context.Context, messages []l1.Message, opened []*derive.Opened) {
	if _, ok := k.cfg.Engine.(exec.Exempter); !ok {
		return
	}
	tip, err := k.tip()
	for i := range messages {
		prop := messages[i].Proposal
		if prop == nil || len(prop.Sources) < 2 || err != nil { // its own source is the last
			continue
		}
		blocks, void, err := opened[i].On(&k.cfg.Derive, tip, func() (*block.Block, error) { return k.stored(tip) })
		if err != nil || void != "" {
			continue
		}
		tip = derive.TipOf(blocks[len(blocks)-1])
		k.foresee(ctx, block.Ref{Height: tip.Height, Hash: tip.HeaderHash}, prop.Sources, derive.MissingTxs(blocks, prop.Sources, k.ownTxs()))
	}
}
