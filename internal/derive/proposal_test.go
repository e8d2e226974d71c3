package derive_test

import (
	"bytes"
	"testing"

	"headrace/block"
	"headrace/internal/derive"
	"headrace/l1"
)

// posted is one block as its proposer has it before the signatures, and all that can be spoiled in it afterwards.
type posted struct {
	header block.Header
	data   block.Data

	headerKey, dataKey *block.PrivateKey
	signedHeader       func(*block.SignedHeader) // nil: as it was signed
	signedData         func(*block.SignedData)
	encoded            func(*l1.Encoded)
}

// encode signs the block and writes it as a proposal has it.
func (p *posted) encode(t *testing.T) l1.Encoded {
	t.Helper()
	h, err := block.SignHeader(p.headerKey, p.header)
	if err != nil {
		t.Fatal(err)
	}
	d, err := block.SignData(p.dataKey, p.data)
	if err != nil {
		t.Fatal(err)
	}
	if p.signedHeader != nil {
		p.signedHeader(&h)
	}
	if p.signedData != nil {
		p.signedData(&d)
	}
	e := l1.Encoded{Header: h.Encode()}
	if len(p.data.Txs) > 0 {
		e.Data = d.Encode()
	}
	if p.encoded != nil {
		p.encoded(&e)
	}
	return e
}

// child returns the next block on tip, as an honest proposer makes it, with these transactions.
func child(tip derive.Tip, txs ...string) *posted {
	p := &posted{headerKey: proposer, dataKey: proposer}
	h, m := &p.header, &p.data.Metadata
	*h = block.Header{ChainID: chainID, Height: tip.Height + 1, Time: max(tip.Time, startTime) + 5, ProposerAddress: proposer.Public().Address()}
	*m = block.Metadata{ChainID: chainID, Height: h.Height, Time: h.Time}
	if !tip.HeaderHash.IsZero() {
		h.LastHeaderHash, m.LastDataHash = bytes.Clone(tip.HeaderHash[:]), bytes.Clone(tip.DataHash[:])
	}
	for _, tx := range txs {
		p.data.Txs = append(p.data.Txs, []byte(tx))
	}
	return p.commit()
}

// commit makes the header name the data.
func (p *posted) commit() *posted {
	c := p.data.Commitment()
	p.header.DataHash = c[:]
	return p
}

