package jsonrpc

import (
	"bytes"
	"encoding/json"
	"testing"
)

var seeds = []string{
	`{"id":1,"jsonrpc":"2.0","result":true}`, `{"error":{"code":1,"message":"blob: not found"},"id":1,"jsonrpc":"2.0"}`,
	`{"jsonrpc":"2.0","method":"xrpc.ch.val","params":[2,{"Blobs":null,"Height":72,"Header":{}}]}`, `{"jsonrpc":"2.0","method":"xrpc.ch.close","params":[2]}`,
	`{"id":"three","jsonrpc":"2.0","result":1}`, `{}`, `null`, `[]`, `{"a":"\\\"","id":2}`, `{"result":[[[[[{"a":[}`, `{"id":1,"id":2}`, ` { "id" : 5 , "result" : [ 1 , 2 ] } `,
}

// FuzzFrame: the scanner never panics, and of valid JSON it finds what encoding/json finds.
func FuzzFrame(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := scanFrame(data)
		_, _, _ = scanPair(frame.params)
		_, _ = parseRequest(data)
		_, _, _ = splitParams(data, 2)
		if !json.Valid(data) {
			return
		}
		var want map[string]json.RawMessage
		if json.Unmarshal(data, &want) != nil {
			if err == nil {
				t.Fatalf("%q: taken as an object", data)
			}
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if bytes.ContainsRune(data, '\\') {
			return // a key may be written with escapes; none of ours is
		}
		for key, got := range map[string][]byte{"params": frame.params, "result": frame.result, "error": frame.err} {
			if !bytes.Equal(got, bytes.TrimSpace(want[key])) {
				t.Fatalf("%q: %s is %q, want %q", data, key, got, want[key])
			}
		}
	})
}

// FuzzScanArray: the elements found are those that encoding/json finds.
func FuzzScanArray(f *testing.F) {
	for _, s := range []string{`[]`, `[1]`, `[1,"a,]",{"b":[2]}]`, `[[],[[]]]`, `null`, `[1,]`, `[,]`, ` [ 1 , 2 ] `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got [][]byte
		err := ScanArray(data, func(v []byte) error { got = append(got, v); return nil })
		_ = ScanObject(data, func(_, v []byte) { _ = len(v) })
		var want []json.RawMessage
		if json.Unmarshal(data, &want) != nil {
			return
		}
		if err != nil || len(got) != len(want) {
			t.Fatalf("%q: got %q, %v, want %q", data, got, err, want)
		}
		for i := range got {
			if !bytes.Equal(got[i], bytes.TrimSpace(want[i])) {
				t.Fatalf("%q: element %d is %q, want %q", data, i, got[i], want[i])
			}
		}
	})
}
