package square

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/celestiaorg/go-square/v3/inclusion"
	"github.com/celestiaorg/go-square/v3/share"

	"headrace/da"
)

// Commitment returns the share commitment of a blob: the merkle root over the roots of the subtrees that its shares
// fill in the rows of a square, wherever it lies. It says the same as the blob's namespace, data, share version and
// signer together.
func Commitment(b *da.Blob) ([]byte, error) {
	shares, err := split(b)
	if err != nil {
		return nil, err
	}
	return commitment(b.Namespace, shares)
}

func commitment(ns da.Namespace, shares [][]byte) ([]byte, error) {
	subroots, err := subtreeRoots(ns, shares)
	if err != nil {
		return nil, err
	}
	return commitmentOf(subroots), nil
}

func commitmentOf(subroots [][]byte) []byte {
	leaves := make([][32]byte, len(subroots))
	for i, r := range subroots {
		leaves[i] = leafHash(r)
	}
	root := merkleRoot(leaves)
	return root[:]
}

func subtreeRoots(ns da.Namespace, shares [][]byte) ([][]byte, error) {
	t, err := newSubtrees(len(shares))
	if err != nil {
		return nil, err
	}
	for _, s := range shares {
		t.add(ns, s)
	}
	return t.roots, nil
}

// subtrees computes the roots of the subtrees of a blob from its shares, one after the other.
type subtrees struct {
	sizes  []uint64 // of the trees to come
	leaves []node   // of the next one
	roots  [][]byte
}

func newSubtrees(shares int) (*subtrees, error) {
	width := inclusion.SubTreeWidth(shares, SubtreeRootThreshold)
	sizes, err := inclusion.MerkleMountainRangeSizes(uint64(shares), uint64(width))
	if err != nil {
		return nil, fmt.Errorf("divide blob into subtrees: %w", err)
	}
	return &subtrees{sizes, make([]node, 0, width), make([][]byte, 0, len(sizes))}, nil
}

func (t *subtrees) add(ns da.Namespace, s []byte) {
	digest := shareDigest(ns[:], s)
	t.leaves = t.leaves[:len(t.leaves)+1]
	t.leaves[len(t.leaves)-1].setLeaf(ns[:], &digest)
	if uint64(len(t.leaves)) == t.sizes[0] {
		t.roots = append(t.roots, fold(t.leaves))
		t.leaves, t.sizes = t.leaves[:0], t.sizes[1:]
	}
}

// split lays a blob out in shares:
//
//	first: namespace (29) | info (1) | length of data (4) | signer (20, only with version 1) | data ...
//	others: namespace (29) | info (1) | data ...
//
// The last one is filled up with zeros.
func split(b *da.Blob) ([][]byte, error) {
	if err := CheckBlob(b); err != nil {
		return nil, err
	}
	n := share.SparseSharesNeeded(uint32(len(b.Data)), b.ShareVersion == 1)
	arena := make([]byte, n*ShareSize)
	out := make([][]byte, n)
	rest := b.Data
	for i := range out {
		s := arena[i*ShareSize : (i+1)*ShareSize : (i+1)*ShareSize]
		out[i] = s
		p := copy(s, b.Namespace[:])
		s[p] = b.ShareVersion << 1
		p++
		if i == 0 {
			s[p-1] |= 1
			binary.BigEndian.PutUint32(s[p:], uint32(len(b.Data)))
			p += share.SequenceLenBytes
			p += copy(s[p:], b.Signer)
		}
		rest = rest[copy(s[p:], rest):]
	}
	return out, nil
}

// parser reads the blobs of one namespace from all its shares, in their order, as they come. Padding between blobs is
// passed over, and so are blobs of share versions that this code does not know: they are no error, or else anybody
// could stop who follows the namespace (I9). Of a blob that is not complete it holds no more than there can be.
type parser struct {
	ns    da.Namespace
	most  int // shares that there can be
	count int // shares so far
	out   []da.Blob

	passed int // blobs of other share versions

	blob  da.Blob // not complete yet
	first int     // its first share
	size  int     // its bytes
	n     int     // its shares
	left  int     // of them, to come; 0: there is no such blob
	trees *subtrees
}

// add takes the next share, which lies at index in the extended square.
func (p *parser) add(s []byte, index int) error {
	if len(s) != ShareSize || !bytes.Equal(s[:NamespaceSize], p.ns[:]) {
		return fmt.Errorf("share %d is not one of namespace %s", p.count, p.ns)
	}
	defer func() { p.count++ }()
	info, data := s[NamespaceSize], s[NamespaceSize+1:]
	switch {
	case p.left > 0:
		if info != p.blob.ShareVersion<<1 {
			return fmt.Errorf("share %d does not continue the blob at share %d", p.count, p.first)
		}
		return p.take(s, data)
	case info>>1 > 1:
		p.passed += int(info & 1)
		return nil
	case info&1 == 0:
		return fmt.Errorf("share %d continues no blob", p.count)
	}
	size := binary.BigEndian.Uint32(data)
	switch data = data[share.SequenceLenBytes:]; {
	case size == 0: // padding
		return nil
	case size > math.MaxInt32: // no square has so much, and not all machines count so far
		return fmt.Errorf("blob at share %d has %d bytes, which no block has", p.count, size)
	}
	if err := p.begin(info>>1, int(size)); err != nil {
		return err
	}
	p.blob.Index = index
	if p.blob.ShareVersion == 1 {
		p.blob.Signer = bytes.Clone(data[:share.SignerSize])
		data = data[share.SignerSize:]
	}
	return p.take(s, data)
}

// begin begins a blob.
func (p *parser) begin(version uint8, size int) (err error) {
	p.first, p.size, p.n = p.count, size, share.SparseSharesNeeded(uint32(size), version == 1)
	if p.n > p.most-p.count {
		return p.short(p.most)
	}
	p.trees, err = newSubtrees(p.n)
	p.blob, p.left = da.Blob{Namespace: p.ns, ShareVersion: version, Data: make([]byte, 0, size)}, p.n
	return err
}

func (p *parser) short(shares int) error {
	return fmt.Errorf("blob at share %d has %d bytes in %d shares, but there are only %d", p.first, p.size, p.n, shares-p.first)
}

// take takes a share of the blob that is not complete, with what of its data is in it.
func (p *parser) take(s, data []byte) error {
	p.trees.add(p.ns, s)
	p.blob.Data = append(p.blob.Data, data[:min(len(data), p.size-len(p.blob.Data))]...)
	if p.left--; p.left == 0 {
		p.blob.Commitment = commitmentOf(p.trees.roots)
		p.out, p.blob, p.trees = append(p.out, p.blob), da.Blob{}, nil
	}
	return nil
}

// end returns the blobs. No share may be missing.
func (p *parser) end() ([]da.Blob, error) {
	if p.left > 0 {
		return nil, p.short(p.count)
	}
	return p.out, nil
}
