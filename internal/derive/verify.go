package derive

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"headrace/block"
	"headrace/da"
)

// maxHeaderBytes bounds a header blob. Real ones have some hundred bytes.
const maxHeaderBytes = 64 << 10

// Known is how far the chain is when an item is verified. It only saves work: Verify drops what is at or below that
// height before it checks signatures. It may be too low, or zero: then Verify checks more than it needs to. It must
// not be ahead of the Deriver that takes the item; StepVerified verifies again if it is, which happens after a
// revert.
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

// Verify finds the authentic halves in an item: decoding, hashing and signatures, nearly all of the work of a Step.
// Its result does not depend on what came before (I3), so calls may overlap and run ahead in any order; StepVerified
// then takes the items in their order. The item's blobs must not be written to afterwards.
func Verify(cfg *Config, known Known, b *da.Block) *Verified {
	v := &Verified{block: b, known: known}
	seen := make(map[block.Hash]Reason) // by hash of the canonical encoding: the same thing is verified once
	for _, blob := range inOrder(b.Blobs) {
		h, verify, reason := cfg.examine(known, blob)
		if reason != none {
			v.skipped[reason]++
			continue
		}
		id := block.Hash(sha256.Sum256(h.Raw))
		if was, ok := seen[id]; ok {
			v.skipped[cmp.Or(was, Duplicate)]++
			continue
		}
		if verify() != nil {
			reason = Forged
			v.skipped[reason]++
		} else {
			h.DAHeight, h.Index = b.Height, blob.Index
			v.halves = append(v.halves, h)
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

// examine decodes a blob and does all the checks that cost little: it returns a half that says it is ours, and what
// shows whether it is. A namespace says what its blobs are; if it is the same one for both, their encoding does,
// since no message can be read as the other.
func (cfg *Config) examine(known Known, blob *da.Blob) (h *half, verify func() error, reason Reason) {
	reason = Garbage
	if blob.Namespace == cfg.HeaderNamespace {
		h, verify, reason = cfg.examineHeader(known, blob.Data)
	}
	if reason == Garbage && blob.Namespace == cfg.DataNamespace {
		h, verify, reason = cfg.examineData(known, blob.Data)
	}
	return h, verify, reason
}

func (cfg *Config) examineHeader(known Known, raw []byte) (*half, func() error, Reason) {
	if len(raw) > maxHeaderBytes {
		return nil, nil, Garbage
	}
	s, err := block.DecodeSignedHeader(raw)
	if err != nil {
		return nil, nil, Garbage
	}
	h := &s.Header
	key, r := cfg.Authority.claimsHeader(s)
	switch r = known.screen(h.Height, r); {
	case r != none:
		return nil, nil, r
	case !wellFormed(h):
		return nil, nil, Malformed
	case known.EnvelopesOnly && len(s.EnvelopeSignature) == 0:
		return nil, nil, Plain
	}
	canonical := s.Encode()
	if !bytes.Equal(canonical, raw) {
		if s, err = block.DecodeSignedHeader(canonical); err != nil {
			return nil, nil, Garbage
		}
		raw = canonical // whatever else was in the blob is not kept
	}
	out := &half{header: s}
	out.Kind, out.Hash, out.Height, out.Raw = kindOf(s), s.Header.Hash(), s.Header.Height, raw
	return out, func() error { return key.VerifyHeader(s) }, none
}

func kindOf(s *block.SignedHeader) block.HalfKind {
	if len(s.EnvelopeSignature) == 0 {
		return block.PlainHeaderHalf
	}
	return block.HeaderHalf
}

// wellFormed reports whether the hashes that pairing and linking need are hashes.
func wellFormed(h *block.Header) bool {
	return len(h.DataHash) == len(block.Hash{}) && block.IsField(h.LastHeaderHash)
}

func (cfg *Config) examineData(known Known, raw []byte) (*half, func() error, Reason) {
	s, err := block.DecodeSignedData(raw)
	if err != nil {
		return nil, nil, Garbage
	}
	m := &s.Data.Metadata
	key, r := cfg.Authority.claims(m.ChainID, m.Height, &s.Signer)
	if r = known.screen(m.Height, r); r != none {
		return nil, nil, r
	}
	if len(s.Data.Txs) == 0 {
		return nil, nil, Malformed // nothing names it: a block without transactions needs no data
	}
	canonical := s.Encode()
	if !bytes.Equal(canonical, raw) {
		if s, err = block.DecodeSignedData(canonical); err != nil {
			return nil, nil, Garbage
		}
		raw = canonical
	}
	out := &half{data: &s.Data, commitment: s.Data.Commitment()}
	out.Kind, out.Hash, out.Height, out.Raw = block.DataHalf, s.Data.Hash(), s.Data.Metadata.Height, raw
	return out, func() error { return key.VerifyData(s) }, none
}

// screen returns why a half at height is dropped before its signatures are checked, if the authority says r of it.
func (k Known) screen(height uint64, r Reason) Reason {
	if r != OtherChain && height <= k.Height {
		return Stale
	}
	return r
}
