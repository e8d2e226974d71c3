package engineapi_test

import (
	"bytes"
	"math/big"
	"testing"

	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

func seals() []*engineapi.Seal {
	zero, root := uint64(0), common.Hash{1}
	cancun := &types.Header{
		Difficulty: new(big.Int), Number: big.NewInt(7), GasLimit: 30_000_000, Time: 1_700_000_000, Extra: []byte("extra"), BaseFee: big.NewInt(7),
		WithdrawalsHash: &types.EmptyWithdrawalsHash, BlobGasUsed: &zero, ExcessBlobGas: &zero, ParentBeaconRoot: &root,
	}
	prague := types.CopyHeader(cancun)
	prague.RequestsHash = &types.EmptyRequestsHash
	return []*engineapi.Seal{
		{Header: cancun},
		{Header: prague, Requests: [][]byte{}},
		{Header: prague, Requests: [][]byte{{0, 1, 2}, {1, 3}}},
	}
}

func TestSeal(t *testing.T) {
	for i, s := range seals() {
		tx, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(tx, []byte{'H', 1}) {
			t.Errorf("seal %d begins with %x, want 'H' and version 1", i, tx[:2])
		}
		got, err := engineapi.DecodeSeal(tx)
		if err != nil {
			t.Fatal(err)
		}
		if got.Header.Hash() != s.Header.Hash() || len(got.Requests) != len(s.Requests) {
			t.Errorf("seal %d: got %v, want %v", i, got, s)
		}
		for n := range tx {
			if _, err := engineapi.DecodeSeal(tx[:n]); err == nil {
				t.Errorf("seal %d cut to %d bytes: got no error", i, n)
			}
		}
		if _, err := engineapi.DecodeSeal(append(tx, 0)); err == nil {
			t.Errorf("seal %d and a byte: got no error", i)
		}
	}
}

// What decodes encodes to the same bytes: a seal has one encoding.
func FuzzDecodeSeal(f *testing.F) {
	for _, s := range seals() {
		tx, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(tx)
	}
	f.Fuzz(func(t *testing.T, tx []byte) {
		s, err := engineapi.DecodeSeal(tx)
		if err != nil {
			return
		}
		again, err := s.Encode()
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		if !bytes.Equal(again, tx) {
			t.Fatalf("got %x, want %x", again, tx)
		}
	})
}
