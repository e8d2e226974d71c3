package block_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"headrace/block"
)

// A capture of a chain that a real ev-node sequencer made: genesis.json, the blobs it posted (da.json), and the blocks as its own API
// returned them (blocks.json, protobuf JSON).

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

func blobs(t testing.TB) (headers, data [][]byte) {
	t.Helper()
	var da struct {
		Heights []struct {
			Headers [][]byte `json:"header_blobs"`
			Data    [][]byte `json:"data_blobs"`
		}
	}
	readJSON(t, "da.json", &da)
	for _, h := range da.Heights {
		headers, data = append(headers, h.Headers...), append(data, h.Data...)
	}
	if len(headers) != 33 || len(data) != 14 {
		t.Fatalf("got %d header and %d data blobs, want 33 and 14", len(headers), len(data))
	}
	return headers, data
}

// number is a uint64 as protobuf JSON writes it: in a string, left out when zero.
type number uint64

func (n *number) UnmarshalJSON(b []byte) error {
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return err
	}
	v, err := strconv.ParseUint(s, 10, 64)
	*n = number(v)
	return err
}

type apiBlock struct {
	Block struct {
		Header struct {
			Header struct {
				Version struct{ Block, App number }
				Height  number
				Time    number

				LastHeaderHash, DataHash, AppHash, ProposerAddress, ValidatorHash []byte
				ChainID                                                           string
			}
			Signature []byte
			Signer    struct{ Address, PubKey []byte }
		}
		Data struct {
			Metadata struct {
				ChainID      string
				Height, Time number
				LastDataHash []byte
			}
			Txs [][]byte
		}
	}
}

// apiBlocks returns the blocks of blocks.json by height; they have no envelope signatures.
func apiBlocks(t testing.TB) map[uint64]*block.Block {
	t.Helper()
	var in []apiBlock
	readJSON(t, "blocks.json", &in)
	out := make(map[uint64]*block.Block)
	for _, b := range in {
		h, d := b.Block.Header, b.Block.Data
		out[uint64(h.Header.Height)] = &block.Block{
			Header: block.SignedHeader{
				Header: block.Header{
					Version: block.Version{Block: uint64(h.Header.Version.Block), App: uint64(h.Header.Version.App)},
					Height:  uint64(h.Header.Height), Time: uint64(h.Header.Time),
					LastHeaderHash: h.Header.LastHeaderHash, DataHash: h.Header.DataHash, AppHash: h.Header.AppHash,
					ProposerAddress: h.Header.ProposerAddress, ValidatorHash: h.Header.ValidatorHash, ChainID: h.Header.ChainID,
				},
				Signature: h.Signature, Signer: block.Signer(h.Signer),
			},
			Data: block.Data{
				Metadata: block.Metadata{ChainID: d.Metadata.ChainID, Height: uint64(d.Metadata.Height), Time: uint64(d.Metadata.Time), LastDataHash: d.Metadata.LastDataHash},
				Txs:      d.Txs,
			},
		}
	}
	if len(out) != 34 {
		t.Fatalf("got %d blocks in blocks.json, want 34", len(out))
	}
	return out
}

func TestHeaderBlobs(t *testing.T) {
	want := apiBlocks(t)
	headers, _ := blobs(t)
	for _, b := range headers {
		s, err := block.DecodeSignedHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(); err != nil {
			t.Error(err)
		}
		if err := s.VerifyEnvelope(); err != nil {
			t.Error(err)
		}
		if got := s.Encode(); !bytes.Equal(got, b) {
			t.Errorf("header %d: got encoding %x, want %x", s.Header.Height, got, b)
		}
		w := want[s.Header.Height].Header
		w.EnvelopeSignature = s.EnvelopeSignature
		if got := w.Encode(); !bytes.Equal(got, b) {
			t.Errorf("header %d: blocks.json encodes to %x, want %x", s.Header.Height, got, b)
		}
	}
}

func TestDataBlobs(t *testing.T) {
	want := apiBlocks(t)
	_, data := blobs(t)
	for _, b := range data {
		s, err := block.DecodeSignedData(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(); err != nil {
			t.Error(err)
		}
		if got := s.Encode(); !bytes.Equal(got, b) {
			t.Errorf("data %d: got encoding %x, want %x", s.Data.Metadata.Height, got, b)
		}
		w := want[s.Data.Metadata.Height]
		if got := w.Data.Encode(); !bytes.Equal(got, s.Data.Encode()) {
			t.Errorf("data %d: blocks.json encodes to %x, want %x", s.Data.Metadata.Height, got, s.Data.Encode())
		}
	}
}

// TestChain follows the hashes and links of all blocks of blocks.json, empty ones with their data rebuilt.
func TestChain(t *testing.T) {
	all := apiBlocks(t)
	var lastHeader, lastData []byte
	for height := uint64(1); height <= 34; height++ {
		b := all[height]
		if err := b.Header.Verify(); err != nil {
			t.Error(err)
		}
		if got := b.Header.Header.LastHeaderHash; !bytes.Equal(got, lastHeader) {
			t.Errorf("block %d: got last header hash %x, want %x", height, got, lastHeader)
		}
		if got := b.Data.Metadata.LastDataHash; !bytes.Equal(got, lastData) {
			t.Errorf("block %d: got last data hash %x, want %x", height, got, lastData)
		}
		if got := b.Data.Commitment(); !bytes.Equal(got[:], b.Header.Header.DataHash) {
			t.Errorf("block %d: got commitment %v, want %x", height, got, b.Header.Header.DataHash)
		}
		if len(b.Data.Txs) == 0 {
			if got := b.Data.Commitment(); got != block.EmptyCommitment {
				t.Errorf("block %d: got commitment %v of no transactions, want %v", height, got, block.EmptyCommitment)
			}
			rebuilt := block.EmptyData(&b.Header.Header, lastData)
			if got, want := rebuilt.Encode(), b.Data.Encode(); !bytes.Equal(got, want) {
				t.Errorf("block %d: got rebuilt data %x, want %x", height, got, want)
			}
		}
		header, data := b.Hash(), b.Data.Hash()
		lastHeader, lastData = header[:], data[:]
	}
}
