package square

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	gosquare "github.com/celestiaorg/go-square/v3"
	"github.com/celestiaorg/go-square/v3/share"
	"github.com/celestiaorg/go-square/v3/tx"

	"headrace/da"
)

// Square is one block's shares in a square of k*k, with their extension's roots.
type Square struct {
	k     int
	ods   [][]byte // k*k shares by rows
	blobs []Placed // by place
	dah   DAH
}

// Placed is a blob with its place in the square. Its Index is in coordinates of the extended square, as Celestia's
// blob methods give it.
type Placed struct {
	da.Blob
	Start  int // first share in the original square: row*k + column
	Shares int // how many
}

// PayForBlobs is a transaction and the blobs it pays for.
type PayForBlobs struct {
	Tx    []byte
	Blobs []da.Blob
}

// ErrFull is what Build returns for more than a square holds.
var ErrFull = errors.New("blobs exceed the largest square")

// ErrUnavailable is the error of an endpoint that has a height's header but has lost its data.
var ErrUnavailable = errors.New("data not available")

// Build lays out a block in which each submission is paid for by one transaction, and extends it. The transactions
// look like those of a Celestia block and are as long, but their signatures are made up: nobody but a consensus node
// can check them. Blobs keep the order of submissions within a namespace. Build keeps the blobs' data and does not
// copy it. No submissions make the empty square.
func Build(submissions ...[]da.Blob) (*Square, error) { return BuildIn(MaxWidth, submissions...) }

// BuildIn is Build in a square of at most width*width, a power of two.
func BuildIn(width int, submissions ...[]da.Blob) (*Square, error) {
	txs := make([]PayForBlobs, len(submissions))
	for i, given := range submissions {
		blobs := append([]da.Blob(nil), given...)
		for j := range blobs {
			c, err := Commitment(&blobs[j])
			if err != nil {
				return nil, err
			}
			blobs[j].Commitment = c
		}
		txs[i] = payForBlobs(uint64(i), blobs)
	}
	return build(width, txs)
}

// Restore is Build for submissions that were built before: their blobs have the commitments that Build gave them, and
// dah is what came of it. It believes both, and so costs a small part of Build.
func Restore(dah DAH, submissions ...[]da.Blob) (*Square, error) {
	txs := make([]PayForBlobs, len(submissions))
	for i, blobs := range submissions {
		txs[i] = payForBlobs(uint64(i), blobs)
	}
	s, err := layOut(MaxWidth, txs)
	if err != nil {
		return nil, err
	}
	if s.k != dah.Width() {
		return nil, fmt.Errorf("restore square: blobs fill a square of %d, roots are of one of %d", s.k, dah.Width())
	}
	s.dah = dah
	return s, nil
}

func build(width int, txs []PayForBlobs) (*Square, error) {
	s, err := layOut(width, txs)
	if err != nil {
		return nil, err
	}
	if s.dah, err = roots(s.ods, s.k); err != nil {
		return nil, fmt.Errorf("extend square: %w", err)
	}
	return s, nil
}

// layOut makes a square without its roots.
func layOut(width int, txs []PayForBlobs) (*Square, error) {
	b, err := gosquare.NewBuilder(width, SubtreeRootThreshold)
	if err != nil {
		return nil, fmt.Errorf("build square: %w", err)
	}
	for _, t := range txs {
		blobs, err := libBlobs(t.Blobs)
		if err != nil {
			return nil, err
		}
		if !b.AppendBlobTx(&tx.BlobTx{Tx: t.Tx, Blobs: blobs}) {
			return nil, ErrFull
		}
	}
	shares, err := b.Export()
	if err != nil {
		return nil, fmt.Errorf("build square: %w", err)
	}
	s := &Square{k: shares.Size(), ods: share.ToBytes(shares)}
	for _, e := range b.Blobs { // Export has sorted them by place
		start := int(b.Pfbs[e.PfbIndex].ShareIndexes[e.BlobIndex])
		p := Placed{Blob: txs[e.PfbIndex].Blobs[e.BlobIndex], Start: start, Shares: e.NumShares}
		p.Index = s.extended(start)
		s.blobs = append(s.blobs, p)
	}
	s.sharePadding()
	return s, nil
}

// sharePadding makes all the padding at the end one share in memory.
func (s *Square) sharePadding() {
	last := len(s.ods) - 1
	for i := last - 1; i >= 0 && bytes.Equal(s.ods[i], s.ods[last]); i-- {
		s.ods[i] = s.ods[last]
	}
}

func libBlobs(blobs []da.Blob) ([]*share.Blob, error) {
	out := make([]*share.Blob, len(blobs))
	for i := range blobs {
		b, err := libBlob(&blobs[i])
		if err != nil {
			return nil, err
		}
		out[i] = b
	}
	return out, nil
}

func libBlob(b *da.Blob) (*share.Blob, error) {
	if err := CheckBlob(b); err != nil {
		return nil, err
	}
	ns, err := share.NewNamespaceFromBytes(b.Namespace[:])
	if err != nil {
		return nil, fmt.Errorf("read namespace: %w", err)
	}
	return share.NewBlob(ns, b.Data, b.ShareVersion, b.Signer)
}

// CheckBlob tells whether a blob may be in a block: data in it, a namespace for users, and a share version that goes
// with its signer.
func CheckBlob(b *da.Blob) error {
	switch {
	case len(b.Data) == 0:
		return errors.New("data can not be empty")
	case uint64(len(b.Data)) > math.MaxUint32:
		return da.ErrTooBig
	case b.ShareVersion > 1:
		return fmt.Errorf("share version %d not supported", b.ShareVersion)
	case b.ShareVersion == 0 && b.Signer != nil:
		return errors.New("share version 0 does not support signer")
	case b.ShareVersion == 1 && len(b.Signer) != share.SignerSize:
		return fmt.Errorf("share version 1 requires signer of size %d bytes", share.SignerSize)
	}
	return CheckNamespace(b.Namespace)
}

