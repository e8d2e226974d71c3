package derive_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"

	"headrace/block"
	"headrace/da"
	"headrace/internal/derive"
)

// A capture of a chain that a real ev-node sequencer posted (da.json), and its blocks as its own API returned them
// (blocks.json). Blocks 1 to 33 had been posted, 34 had not.

func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func fixtureConfig(t testing.TB) derive.Config {
	t.Helper()
	g, err := block.LoadGenesis("testdata/genesis.json")
	if err != nil {
		t.Fatal(err)
	}
	return derive.Config{
		Authority: derive.NewAuthority(g.ChainID, g.ProposerAddress), InitialHeight: g.InitialHeight, StartTime: uint64(g.StartTime.UnixNano()),
		HeaderNamespace: headerNS, DataNamespace: dataNS,
	}
}

func fixtureItems(t testing.TB) (items []*da.Block) {
	t.Helper()
	var in struct {
		HeaderNamespace []byte `json:"header_namespace"`
		DataNamespace   []byte `json:"data_namespace"`
		Heights         []struct {
			Height  uint64   `json:"da_height"`
			Headers [][]byte `json:"header_blobs"`
			Data    [][]byte `json:"data_blobs"`
		}
	}
	readJSON(t, "da.json", &in)
	if !bytes.Equal(in.HeaderNamespace, headerNS[:]) || !bytes.Equal(in.DataNamespace, dataNS[:]) {
		t.Fatalf("got namespaces %x and %x, want %v and %v", in.HeaderNamespace, in.DataNamespace, headerNS, dataNS)
	}
	for _, h := range in.Heights {
		var blobs []blob
		for _, b := range h.Data { // "dat" sorts before "hdr" in a square
			blobs = append(blobs, dat(b))
		}
		for _, b := range h.Headers {
			blobs = append(blobs, hdr(b))
		}
		items = append(items, item(h.Height, blobs...))
	}
	return items
}

type apiBlock struct {
	Block struct {
		Header struct {
			Header struct {
				Height, Time                                       json.Number
				LastHeaderHash, DataHash, AppHash, ProposerAddress []byte
				ChainID                                            string
			}
			Signature []byte
			Signer    struct{ Address, PubKey []byte }
		}
		Data struct {
			Metadata struct {
				ChainID      string
				Height, Time json.Number
				LastDataHash []byte
			}
			Txs [][]byte
		}
	}
	HeaderDAHeight json.Number `json:"headerDaHeight"`
	DataDAHeight   json.Number `json:"dataDaHeight"`
}

// wantAPIBlock compares a derived block with what the sequencer's API says, field by field.
func wantAPIBlock(t *testing.T, got derive.Derived, want apiBlock) {
	t.Helper()
	blk := got.Block()
	h, d := blk.Header, blk.Data
	wh, wd := want.Block.Header, want.Block.Data
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"height", fmt.Sprint(h.Header.Height), wh.Header.Height.String()},
		{"time", fmt.Sprint(h.Header.Time), wh.Header.Time.String()},
		{"last header hash", string(h.Header.LastHeaderHash), string(wh.Header.LastHeaderHash)},
		{"data hash", string(h.Header.DataHash), string(wh.Header.DataHash)},
		{"app hash", string(h.Header.AppHash), string(wh.Header.AppHash)},
		{"proposer", string(h.Header.ProposerAddress), string(wh.Header.ProposerAddress)},
		{"chain id", h.Header.ChainID, wh.Header.ChainID},
		{"signature", string(h.Signature), string(wh.Signature)},
		{"signer", string(h.Signer.Address) + string(h.Signer.PubKey), string(wh.Signer.Address) + string(wh.Signer.PubKey)},
		{"metadata chain id", d.Metadata.ChainID, wd.Metadata.ChainID},
		{"metadata height", fmt.Sprint(d.Metadata.Height), wd.Metadata.Height.String()},
		{"metadata time", fmt.Sprint(d.Metadata.Time), wd.Metadata.Time.String()},
		{"last data hash", string(d.Metadata.LastDataHash), string(wd.Metadata.LastDataHash)},
		{"transactions", fmt.Sprintf("%q", d.Txs), fmt.Sprintf("%q", wd.Txs)},
		{"header's DA height", fmt.Sprint(got.HeaderAt), want.HeaderDAHeight.String()},
		{"data's DA height", fmt.Sprint(got.DataAt), want.DataDAHeight.String()},
	} {
		if c.got != c.want {
			t.Errorf("block %d, %s: got %q, want %q", h.Header.Height, c.name, c.got, c.want)
		}
	}
}

func TestFixtures(t *testing.T) {
	var want []apiBlock
	readJSON(t, "blocks.json", &want)
	d := newDeriver(t, fixtureConfig(t), derive.State{})
	var got []derive.Derived
	for _, it := range fixtureItems(t) {
		r := step(t, d, it)
		wantCounts(t, r.Skipped, nil)
		got = append(got, r.Blocks...)
	}
	if len(got) != 33 {
		t.Fatalf("got %d blocks, want 33", len(got))
	}
	for i, b := range got {
		wantAPIBlock(t, b, want[i])
		next, header, data := want[i+1].Block, b.Tip.HeaderHash, b.Tip.DataHash
		if !bytes.Equal(header[:], next.Header.Header.LastHeaderHash) || !bytes.Equal(data[:], next.Data.Metadata.LastDataHash) {
			t.Errorf("block %d: got hashes %v and %v, which the next block does not name", i+1, header, data)
		}
	}
	if w := d.Waiting(); w != (derive.Waiting{Height: 34, Missing: derive.MissingHeader}) {
		t.Errorf("got %+v, want the header of block 34", w)
	}
}

// TestFixturesAnyHow derives the same blocks with one namespace for all, with all blobs at one DA height, and with
// all of them backwards.
func TestFixturesAnyHow(t *testing.T) {
	items := fixtureItems(t)
	all := &da.Block{Height: 100}
	for _, it := range items {
		for _, b := range it.Blobs {
			b.Index = len(all.Blobs)
			all.Blobs = append(all.Blobs, b)
		}
	}
	one := &da.Block{Height: 100, Blobs: slices.Clone(all.Blobs)}
	for i := range one.Blobs {
		one.Blobs[i].Namespace = headerNS
	}
	oneConfig := fixtureConfig(t)
	oneConfig.DataNamespace = headerNS
	var backwards []*da.Block
	for i := range all.Blobs {
		backwards = append(backwards, &da.Block{Height: uint64(i + 1), Blobs: all.Blobs[len(all.Blobs)-1-i:][:1]})
	}
	var want []string
	d := newDeriver(t, fixtureConfig(t), derive.State{})
	for _, it := range items {
		for _, b := range step(t, d, it).Blocks {
			want = append(want, string(b.Block().Encode()))
		}
	}
	for name, c := range map[string]struct {
		cfg   derive.Config
		items []*da.Block
	}{
		"one height":    {fixtureConfig(t), []*da.Block{all}},
		"one namespace": {oneConfig, []*da.Block{one}},
		"backwards":     {fixtureConfig(t), backwards},
	} {
		d := newDeriver(t, c.cfg, derive.State{})
		var got []string
		for _, it := range c.items {
			r := step(t, d, it)
			wantCounts(t, r.Skipped, nil)
			for _, b := range r.Blocks {
				got = append(got, string(b.Block().Encode()))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %d blocks, want the same %d", name, len(got), len(want))
		}
	}
}
