package square_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	gosquare "github.com/celestiaorg/go-square/v3"
	"github.com/celestiaorg/go-square/v3/inclusion"
	"github.com/celestiaorg/go-square/v3/share"
	"github.com/celestiaorg/go-square/v3/tx"
	"github.com/celestiaorg/nmt"
	"github.com/celestiaorg/rsmt2d"

	"headrace/da"
	"headrace/internal/square"
)

// namespace returns the version-0 namespace whose id ends in name, as in the frames.
func namespace(name string) da.Namespace {
	var ns da.Namespace
	copy(ns[len(ns)-len(name):], name)
	return ns
}

// wireBlob is a blob in an answer of blob.GetAll.
type wireBlob struct {
	Namespace    []byte `json:"namespace"`
	Data         []byte `json:"data"`
	ShareVersion uint8  `json:"share_version"`
	Commitment   []byte `json:"commitment"`
	Signer       []byte `json:"signer"`
	Index        int    `json:"index"`
}

func (b wireBlob) blob() da.Blob {
	return da.Blob{Namespace: da.Namespace(b.Namespace), Data: b.Data, ShareVersion: b.ShareVersion, Signer: b.Signer, Commitment: b.Commitment, Index: b.Index}
}

func blobsOf(t testing.TB, number string) []da.Blob {
	t.Helper()
	var out []da.Blob
	for _, b := range unmarshal[[]wireBlob](t, result(t, number)) {
		out = append(out, b.blob())
	}
	return out
}

