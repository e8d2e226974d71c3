package square

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/celestiaorg/go-square/v3/inclusion"
	"github.com/celestiaorg/go-square/v3/share"

	"headrace/da"
)

// Commitment returns the share commitment of a blob: the merkle root over the roots of the subtrees that its shares fill in the rows of a
// square, wherever it lies. It says the same as the blob's namespace, data, share version and signer together.
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
	width := inclusion.SubTreeWidth(len(shares), SubtreeRootThreshold)
	sizes, err := inclusion.MerkleMountainRangeSizes(uint64(len(shares)), uint64(width))
	if err != nil {
		return nil, fmt.Errorf("divide blob into subtrees: %w", err)
	}
	leaves := make([]node, width)
	out := make([][]byte, 0, len(sizes))
	for _, n := range sizes {
		for i, s := range shares[:n] {
			digest := shareDigest(ns[:], s)
			leaves[i].setLeaf(ns[:], &digest)
		}
		out = append(out, fold(leaves[:n]))
		shares = shares[n:]
	}
	return out, nil
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

// run is a sequence of shares that makes one blob; start counts from the first share given to parse.
type run struct {
	blob  da.Blob
	start int
	n     int
}

// parse reads the blobs from all the shares of one namespace in their order. Padding between blobs is passed over, and so are blobs of share
// versions that this code does not know: they are no error, or else anybody could stop who follows the namespace (I9).
func parse(ns da.Namespace, shares [][]byte) ([]run, error) {
	var out []run
	for i := 0; i < len(shares); {
		s := shares[i]
		if len(s) != ShareSize || !bytes.Equal(s[:NamespaceSize], ns[:]) {
			return nil, fmt.Errorf("share %d is not one of namespace %s", i, ns)
		}
		info, p := s[NamespaceSize], NamespaceSize+1
		if info>>1 > 1 {
			i++
			continue
		}
		if info&1 == 0 {
			return nil, fmt.Errorf("share %d continues no blob", i)
		}
		size := int(binary.BigEndian.Uint32(s[p:]))
		p += share.SequenceLenBytes
		if size == 0 { // padding
			i++
			continue
		}
		b := da.Blob{Namespace: ns, ShareVersion: info >> 1}
		if b.ShareVersion == 1 {
			b.Signer = bytes.Clone(s[p : p+share.SignerSize])
			p += share.SignerSize
		}
		n := share.SparseSharesNeeded(uint32(size), b.ShareVersion == 1)
		if n > len(shares)-i {
			return nil, fmt.Errorf("blob at share %d has %d bytes in %d shares, but there are only %d", i, size, n, len(shares)-i)
		}
		b.Data = append(make([]byte, 0, n*ShareSize), s[p:]...)
		for j, next := range shares[i+1 : i+n] {
			if len(next) != ShareSize || !bytes.Equal(next[:NamespaceSize], ns[:]) || next[NamespaceSize] != info&^1 {
				return nil, fmt.Errorf("share %d does not continue the blob at share %d", i+1+j, i)
			}
			b.Data = append(b.Data, next[NamespaceSize+1:]...)
		}
		b.Data = b.Data[:size:size]
		c, err := commitment(ns, shares[i:i+n])
		if err != nil {
			return nil, err
		}
		b.Commitment = c
		out = append(out, run{b, i, n})
		i += n
	}
	return out, nil
}
