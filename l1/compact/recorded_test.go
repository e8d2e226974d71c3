package compact_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/exec/engineapi"
	"headrace/l1/compact"
)

var recordFlag = flag.Bool("record", false, "write testdata/recorded.json")

// recorded is a proposal as it was posted once, with what it builds on and what it makes.
type recorded struct {
	Parent  []byte   `json:"parent"` // as block.Block.Encode has it
	Body    []byte   `json:"body"`
	Payload []byte   `json:"payload"`
	Blocks  [][]byte `json:"blocks"`
}

// TestRecorded: what was posted is read in the same way by every release, and written by the same rules. A change of
// this file forks chains.
func TestRecorded(t *testing.T) {
	const path = "testdata/recorded.json"
	g := genesisOf(geth.Prague)
	if *recordFlag {
		c := newEthChain(t, g, 8, 7, everyFill)
		r := recorded{Parent: c.blocks[0].Encode()}
		var err error
		if r.Body, err = compact.EncodeBody(&c.Chain, on(c.blocks[0]), c.blocks[1:]); err != nil {
			t.Fatal(err)
		}
		if r.Payload, err = compact.Encode(&c.Chain, on(c.blocks[0]), c.blocks[1:]); err != nil {
			t.Fatal(err)
		}
		for _, b := range c.blocks[1:] {
			r.Blocks = append(r.Blocks, b.Encode())
		}
		text, err := json.MarshalIndent(r, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	codec, err := engineapi.NewSealCodec(g)
	if err != nil {
		t.Fatal(err)
	}
	parent, err := block.DecodeBlock(r.Parent)
	if err != nil {
		t.Fatal(err)
	}
	var want []*block.Block
	for _, raw := range r.Blocks {
		b, err := block.DecodeBlock(raw)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, b)
	}
	c, p := &compact.Chain{ID: chainID, Seals: codec}, on(parent)
	got, err := compact.Decode(c, p, r.Payload)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
	body, err := compact.EncodeBody(c, p, want)
	if err != nil || !bytes.Equal(body, r.Body) {
		t.Errorf("the same blocks have another body now (%v): got %x, want %x", err, body, r.Body)
	}
}
