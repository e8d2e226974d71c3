package derive_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"headrace/block"
	"headrace/internal/derive"
	"headrace/l1"
	"headrace/l1/compact"
)

// TestCompact: what makes a proposal of version 2 void, and what is no verdict.
func TestCompact(t *testing.T) {
	c := chain(t, 4, 3)
	cfg := config()
	blocks := func(of ...*built) (out []*block.Block) {
		for _, b := range of {
			out = append(out, b.Block)
		}
		return out
	}
	write := func(parent *built, of ...*block.Block) []byte {
		t.Helper()
		p := compact.Parent{Height: of[0].Height() - 1}
		if parent != nil {
			p.Block = parent.Block
		}
		payload, err := compact.Encode(&compact.Chain{ID: chainID}, p, of)
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	last := func() (*block.Block, error) { return c[0].Block, nil }
	tip := derive.TipOf(c[0].Block)
	resolved := func(payload []byte) *l1.Proposal {
		p := &l1.Proposal{Parent: l1.Hash(tip.HeaderHash), Sources: []l1.Source{{}}}
		p.Resolve(payload, nil)
		return p
	}
	back := build(t, proposer, c[0], func(h *block.Header, m *block.Metadata) { h.Time, m.Time = h.Time-2, m.Time-2 }, "a")
	theirs := build(t, stranger, c[0], nil, "a")
	badly := *c[3].Block
	badly.Header.Signature = flip(badly.Header.Signature)
	others := *c[3].Block
	others.Header.Signature = c[2].Header.Signature
	good := write(c[0], blocks(c[1:]...)...)
	for name, row := range map[string]struct {
		payload []byte
		tip     derive.Tip
		void    string
	}{
		"good":                {good, tip, ""},
		"and zeros":           {append(bytes.Clone(good), 0, 0, 0), tip, ""},
		"bad signature":       {write(c[0], c[1].Block, c[2].Block, &badly), tip, "signature"},
		"another's signature": {write(c[0], c[1].Block, c[2].Block, &others), tip, "signature"},
		"a stranger's":        {write(c[0], theirs.Block), tip, "not signed by the chain's proposer"},
		"time goes back":      {write(c[0], back.Block), tip, "goes backwards"},
		"on another block":    {good, derive.TipOf(c[1].Block), "builds on"},
		"cut":                 {good[:len(good)-1], tip, "claims"},
		"a head":              {good[:3], tip, "3 bytes"},
		"not its blocks":      {write(c[1], c[2].Block), tip, "void"},
	} {
		o := derive.Open(&cfg, resolved(row.payload))
		got, void, err := o.On(&cfg, row.tip, last)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		switch {
		case row.void == "" && void != "":
			t.Errorf("%s: it is void: %s", name, void)
		case row.void == "":
			if len(got) != 3 || got[2].Hash() != c[3].Hash() || got[2].Data.Hash() != c[3].Data.Hash() {
				t.Errorf("%s: got other blocks", name)
			}
			if len(got[0].Header.Signature) != 0 || !bytes.Equal(got[2].Header.Signature, c[3].Header.Signature) {
				t.Errorf("%s: got other signatures", name)
			}
		case void == "" || len(got) > 0 || row.void != "void" && !strings.Contains(void, row.void):
			t.Errorf("%s: got %d blocks, %q, want it void: %s", name, len(got), void, row.void)
		}
	}
	// What a store fails with is no verdict, and is asked for again; what was read is not read twice.
	o, asked, fails := derive.Open(&cfg, resolved(good)), 0, errors.New("the disk fails")
	count := func() (*block.Block, error) {
		if asked++; asked == 1 {
			return nil, fails
		}
		return c[0].Block, nil
	}
	if got, void, err := o.On(&cfg, tip, count); !errors.Is(err, fails) || void != "" || got != nil {
		t.Errorf("got %d blocks, %q, %v, want %v alone", len(got), void, err, fails)
	}
	for range 2 {
		if got, void, err := o.On(&cfg, tip, count); err != nil || void != "" || len(got) != 3 || asked != 2 {
			t.Errorf("got %d blocks, %q, %v, asked %d times, want 3 blocks by the second time", len(got), void, err, asked)
		}
	}
	// The first block has no parent.
	p := &l1.Proposal{Sources: []l1.Source{{}}}
	p.Resolve(write(nil, blocks(c...)...), nil)
	if got, void, err := derive.Open(&cfg, p).On(&cfg, genesisTip(), nil); err != nil || void != "" || len(got) != 4 {
		t.Errorf("got %d blocks, %q, %v, want 4", len(got), void, err)
	}
}
