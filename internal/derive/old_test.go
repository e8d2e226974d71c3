package derive

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"sync/atomic"

	"headrace/block"
	"headrace/da"
	"headrace/l1"
)

// What follows is Verify and Proposal as they were before there was an Authority, word for word but for the names:
// TestOldAndNew compares what they come to. A home that was written then must go on with the same blocks and the same
// skip reasons (I3).

type oldConfig struct {
	ChainID         string
	Proposer        []byte
	InitialHeight   uint64
	StartTime       uint64
	HeaderNamespace da.Namespace
	DataNamespace   da.Namespace
}

// oldVerifier finds what is authentic in a chain's items. It is safe for concurrent use. Make it with oldNewVerifier.
type oldVerifier struct {
	cfg      oldConfig
	proposer atomic.Pointer[block.Verifier] // of the key that Config.Proposer is the address of; nil until it has been seen
}

// oldNewVerifier returns a verifier for the chain that cfg describes.
func oldNewVerifier(cfg oldConfig) *oldVerifier { return &oldVerifier{cfg: cfg} }

// Verify finds the authentic halves in an item: decoding, hashing and signatures, nearly all of the work of a Step.
// Its result does not depend on what came before (I3), so calls may overlap and run ahead in any order; StepVerified
// then takes the items in their order. The item's blobs must not be written to afterwards.
func (vr *oldVerifier) Verify(known Known, b *da.Block) *oldVerified {
	v := new(oldVerified)
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
			v.halves = append(v.halves, h.oldHalf)
		}
		seen[id] = reason
	}
	return v
}

// oldHalf is an authenticated half, decoded.
type oldHalf struct {
	block.Half
	header     *block.SignedHeader // of a header
	data       *block.Data         // of data
	commitment block.Hash          // of data
}

type oldVerified struct {
	halves  []*oldHalf
	skipped Counts
}

// oldClaim is a half that says it is ours; whether it is shows when its signatures are checked.
type oldClaim struct {
	*oldHalf
	authentic func() bool
}

// examine decodes a blob and does all the checks that cost little. A namespace says what its blobs are; if it is the
// same one for both, their encoding does, since no message can be read as the other.
func (vr *oldVerifier) examine(known Known, blob *da.Blob) (c oldClaim, reason Reason) {
	reason = Garbage
	if blob.Namespace == vr.cfg.HeaderNamespace {
		c, reason = vr.examineHeader(known, blob.Data)
	}
	if reason == Garbage && blob.Namespace == vr.cfg.DataNamespace {
		c, reason = vr.examineData(known, blob.Data)
	}
	return c, reason
}

func (vr *oldVerifier) examineHeader(known Known, raw []byte) (oldClaim, Reason) {
	if len(raw) > maxHeaderBytes {
		return oldClaim{}, Garbage
	}
	s, err := oldDecodeSignedHeader(raw)
	if err != nil {
		return oldClaim{}, Garbage
	}
	h := &s.Header
	key, r := vr.screen(known, h.ChainID, h.Height, &s.Signer)
	switch {
	case r != none:
		return oldClaim{}, r
	case !bytes.Equal(h.ProposerAddress, vr.cfg.Proposer):
		return oldClaim{}, Stranger
	case !oldWellFormed(h):
		return oldClaim{}, Malformed
	case known.EnvelopesOnly && len(s.EnvelopeSignature) == 0:
		return oldClaim{}, Plain
	}
	canonical := s.Encode()
	if !bytes.Equal(canonical, raw) {
		if s, err = oldDecodeSignedHeader(canonical); err != nil {
			return oldClaim{}, Garbage
		}
		raw = canonical // whatever else was in the blob is not kept
	}
	out := &oldHalf{header: s}
	out.Kind, out.Hash, out.Height, out.Raw = kindOf(s), s.Header.Hash(), s.Header.Height, raw
	// Both signatures of an envelope count. A plain header with a bad envelope signature added is no header: a
	// stranger can add one to anything.
	return oldClaim{out, func() bool { return key.VerifyHeader(s) == nil }}, none
}

// oldWellFormed reports whether the hashes that pairing and linking need are hashes.
func oldWellFormed(h *block.Header) bool {
	return len(h.DataHash) == len(block.Hash{}) && (len(h.LastHeaderHash) == 0 || len(h.LastHeaderHash) == len(block.Hash{}))
}

