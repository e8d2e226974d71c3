package derive

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"sync/atomic"

	"headrace/block"
	"headrace/da"
)

// maxHeaderBytes bounds a header blob. Real ones have some hundred bytes.
const maxHeaderBytes = 64 << 10

// Known is what is known of the chain when an item is verified. It only saves work: what is stale by it is dropped before its
// signatures are checked.
// The zero Known is always right, and so is that of any block below the one that the item is stepped on.
type Known struct {
	Height        uint64 // of the tip
	EnvelopesOnly bool
}

func (k Known) exceeds(o Known) bool {
	return k.Height > o.Height || k.EnvelopesOnly && !o.EnvelopesOnly
}

// Known returns what is known now.
func (d *Deriver) Known() Known {
	return Known{Height: d.tip.Height, EnvelopesOnly: d.envelopesOnly}
}

// Verified is an item whose authentic halves have been found. It is immutable.
type Verified struct {
	block   *da.Block
	known   Known
	halves  []*half // authentic, in order
	skipped Counts
}

// Block returns the item.
func (v *Verified) Block() *da.Block { return v.block }

// Verifier finds what is authentic in a chain's items. It is safe for concurrent use. Make it with NewVerifier.
type Verifier struct {
	cfg      Config
	proposer atomic.Pointer[block.Verifier] // of the key that Config.Proposer is the address of; nil until it has been seen
}

// NewVerifier returns a verifier for the chain that cfg describes.
func NewVerifier(cfg Config) *Verifier { return &Verifier{cfg: cfg} }

// Verify finds the authentic halves in an item: decoding, hashing and signatures, nearly all of the work of a Step. Its result does not
// depend on what came before (I3), so calls may overlap and run ahead in any order; StepVerified then takes the items in their order. The
// item's blobs must not be written to afterwards.
func (vr *Verifier) Verify(known Known, b *da.Block) *Verified {
	v := &Verified{block: b, known: known}
	seen := make(map[block.Hash]Reason) // by hash of the canonical encoding: the same thing is verified once
	for _, blob := range inOrder(b.Blobs) {
		h, reason := vr.examine(known, blob)
		if reason != none {
			v.skipped[reason]++
			continue
		}
		id := block.Hash(sha256.Sum256(h.Raw))
		if was, ok := seen[id]; ok {
			v.skipped[cmp.Or(was, Duplicate)]++
			continue
		}
		if !h.authentic() {
			reason = Forged
			v.skipped[reason]++
		} else {
			h.DAHeight, h.Index = b.Height, blob.Index
			v.halves = append(v.halves, h.half)
		}
		seen[id] = reason
	}
	return v
}

// inOrder returns the blobs by index, whichever namespace was listed first.
func inOrder(blobs []da.Blob) []*da.Blob {
	out := make([]*da.Blob, len(blobs))
	for i := range blobs {
		out[i] = &blobs[i]
	}
	slices.SortStableFunc(out, func(a, b *da.Blob) int {
		return cmp.Or(cmp.Compare(a.Index, b.Index), bytes.Compare(a.Namespace[:], b.Namespace[:]))
	})
	return out
}

// claim is a half that says it is ours; whether it is shows when its signatures are checked.
type claim struct {
	*half
	authentic func() bool
}

// examine decodes a blob and does all the checks that cost little. A namespace says what its blobs are; if it is the same one for both,
// their encoding does, since no message can be read as the other.
func (vr *Verifier) examine(known Known, blob *da.Blob) (c claim, reason Reason) {
	reason = Garbage
	if blob.Namespace == vr.cfg.HeaderNamespace {
		c, reason = vr.examineHeader(known, blob.Data)
	}
	if reason == Garbage && blob.Namespace == vr.cfg.DataNamespace {
		c, reason = vr.examineData(known, blob.Data)
	}
	return c, reason
}

func (vr *Verifier) examineHeader(known Known, raw []byte) (claim, Reason) {
	if len(raw) > maxHeaderBytes {
		return claim{}, Garbage
	}
	s, err := block.DecodeSignedHeader(raw)
	if err != nil {
		return claim{}, Garbage
	}
	h := &s.Header
	key, r := vr.screen(known, h.ChainID, h.Height, &s.Signer)
	switch {
	case r != none:
		return claim{}, r
	case !bytes.Equal(h.ProposerAddress, vr.cfg.Proposer):
		return claim{}, Stranger
	case !wellFormed(h):
		return claim{}, Malformed
	case known.EnvelopesOnly && len(s.EnvelopeSignature) == 0:
		return claim{}, Plain
	}
	canonical := s.Encode()
	if !bytes.Equal(canonical, raw) {
		if s, err = block.DecodeSignedHeader(canonical); err != nil {
			return claim{}, Garbage
		}
		raw = canonical // whatever else was in the blob is not kept
	}
	out := &half{header: s}
	out.Kind, out.Hash, out.Height, out.Raw = kindOf(s), s.Header.Hash(), s.Header.Height, raw
	// Both signatures of an envelope count. A plain header with a bad envelope signature added is no header: a stranger can add one to
	// anything.
	return claim{out, func() bool { return key.VerifyHeader(s) == nil }}, none
}

func kindOf(s *block.SignedHeader) block.HalfKind {
	if len(s.EnvelopeSignature) == 0 {
		return block.PlainHeaderHalf
	}
	return block.HeaderHalf
}

// wellFormed reports whether the hashes that pairing and linking need are hashes.
func wellFormed(h *block.Header) bool {
	return len(h.DataHash) == len(block.Hash{}) && (len(h.LastHeaderHash) == 0 || len(h.LastHeaderHash) == len(block.Hash{}))
}

func (vr *Verifier) examineData(known Known, raw []byte) (claim, Reason) {
	s, err := block.DecodeSignedData(raw)
	if err != nil {
		return claim{}, Garbage
	}
	m := &s.Data.Metadata
	key, r := vr.screen(known, m.ChainID, m.Height, &s.Signer)
	if r != none {
		return claim{}, r
	}
	if len(s.Data.Txs) == 0 {
		return claim{}, Malformed // nothing names it: a block without transactions needs no data
	}
	canonical := s.Encode()
	if !bytes.Equal(canonical, raw) {
		if s, err = block.DecodeSignedData(canonical); err != nil {
			return claim{}, Garbage
		}
		raw = canonical
	}
	out := &half{data: &s.Data, commitment: s.Data.Commitment()}
	out.Kind, out.Hash, out.Height, out.Raw = block.DataHalf, s.Data.Hash(), s.Data.Metadata.Height, raw
	return claim{out, func() bool { return key.VerifyData(s) == nil }}, none
}

// screen does the checks that headers and data share, cheapest first. What passes names the proposer's key.
func (vr *Verifier) screen(known Known, chainID string, height uint64, signer *block.Signer) (*block.Verifier, Reason) {
	switch {
	case chainID != vr.cfg.ChainID:
		return nil, OtherChain
	case height <= known.Height:
		return nil, Stale
	case !bytes.Equal(signer.Address, vr.cfg.Proposer):
		return nil, Stranger
	}
	key := vr.proposer.Load()
	if key == nil { // the first signer whose key has the proposer's address shows the key: an address is a hash, there is one such key
		k, err := signer.Key()
		if err != nil {
			return nil, Stranger
		}
		vr.proposer.CompareAndSwap(nil, block.NewVerifier(k))
		key = vr.proposer.Load()
	}
	if !key.IsKeyOf(signer) {
		return nil, Stranger
	}
	return key, none
}
