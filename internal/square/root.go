package square

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"runtime"
	"sync"

	"github.com/celestiaorg/rsmt2d"

	"headrace/da"
)

// Sizes that Celestia fixes for all clients.
const (
	ShareSize            = 512
	NamespaceSize        = len(da.Namespace{})
	RootSize             = 2*NamespaceSize + sha256.Size // of an NMT node: least namespace, greatest namespace, hash
	SubtreeRootThreshold = 64
	MaxWidth             = 512 // the widest square, before extension
)

// parity is the namespace of the shares that the extension adds. It is the greatest there is.
var parity = da.Namespace(bytes.Repeat([]byte{0xff}, NamespaceSize))

var codec = rsmt2d.NewLeoRSCodec()

// EmptyDataHash is the data hash of a block without transactions and blobs. It proves every namespace absent (I7).
var EmptyDataHash = [32]byte(mustHex("3D96B7D238E7E0456F6AF8E7CDF0A67BD6CF9C2089ECB559C659DCAA1F880353"))

// EmptyDAH returns the data availability header of a block without transactions and blobs. The caller must not write to its roots.
func EmptyDAH() DAH { return emptySquare().dah }

var emptySquare = sync.OnceValue(func() *Square {
	s, err := Build()
	if err != nil {
		panic(err) // depends on no input
	}
	return s
})

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// node is an inner node or a leaf of a namespaced merkle tree.
type node [RootSize]byte

func (n *node) min() []byte { return n[:NamespaceSize] }
func (n *node) max() []byte { return n[NamespaceSize : 2*NamespaceSize] }

// setLeaf makes n the leaf of a share under a namespace, given the share's digest.
func (n *node) setLeaf(ns []byte, digest *[32]byte) {
	copy(n[:], ns)
	copy(n[NamespaceSize:], ns)
	copy(n[2*NamespaceSize:], digest[:])
}

// setInner makes n the parent of l and r; n may be l. Parity is left out of the range of namespaces where something else is in it.
func (n *node) setInner(l, r *node) {
	var buf [1 + 2*RootSize]byte
	buf[0] = 1
	copy(buf[1:], l[:])
	copy(buf[1+RootSize:], r[:])
	sum := sha256.Sum256(buf[:])
	top := r.max()
	if bytes.Equal(r.min(), parity[:]) {
		top = l.max()
	}
	copy(n.min(), l.min())
	copy(n.max(), top)
	copy(n[2*NamespaceSize:], sum[:])
}

// fold returns the root over a power of two of leaves, which it overwrites.
func fold(leaves []node) []byte {
	for n := len(leaves); n > 1; n /= 2 {
		for i := range n / 2 {
			leaves[i].setInner(&leaves[2*i], &leaves[2*i+1])
		}
	}
	return bytes.Clone(leaves[0][:])
}

// shareDigest is the hash of a share as a leaf. Row and column trees have the same leaves, so each is hashed once.
func shareDigest(ns, share []byte) [32]byte {
	var buf [1 + NamespaceSize + ShareSize]byte
	copy(buf[1:], ns)
	copy(buf[1+NamespaceSize:], share)
	return sha256.Sum256(buf[:])
}

// roots extends a square of k*k shares and returns the roots of its 2k rows and 2k columns. Of the extension only the right half of the
// upper rows is held at a time, beside 32 bytes for each share.
func roots(ods [][]byte, k int) (DAH, error) {
	w := 2 * k
	right := make([][][]byte, k) // the parity of each upper row
	digests := make([][32]byte, w*w)
	dah := DAH{RowRoots: make([][]byte, w), ColumnRoots: make([][]byte, w)}
	err := parallel(k, func(r int, leaves []node) error {
		row := ods[r*k : (r+1)*k]
		ext, err := codec.Encode(row)
		if err != nil {
			return err
		}
		right[r] = ext
		for c := range w {
			share, ns := cell(row, ext, c)
			digests[r*w+c] = shareDigest(ns, share)
			leaves[c].setLeaf(ns, &digests[r*w+c])
		}
		dah.RowRoots[r] = fold(leaves[:w])
		return nil
	}, w)
	if err != nil {
		return DAH{}, err
	}
	err = parallel(w, func(c int, leaves []node) error {
		column := make([][]byte, k)
		for r := range column {
			if c < k {
				column[r] = ods[r*k+c]
			} else {
				column[r] = right[r][c-k]
			}
		}
		below, err := codec.Encode(column)
		if err != nil {
			return err
		}
		for r := range w {
			ns := parity[:]
			if r < k && c < k {
				ns = column[r][:NamespaceSize]
			}
			if r >= k {
				digests[r*w+c] = shareDigest(ns, below[r-k])
			}
			leaves[r].setLeaf(ns, &digests[r*w+c])
		}
		dah.ColumnRoots[c] = fold(leaves[:w])
		return nil
	}, w)
	if err != nil {
		return DAH{}, err
	}
	err = parallel(k, func(r int, leaves []node) error {
		for c := range w {
			leaves[c].setLeaf(parity[:], &digests[(k+r)*w+c])
		}
		dah.RowRoots[k+r] = fold(leaves[:w])
		return nil
	}, w)
	return dah, err
}

// cell returns the share in column c of an upper row, and the namespace it is filed under.
func cell(row, ext [][]byte, c int) (share, ns []byte) {
	if c < len(row) {
		return row[c], row[c][:NamespaceSize]
	}
	return ext[c-len(row)], parity[:]
}

// parallel calls f for 0 to n-1 with room for width leaves, from several goroutines if there is much to do.
func parallel(n int, f func(i int, leaves []node) error, width int) error {
	workers := min(runtime.GOMAXPROCS(0), n*width/1024+1)
	errs := make([]error, workers)
	work := func(w int) {
		leaves := make([]node, width)
		for i := w; i < n && errs[w] == nil; i += workers {
			errs[w] = f(i, leaves)
		}
	}
	var wg sync.WaitGroup
	for w := 1; w < workers; w++ {
		wg.Go(func() { work(w) })
	}
	work(0)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