// block73 rebuilds the block of frames 056 to 064: the transaction is read from its shares, the blobs are given in the order of their payment.
func block73(t testing.TB) *square.Square {
	t.Helper()
	pfb := share.PayForBlobNamespace
	shares, err := share.FromBytes([][]byte{eds73(t)[0]})
	if err != nil {
		t.Fatal(err)
	}
	if ns := shares[0].Namespace(); !ns.Equals(pfb) {
		t.Fatalf("got namespace %s in the first share, want %s", ns, pfb)
	}
	txs, err := share.ParseTxs(shares)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, ok := tx.UnmarshalIndexWrapper(txs[0])
	if !ok {
		t.Fatal("no wrapped transaction in the first share")
	}
	s, err := square.BuildTxs([]square.PayForBlobs{{Tx: wrapped.Tx, Blobs: blobsOf(t, "037")}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func eds73(t testing.TB) [][]byte {
	return unmarshal[struct {
		DataSquare [][]byte `json:"data_square"`
	}](t, result(t, "064")).DataSquare
}

func TestRebuildRealBlock(t *testing.T) {
	s := block73(t)
	header := unmarshal[square.ExtendedHeader](t, result(t, "057"))
	if got := s.DataHash(); !bytes.Equal(got[:], header.Header.DataHash) {
		t.Errorf("got data hash %X, want %X", got, header.Header.DataHash)
	}
	dah := s.DAH()
	got, want := marshal(t, &dah), marshal(t, &header.DAH)
	if !bytes.Equal(got, want) {
		t.Errorf("got roots %s, want %s", got, want)
	}
	eds, err := s.EDS()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range eds73(t) {
		if !bytes.Equal(eds[i], want) {
			t.Errorf("share %d of the extended square differs", i)
		}
		one, err := s.Share(i/4, i%4)
		if err != nil || !bytes.Equal(one, want) {
			t.Errorf("share (%d, %d) differs, error %v", i/4, i%4, err)
		}
	}
	for _, want := range blobsOf(t, "037") {
		p, err := s.Blob(want.Namespace, want.Commitment)
		if err != nil {
			t.Fatal(err)
		}
		if p.Index != want.Index {
			t.Errorf("got index %d, want %d", p.Index, want.Index)
		}
	}
}

func TestAnswersOfRealNode(t *testing.T) {
	s := block73(t)
	alpha, beta := blobsOf(t, "037")[0], blobsOf(t, "037")[1]
	answer := func(v any, err error) json.RawMessage {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return marshal(t, v)
	}
	for _, c := range []struct {
		frame string
		got   json.RawMessage
	}{
		{"050", answer(s.BlobProof(alpha.Namespace, alpha.Commitment))},
		{"053", answer(s.BlobProof(beta.Namespace, beta.Commitment))},
		{"056", answer(s.CommitmentProof(alpha.Namespace, alpha.Commitment))},
		{"058", answer(s.NamespaceData(alpha.Namespace))},
		{"059", answer(s.NamespaceData(namespace("ns-none")))},
		{"061", answer(s.Range(1, 2))},
		{"062", answer(s.Share(0, 1))},
	} {
		if want := result(t, c.frame); !bytes.Equal(c.got, want) {
			t.Errorf("frame %s\ngot  %s\nwant %s", c.frame, c.got, want)
		}
	}
}

// The captured commitment proofs of a square whose shares are not captured whole come back byte for byte from our types.
func TestProofsEncodeAsGiven(t *testing.T) {
	for _, n := range []string{"056", "091", "092", "093"} {
		p := unmarshal[square.CommitmentProof](t, result(t, n))
		if got, want := marshal(t, &p), result(t, n); !bytes.Equal(got, want) {
			t.Errorf("frame %s\ngot  %s\nwant %s", n, got, want)
		}
	}
	r := unmarshal[square.ShareRange](t, result(t, "061"))
	if got, want := marshal(t, &r), result(t, "061"); !bytes.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, n := range []string{"058", "089"} {
		rows := unmarshal[[]square.NamespaceRow](t, result(t, n))
		if got, want := marshal(t, rows), result(t, n); !bytes.Equal(got, want) {
			t.Errorf("frame %s\ngot  %s\nwant %s", n, got, want)
		}
	}
}

func marshal(t testing.TB, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The address in the captured transaction is that of the signer in frame 083, which is written in hexadecimal there.
func TestAccountAddress(t *testing.T) {
	const pattern = "celestia1x3fp9ef2ss98cvvmvd59h0u3juqsllu957r3yp"
	if !strings.HasPrefix(square.AccountAddress, "celestia1") || len(square.AccountAddress) != len(pattern) {
		t.Errorf("got %s, want an address like %s", square.AccountAddress, pattern)
	}
	real, err := hex.DecodeString("345212E52A840A7C319B63685BBF9197010FFF85")
	if err != nil {
		t.Fatal(err)
	}
	if got := square.Bech32("celestia", real); got != pattern {
		t.Errorf("got %s, want %s", got, pattern)
	}
}

func TestEmptySquare(t *testing.T) {
	s, err := square.Build()
	if err != nil {
		t.Fatal(err)
	}
	if got := s.DataHash(); got != square.EmptyDataHash {
		t.Errorf("got data hash %X, want %X", got, square.EmptyDataHash)
	}
	real, dah := unmarshal[square.ExtendedHeader](t, result(t, "010")), square.EmptyDAH()
	if got, want := marshal(t, &dah), marshal(t, &real.DAH); !bytes.Equal(got, want) {
		t.Errorf("got roots %s, want %s", got, want)
	}
}

func TestCommitmentsOfRealBlobs(t *testing.T) {
	for _, n := range []string{"037", "082", "088", "095"} {
		for _, b := range blobsOf(t, n) {
			got, err := square.Commitment(&b)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, b.Commitment) {
				t.Errorf("frame %s: got commitment %X, want %X", n, got, b.Commitment)
			}
		}
	}
}

// Our own hashing of commitments and roots agrees with the libraries of Celestia for blobs of all sorts of sizes.
func TestAgreesWithLibraries(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 477, 478, 479, 480, 482, 960, 961, 30_000, 31_000, 64 * 482, 65 * 482, 80_000}
	for round := range 4 {
		var subs [][]da.Blob
		for range round*2 + 1 {
			var blobs []da.Blob
			for range rng.IntN(3) + 1 {
				blobs = append(blobs, randomBlob(rng, sizes[rng.IntN(len(sizes))]))
			}
			subs = append(subs, blobs)
		}
		s, err := square.Build(subs...)
		if err != nil {
			t.Fatal(err)
		}
		eds, err := s.EDS()
		if err != nil {
			t.Fatal(err)
		}
		k := s.Width()
		var ods [][]byte
		for r := range k {
			ods = append(ods, eds[r*2*k:r*2*k+k]...)
		}
		lib, err := rsmt2d.ComputeExtendedDataSquare(ods, rsmt2d.NewLeoRSCodec(), libTree(k))
		if err != nil {
			t.Fatal(err)
		}
		rows, _ := lib.RowRoots()
		columns, _ := lib.ColRoots()
		dah := s.DAH()
		if got, want := marshal(t, &dah), marshal(t, &square.DAH{RowRoots: rows, ColumnRoots: columns}); !bytes.Equal(got, want) {
			t.Fatalf("round %d: roots of a square of %d differ from the library's", round, k)
		}
		if !equalShares(lib.Flattened(), eds) {
			t.Fatalf("round %d: extended square of %d differs from the library's", round, k)
		}
		for _, p := range s.Blobs() {
			blob, err := share.NewBlob(libNamespace(t, p.Namespace), p.Data, p.ShareVersion, p.Signer)
			if err != nil {
				t.Fatal(err)
			}
			want, err := inclusion.CreateCommitment(blob, rootOf, square.SubtreeRootThreshold)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(p.Commitment, want) {
				t.Errorf("blob of %d bytes: got commitment %X, want %X", len(p.Data), p.Commitment, want)
			}
		}
		checkBlocksOf(t, ods, subs)
		checkRestores(t, s, subs)
	}
}

// checkBlocksOf checks that the square is one that a node takes apart into the same transactions and blobs.
func checkBlocksOf(t *testing.T, ods [][]byte, subs [][]da.Blob) {
	t.Helper()
	shares, err := share.FromBytes(ods)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := gosquare.Square(shares).WrappedPFBs()
	if err != nil {
		t.Fatal(err)
	}
	if len(wrapped) != len(subs) {
		t.Fatalf("got %d transactions, want %d", len(wrapped), len(subs))
	}
	for i, w := range wrapped {
		iw, ok := tx.UnmarshalIndexWrapper(w)
		if !ok {
			t.Fatalf("transaction %d is not wrapped", i)
		}
		for j, start := range iw.ShareIndexes {
			n := share.SparseSharesNeeded(uint32(len(subs[i][j].Data)), subs[i][j].ShareVersion == 1)
			blobs, err := share.ParseBlobs(shares[start : int(start)+n])
			if err != nil {
				t.Fatal(err)
			}
			if len(blobs) != 1 || !bytes.Equal(blobs[0].Data(), subs[i][j].Data) {
				t.Errorf("transaction %d does not point at its blob %d", i, j)
			}
		}
	}
}

// checkRestores checks that Restore gives what Build gave.
func checkRestores(t *testing.T, built *square.Square, subs [][]da.Blob) {
	t.Helper()
	for _, blobs := range subs {
		for i := range blobs {
			c, err := square.Commitment(&blobs[i])
			if err != nil {
				t.Fatal(err)
			}
			blobs[i].Commitment = c
		}
	}
	restored, err := square.Restore(built.DAH(), subs...)
	if err != nil {
		t.Fatal(err)
	}
	a, aerr := built.EDS()
	b, berr := restored.EDS()
	if aerr != nil || berr != nil || !equalShares(a, b) {
		t.Errorf("a restored square differs, errors %v, %v", aerr, berr)
	}
	if a, b := marshal(t, built.Blobs()), marshal(t, restored.Blobs()); !bytes.Equal(a, b) {
		t.Errorf("blobs of a restored square differ\n%s\n%s", a, b)
	}
	if _, err := square.Restore(square.EmptyDAH(), append(subs, subs...)...); err == nil {
		t.Error("got no error for the roots of another square")
	}
}

func randomBlob(rng *rand.Rand, size int) da.Blob {
	b := da.Blob{Namespace: namespace("test-" + string(rune('a'+rng.IntN(6)))), Data: make([]byte, size), Index: -1}
	for i := range b.Data {
		b.Data[i] = byte(rng.Uint32())
	}
	if rng.IntN(3) == 0 {
		b.ShareVersion, b.Signer = 1, square.Account[:]
	}
	return b
}

func libNamespace(t testing.TB, ns da.Namespace) share.Namespace {
	t.Helper()
	n, err := share.NewNamespaceFromBytes(ns[:])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func equalShares(a, b [][]byte) bool {
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

// rootOf is the merkle root over byte slices, from the definition in RFC 6962.
func rootOf(items [][]byte) []byte {
	switch n := len(items); n {
	case 0:
		h := sha256.Sum256(nil)
		return h[:]
	case 1:
		h := sha256.Sum256(append([]byte{0}, items[0]...))
		return h[:]
	default:
		half := 1
		for half*2 < n {
			half *= 2
		}
		h := sha256.Sum256(append(append([]byte{1}, rootOf(items[:half])...), rootOf(items[half:])...))
		return h[:]
	}
}

// tree files shares in the library's merkle tree as Celestia does: those outside the original square under the parity namespace.
type tree struct {
	*nmt.NamespacedMerkleTree
	k, axis, n int
}

func libTree(k int) rsmt2d.TreeConstructorFn {
	return func(_ rsmt2d.Axis, axis uint) rsmt2d.Tree {
		return &tree{nmt.New(sha256.New(), nmt.NamespaceIDSize(29), nmt.IgnoreMaxNamespace(true)), k, int(axis), 0}
	}
}

func (w *tree) Push(s []byte) error {
	ns := bytes.Repeat([]byte{0xff}, 29)
	if w.axis < w.k && w.n < w.k {
		ns = s[:29]
	}
	w.n++
	return w.NamespacedMerkleTree.Push(append(bytes.Clone(ns), s...))
}

// TestSampler: what is told of one row is what the whole extended square has there, below the original square too. Its
// proofs are borne out by the roots, and it takes the memory of one row, not of the square.
func TestSampler(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s, err := square.Build([]da.Blob{randomBlob(rng, 400_000), randomBlob(rng, 4000)})
	if err != nil {
		t.Fatal(err)
	}
	eds, err := s.EDS()
	if err != nil {
		t.Fatal(err)
	}
	w := 2 * s.Width()
	dah := s.DAH()
	for _, row := range []int{0, s.Width() - 1, s.Width(), w - 1} {
		shares, err := s.Row(row)
		if err != nil || !slices.EqualFunc(shares, eds[row*w:(row+1)*w], bytes.Equal) {
			t.Fatalf("row %d is not the extended square's, error %v", row, err)
		}
		sample, err := s.Sampler(row)
		if err != nil {
			t.Fatal(err)
		}
		for _, column := range []int{0, s.Width(), w - 1} {
			share, proof, err := sample(column)
			if err != nil || !bytes.Equal(share, eds[row*w+column]) {
				t.Fatalf("share (%d, %d) differs, error %v", row, column, err)
			}
			ns := share[:square.NamespaceSize]
			if row >= s.Width() || column >= s.Width() {
				ns = bytes.Repeat([]byte{0xff}, square.NamespaceSize)
			}
			if !proof.VerifyInclusion(sha256.New(), ns, [][]byte{share}, dah.RowRoots[row]) {
				t.Errorf("the proof of share (%d, %d) does not hold", row, column)
			}
		}
		if _, _, err := sample(w); err == nil {
			t.Error("a column outside the square was given")
		}
	}
	if _, err := s.Sampler(w); err == nil {
		t.Error("a row outside the square was given")
	}
	for _, c := range [][2]int{{0, w}, {0, 3}, {s.Width() - 2, s.Width() + 3}, {s.Width(), s.Width() + 1}, {w - 2, w}, {5, 5}} {
		rows, err := s.Rows(c[0], c[1])
		if err != nil || !slices.EqualFunc(slices.Concat(rows...), eds[c[0]*w:c[1]*w], bytes.Equal) {
			t.Errorf("rows %v are not the extended square's, error %v", c, err)
		}
	}
	for _, c := range [][2]int{{-1, 1}, {2, 1}, {0, w + 1}} {
		if _, err := s.Rows(c[0], c[1]); err == nil {
			t.Errorf("rows %v were given", c)
		}
	}
	took, square := uint64(math.MaxUint64), uint64(len(eds)*square.ShareSize)
	for range 5 { // the buffers that the code works in are made again after a garbage collection
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := s.Row(w - 1); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		took = min(took, after.TotalAlloc-before.TotalAlloc)
	}
	if took > square/4 {
		t.Errorf("one row took %d bytes, the whole extended square has %d", took, square)
	}
}
