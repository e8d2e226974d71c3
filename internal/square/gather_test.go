package square_test

import (
	"errors"
	"reflect"
	"testing"

	"headrace/da"
	"headrace/internal/square"
)

// TestGather: a namespace that begins and ends within rows is gathered from ranges of shares as well as from its rows
// at once, and nothing passes that is not all of a row or leaves a row out.
func TestGather(t *testing.T) {
	var blobs []da.Blob
	for i, ns := range []da.Namespace{namespace("ns-0"), alpha, alpha, alpha, beta} {
		data := make([]byte, 4000+999*i)
		data[i] = byte(i)
		blobs = append(blobs, da.Blob{Namespace: ns, Data: data})
	}
	sq, err := square.Build(blobs)
	if err != nil {
		t.Fatal(err)
	}
	dah, k := sq.DAH(), sq.Width()
	whole, err := sq.NamespaceData(alpha)
	if err != nil {
		t.Fatal(err)
	}
	want, err := square.VerifyNamespace(&dah, alpha, whole)
	if err != nil || len(want) != 3 {
		t.Fatalf("at once: %d blobs, %v", len(want), err)
	}
	if least, most := dah.Extent(alpha); most != len(whole)*k*square.ShareSize || least != (len(whole)-2)*k*square.ShareSize {
		t.Errorf("extent is [%d, %d] in %d rows of %d shares, two of which have others too", least, most, len(whole), k)
	}
	top, _ := square.NewGather(&dah, alpha).Next(1)
	// ranges gives rows [from, to) as share.GetRange does, less some shares at the begin and the end.
	ranges := func(from, to, less, lesser int) []square.NamespaceRow {
		t.Helper()
		first, last := whole[from-top].Proof, whole[to-1-top].Proof
		start, end := from*k+first.Start(), (to-1)*k+last.End()
		r, err := sq.Range(start+less, end-lesser)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := r.Rows()
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	g := square.NewGather(&dah, alpha)
	for {
		from, to := g.Next(2)
		if from == to {
			break
		}
		if _, err := g.Blobs(); !errors.Is(err, da.ErrNotProven) {
			t.Fatalf("before rows [%d, %d): got %v, want that rows are missing", from, to, err)
		}
		for _, less := range [][2]int{{1, 0}, {0, 1}} {
			if err := square.NewGather(&dah, alpha).Add(ranges(from, to, less[0], less[1])); !errors.Is(err, da.ErrNotProven) {
				t.Fatalf("rows [%d, %d) without %v shares at its ends: got %v", from, to, less, err)
			}
		}
		if err := g.Add(ranges(from, to, 0, 0)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := g.Blobs(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("in steps: %d blobs, %v; want those that come at once", len(got), err)
	}
	if err := g.Add(whole[:1]); !errors.Is(err, da.ErrNotProven) {
		t.Errorf("a row too many: got %v", err)
	}
}
