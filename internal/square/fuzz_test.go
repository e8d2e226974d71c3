package square_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"headrace/internal/square"
)

// Any bytes decode or give an error; what decodes from valid JSON says the same after it is written again.
func FuzzExtendedHeader(f *testing.F) {
	for _, raw := range extendedHeaders(f) {
		f.Add([]byte(raw))
	}
	f.Add([]byte(`{"header":{"version":{"block":1},"time":"2026-11-22T03:47:47Z","chain_id":"\u00e9\n"},"x":[{"y":"]\\"}],"dah":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e square.ExtendedHeader
		if e.UnmarshalJSON(raw) != nil {
			return
		}
		h, d, err := square.ScanHeader(raw, true)
		if err != nil || h.Hash() != e.Header.Hash() || d.Hash() != e.DAH.Hash() {
			t.Fatalf("ScanHeader differs from UnmarshalJSON: %v", err)
		}
		if !json.Valid(raw) || e.Header.Time.Year() > 9999 || e.Header.Time.Year() < 0 {
			return // skipped values need not be valid
		}
		written, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		var again square.ExtendedHeader
		if err := json.Unmarshal(written, &again); err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, written)
		}
		if rewritten, _ := json.Marshal(&again); !bytes.Equal(rewritten, written) {
			t.Fatalf("written differently\n%s\n%s", written, rewritten)
		}
	})
}

func FuzzHeader(f *testing.F) {
	for _, raw := range plainHeaders(f) {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var h square.Header
		if json.Unmarshal(raw, &h) != nil {
			return
		}
		var again square.Header
		if err := json.Unmarshal(h.AppendPlainJSON(nil), &again); err != nil || again.Hash() != h.Hash() {
			t.Fatalf("plain JSON changes the hash: %v", err)
		}
	})
}

// No proof, however made, is taken for the real one's namespace unless it gives the same blobs, and none panics.
func FuzzNamespaceRows(f *testing.F) {
	for _, n := range []string{"058", "059", "089"} {
		f.Add([]byte(result(f, n)))
	}
	h73 := unmarshal[square.ExtendedHeader](f, result(f, "057"))
	h833 := unmarshal[square.ExtendedHeader](f, result(f, "090"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var rows []square.NamespaceRow
		if json.Unmarshal(raw, &rows) != nil {
			return
		}
		for _, c := range []struct {
			h    square.ExtendedHeader
			want int
		}{{h73, 1}, {h833, 3}} {
			if got, err := square.VerifyNamespace(&c.h.DAH, alpha, rows); err == nil && len(got) != c.want {
				t.Errorf("height %d: got %d blobs, want %d", c.h.Header.Height, len(got), c.want)
			}
		}
	})
}

func FuzzCommitmentProof(f *testing.F) {
	for _, n := range []string{"056", "091", "092", "093"} {
		f.Add([]byte(result(f, n)))
	}
	h := unmarshal[square.ExtendedHeader](f, result(f, "090"))
	absent := blobsOf(f, "037")[0].Commitment
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p square.CommitmentProof
		if json.Unmarshal(raw, &p) == nil && square.VerifyCommitment(&p, h.Header.DataHash, alpha, absent) == nil {
			t.Error("a commitment that is not in the block is proven")
		}
	})
}

func FuzzShareRange(f *testing.F) {
	f.Add([]byte(result(f, "061")))
	h := unmarshal[square.ExtendedHeader](f, result(f, "057"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var r square.ShareRange
		if json.Unmarshal(raw, &r) != nil {
			return
		}
		if square.VerifyRange(&r, h.Header.DataHash, 2, 3) == nil && r.Namespace != alpha {
			t.Error("share 2 is proven to be of another namespace")
		}
	})
}
