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

// Verify finds the authentic halves in an item: decoding, hashing and signatures, nearly all of the work of a Step. It does not depend on
// what came before, so calls may overlap and run ahead in any order; StepVerified then takes the items in their order. The item's
// blobs must not be written to afterwards.
func Verify(cfg *Config, known Known, b *da.Block) *Verified {
	v := &Verified{block: b, known: known}
	seen := make(map[block.Hash]Reason) // by hash of the canonical encoding: the same thing is verified once
	for _, blob := range inOrder(b.Blobs) {
		h, reason := examine(cfg, known, blob)
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
func examine(cfg *Config, known Known, blob *da.Blob) (c claim, reason Reason) {
	reason = Garbage
	if blob.Namespace == cfg.HeaderNamespace {
		c, reason = examineHeader(cfg, known, blob.Data)
	}
	if reason == Garbage && blob.Namespace == cfg.DataNamespace {
		c, reason = examineData(cfg, known, blob.Data)
	}
	return c, reason
}

func examineHeader(cfg *Config, known Known, raw []byte) (claim, Reason) {
	if len(raw) > maxHeaderBytes {
		return claim{}, Garbage
	}
	s, err := block.DecodeSignedHeader(raw)
	if err != nil {
		return claim{}, Garbage
	}
	h := &s.Header
	if r := screen(cfg, known, h.ChainID, h.Height, &s.Signer); r != none {
		return claim{}, r
	}
	switch {
	case !bytes.Equal(h.ProposerAddress, cfg.Proposer):
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
	return claim{out, func() bool { return authenticHeader(s) }}, none
}

// authenticHeader checks both signatures of an envelope. A plain header with a bad envelope signature added is no header: a stranger
// can add one to anything.
func authenticHeader(s *block.SignedHeader) bool {
	return (len(s.EnvelopeSignature) == 0 || s.VerifyEnvelope() == nil) && s.Verify() == nil
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

func examineData(cfg *Config, known Known, raw []byte) (claim, Reason) {
	s, err := block.DecodeSignedData(raw)
	if err != nil {
		return claim{}, Garbage
	}
	m := &s.Data.Metadata
	if r := screen(cfg, known, m.ChainID, m.Height, &s.Signer); r != none {
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
	return claim{out, func() bool { return s.Verify() == nil }}, none
}

// screen does the checks that headers and data share, cheapest first.
func screen(cfg *Config, known Known, chainID string, height uint64, signer *block.Signer) Reason {
	switch {
	case chainID != cfg.ChainID:
		return OtherChain
	case height <= known.Height:
		return Stale
	case !bytes.Equal(signer.Address, cfg.Proposer):
		return Stranger
	}
	if _, err := signer.Key(); err != nil {
		return Stranger
	}
	return none
}
