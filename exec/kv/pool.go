package kv

import (
	"container/list"
	"crypto/sha256"
	"fmt"
	"sync"

	"headrace/exec"
)

// txOverhead is what a waiting transaction costs in memory beside its bytes.
const txOverhead = 256

// pool holds the transactions that wait, in the order they came, bounded in bytes.
type pool struct {
	limit int

	mu    sync.Mutex
	bytes int
	txs   list.List                    // of []byte
	same  map[[32]byte][]*list.Element // by the hash of the content, oldest first: the same transaction may wait more than once
}

func (p *pool) add(tx []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cost := len(tx) + txOverhead
	if p.bytes+cost > p.limit {
		return fmt.Errorf("submit transaction of %d bytes: %w: %d transactions wait", len(tx), exec.ErrFull, p.txs.Len())
	}
	if p.same == nil {
		p.same = map[[32]byte][]*list.Element{}
	}
	p.bytes += cost
	key := sha256.Sum256(tx)
	p.same[key] = append(p.same[key], p.txs.PushBack(tx))
	return nil
}

// first returns the oldest transactions of at most maxBytes together. One that is larger than that by itself is passed over, so that it does not block
// the others.
func (p *pool) first(maxBytes int) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	var txs [][]byte
	left := maxBytes
	for el := p.txs.Front(); el != nil; el = el.Next() {
		tx := el.Value.([]byte)
		if len(tx) > maxBytes {
			continue
		}
		if len(tx) > left {
			break
		}
		left -= len(tx)
		txs = append(txs, tx)
	}
	return txs
}

// remove takes out each of txs once, as far as it waits.
func (p *pool) remove(txs [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.txs.Len() == 0 {
		return
	}
	for _, tx := range txs {
		key := sha256.Sum256(tx)
		els := p.same[key]
		if len(els) == 0 {
			continue
		}
		if len(els) == 1 {
			delete(p.same, key)
		} else {
			p.same[key] = els[1:]
		}
		p.txs.Remove(els[0])
		p.bytes -= len(tx) + txOverhead
	}
}

func (p *pool) size() (txs, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.txs.Len(), p.bytes
}
