package celestia

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"headrace/da"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

// seed adds what celestia-node has sent and been sent: results, parameters and values of channels.
func seed(f *testing.F) {
	paths, err := filepath.Glob("testdata/frames/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatal("no frames", err)
	}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		var frame struct {
			Frames []struct {
				Raw string `json:"raw"`
			} `json:"frames"`
		}
		if err := json.Unmarshal(data, &frame); err != nil {
			f.Fatal(err)
		}
		for _, m := range frame.Frames {
			_ = jsonrpc.ScanObject([]byte(m.Raw), func(key, value []byte) {
				switch string(key) {
				case "result":
					f.Add(value)
				case "params":
					_ = jsonrpc.ScanArray(value, func(v []byte) error { f.Add(v); return nil })
				}
			})
		}
	}
}

// FuzzEvent: an event that can be read is written back to the same event; nothing panics, and nothing is bigger than what it came from.
func FuzzEvent(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decodeEvent(data)
		if err != nil {
			return
		}
		if n := size(e.blobs); n > 1024+200*len(data) {
			t.Fatalf("%d bytes became %d", len(data), n)
		}
		if e.header == nil {
			return
		}
		again, err := decodeEvent(appendEvent(nil, e.height, e.blobs, e.header))
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if again.height != e.height || again.header.Hash() != e.header.Hash() || !sameBlobs(again.blobs, e.blobs) {
			t.Fatalf("%q: %+v became %+v", data, e, again)
		}
	})
}

func sameBlobs(a, b []da.Blob) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if x.Namespace != y.Namespace || x.Index != y.Index || x.ShareVersion != y.ShareVersion || !bytes.Equal(x.Data, y.Data) ||
			!bytes.Equal(x.Commitment, y.Commitment) || !bytes.Equal(x.Signer, y.Signer) {
			return false
		}
	}
	return true
}

// FuzzBlobs: blobs that can be read are read as encoding/json would, and written back the same.
func FuzzBlobs(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var list submittedList
		_ = list.UnmarshalJSON(data)
		blobs, _, err := decodeBlobs(data)
		if err != nil || len(blobs) == 0 {
			return
		}
		again, _, err := decodeBlobs(appendBlobs(nil, blobs))
		if err != nil || !sameBlobs(blobs, again) {
			t.Fatalf("%q: %+v became %+v (%v)", data, blobs, again, err)
		}
		if !json.Valid(data) || bytes.ContainsRune(data, '\\') {
			return
		}
		var slow []struct {
			Data []byte `json:"data"`
		}
		if json.Unmarshal(data, &slow) != nil || len(slow) != len(blobs) {
			return // keys in other cases, or given twice
		}
		for i := range slow {
			if slow[i].Data != nil && !reflect.DeepEqual(slow[i].Data, append([]byte{}, blobs[i].Data...)) && blobs[i].Data != nil {
				t.Fatalf("%q: blob %d is %q, want %q", data, i, blobs[i].Data, slow[i].Data)
			}
		}
	})
}

// FuzzParams: whatever a request's parameter is, reading it neither panics nor takes a blob that must not be.
func FuzzParams(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var ns namespace
		_ = json.Unmarshal(data, &ns)
		var from fromHeader
		_ = from.UnmarshalJSON(data)
		var config txConfig
		_ = json.Unmarshal(data, &config)
		_, _ = decodeHead(data, true)
		var s submitted
		if s.UnmarshalJSON(data) != nil {
			return
		}
		if err := square.CheckBlob(&s.Blob); err != nil {
			t.Fatalf("%q: taken, but %v", data, err)
		}
	})
}

// A height that no chain has is garbled: as a number of JSON it would be another one.
func TestHeightsAreExact(t *testing.T) {
	for height, good := range map[string]bool{"9007199254740991": true, "9007199254740992": false, "18446744073709551615": false, "18446744073709551616": false} {
		if e, err := decodeEvent([]byte(`{"Blobs":null,"Height":` + height + `}`)); (err == nil) != good {
			t.Errorf("event at %s: got %+v and %v, want it to be read: %t", height, e, err, good)
		}
		if got, err := localHeight([]byte(`{"height":"` + height + `"}`)); (err == nil) != good {
			t.Errorf("local-da at %s: got %d and %v, want it to be read: %t", height, got, err, good)
		}
		var h square.Header
		if err := h.UnmarshalJSON([]byte(`{"height":"` + height + `"}`)); (err == nil) != good {
			t.Errorf("header of %s: got %+v and %v, want it to be read: %t", height, h, err, good)
		}
	}
}
