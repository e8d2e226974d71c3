package local

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"

	"headrace/da"
	"headrace/da/fault"
	"headrace/internal/square"
)

// otherChain is what fault.OtherChain puts in the place of the chain: blocks without blobs at the same heights and times, linked and signed, by
// another validator. Below its first height it is the chain itself, if the fault began at a height; else it has nothing there.
type otherChain struct {
	id     int // of the fault
	signer signer
	first  uint64
	fork   *record  // the chain's block before the first; nil if there is none
	blocks []record // from first on, as far as somebody has asked
}

// otherDepth is how many heights below the head another chain has that did not begin at a height.
const otherDepth = 1000

// tellsOther reports whether the endpoint tells another chain's block at a height.
func (v *View) tellsOther(height uint64) bool {
	f, is := v.faults.Is(fault.OtherChain)
	return is && height >= f.From && (f.To == 0 || height < f.To)
}

// otherRecord returns the other chain's block at a height and the one before, nil for its first. The caller holds v.mu.
func (v *View) otherRecord(height uint64) (rec, parent *record, err error) {
	o, err := v.otherChain()
	if err != nil {
		return nil, nil, err
	}
	if height < o.first {
		return nil, nil, fmt.Errorf("height %d: %w (tail is %d)", height, da.ErrPruned, o.first)
	}
	for o.first+uint64(len(o.blocks)) <= height {
		if err := v.extend(o); err != nil {
			return nil, nil, err
		}
	}
	i := height - o.first
	if parent = o.fork; i > 0 {
		parent = &o.blocks[i-1]
	}
	return &o.blocks[i], parent, nil
}

// otherChain returns the chain of the fault in force. The caller holds v.mu.
func (v *View) otherChain() (*otherChain, error) {
	f, is := v.faults.Is(fault.OtherChain)
	if v.other != nil && (!is || v.other.id == f.ID) {
		return v.other, nil // if the fault has just ended, one answer more
	}
	id := text(f, v.chain.ChainID())
	seed := sha256.Sum256(fmt.Append(nil, "other chain ", id, " ", f.ID))
	o := &otherChain{id: f.ID, signer: newSigner(id, ed25519.NewKeyFromSeed(seed[:])), first: f.From}
	tail, head := v.chain.history.bounds()
	if f.From == 0 {
		o.first = max(tail, head-min(head, otherDepth))
	}
	if o.first = max(o.first, tail); f.From > v.chain.history.first() {
		fork, err := v.chain.history.record(o.first - 1)
		if err != nil {
			return nil, err
		}
		o.fork = fork
	}
	v.other = o
	return o, nil
}

// extend makes the next block of o, at the time of the chain's.
func (v *View) extend(o *otherChain) error {
	height := o.first + uint64(len(o.blocks))
	real, err := v.chain.history.record(height)
	if err != nil {
		return err
	}
	parent := o.fork
	if n := len(o.blocks); n > 0 {
		parent = &o.blocks[n-1]
	}
	rec := record{time: real.time, empty: true, dataHash: square.EmptyDataHash}
	h := o.signer.header(height, rec.at(), rec.dataHash[:], parent)
	rec.hash = h.Hash()
	o.signer.sign(height, &rec)
	o.blocks = append(o.blocks, rec)
	return nil
}

// otherHeader must be called with v.mu held.
func (v *View) otherHeader(height uint64) (*square.ExtendedHeader, error) {
	rec, parent, err := v.otherRecord(height)
	if err != nil {
		return nil, err
	}
	return v.other.signer.extended(height, rec, parent, square.EmptyDAH()), nil
}
