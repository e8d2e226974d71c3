package square_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"headrace/da"
	"headrace/internal/square"
)

var (
	alpha = namespace("ns-alpha")
	beta  = namespace("ns-beta")
	none  = namespace("ns-none")
)

// What a real node answers is proven: data of a namespace in one row and over two, an absent one, commitments, a range of shares.
func TestAnswersOfRealNodeAreProven(t *testing.T) {
	for _, c := range []struct {
		header, rows, blobs string
		ns                  da.Namespace
	}{
		{"057", "058", "037", alpha},
		{"057", "059", "", none},
		{"090", "089", "088", alpha},
	} {
		h := unmarshal[square.ExtendedHeader](t, result(t, c.header))
		if err := square.VerifyDAH(&h.DAH, h.Header.DataHash); err != nil {
			t.Fatal(err)
		}
		got, err := square.VerifyNamespace(&h.DAH, c.ns, unmarshal[[]square.NamespaceRow](t, result(t, c.rows)))
		if err != nil {
			t.Errorf("frame %s: %v", c.rows, err)
		}
		var want []da.Blob
		if c.blobs != "" {
			for _, b := range blobsOf(t, c.blobs) {
				if b.Namespace == c.ns {
					want = append(want, b)
				}
			}
		}
		if g, w := marshal(t, got), marshal(t, want); !bytes.Equal(g, w) {
			t.Errorf("frame %s\ngot  %s\nwant %s", c.rows, g, w)
		}
	}
	for frame, c := range map[string]struct {
		header string
		blob   da.Blob
	}{
		"056": {"057", blobsOf(t, "037")[0]},
		"091": {"090", blobsOf(t, "088")[0]},
		"092": {"090", blobsOf(t, "088")[1]},
		"093": {"090", blobsOf(t, "088")[2]},
	} {
		h := unmarshal[square.ExtendedHeader](t, result(t, c.header))
		p := unmarshal[square.CommitmentProof](t, result(t, frame))
		if err := square.VerifyCommitment(&p, h.Header.DataHash, alpha, c.blob.Commitment); err != nil {
			t.Errorf("frame %s: %v", frame, err)
		}
	}
	h := unmarshal[square.ExtendedHeader](t, result(t, "057"))
	r := unmarshal[square.ShareRange](t, result(t, "061"))
	if err := square.VerifyRange(&r, h.Header.DataHash, 1, 2); err != nil {
		t.Errorf("frame 061: %v", err)
	}
}

