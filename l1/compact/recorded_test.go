package compact_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
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

const recordedPath = "testdata/recorded.json"

// readRecorded returns the recorded proposal, its chain and the block that it builds on.
func readRecorded(t *testing.T) (r recorded, c *compact.Chain, p compact.Parent) {
	t.Helper()
	text, err := os.ReadFile(recordedPath)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	codec, err := engineapi.NewSealCodec(genesisOf(geth.Prague))
	if err != nil {
		t.Fatal(err)
	}
	parent, err := block.DecodeBlock(r.Parent)
	if err != nil {
		t.Fatal(err)
	}
	return r, &compact.Chain{ID: chainID, Seals: codec}, on(parent)
}

// TestRecorded: what was posted is read in the same way by every release, and written by the same rules. A change of
// this file forks chains.
func TestRecorded(t *testing.T) {
	if *recordFlag {
		c := newEthChain(t, genesisOf(geth.Prague), 8, 7, everyFill)
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
		if err := os.WriteFile(recordedPath, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, c, p := readRecorded(t)
	var want []*block.Block
	for _, raw := range r.Blocks {
		b, err := block.DecodeBlock(raw)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, b)
	}
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

// TestVerdictsStay: of the recorded payload, and of its body, every byte is changed, dropped and doubled, and the rest cut off. What
// becomes of each, no block or which, is the same on every machine and with every release: .ci/run asks it of a 32-bit build too.
func TestVerdictsStay(t *testing.T) {
	r, c, p := readRecorded(t)
	const want = "4166af5ad8a004299079fd795453ea4b707070456d1335eda5b284c5bd0b01c2"
	verdicts, read := sha256.New(), 0
	for _, of := range []struct {
		raw    []byte
		decode func(*compact.Chain, compact.Parent, []byte) ([]*block.Block, error)
	}{{r.Payload, compact.Decode}, {r.Body, compact.DecodeBody}} {
		verdict := func(raw []byte) {
			blocks, err := of.decode(c, p, raw)
			if err != nil {
				verdicts.Write([]byte{0})
				return
			}
			read++
			verdicts.Write([]byte{byte(len(blocks))})
			for _, b := range blocks {
				hash := b.Header.Header.Hash()
				verdicts.Write(hash[:])
			}
		}
		for i := range of.raw {
			for _, bit := range []byte{1, 0x80} {
				changed := bytes.Clone(of.raw)
				changed[i] ^= bit
				verdict(changed)
			}
			verdict(slices.Delete(bytes.Clone(of.raw), i, i+1))
			verdict(slices.Insert(bytes.Clone(of.raw), i, of.raw[i]))
			verdict(of.raw[:i])
		}
	}
	if got := hex.EncodeToString(verdicts.Sum(nil)); got != want || read < 100 {
		t.Errorf("got %s with %d that are read, want %s", got, read, want)
	}
}
