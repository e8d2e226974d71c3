package derive

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"runtime"
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

// Verify finds the authentic halves in an item: signatures, decoding and hashing, nearly all of the work of a Step.
// Its result does not depend on what came before (I3), so calls may overlap and run ahead in any order; StepVerified
// then takes the items in their order. The item's blobs must not be written to afterwards.
//
// Anyone may have posted anything, so what costs little comes first, the signature next, and what only an authentic
// half needs last. Until then a blob takes no memory that grows with it.
func Verify(cfg *Config, known Known, b *da.Block) *Verified {
	v := &Verified{block: b, known: known}
	seen := make(map[block.Hash]Reason) // by claim's id: the same thing is verified once
	for _, blob := range inOrder(b.Blobs) {
		c, reason := cfg.examine(known, blob)
		if reason != none {
			v.skipped[reason]++
			continue
		}
		if was, ok := seen[c.id]; ok {
			v.skipped[cmp.Or(was, Duplicate)]++
			continue
		}
		if !c.authentic() {
			reason = cmp.Or(c.otherwise, Forged)
			v.skipped[reason]++
		} else {
			h := c.half()
			h.DAHeight, h.Index = b.Height, blob.Index
			v.halves = append(v.halves, h)
		}
		seen[c.id] = reason
		runtime.Gosched() // there can be tens of thousands: who makes blocks on the same core comes first
	}
	return v
}

// claim is a half that says it is ours.
type claim struct {
	id        block.Hash   // the same for all that have the same canonical encoding
	authentic func() bool  // whether it is
	otherwise Reason       // why it may not be; none: Forged
	half      func() *half // what it is then, in its canonical encoding
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

// examine does all the checks of a blob that cost little. A namespace says what its blobs are; if it is the same one
// for both, their encoding does, since no message can be read as the other.
func (cfg *Config) examine(known Known, blob *da.Blob) (c claim, reason Reason) {
	reason = Garbage
	if blob.Namespace == cfg.HeaderNamespace {
		c, reason = cfg.examineHeader(known, blob.Data)
	}
	if reason == Garbage && blob.Namespace == cfg.DataNamespace {
		c, reason = cfg.examineData(known, blob.Data)
	}
	return c, reason
}

func (cfg *Config) examineHeader(known Known, raw []byte) (claim, Reason) {
	if len(raw) > maxHeaderBytes {
		return claim{}, Garbage
	}
	s, err := block.DecodeSignedHeader(raw)
	if err != nil {
		return claim{}, Garbage
	}
	h := &s.Header
	key, r := cfg.Authority.claimsHeader(s)
	switch r = known.screen(h.Height, r); {
	case r != none:
		return claim{}, r
	case !wellFormed(h):
		return claim{}, Malformed
	case known.EnvelopesOnly && len(s.EnvelopeSignature) == 0:
		return claim{}, Plain
	}
	canonical, otherwise := s.Encode(), none
	if !bytes.Equal(canonical, raw) {
		if block.HasLegacyFields(raw) { // without them, which is all that is decoded, its signatures do not verify
			otherwise = Legacy
		}
		if s, err = block.DecodeSignedHeader(canonical); err != nil {
			return claim{}, Garbage
		}
		raw = canonical // whatever else was in the blob is not kept
	}
	return claim{
		id:        sha256.Sum256(raw),
		authentic: func() bool { return key.VerifyHeader(s) == nil },
		otherwise: otherwise,
		half: func() *half {
			out := &half{header: s}
			out.Kind, out.Hash, out.Height, out.Raw = kindOf(s), s.Header.Hash(), s.Header.Height, raw
			return out
		},
	}, none
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

func (cfg *Config) examineData(known Known, raw []byte) (claim, Reason) {
	d, err := block.ReadDataBlob(raw)
	if err != nil {
		return claim{}, Garbage
	}
	key, r := cfg.Authority.claimsData(d)
	if r = known.screen(d.Height(), r); r != none {
		return claim{}, r
	}
	if d.Txs() == 0 {
		return claim{}, Malformed // nothing names it: a block without transactions needs no data
	}
	check := key.CheckData(d)
	if check == nil {
		return claim{}, Forged
	}
	return claim{id: check.ID, authentic: check.Authentic, half: func() *half { return dataHalf(d.Canonical()) }}, none
}

// dataHalf returns the half that d, in its canonical encoding, is. Its transactions stay where they are: a list of
// them can take twelve times the memory, and is made when the block is.
func dataHalf(d *block.DataBlob) *half {
	out := &half{data: d, commitment: d.Commitment()}
	out.Kind, out.Hash, out.Height, out.Raw = block.DataHalf, d.Hash(), d.Height(), d.Encode()
	return out
}

// screen returns why a half at height is dropped before its signatures are checked, if the authority says r of it.
func (k Known) screen(height uint64, r Reason) Reason {
	if r != OtherChain && height <= k.Height {
		return Stale
	}
	return r
}