// Both ways to read namespace data read the same.
func TestScanNamespaceRows(t *testing.T) {
	for _, n := range []string{"058", "059", "089"} {
		rows, err := square.ScanNamespaceRows(result(t, n))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := marshal(t, rows), marshal(t, unmarshal[[]square.NamespaceRow](t, result(t, n))); !bytes.Equal(got, want) && len(rows) > 0 {
			t.Errorf("frame %s\ngot  %s\nwant %s", n, got, want)
		}
	}
	for _, bad := range []string{`[{"shares":["*"]}]`, `[{"proof":{"start":-1}}]`, `[{"proof":{"is_max_namespace_ignored":1}}]`, `[{"proof":{"end":5000}}]`, `{}`, `[`} {
		if _, err := square.ScanNamespaceRows([]byte(bad)); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
}

// randomSquare builds a block with blobs in some of the namespaces test-a to test-f.
func randomSquare(t testing.TB, rng *rand.Rand) *square.Square {
	t.Helper()
	var subs [][]da.Blob
	for range rng.IntN(6) + 1 {
		subs = append(subs, []da.Blob{randomBlob(rng, rng.IntN(4000)+1), randomBlob(rng, rng.IntN(40_000)+1)})
	}
	s, err := square.Build(subs...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func rowsOf(t testing.TB, s *square.Square, ns da.Namespace) []square.NamespaceRow {
	t.Helper()
	rows, err := s.NamespaceData(ns)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// Every namespace of every square is proven to hold exactly its blobs, and every other to hold none.
func TestNamespacesAreProven(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	byProof := 0
	for range 30 {
		s := randomSquare(t, rng)
		dah := s.DAH()
		for _, name := range []string{"test-a", "test-b", "test-c", "test-cc", "test-d", "test-e", "test-f", "test-", "zzzz", "aaaa"} {
			ns := namespace(name)
			rows := rowsOf(t, s, ns)
			got, err := square.VerifyNamespace(&dah, ns, rows)
			if err != nil {
				t.Fatalf("namespace %s: %v", name, err)
			}
			var want []da.Blob
			for _, p := range s.Blobs() {
				if p.Namespace == ns {
					want = append(want, p.Blob)
				}
			}
			if g, w := marshal(t, got), marshal(t, want); !bytes.Equal(g, w) {
				t.Fatalf("namespace %s\ngot  %s\nwant %s", name, g, w)
			}
			if len(want) == 0 && len(rows) > 0 {
				byProof++
			}
		}
	}
	if byProof == 0 {
		t.Error("no namespace was absent by a proof of absence: the test does not try what it should")
	}
}

// An endpoint that leaves out, adds, changes or moves anything proves nothing.
func TestLiesAboutNamespaces(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	other := randomSquare(t, rng)
	lies := map[string]func(rows []square.NamespaceRow) []square.NamespaceRow{
		"nothing":        func([]square.NamespaceRow) []square.NamespaceRow { return nil },
		"first row less": func(r []square.NamespaceRow) []square.NamespaceRow { return r[1:] },
		"last row less":  func(r []square.NamespaceRow) []square.NamespaceRow { return r[:len(r)-1] },
		"row twice":      func(r []square.NamespaceRow) []square.NamespaceRow { return append(r, r[0]) },
		"no proof":       func(r []square.NamespaceRow) []square.NamespaceRow { r[0].Proof = nil; return r },
		"share less":     func(r []square.NamespaceRow) []square.NamespaceRow { r[0].Shares = r[0].Shares[1:]; return r },
		"last share less": func(r []square.NamespaceRow) []square.NamespaceRow {
			r[0].Shares = r[0].Shares[:len(r[0].Shares)-1]
			return r
		},
		"share twice": func(r []square.NamespaceRow) []square.NamespaceRow {
			r[0].Shares = append(r[0].Shares[:1:1], r[0].Shares...)
			return r
		},
		"share changed":              func(r []square.NamespaceRow) []square.NamespaceRow { r[0].Shares[0][300] ^= 1; return r },
		"namespace of share changed": func(r []square.NamespaceRow) []square.NamespaceRow { r[0].Shares[0][28] ^= 1; return r },
		"short share":                func(r []square.NamespaceRow) []square.NamespaceRow { r[0].Shares[0] = r[0].Shares[0][:100]; return r },
		"no shares":                  func(r []square.NamespaceRow) []square.NamespaceRow { r[0].Shares = nil; return r },
		"shares hidden":              func(r []square.NamespaceRow) []square.NamespaceRow { return absent(t, r) },
		"shorter range":              func(r []square.NamespaceRow) []square.NamespaceRow { return shorten(t, r) },
		"of another block":           func(r []square.NamespaceRow) []square.NamespaceRow { return rowsOf(t, other, namespace("test-b")) },
	}
	for name, lie := range lies {
		tried := 0
		for range 20 {
			s := randomSquare(t, rng)
			dah, ns := s.DAH(), namespace("test-b")
			rows := unmarshal[[]square.NamespaceRow](t, marshal(t, rowsOf(t, s, ns))) // a copy to write to
			if len(rows) == 0 || len(rows[0].Shares) == 0 {
				continue
			}
			tried++
			if _, err := square.VerifyNamespace(&dah, ns, lie(rows)); !errors.Is(err, da.ErrNotProven) {
				t.Errorf("%s: got %v, want ErrNotProven", name, err)
			}
		}
		if tried == 0 {
			t.Errorf("%s was not tried", name)
		}
	}
}

// absent claims by a made-up proof of absence that the first row's shares are not there.
func absent(t testing.TB, rows []square.NamespaceRow) []square.NamespaceRow {
	p := unmarshal[map[string]any](t, marshal(t, rows[0].Proof))
	p["leaf_hash"] = p["nodes"].([]any)[0]
	p["end"] = float64(rows[0].Proof.Start() + 1)
	proof := unmarshal[square.Proof](t, marshal(t, p))
	rows[0] = square.NamespaceRow{Proof: &proof}
	return rows
}

// shorten leaves out the last share and says so in the proof.
func shorten(t testing.TB, rows []square.NamespaceRow) []square.NamespaceRow {
	p := unmarshal[map[string]any](t, marshal(t, rows[0].Proof))
	p["end"] = float64(rows[0].Proof.End() - 1)
	proof := unmarshal[square.Proof](t, marshal(t, p))
	rows[0] = square.NamespaceRow{Shares: rows[0].Shares[:len(rows[0].Shares)-1], Proof: &proof}
	return rows
}

func TestLiesAboutRoots(t *testing.T) {
	real := unmarshal[square.ExtendedHeader](t, result(t, "090"))
	for name, lie := range map[string]func(d *square.DAH){
		"row changed":    func(d *square.DAH) { d.RowRoots[1][60] ^= 1 },
		"column changed": func(d *square.DAH) { d.ColumnRoots[3][89] ^= 1 },
		"rows swapped":   func(d *square.DAH) { d.RowRoots[0], d.RowRoots[1] = d.RowRoots[1], d.RowRoots[0] },
		"row less":       func(d *square.DAH) { d.RowRoots = d.RowRoots[1:] },
		"none":           func(d *square.DAH) { *d = square.DAH{} },
		"short root":     func(d *square.DAH) { d.RowRoots[0] = d.RowRoots[0][:89] },
		// The tree over 4k roots does not say where rows end, so their number must.
		"columns as rows": func(d *square.DAH) { d.RowRoots, d.ColumnRoots = append(d.RowRoots, d.ColumnRoots...), nil },
		"moved border": func(d *square.DAH) {
			d.RowRoots, d.ColumnRoots = d.RowRoots[:4], append(d.RowRoots[4:8:8], d.ColumnRoots...)
		},
	} {
		h := unmarshal[square.ExtendedHeader](t, result(t, "090"))
		lie(&h.DAH)
		if err := square.VerifyDAH(&h.DAH, real.Header.DataHash); !errors.Is(err, da.ErrNotProven) {
			t.Errorf("%s: got %v, want ErrNotProven", name, err)
		}
	}
}

// No commitment proof and no range survives the change of any value in it.
func TestLiesAboutCommitmentsAndRanges(t *testing.T) {
	h73 := unmarshal[square.ExtendedHeader](t, result(t, "057"))
	h833 := unmarshal[square.ExtendedHeader](t, result(t, "090"))
	for i, frame := range []string{"091", "092", "093"} {
		want := blobsOf(t, "088")[i]
		mutate(t, result(t, frame), func(raw json.RawMessage) bool {
			var p square.CommitmentProof
			return json.Unmarshal(raw, &p) == nil && square.VerifyCommitment(&p, h833.Header.DataHash, alpha, want.Commitment) == nil
		})
		p := unmarshal[square.CommitmentProof](t, result(t, frame))
		for name, err := range map[string]error{
			"other data hash":  square.VerifyCommitment(&p, h73.Header.DataHash, alpha, want.Commitment),
			"other namespace":  square.VerifyCommitment(&p, h833.Header.DataHash, beta, want.Commitment),
			"other commitment": square.VerifyCommitment(&p, h833.Header.DataHash, alpha, h833.Header.DataHash),
		} {
			if !errors.Is(err, da.ErrNotProven) {
				t.Errorf("frame %s, %s: got %v, want ErrNotProven", frame, name, err)
			}
		}
	}
	mutate(t, result(t, "061"), func(raw json.RawMessage) bool {
		var r square.ShareRange
		return json.Unmarshal(raw, &r) == nil && square.VerifyRange(&r, h73.Header.DataHash, 1, 2) == nil
	})
}

// mutate changes each value of a JSON document in turn and checks that holds is true only of the original.
func mutate(t *testing.T, raw json.RawMessage, holds func(json.RawMessage) bool) {
	t.Helper()
	if !holds(raw) {
		t.Fatal("the original does not hold")
	}
	doc := unmarshal[any](t, raw)
	var walk func(v any, path string, set func(any))
	walk = func(v any, path string, set func(any)) {
		try := func(what string, to any) {
			set(to)
			if changed := marshal(t, doc); holds(changed) {
				t.Errorf("%s: %s, and it still holds", path, what)
			}
			set(v)
		}
		switch v := v.(type) {
		case map[string]any:
			for k, child := range v {
				if k != "data" && k != "is_max_namespace_ignored" { // the shares again, which nobody reads; and a flag that is always set
					walk(child, path+"."+k, func(to any) { v[k] = to })
				}
			}
		case []any:
			try("first element less", v[1:])
			try("last element twice", append(v[:len(v):len(v)], v[len(v)-1]))
			for i, child := range v {
				walk(child, path+"[]", func(to any) { v[i] = to })
			}
		case string:
			if n := len(v); n > 4 {
				b := []byte(v)
				b[n/2] = map[bool]byte{true: 'B', false: 'A'}[b[n/2] == 'A']
				try("changed", string(b))
			} else {
				try("changed", v+"1")
			}
		case float64:
			try("more", v+1)
			try("less", v-1)
		}
	}
	walk(doc, "", func(any) {})
}

// Ranges and commitments of built squares verify wherever they lie, also over many rows.
func TestProofsOfBuiltSquares(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 20 {
		s := randomSquare(t, rng)
		root := s.DataHash()
		for _, p := range s.Blobs() {
			proof, err := s.CommitmentProof(p.Namespace, p.Commitment)
			if err != nil {
				t.Fatal(err)
			}
			again := unmarshal[square.CommitmentProof](t, marshal(t, proof))
			if err := square.VerifyCommitment(&again, root[:], p.Namespace, p.Commitment); err != nil {
				t.Errorf("blob of %d shares at %d of %d: %v", p.Shares, p.Start, s.Width(), err)
			}
			from := p.Start + rng.IntN(p.Shares)
			to := from + 1 + rng.IntN(p.Start+p.Shares-from)
			r, err := s.Range(from, to)
			if err != nil {
				t.Fatal(err)
			}
			shares := unmarshal[square.ShareRange](t, marshal(t, r))
			if err := square.VerifyRange(&shares, root[:], from, to); err != nil {
				t.Errorf("range [%d, %d) of %d: %v", from, to, s.Width(), err)
			}
			if err := square.VerifyRange(&shares, root[:], from, to+1); !errors.Is(err, da.ErrNotProven) {
				t.Errorf("got %v for a range too short, want ErrNotProven", err)
			}
		}
	}
}

func TestVerifyBlobs(t *testing.T) {
	full, err := square.Build([]da.Blob{{Namespace: alpha, Data: []byte("a1")}, {Namespace: alpha, Data: []byte("a2")}, {Namespace: none, Data: []byte("x")}})
	if err != nil {
		t.Fatal(err)
	}
	var told []da.Blob
	for _, p := range full.Blobs() {
		if p.Namespace == alpha {
			told = append(told, p.Blob)
		}
	}
	root, dah := full.DataHash(), full.DAH()
	emptyDAH := square.EmptyDAH()
	rows := map[da.Namespace][]square.NamespaceRow{alpha: rowsOf(t, full, alpha), beta: rowsOf(t, full, beta)}
	changed := append([]da.Blob(nil), told...)
	changed[1].Data = []byte("A2")
	wrong := append([]da.Blob(nil), told...)
	wrong[0].Commitment = wrong[1].Commitment

	const ok, lie, dahMissing = "", "lie", "dah"
	for _, c := range []struct {
		name  string
		level da.Level
		ev    square.Evidence
		told  []da.Blob
		want  string // ok, lie, dah, or the names of the namespaces missing
	}{
		{"trust, nothing told", da.Trust, square.Evidence{DataHash: root[:]}, nil, ok},
		{"trust, changed", da.Trust, square.Evidence{DataHash: root[:]}, changed, ok},
		{"empty square", da.ProveEmpty, square.Evidence{DataHash: square.EmptyDataHash[:]}, nil, ok},
		{"empty square, prove", da.Prove, square.Evidence{DataHash: square.EmptyDataHash[:]}, nil, ok},
		{"blobs in an empty square", da.ProveEmpty, square.Evidence{DataHash: square.EmptyDataHash[:]}, told, lie},
		{"false empty", da.ProveEmpty, square.Evidence{DataHash: root[:]}, nil, dahMissing},
		{"false empty, roots of an empty square", da.ProveEmpty, square.Evidence{DataHash: root[:], DAH: &emptyDAH}, nil, lie},
		{"false empty, roots", da.ProveEmpty, square.Evidence{DataHash: root[:], DAH: &dah}, nil, "alpha beta"},
		{"false empty, rows", da.ProveEmpty, square.Evidence{DataHash: root[:], DAH: &dah, Rows: rows}, nil, lie},
		{"half empty", da.ProveEmpty, square.Evidence{DataHash: root[:], DAH: &dah}, told, "beta"},
		{"half empty, rows", da.ProveEmpty, square.Evidence{DataHash: root[:], DAH: &dah, Rows: rows}, told, ok},
		{"changed, prove-empty", da.ProveEmpty, square.Evidence{DataHash: root[:], DAH: &dah, Rows: rows}, changed, ok},
		{"prove", da.Prove, square.Evidence{DataHash: root[:], DAH: &dah, Rows: rows}, told, ok},
		{"prove, roots", da.Prove, square.Evidence{DataHash: root[:], DAH: &dah}, told, "alpha beta"},
		{"prove, changed", da.Prove, square.Evidence{DataHash: root[:], DAH: &dah, Rows: rows}, changed, lie},
		{"prove, wrong commitment", da.Prove, square.Evidence{DataHash: root[:], DAH: &dah, Rows: rows}, wrong, lie},
		{"prove, one missing", da.Prove, square.Evidence{DataHash: root[:], DAH: &dah, Rows: rows}, told[:1], lie},
		{"prove, other order", da.Prove, square.Evidence{DataHash: root[:], DAH: &dah, Rows: rows}, []da.Blob{told[1], told[0]}, lie},
	} {
		need, err := square.VerifyBlobs(c.level, &c.ev, []da.Namespace{alpha, beta}, c.told)
		got := ""
		switch {
		case errors.Is(err, da.ErrNotProven):
			got = lie
		case err != nil:
			t.Errorf("%s: got %v", c.name, err)
		case need.DAH:
			got = dahMissing
		default:
			names := []string{}
			for _, ns := range need.Namespaces {
				names = append(names, map[da.Namespace]string{alpha: "alpha", beta: "beta"}[ns])
			}
			got = strings.Join(names, " ")
		}
		if got != c.want {
			t.Errorf("%s: got %q (%v), want %q", c.name, got, err, c.want)
		}
		if need.Nothing() != (got == ok || got == lie) {
			t.Errorf("%s: Nothing is %t of %q", c.name, need.Nothing(), got)
		}
	}
	if err := square.CheckCommitments(told); err != nil {
		t.Error(err)
	}
	for _, bad := range [][]da.Blob{changed, wrong} {
		if err := square.CheckCommitments(bad); !errors.Is(err, da.ErrNotProven) {
			t.Errorf("got %v, want ErrNotProven", err)
		}
	}
}
