package square

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/reedsolomon"

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

// encoders are Leopard codes by the number of shares that they double. They may be used by several goroutines.
var encoders sync.Map // int -> reedsolomon.Encoder

// extend writes the parity of the first half of shares into their second half.
func extend(shares [][]byte) error {
	k := len(shares) / 2
	e, ok := encoders.Load(k)
	if !ok {
		made, err := reedsolomon.New(k, k, reedsolomon.WithLeopardGF(true))
		if err != nil {
			return fmt.Errorf("extend shares: %w", err)
		}
		e, _ = encoders.LoadOrStore(k, made)
	}
	if err := e.(reedsolomon.Encoder).Encode(shares); err != nil {
		return fmt.Errorf("extend shares: %w", err)
	}
	return nil
}

// room returns n shares to write to.
func room(n int) [][]byte {
	arena := make([]byte, n*ShareSize)
	out := make([][]byte, n)
	for i := range out {
		out[i] = arena[i*ShareSize : (i+1)*ShareSize : (i+1)*ShareSize]
	}
	return out
}

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
// upper rows is held, beside 32 bytes for each share. Rows that are the very same shares, as those of padding are, are extended once.
func roots(ods [][]byte, k int) (DAH, error) {
	w := 2 * k
	upper := make([][][]byte, k) // the upper rows, extended
	digests := make([][32]byte, w*w)
	dah := DAH{RowRoots: make([][]byte, w), ColumnRoots: make([][]byte, w)}
	distinct := k
	for distinct > 1 && sameShares(ods[(distinct-1)*k:distinct*k], ods[(distinct-2)*k:(distinct-1)*k]) {
		distinct--
	}
	err := parallel(distinct, w, func(r int, b *buffers) error {
		row := append(append(make([][]byte, 0, w), ods[r*k:(r+1)*k]...), room(k)...)
		if err := extend(row); err != nil {
			return err
		}
		upper[r] = row
		for c, share := range row {
			ns := filedUnder(share, r, c, k)
			digests[r*w+c] = shareDigest(ns, share)
			b.leaves[c].setLeaf(ns, &digests[r*w+c])
		}
		dah.RowRoots[r] = fold(b.leaves)
		return nil
	})
	if err != nil {
		return DAH{}, err
	}
	for r := distinct; r < k; r++ {
		upper[r], dah.RowRoots[r] = upper[r-1], dah.RowRoots[r-1]
		copy(digests[r*w:(r+1)*w], digests[(r-1)*w:r*w])
	}
	err = parallel(w, w, func(c int, b *buffers) error {
		for r := range k {
			b.shares[r] = upper[r][c]
			b.shares[k+r] = b.scratch[r]
		}
		if err := extend(b.shares); err != nil {
			return err
		}
		for r := range w {
			ns := filedUnder(b.shares[r], r, c, k)
			if r >= k {
				digests[r*w+c] = shareDigest(ns, b.shares[r])
			}
			b.leaves[r].setLeaf(ns, &digests[r*w+c])
		}
		dah.ColumnRoots[c] = fold(b.leaves)
		return nil
	})
	if err != nil {
		return DAH{}, err
	}
	err = parallel(k, w, func(r int, b *buffers) error {
		for c := range w {
			b.leaves[c].setLeaf(parity[:], &digests[(k+r)*w+c])
		}
		dah.RowRoots[k+r] = fold(b.leaves)
		return nil
	})
	return dah, err
}

// sameShares reports whether a and b are the same places in memory.
func sameShares(a, b [][]byte) bool {
	for i := range a {
		if &a[i][0] != &b[i][0] {
			return false
		}
	}
	return true
}

// filedUnder returns the namespace of a share's leaf: its own in the original square of k*k, else parity.
func filedUnder(share []byte, row, column, k int) []byte {
	if row < k && column < k {
		return share[:NamespaceSize]
	}
	return parity[:]
}

// buffers are what one goroutine works in.
type buffers struct {
	leaves  []node
	shares  [][]byte // 2k
	scratch [][]byte // k, to write parity to
}

// parallel calls f for 0 to n-1 with buffers for rows of width shares, from several goroutines if there is much to do.
func parallel(n, width int, f func(i int, b *buffers) error) error {
	workers := min(runtime.GOMAXPROCS(0), n*width/1024+1)
	errs := make([]error, workers)
	work := func(w int) {
		b := &buffers{make([]node, width), make([][]byte, width), room(width / 2)}
		for i := w; i < n && errs[w] == nil; i += workers {
			errs[w] = f(i, b)
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
