package square_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"

	"headrace/internal/square"
)

// extendedHeaders returns the raw bytes of all extended headers in the frames: single ones, a range, and those pushed by header.Subscribe.
func extendedHeaders(t testing.TB) []json.RawMessage {
	t.Helper()
	var out []json.RawMessage
	for _, n := range []string{"008", "010", "011", "057", "090"} {
		out = append(out, result(t, n))
	}
	out = append(out, unmarshal[[]json.RawMessage](t, result(t, "021"))...)
	for _, p := range pushed(t) {
		if bytes.HasPrefix(p, []byte(`{"header"`)) {
			out = append(out, p)
		}
	}
	return out
}

// plainHeaders returns the raw bytes of all headers in the events of blob.Subscribe.
func plainHeaders(t testing.TB) []json.RawMessage {
	t.Helper()
	var out []json.RawMessage
	for _, p := range pushed(t) {
		if bytes.HasPrefix(p, []byte(`{"Blobs"`)) {
			out = append(out, unmarshal[struct{ Header json.RawMessage }](t, p).Header)
		}
	}
	return out
}

// pushed returns the values of the channels in frame 075.
func pushed(t testing.TB) []json.RawMessage {
	t.Helper()
	var out []json.RawMessage
	for _, raw := range received(t, "075") {
		m := unmarshal[struct {
			Method string
			Params []json.RawMessage
		}](t, []byte(raw))
		if m.Method == "xrpc.ch.val" {
			out = append(out, m.Params[1])
		}
	}
	return out
}

func TestExtendedHeaderOfRealNode(t *testing.T) {
	for _, raw := range extendedHeaders(t) {
		e := unmarshal[square.ExtendedHeader](t, raw)
		if hash := e.Header.Hash(); !bytes.Equal(hash[:], e.Commit.BlockID.Hash) {
			t.Errorf("height %d: got hash %X, want %X as in the commit", e.Header.Height, hash, e.Commit.BlockID.Hash)
		}
		if err := square.VerifyDAH(&e.DAH, e.Header.DataHash); err != nil {
			t.Errorf("height %d: %v", e.Header.Height, err)
		}
		if hash := e.ValidatorSet.Hash(); !bytes.Equal(hash[:], e.Header.ValidatorsHash) {
			t.Errorf("height %d: got validators' hash %X, want %X", e.Header.Height, hash, e.Header.ValidatorsHash)
		}
		v := e.ValidatorSet.Validators[0]
		if !ed25519.Verify(v.PubKey, e.Commit.SignBytes(e.Header.ChainID, 0), e.Commit.Signatures[0].Signature) {
			t.Errorf("height %d: the validator did not sign the bytes of SignBytes", e.Header.Height)
		}
		again, err := json.Marshal(&e)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, raw) {
			t.Errorf("height %d: encoded differently\ngot  %s\nwant %s", e.Header.Height, again, raw)
		}
	}
}

func TestHeadersLink(t *testing.T) {
	headers := unmarshal[[]square.ExtendedHeader](t, result(t, "021"))
	first := unmarshal[square.ExtendedHeader](t, result(t, "010"))
	headers = append([]square.ExtendedHeader{first}, headers...)
	for i, h := range headers[1:] {
		parent := headers[i]
		if got, want := h.Header.Parent(), parent.Header.Hash(); got != want {
			t.Errorf("height %d: got parent %x, want %x", h.Header.Height, got, want)
		}
		if got := parent.Commit.Hash(); !bytes.Equal(got[:], h.Header.LastCommitHash) {
			t.Errorf("height %d: got last commit %X, want %X", h.Header.Height, got, h.Header.LastCommitHash)
		}
	}
}

func TestPlainHeader(t *testing.T) {
	headers := plainHeaders(t)
	if len(headers) < 5 {
		t.Fatalf("got %d headers in events, want some", len(headers))
	}
	for _, raw := range headers {
		h := unmarshal[square.Header](t, raw)
		if got := h.AppendPlainJSON(nil); !bytes.Equal(got, raw) {
			t.Errorf("encoded differently\ngot  %s\nwant %s", got, raw)
		}
		quoted, err := json.Marshal(&h)
		if err != nil {
			t.Fatal(err)
		}
		again := unmarshal[square.Header](t, quoted)
		if again.Hash() != h.Hash() {
			t.Errorf("height %d: hash changes with the encoding", h.Height)
		}
	}
}

// Networks of many validators have what the captured one has not: absent votes, negative priorities, no proposer.
func TestHeaderOfManyValidators(t *testing.T) {
	e := unmarshal[square.ExtendedHeader](t, result(t, "057"))
	const absent = `{"block_id_flag":1,"validator_address":"","timestamp":"0001-01-01T00:00:00Z","signature":null}`
	raw := bytes.Replace(e.AppendJSON(nil), []byte(`"signatures":[`), []byte(`"signatures":[`+absent+`,`), 1)
	raw = bytes.Replace(raw, []byte(`"proposer_priority":"0"`), []byte(`"proposer_priority":"-9223372036854775807"`), 1)
	raw = append(raw[:bytes.Index(raw, []byte(`"proposer":`))], append([]byte(`"proposer":null`), raw[bytes.Index(raw, []byte(`},"dah"`)):]...)...)
	e = unmarshal[square.ExtendedHeader](t, raw)
	if got := e.AppendJSON(nil); !bytes.Equal(got, raw) {
		t.Errorf("encoded differently\ngot  %s\nwant %s", got, raw)
	}
	if len(e.Commit.Signatures) != 2 || e.Commit.Signatures[0].Signature != nil || e.ValidatorSet.Validators[0].ProposerPriority != -9223372036854775807 {
		t.Errorf("got %+v, %+v", e.Commit, e.ValidatorSet)
	}
	for _, bad := range []string{`{"header":{"height":"-1"}}`, `{"header":{"height":"9223372036854775808"}}`, `{"header":{"height":01}}`, `{"header":{"height":1.5}}`,
		`{"header":{"height":"1}}`, `{"header":{"time":"yesterday"}}`, `{"header":{"data_hash":"xy"}}`, `{"header":{"data_hash":12}}`, `{"header"`, `{"header":{}}x`,
		`{"dah":{"row_roots":["*"]}}`, `{"header":{"height":}}`, `[]`, ``, `{"commit":{"signatures":[{]}}`, `{"x":}`, `{"x":[}`} {
		var e square.ExtendedHeader
		if err := e.UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
}

// A long array of next to nothing is refused before it grows into much memory.
func TestLongArrays(t *testing.T) {
	long := func(element string) string { return "[" + strings.Repeat(element+",", 1<<20) + element + "]" }
	for _, raw := range []string{
		`{"commit":{"signatures":` + long("{}") + `}}`,
		`{"validator_set":{"validators":` + long("{}") + `}}`,
		`{"dah":{"row_roots":` + long(`""`) + `}}`,
	} {
		var e square.ExtendedHeader
		allocated := testing.AllocsPerRun(1, func() {
			if err := e.UnmarshalJSON([]byte(raw)); err == nil {
				t.Errorf("%s...: got no error", raw[:40])
			}
		})
		if allocated > 20_000 {
			t.Errorf("%s...: got %v allocations", raw[:40], allocated)
		}
	}
	for _, raw := range []string{long("{}"), `[{"shares":` + long(`""`) + `}]`, `[{"proof":{"nodes":` + long(`""`) + `}}]`} {
		if _, err := square.ScanNamespaceRows([]byte(raw)); err == nil {
			t.Errorf("%s...: got no error", raw[:20])
		}
	}
}
