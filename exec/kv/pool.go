package kv

import (
	"container/list"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"

	"headrace/block"
	"headrace/exec"
)

// txOverhead is what a waiting transaction costs in memory beside its bytes.
const txOverhead = 256

// poolBlocks is how many blocks what waits may fill: two fewer than the ten that exec.Builder promises, since there can
// be one under way, and one of forced transactions.
const poolBlocks = 8

// pool holds the transactions that wait, in the order they came, bounded in bytes of memory and in blocks.
type pool struct {
	limit int // of bytes

	mu      sync.Mutex
	bytes   int
	block   int // what a block holds; 0: not known yet
	blocks  int // that what waits will fill
	last    int // what the last of these will hold
	dropped uint64
	txs     list.List                    // of []byte
	same    map[[32]byte][]*list.Element // by the hash of the content, oldest first: the same transaction may wait more than once
	done    map[uint64]block.Hash        // by height, the newest blocks whose transactions were taken out
}

func (p *pool) add(tx []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cost := len(tx) + txOverhead
	switch size := len(tx) + exec.TxOverhead; {
	case p.block > 0 && size > p.block:
		return fmt.Errorf("submit transaction of %d bytes: %w: a block holds one of at most %d", len(tx), exec.ErrTooBig, p.block-exec.TxOverhead)
	case p.bytes+cost > p.limit, p.block > 0 && p.blocks >= poolBlocks && p.last+size > p.block:
		return fmt.Errorf("submit transaction of %d bytes: %w: %d transactions wait", len(tx), exec.ErrFull, p.txs.Len())
	}
	if p.same == nil {
		p.same = map[[32]byte][]*list.Element{}
	}
	p.bytes += cost
	p.pack(tx)
	key := sha256.Sum256(tx)
	p.same[key] = append(p.same[key], p.txs.PushBack(tx))
	return nil
}

// pack counts tx as the last one that waits, and blocks as first will fill them.
func (p *pool) pack(tx []byte) {
	size := len(tx) + exec.TxOverhead
	if p.blocks == 0 || p.last+size > p.block {
		p.blocks, p.last = p.blocks+1, 0
	}
	p.last += size
}

func (p *pool) repack() {
	p.blocks, p.last = 0, 0
	for el := p.txs.Front(); el != nil; el = el.Next() {
		p.pack(el.Value.([]byte))
	}
}

// limitTo sets what a block holds. What waits and is larger is dropped.
func (p *pool) limitTo(maxBytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if maxBytes == p.block {
		return
	}
	p.block = maxBytes
	var next *list.Element
	for el := p.txs.Front(); el != nil; el = next {
		next = el.Next()
		if tx := el.Value.([]byte); len(tx)+exec.TxOverhead > maxBytes {
			p.take(sha256.Sum256(tx))
			p.dropped++
		}
	}
	p.repack()
}

// poolDone is how many blocks a pool knows that it has taken the transactions out of.
const poolDone = 1 << 12

// back puts the transactions of the blocks above height, which were taken back, before all that wait. They were accepted
// once, so a full pool takes them too, up to twice its limit.
func (p *pool) back(height uint64, txs [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.done, func(h uint64, _ block.Hash) bool { return h > height })
	if p.same == nil {
		p.same = map[[32]byte][]*list.Element{}
	}
	for _, tx := range slices.Backward(txs) {
		cost := len(tx) + txOverhead
		if p.bytes+cost > 2*p.limit {
			continue
		}
		p.bytes += cost
		key := sha256.Sum256(tx)
		p.same[key] = append([]*list.Element{p.txs.PushFront(tx)}, p.same[key]...)
	}
	p.repack()
}

// first returns the oldest transactions that fit into a block together.
func (p *pool) first() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var txs [][]byte
	left := p.block
	for el := p.txs.Front(); el != nil; el = el.Next() {
		tx := el.Value.([]byte)
		if left -= len(tx) + exec.TxOverhead; left < 0 {
			break
		}
		txs = append(txs, tx)
	}
	return txs
}

// remove takes out each transaction of a block once, as far as it waits; of a block that an engine executes again, since
// its home was opened anew without it, none: those are out, and what waits of the same bytes is others'.
func (p *pool) remove(b *block.Block) {
	p.mu.Lock()
	defer p.mu.Unlock()
	height, hash := b.Height(), b.Hash()
	if p.done[height] == hash {
		return
	}
	if p.done == nil {
		p.done = map[uint64]block.Hash{}
	}
	p.done[height] = hash
	delete(p.done, height-poolDone)
	if p.txs.Len() == 0 {
		return
	}
	for _, tx := range b.Data.Txs {
		p.take(sha256.Sum256(tx))
	}
	p.repack()
}

// take takes out the oldest transaction with this hash, if one waits.
func (p *pool) take(key [32]byte) {
	els := p.same[key]
	if len(els) == 0 {
		return
	}
	if len(els) == 1 {
		delete(p.same, key)
	} else {
		p.same[key] = els[1:]
	}
	p.bytes -= len(p.txs.Remove(els[0]).([]byte)) + txOverhead
}

func (p *pool) stats() (txs, bytes int, dropped uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.txs.Len(), p.bytes, p.dropped
}