func (vr *oldVerifier) examineData(known Known, raw []byte) (oldClaim, Reason) {
	s, err := oldDecodeSignedData(raw)
	if err != nil {
		return oldClaim{}, Garbage
	}
	m := &s.Data.Metadata
	key, r := vr.screen(known, m.ChainID, m.Height, &s.Signer)
	if r != none {
		return oldClaim{}, r
	}
	if len(s.Data.Txs) == 0 {
		return oldClaim{}, Malformed // nothing names it: a block without transactions needs no data
	}
	canonical := s.Encode()
	if !bytes.Equal(canonical, raw) {
		if s, err = oldDecodeSignedData(canonical); err != nil {
			return oldClaim{}, Garbage
		}
		raw = canonical
	}
	out := &oldHalf{data: &s.Data, commitment: s.Data.Commitment()}
	out.Kind, out.Hash, out.Height, out.Raw = block.DataHalf, s.Data.Hash(), s.Data.Metadata.Height, raw
	return oldClaim{out, func() bool { return key.IsKeyOf(&s.Signer) && key.Key().Verify(s.Data.Encode(), s.Signature) }}, none
}

// screen does the checks that headers and data share, cheapest first. What passes names the proposer's key.
func (vr *oldVerifier) screen(known Known, chainID string, height uint64, signer *block.Signer) (*block.Verifier, Reason) {
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

// oldProposal returns the blocks of a proposal of an L1 inbox, built on tip, or why its content makes none: then the
// proposal is void, on every node alike, since the answer depends on the content and on tip alone (I3). Each block
// must be the proposer's, whole, and continue the one before. What the proposal leaves out of the forced items that
// it takes is not looked at here: see LeftOut.
func oldProposal(cfg *oldConfig, tip Tip, p *l1.Proposal) (blocks []*block.Block, void string) {
	if p.Void != "" {
		return nil, p.Void
	}
	if block.Hash(p.Parent) != tip.HeaderHash {
		return nil, fmt.Sprintf("it builds on %x, and the last block is %s", p.Parent, tip.HeaderHash)
	}
	for i := range p.Blocks {
		b, err := oldSealed(cfg, tip, &p.Blocks[i])
		if err != nil {
			return nil, fmt.Sprintf("block %d of %d: %v", i+1, len(p.Blocks), err)
		}
		blocks = append(blocks, b)
		tip = TipOf(b)
	}
	if len(blocks) == 0 {
		return nil, "it holds no block"
	}
	return blocks, ""
}

// oldSealed decodes one block and checks all that its content and tip show.
func oldSealed(cfg *oldConfig, tip Tip, e *l1.Encoded) (*block.Block, error) {
	h, err := oldDecodeSignedHeader(e.Header)
	if err != nil {
		return nil, err
	}
	hd := &h.Header
	b := &block.Block{Header: *h}
	if len(e.Data) == 0 {
		b.Data = block.EmptyData(hd, oldHashField(tip.DataHash))
	} else {
		signed, err := oldDecodeSignedData(e.Data)
		switch {
		case err != nil:
			return nil, err
		case !bytes.Equal(signed.Signer.Address, cfg.Proposer):
			return nil, fmt.Errorf("its data is not signed by the chain's proposer")
		}
		if err := signed.Verify(); err != nil {
			return nil, err
		}
		b.Data = signed.Data
	}
	m, commitment := &b.Data.Metadata, b.Data.Commitment()
	switch {
	case hd.ChainID != cfg.ChainID:
		return nil, fmt.Errorf("it is of chain %q", hd.ChainID)
	case hd.Height != tip.Height+1:
		return nil, fmt.Errorf("it has height %d, the next is %d", hd.Height, tip.Height+1)
	case !bytes.Equal(hd.LastHeaderHash, oldHashField(tip.HeaderHash)):
		return nil, fmt.Errorf("it follows %x, the last block is %s", hd.LastHeaderHash, tip.HeaderHash)
	case hd.Time < max(tip.Time, cfg.StartTime):
		return nil, fmt.Errorf("its time goes backwards")
	case !bytes.Equal(hd.DataHash, commitment[:]):
		return nil, fmt.Errorf("its header names other data")
	case m.ChainID != hd.ChainID || m.Height != hd.Height || m.Time != hd.Time || !bytes.Equal(m.LastDataHash, oldHashField(tip.DataHash)):
		return nil, fmt.Errorf("its data is of another block")
	case !bytes.Equal(hd.ProposerAddress, cfg.Proposer) || !bytes.Equal(h.Signer.Address, cfg.Proposer):
		return nil, fmt.Errorf("it is not signed by the chain's proposer")
	}
	if err := h.Verify(); err != nil {
		return nil, err
	}
	if len(h.EnvelopeSignature) > 0 {
		return b, h.VerifyEnvelope()
	}
	return b, nil
}

// oldHashField is how a header writes a hash: absent for none.
func oldHashField(h block.Hash) []byte {
	if h.IsZero() {
		return nil
	}
	return h[:]
}