// ValidNamespace tells whether bytes are a namespace, one of those reserved included, in the words of Celestia's own
// library.
func ValidNamespace(b []byte) error {
	_, err := share.NewNamespaceFromBytes(b)
	return err
}

// CheckLibraryJSON tells whether JSON is a blob as Celestia's own library writes one, in its words.
func CheckLibraryJSON(data []byte) error { return new(share.Blob).UnmarshalJSON(data) }

// CheckNamespace tells whether users may post blobs to a namespace: version 0, 18 leading zeros, and not one of the
// reserved ones.
func CheckNamespace(ns da.Namespace) error {
	n, err := share.NewNamespaceFromBytes(ns[:])
	if err != nil {
		return fmt.Errorf("namespace %s: %w", ns, err)
	}
	if err := n.ValidateForBlob(); err != nil {
		return fmt.Errorf("namespace %s: %w", ns, err)
	}
	return nil
}

// Width returns k, the side of the square before its extension.
func (s *Square) Width() int { return s.k }

// DAH returns the roots. The caller must not write to them.
func (s *Square) DAH() DAH { return s.dah }

// DataHash returns what a header commits to.
func (s *Square) DataHash() [32]byte { return s.dah.Hash() }

// Empty reports whether the block has no transactions and no blobs.
func (s *Square) Empty() bool { return len(s.blobs) == 0 }

// Blobs returns all blobs by place, which is by namespace.
func (s *Square) Blobs() []Placed { return s.blobs }

// Blob returns the first blob with a commitment in a namespace, or da.ErrNotFound. Equal blobs have equal commitments.
func (s *Square) Blob(ns da.Namespace, commitment []byte) (Placed, error) {
	for _, p := range s.blobs {
		if p.Namespace == ns && bytes.Equal(p.Commitment, commitment) {
			return p, nil
		}
	}
	return Placed{}, da.ErrNotFound
}

// extended converts the place of a share from the original square's coordinates to the extended one's.
func (s *Square) extended(i int) int { return i/s.k*2*s.k + i%s.k }

// Share returns one share of the extended square. Its row and column are below twice the width.
func (s *Square) Share(row, column int) ([]byte, error) {
	shares, err := s.Row(row)
	switch {
	case err != nil:
		return nil, err
	case column < 0 || column >= len(shares):
		return nil, fmt.Errorf("column %d is outside a square of %d", column, len(shares))
	}
	return shares[column], nil
}

// Row returns the shares of one row of the extended square, below twice the width.
func (s *Square) Row(row int) ([][]byte, error) {
	if row < 0 || row >= 2*s.k {
		return nil, fmt.Errorf("row %d is outside a square of %d", row, 2*s.k)
	}
	return s.row(row)
}

// Sampler returns what gives the shares of one row of the extended square, each with the proof that the row has it.
func (s *Square) Sampler(row int) (func(column int) ([]byte, *Proof, error), error) {
	if row < 0 || row >= 2*s.k {
		return nil, fmt.Errorf("row %d is outside a square of %d", row, 2*s.k)
	}
	tree, shares, err := s.tree(row)
	if err != nil {
		return nil, err
	}
	return func(column int) ([]byte, *Proof, error) {
		if column < 0 || column >= len(shares) {
			return nil, nil, fmt.Errorf("column %d is outside a square of %d", column, len(shares))
		}
		proof, err := tree.ProveRange(column, column+1)
		if err != nil {
			return nil, nil, fmt.Errorf("prove share: %w", err)
		}
		return shares[column], &proof, nil
	}, nil
}

// Rows returns the shares of rows [from, to) of the extended square. All that the extension has added below the original
// square is made of all its columns, one after the other, and what was not asked for is dropped: the whole extended square
// is four times as large as the original one.
func (s *Square) Rows(from, to int) ([][][]byte, error) {
	if from < 0 || from > to || to > 2*s.k {
		return nil, fmt.Errorf("rows [%d, %d) are not within a square of %d", from, to, 2*s.k)
	}
	rows := make([][][]byte, to-from)
	for i := range rows {
		rows[i] = make([][]byte, 2*s.k)
		copy(rows[i][s.k:], room(s.k))
		if r := from + i; r < s.k {
			copy(rows[i], s.ods[r*s.k:(r+1)*s.k])
		}
	}
	if err := s.below(rows, from); err != nil {
		return nil, err
	}
	for _, row := range rows {
		if err := extend(row); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// below sets the left half of those of the rows that are below the original square. The first of the rows is from.
func (s *Square) below(rows [][][]byte, from int) error {
	first := max(0, s.k-from)
	if first >= len(rows) {
		return nil
	}
	for _, row := range rows[first:] {
		copy(row, room(s.k))
	}
	column, added := make([][]byte, 2*s.k), room(s.k)
	copy(column[s.k:], added)
	for c := range s.k {
		for r := range s.k {
			column[r] = s.ods[r*s.k+c]
		}
		if err := extend(column); err != nil {
			return err
		}
		for i, row := range rows[first:] {
			copy(row[c], column[from+first+i])
		}
	}
	return nil
}

func (s *Square) row(r int) ([][]byte, error) {
	rows, err := s.Rows(r, r+1)
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}
