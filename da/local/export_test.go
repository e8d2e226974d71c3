package local

import (
	"encoding/binary"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// Hashes counts the hashes in the index of a history on disk.
func Hashes(t *testing.T, c *Chain) (n int) {
	t.Helper()
	if err := c.history.(*onDisk).db.Each([]byte("x"), []byte("y"), func(_, _ []byte) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// DropHashes makes a history on disk one that a program has made which knew of no index.
func DropHashes(t *testing.T, c *Chain) {
	t.Helper()
	change(t, c, func(b *pebble.Batch) error {
		if err := b.DeleteRange([]byte("x"), []byte("y"), nil); err != nil {
			return err
		}
		return b.Delete([]byte("i"), nil)
	})
}

// DropHashesFrom makes a history on disk one to which such a program has added the blocks from a height on.
func DropHashesFrom(t *testing.T, c *Chain, from uint64) {
	t.Helper()
	d := c.history.(*onDisk)
	change(t, c, func(b *pebble.Batch) error {
		if err := d.records(from, d.head+1, func(_ uint64, r *record) error { return b.Delete(hashKey(r.hash), nil) }); err != nil {
			return err
		}
		return b.Set([]byte("i"), binary.BigEndian.AppendUint64(nil, from-1), nil)
	})
}

func change(t *testing.T, c *Chain, f func(*pebble.Batch) error) {
	t.Helper()
	db := c.history.(*onDisk).db
	b := db.NewBatch()
	defer b.Close()
	if err := f(b); err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(b, true); err != nil {
		t.Fatal(err)
	}
}

// Decode decodes both forms of what a history keeps and writes it again; nil for what is neither.
func Decode(b []byte) [][]byte {
	var out [][]byte
	if r, err := decodeRecord(b); err == nil {
		out = append(out, r.encode())
	}
	if c, err := decodeContent(b); err == nil {
		out = append(out, c.encode())
	}
	return out
}

// Encoded returns the keys that a height has on disk, for the seeds of fuzzing.
func Encoded(c *Chain, height uint64) [][]byte {
	rec, err := c.history.record(height)
	if err != nil {
		panic(err)
	}
	return [][]byte{rec.encode(), c.history.(*memory).body(height).encode()}
}
