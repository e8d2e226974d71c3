package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headrace/block"
	"headrace/l1"
	"headrace/l1/compact"
)

// TestPayload explains payloads of both versions and of a forced item, in each form that a file may have.
func TestPayload(t *testing.T) {
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []*block.Block
	var one []l1.Encoded
	var last, data []byte
	for height := uint64(1); height <= 2; height++ {
		d := block.Data{Metadata: block.Metadata{ChainID: "demo", Height: height, Time: height * 1e9, LastDataHash: data}, Txs: [][]byte{[]byte("a=1"), []byte("b=2")}[:height]}
		sum := d.Commitment()
		h, err := block.SignHeader(key, block.Header{ChainID: "demo", Height: height, Time: height * 1e9, LastHeaderHash: last, DataHash: sum[:], ProposerAddress: key.Public().Address()})
		if err != nil {
			t.Fatal(err)
		}
		signed, err := block.SignData(key, d)
		if err != nil {
			t.Fatal(err)
		}
		blocks, one = append(blocks, &block.Block{Header: h, Data: d}), append(one, l1.Encoded{Header: h.Encode(), Data: signed.Encode()})
		header, content := h.Header.Hash(), d.Hash()
		last, data = header[:], content[:]
	}
	two, err := compact.Encode(&compact.Chain{ID: "demo"}, compact.Parent{}, blocks)
	if err != nil {
		t.Fatal(err)
	}
	explain := func(content []byte, flags ...string) (string, error) {
		path := filepath.Join(t.TempDir(), "payload")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		root := newRoot()
		root.SetOut(&out)
		root.SetArgs(append([]string{"payload", path}, flags...))
		err := root.Execute()
		return out.String(), err
	}
	var blobs []byte
	for _, b := range l1.PackBlobs(append(make([]byte, 7), two...)) {
		blobs = append(blobs, b[:]...)
	}
	v2 := []string{"version 2, ", "proposer    " + hex.EncodeToString(key.Public().Address()), "blocks      2, transactions: 3", "block 2     1s after the one before, transactions: 2 of 6 bytes", "tx whole: 12 bytes"}
	for name, row := range map[string]struct {
		content []byte
		flags   []string
		want    []string
	}{
		"version 1":      {l1.EncodeBlocks(one), nil, []string{"version 1, ", "blocks      2\n", "block 1     " + blocks[0].Hash().String() + "  1970-01-01T00:00:01Z, transactions: 1, bytes:"}},
		"version 2":      {two, nil, v2},
		"in hexadecimal": {[]byte("0x" + hex.EncodeToString(two) + "\n"), nil, v2},
		"in blobs":       {blobs, []string{"--offset", "7"}, v2},
		"forced":         {l1.EncodeTxs([][]byte{[]byte("a=1"), []byte("bb=2")}), nil, []string{"version 1, 22 bytes", "forced      2 transactions", "tx 2        4 bytes"}},
	} {
		got, err := explain(row.content, row.flags...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, want := range row.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: got %s\nwant %q in it", name, got, want)
			}
		}
	}
	for name, content := range map[string][]byte{"nothing": nil, "version 3": {3, 0, 0, 0, 0}, "cut": two[:len(two)-1], "text": []byte("hello")} {
		got, err := explain(content)
		if err == nil || name != "cut" && !strings.Contains(err.Error(), "without the selector") {
			t.Errorf("%s: got %s and %v, want an error that says what to give", name, got, err)
		}
	}
	later := l1.Later{Version: 3, PubKey: []byte{0xab}, Signature: []byte{1}}
	if _, err := explain(later.Encode()); err == nil || !strings.Contains(err.Error(), "payload version 3, of the key ab: this release reads versions up to 2") {
		t.Errorf("a later version: got %v", err)
	}
	text, err := explain(two, "--json")
	var v payloadView
	if err == nil {
		err = json.Unmarshal([]byte(text), &v)
	}
	if err != nil || v.Compact == nil || len(v.Compact.Blocks) != 2 || v.Bytes != len(two) {
		t.Errorf("in JSON: got %s (%v)", text, err)
	}
}