func flip(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

// TestSpoiledProposals spoils one thing of a good proposal per row and leaves the rest as it should be, signed anew
// where its proposer could: it makes no block, whichever of its blocks is the spoiled one. A row that changes nothing
// makes all of them.
func TestSpoiledProposals(t *testing.T) {
	other := flip(bytes.Repeat([]byte{7}, 32))
	for _, c := range []struct {
		name  string
		spoil func(*posted)
		good  bool
	}{
		{"nothing", func(*posted) {}, true},
		{"no envelope, which is no fault", func(p *posted) { p.signedHeader = func(h *block.SignedHeader) { h.EnvelopeSignature = nil } }, true},
		{"time stands still, which is no fault", func(p *posted) { p.header.Time -= 5; p.data.Metadata.Time -= 5 }, true},

		{"header is garbage", func(p *posted) { p.encoded = func(e *l1.Encoded) { e.Header = []byte("garbage") } }, false},
		{"header is absent", func(p *posted) { p.encoded = func(e *l1.Encoded) { e.Header = nil } }, false},
		{"data are garbage", func(p *posted) { p.encoded = func(e *l1.Encoded) { e.Data = []byte("garbage") } }, false},
		{"data are absent", func(p *posted) { p.encoded = func(e *l1.Encoded) { e.Data = nil } }, false},

		{"data's signature", func(p *posted) { p.signedData = func(d *block.SignedData) { d.Signature = flip(d.Signature) } }, false},
		{"data's signature absent", func(p *posted) { p.signedData = func(d *block.SignedData) { d.Signature = nil } }, false},
		{"data's signer is a stranger", func(p *posted) { p.dataKey = stranger }, false},
		{"data's signer is a stranger who says he is the proposer", func(p *posted) {
			p.dataKey = stranger
			p.signedData = func(d *block.SignedData) { d.Signer.Address = proposer.Public().Address() }
		}, false},

		{"chain", func(p *posted) { p.header.ChainID, p.data.Metadata.ChainID = "other", "other" }, false},
		{"height above", func(p *posted) { p.header.Height++; p.data.Metadata.Height++ }, false},
		{"height below", func(p *posted) { p.header.Height--; p.data.Metadata.Height-- }, false},
		{"parent", func(p *posted) { p.header.LastHeaderHash = other }, false},
		{"time goes back", func(p *posted) { p.header.Time -= 6; p.data.Metadata.Time -= 6 }, false},
		{"header names other data", func(p *posted) { p.header.DataHash = other }, false},
		{"other data than the header names", func(p *posted) { p.data.Txs = append(p.data.Txs, []byte("one more")) }, false},

		{"data's chain", func(p *posted) { p.data.Metadata.ChainID = "other" }, false},
		{"data's height", func(p *posted) { p.data.Metadata.Height++ }, false},
		{"data's time", func(p *posted) { p.data.Metadata.Time++ }, false},
		{"data's parent", func(p *posted) { p.data.Metadata.LastDataHash = other }, false},

		{"a stranger's header", func(p *posted) { p.header.ProposerAddress, p.headerKey = stranger.Public().Address(), stranger }, false},
		{"signer is a stranger", func(p *posted) {
			p.signedHeader = func(h *block.SignedHeader) { h.Signer = signerOf(stranger) }
		}, false},
		{"signer has another key", func(p *posted) {
			p.signedHeader = func(h *block.SignedHeader) { h.Signer.PubKey = signerOf(stranger).PubKey }
		}, false},
		{"signature", func(p *posted) {
			p.signedHeader = func(h *block.SignedHeader) { h.Signature, h.EnvelopeSignature = flip(h.Signature), nil }
		}, false},
		{"signature absent", func(p *posted) {
			p.signedHeader = func(h *block.SignedHeader) { h.Signature, h.EnvelopeSignature = nil, nil }
		}, false},
		{"envelope signature", func(p *posted) {
			p.signedHeader = func(h *block.SignedHeader) { h.EnvelopeSignature = flip(h.EnvelopeSignature) }
		}, false},
		{"envelope signature is the signature", func(p *posted) { p.signedHeader = func(h *block.SignedHeader) { h.EnvelopeSignature = h.Signature } }, false},
	} {
		for at := range 3 {
			tip := derive.Tip{Height: 0}
			var p l1.Proposal
			for i := range 3 {
				b := child(tip, "a=1", "b=2")
				good := b.encode(t)
				tip = derive.TipOf(decoded(t, good))
				if i == at {
					c.spoil(b)
					good = b.encode(t)
					if c.good { // the next one builds on it
						tip = derive.TipOf(decoded(t, good))
					}
				}
				p.Blocks = append(p.Blocks, good)
			}
			blocks, void := propose(config(), derive.Tip{Height: 0}, &p)
			if c.good && (void != "" || len(blocks) != 3 || derive.TipOf(blocks[2]) != tip) {
				t.Errorf("%s, at block %d: got %d blocks, void %q, want 3 up to %v", c.name, at+1, len(blocks), void, tip)
			}
			if !c.good && (void == "" || len(blocks) > 0) {
				t.Errorf("%s, at block %d: got %d blocks, want it void", c.name, at+1, len(blocks))
			}
		}
	}
}

// The same for a block without transactions, whose data are not posted, and for what a proposal says outside of its
// blocks.
func TestSpoiledEmptyProposals(t *testing.T) {
	parent := decoded(t, first(t))
	tip := derive.TipOf(parent)
	for _, c := range []struct {
		name  string
		spoil func(*l1.Proposal)
		good  bool
	}{
		{"nothing", func(*l1.Proposal) {}, true},
		{"void already", func(p *l1.Proposal) { p.Void = "it does not decode" }, false},
		{"parent", func(p *l1.Proposal) { p.Parent[0] ^= 1 }, false},
		{"no parent", func(p *l1.Proposal) { p.Parent = l1.Hash{} }, false},
		{"no block", func(p *l1.Proposal) { p.Blocks = nil }, false},
		{"the same block twice", func(p *l1.Proposal) { p.Blocks = append(p.Blocks, p.Blocks[0]) }, false},
		{"the parent again", func(p *l1.Proposal) { p.Blocks = append([]l1.Encoded{first(t)}, p.Blocks...) }, false},
		{"data where the header names none", func(p *l1.Proposal) { p.Blocks[0].Data = first(t).Data }, false},
		{"header names data that are not there", func(p *l1.Proposal) {
			b := child(tip, "a=1")
			e := b.encode(t)
			p.Blocks[0] = l1.Encoded{Header: e.Header}
		}, false},
	} {
		p := l1.Proposal{Parent: l1.Hash(tip.HeaderHash), Blocks: []l1.Encoded{child(tip).encode(t)}}
		c.spoil(&p)
		blocks, void := propose(config(), tip, &p)
		if c.good != (void == "") || c.good != (len(blocks) == 1) {
			t.Errorf("%s: got %d blocks, void %q, want it good: %v", c.name, len(blocks), void, c.good)
		}
		if c.good && !bytes.Equal(blocks[0].Data.Metadata.LastDataHash, tip.DataHash[:]) {
			t.Errorf("%s: got data on %x, want them on the parent's, %s", c.name, blocks[0].Data.Metadata.LastDataHash, tip.DataHash)
		}
	}
}

// The first block has no parent to compare its time with: the chain's start takes its place.
func TestFirstProposedBlockIsNotBeforeTheStart(t *testing.T) {
	for time, good := range map[uint64]bool{startTime: true, startTime - 1: false} {
		b := child(derive.Tip{Height: 0}, "a=1")
		b.header.Time, b.data.Metadata.Time = time, time
		if _, void := propose(config(), derive.Tip{Height: 0}, &l1.Proposal{Blocks: []l1.Encoded{b.encode(t)}}); good != (void == "") {
			t.Errorf("first block at %d, start at %d: got void %q, want it good: %v", time, startTime, void, good)
		}
	}
}

// propose has the proposal judged.
func propose(cfg derive.Config, tip derive.Tip, p *l1.Proposal) ([]*block.Block, string) {
	blocks, void, err := derive.Open(&cfg, p).On(&cfg, tip, nil)
	if err != nil {
		panic(err)
	}
	return blocks, void
}

// first returns the chain's first block.
func first(t *testing.T) l1.Encoded { return child(derive.Tip{Height: 0}, "first=1").encode(t) }

// decoded returns a posted block with transactions.
func decoded(t *testing.T, e l1.Encoded) *block.Block {
	t.Helper()
	h, err := block.DecodeSignedHeader(e.Header)
	if err != nil {
		t.Fatal(err)
	}
	d, err := block.DecodeSignedData(e.Data)
	if err != nil {
		t.Fatal(err)
	}
	return &block.Block{Header: *h, Data: d.Data}
}

func signerOf(k *block.PrivateKey) block.Signer {
	return block.Signer{Address: k.Public().Address(), PubKey: k.Public().Encode()}
}
