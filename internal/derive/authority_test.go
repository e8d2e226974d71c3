package derive_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"headrace/block"
	"headrace/internal/derive"
	"headrace/l1"
)

// signedBlock is a block as its proposer sends it.
type signedBlock struct {
	header block.SignedHeader
	data   *block.SignedData
}

func sendOf(t *testing.T, b *built) *signedBlock {
	t.Helper()
	s := new(signedBlock)
	h, err := block.DecodeSignedHeader(b.header)
	if err == nil && b.data != nil {
		s.data, err = block.DecodeSignedData(b.data)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.header = *h
	return s
}

// blob returns the data as it is sent.
func (s *signedBlock) blob(t *testing.T) *block.DataBlob {
	t.Helper()
	if s.data == nil {
		return nil
	}
	d, err := block.ReadDataBlob(s.data.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// sign signs the header as it is now.
func (s *signedBlock) sign(t *testing.T, k *block.PrivateKey) {
	t.Helper()
	var err error
	if s.header, err = block.SignHeader(k, s.header.Header); err != nil {
		t.Fatal(err)
	}
}

func (s *signedBlock) signData(t *testing.T, k *block.PrivateKey) {
	t.Helper()
	d, err := block.SignData(k, s.data.Data)
	if err != nil {
		t.Fatal(err)
	}
	s.data = &d
}

// TestAuthority spoils one thing of a block per row, everything else signed as it has to be: the part that it is in
// is refused, and the block with it; what is refused for the block's sake alone has good parts.
func TestAuthority(t *testing.T) {
	proposersName := func(s *block.Signer) { s.Address = proposer.Public().Address() }
	spoil := func(b *[]byte) { *b = bytes.Clone(*b); (*b)[5] ^= 1 }
	for name, c := range map[string]struct {
		change             func(s *signedBlock)
		header, data, both string // what the refusal says; empty if there is none
	}{
		"nothing":     {func(*signedBlock) {}, "", "", ""},
		"no envelope": {func(s *signedBlock) { s.header.EnvelopeSignature = nil }, "", "", ""},
		"both of another chain": {func(s *signedBlock) {
			s.header.Header.ChainID, s.data.Data.Metadata.ChainID = "other", "other"
			s.sign(t, proposer)
			s.signData(t, proposer)
		}, `it is of chain "other"`, `its data is of chain "other"`, `of chain "other"`},
		"header of another chain": {func(s *signedBlock) { s.header.Header.ChainID = "other"; s.sign(t, proposer) }, `it is of chain "other"`, "", `it is of chain "other"`},
		"a stranger's header": {func(s *signedBlock) {
			s.header.Header.ProposerAddress = stranger.Public().Address()
			s.sign(t, stranger)
		}, "it is not signed by the chain's proposer", "", "it is not signed by"},
		"a stranger's header in the proposer's name": {func(s *signedBlock) {
			s.header.Header.ProposerAddress = stranger.Public().Address()
			s.sign(t, stranger)
			s.header.Header.ProposerAddress = proposer.Public().Address()
			proposersName(&s.header.Signer)
		}, "it is not signed by the chain's proposer", "", "it is not signed by"},
		"a header that names a stranger, signed by the proposer": {func(s *signedBlock) {
			s.header.Header.ProposerAddress = stranger.Public().Address()
			s.header.Signature, s.header.EnvelopeSignature = proposer.Sign(s.header.Header.Encode()), nil
		}, "it is not signed by the chain's proposer", "", "it is not signed by"},
		"signature":            {func(s *signedBlock) { spoil(&s.header.Signature); s.header.EnvelopeSignature = nil }, "verify header 2", "", "verify header 2"},
		"envelope's signature": {func(s *signedBlock) { spoil(&s.header.EnvelopeSignature) }, "verify envelope of header 2", "", "verify envelope of header 2"},
		"signature, with an envelope around it that holds": {func(s *signedBlock) {
			spoil(&s.header.Signature)
			s.header.EnvelopeSignature = nil
			s.header.EnvelopeSignature = proposer.Sign(s.header.Encode())
		}, "verify header 2", "", "verify header 2"},
		"data's signature":  {func(s *signedBlock) { spoil(&s.data.Signature) }, "", "verify data 2", "verify data 2"},
		"a stranger's data": {func(s *signedBlock) { s.signData(t, stranger) }, "", "its data is not signed by", "its data is not signed by"},
		"a stranger's data in the proposer's name": {func(s *signedBlock) {
			s.signData(t, stranger)
			proposersName(&s.data.Signer)
		}, "", "its data is not signed by", "its data is not signed by"},
		"other data":       {func(s *signedBlock) { s.data.Data.Txs = s.data.Data.Txs[1:]; s.signData(t, proposer) }, "", "", "names other data"},
		"no data":          {func(s *signedBlock) { s.data = nil }, "", "", "names other data"},
		"other data hash":  {func(s *signedBlock) { s.header.Header.DataHash = block.EmptyCommitment.Field(); s.sign(t, proposer) }, "", "", "names other data"},
		"data's height":    {func(s *signedBlock) { s.data.Data.Metadata.Height++; s.signData(t, proposer) }, "", "", "another block"},
		"data's time":      {func(s *signedBlock) { s.data.Data.Metadata.Time++; s.signData(t, proposer) }, "", "", "another block"},
		"data of no chain": {func(s *signedBlock) { s.data.Data.Metadata.ChainID = ""; s.signData(t, proposer) }, "", `its data is of chain ""`, `its data is of chain ""`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, cold := range []bool{true, false} {
				first := build(t, proposer, nil, nil)
				good := sendOf(t, build(t, proposer, first, nil, "a", "b"))
				a := config().Authority
				if !cold { // the key has been seen
					if err := a.Header(&good.header); err != nil {
						t.Fatal(err)
					}
				}
				c.change(good)
				wantRefusal(t, "header", a.Header(&good.header), c.header)
				if good.data != nil {
					wantRefusal(t, "data", a.Data(good.blob(t)), c.data)
				}
				b, err := a.Block(&good.header, good.blob(t), first.Data.Hash())
				wantRefusal(t, "block", err, c.both)
				if err == nil && (b.Hash() != good.header.Header.Hash() || len(b.Data.Txs) != 2) {
					t.Errorf("got block %v, want the one that was sent", b)
				}
				// Whatever was refused before, the proposer's are not.
				honest := sendOf(t, build(t, proposer, first, nil, "a", "b"))
				_, err = a.Block(&honest.header, honest.blob(t), first.Data.Hash())
				wantRefusal(t, "the next block", err, "")
			}
		})
	}
}

func wantRefusal(t *testing.T, what string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want %q", what, err, want)
	}
}

// TestEmptyBlock: the data of a block without transactions is what follows from its header and its parent, sent or not.
func TestEmptyBlock(t *testing.T) {
	first := build(t, proposer, nil, nil, "a")
	second := build(t, proposer, first, nil)
	s := sendOf(t, second)
	for _, sent := range []bool{false, true} {
		if sent {
			s.data = &block.SignedData{Data: second.Data}
			s.signData(t, proposer)
		}
		b, err := config().Authority.Block(&s.header, s.blob(t), first.Data.Hash())
		if err != nil || !bytes.Equal(b.Encode(), second.Encode()) {
			t.Errorf("data sent: %v: got %v, %v, want %v", sent, b, err, second.Block)
		}
	}
}

// TestOneSetOfTables: the tables for the proposer's key are made once for a chain, whichever way its blocks come, and
// each way uses them.
func TestOneSetOfTables(t *testing.T) {
	const table = 640 << 10
	c := chain(t, 1)
	it, s := item(1, hdr(c[0].header), dat(c[0].data)), sendOf(t, c[0])
	ways := map[string]func(cfg derive.Config){
		"an item": func(cfg derive.Config) { step(t, newDeriver(t, cfg, derive.State{}), it) },
		"an item, ahead": func(cfg derive.Config) {
			if v := derive.Verify(&cfg, derive.Known{}, it); v.Block() != it {
				t.Error("got another item")
			}
		},
		"a proposal": func(cfg derive.Config) {
			p := &l1.Proposal{Blocks: []l1.Encoded{{Header: c[0].header, Data: c[0].data}}}
			if _, void := propose(cfg, genesisTip(), p); void != "" {
				t.Error(void)
			}
		},
		"an offer": func(cfg derive.Config) {
			if _, err := cfg.Authority.Block(&s.header, s.blob(t), block.Hash{}); err != nil {
				t.Error(err)
			}
		},
	}
	ways["an item"](config()) // so that the base point has its tables
	for first, warm := range ways {
		cfg := config()
		if made, _, _ := use(func() { warm(cfg) }); made < table {
			t.Errorf("%s made %d bytes, no table", first, made)
		}
		for then, way := range ways {
			if made, _, _ := use(func() { way(cfg) }); made > table/4 {
				t.Errorf("%s after %s made %d bytes, want what was made already to be used", then, first, made)
			}
		}
	}
}

// TestFollows: what continues the chain, and what does not.
func TestFollows(t *testing.T) {
	cfg := config()
	first := build(t, proposer, nil, nil, "a")
	second := build(t, proposer, first, nil, "b")
	third := build(t, proposer, second, nil, "c")
	start, tip := genesisTip(), derive.TipOf(first.Block)
	changed := func(b *built, change func(h *block.Header, m *block.Metadata)) *block.Block {
		c := *b.Block
		change(&c.Header.Header, &c.Data.Metadata)
		return &c
	}
	for name, c := range map[string]struct {
		tip  derive.Tip
		b    *block.Block
		want string
	}{
		"the first":                            {start, first.Block, ""},
		"the second":                           {tip, second.Block, ""},
		"time stands still":                    {tip, changed(second, func(h *block.Header, _ *block.Metadata) { h.Time = tip.Time }), ""},
		"time goes back, not before the start": {derive.TipOf(second.Block), changed(third, func(h *block.Header, _ *block.Metadata) { h.Time = startTime }), "backwards"},
		"before the start":                     {start, changed(first, func(h *block.Header, _ *block.Metadata) { h.Time = startTime - 1 }), "backwards"},
		"the same again":                       {tip, first.Block, "height 1, the next is 2"},
		"one too far":                          {start, second.Block, "height 2, the next is 1"},
		"another parent":                       {tip, changed(second, func(h *block.Header, _ *block.Metadata) { h.LastHeaderHash = make([]byte, 32) }), "it follows 00"},
		"no parent":                            {tip, changed(second, func(h *block.Header, _ *block.Metadata) { h.LastHeaderHash = nil }), "it follows , the last"},
		"a parent of the first":                {start, changed(first, func(h *block.Header, _ *block.Metadata) { h.LastHeaderHash = make([]byte, 32) }), "it follows 00"},
		"other data before":                    {tip, changed(second, func(_ *block.Header, m *block.Metadata) { m.LastDataHash = make([]byte, 32) }), "another block"},
		"no data before":                       {tip, changed(second, func(_ *block.Header, m *block.Metadata) { m.LastDataHash = nil }), "another block"},
	} {
		wantRefusal(t, name, cfg.Follows(c.tip, c.b), c.want)
	}
}

// TestAuthorityErrors: what a signature is refused for can be told by errors.Is.
func TestAuthorityErrors(t *testing.T) {
	s := sendOf(t, build(t, proposer, nil, nil, "a"))
	s.header.Signature, s.data.Signature = nil, nil
	a := config().Authority
	if err := a.Header(&s.header); !errors.Is(err, block.ErrSignature) {
		t.Errorf("header: got %v", err)
	}
	if err := a.Data(s.blob(t)); !errors.Is(err, block.ErrSignature) {
		t.Errorf("data: got %v", err)
	}
}
