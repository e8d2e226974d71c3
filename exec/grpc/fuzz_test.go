package execgrpc

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"headrace/block"
	"headrace/exec/grpc/execv1"
)

// FuzzDecodeBlock feeds messages to the decoder: none panics, and what decodes encodes to the same block.
func FuzzDecodeBlock(f *testing.F) {
	b := &block.Block{}
	b.Header.Header = block.Header{Height: 7, Time: 8, ChainID: "c", LastHeaderHash: make([]byte, 32)}
	b.Data.Metadata = block.Metadata{ChainID: "c", Height: 7, Time: 8, LastDataHash: []byte{1}}
	b.Data.Txs = [][]byte{[]byte("a=1"), {}}
	raw, err := proto.Marshal(encodeBlock(b))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m execv1.Block
		if proto.Unmarshal(raw, &m) != nil {
			return
		}
		b, err := decodeBlock(&m)
		if err != nil {
			return
		}
		again, err := decodeBlock(encodeBlock(b))
		if err != nil || string(again.Encode()) != string(b.Encode()) {
			t.Errorf("got %+v, %v, want %+v", again, err, b)
		}
	})
}
