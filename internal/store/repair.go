package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/internal/disk"
)

// Lost is a block that cannot be read, and what is known of it.
type Lost struct {
	Ref    block.Ref
	Origin Origin     // zero values: not known, or not posted yet
	Before block.Hash // of the data of the block before it; zero for the first block
}

// Mender is what a repair needs, and who watches it.
type Mender struct {
	Fetch    func(Lost) (*block.Block, error) // gets a block that cannot be read
	Progress func(height, last uint64)        // is told, once damage is found, of each block before it is copied; nil: nobody
}

// Repair rebuilds a damaged store: what can be read is copied, and the mender fetches the blocks that cannot. It
// returns their heights. The damaged store stays beside it, as dir with .damaged. An error changes nothing: that of a
// fetch, or an ErrCorrupt if more than blocks is damaged, which only starting over cures. Nor does a crash: another
// Repair begins anew, or puts what is rebuilt in its place. A store that is whole is left alone.
func Repair(dir string, id Identity, opt Options, m Mender) (lost []uint64, err error) {
	base := opt.fs()
	if err := finishRepair(base, dir); err != nil {
		return nil, err
	}
	s, err := Open(dir, id, opt)
	if err != nil {
		return nil, err
	}
	if s.db.Damage() == nil && s.db.Verify() == nil {
		return nil, s.Close()
	}
	to, err := disk.Open(dir+repaired, disk.Options{FS: opt.FS, Logger: opt.Logger})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	r := rebuild{from: s, to: to, batch: to.NewBatch(), Mender: m}
	err = r.run()
	r.batch.Close()
	if err = errors.Join(err, to.Close(), s.Close()); err != nil {
		return nil, errors.Join(err, base.RemoveAll(dir+repaired)) // it may be what fills the disk
	}
	if err := SetAside(dir, opt); err != nil {
		return nil, err
	}
	return r.lost, finishRepair(base, dir)
}

const (
	repaired    = ".repaired" // beside dir: rebuilt, and not in its place yet; or half of it, as long as dir is there
	setAsideDir = ".damaged"  // beside dir: what was there before
)

// SetAside moves a damaged store away, to dir with .damaged, in the place of an earlier one.
func SetAside(dir string, opt Options) error {
	if err := replace(opt.fs(), dir+setAsideDir, dir); err != nil {
		return fmt.Errorf("move %s away: %w", dir, err)
	}
	return nil
}

// replace gives a directory another name, in the place of what has it.
func replace(base vfs.FS, name, dir string) error {
	if err := base.RemoveAll(name); err != nil {
		return err
	}
	if err := base.Rename(dir, name); err != nil {
		return err
	}
	return syncParent(base, dir)
}

// Remove removes a store that holds nothing that is needed: at once, or not at all.
func Remove(dir string, opt Options) error {
	base, gone := opt.fs(), dir+".removed"
	err := replace(base, gone, dir)
	if err == nil {
		err = base.RemoveAll(gone)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}

// finishRepair puts a rebuilt store in its place, if a repair ended before it did, and removes half of one.
func finishRepair(base vfs.FS, dir string) error {
	if _, err := base.Stat(dir + repaired); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	if _, err := base.Stat(dir); err == nil {
		return base.RemoveAll(dir + repaired)
	}
	if err := base.Rename(dir+repaired, dir); err != nil {
		return err
	}
	return syncParent(base, dir)
}

func syncParent(base vfs.FS, dir string) error {
	d, err := base.OpenDir(base.PathDir(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// checkRepair refuses to make a new store where a rebuilt one waits for its place.
func checkRepair(base vfs.FS, dir string) error {
	if _, err := base.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := base.Stat(dir + repaired); err == nil {
		return disk.Corrupt(dir, errors.New("a repair of it was interrupted"))
	}
	return nil
}

// rebuild copies one store into an empty database.
type rebuild struct {
	from  *Store
	to    *disk.DB
	batch *pebble.Batch
	lost  []uint64
	Mender
}

func (r *rebuild) run() error {
	for _, table := range []byte("mscxnpi") { // the rest follows from the blocks
		err := r.from.db.Each([]byte{table}, []byte{table + 1}, func(key, value []byte) error { return r.set(key, value) })
		if err != nil {
			return err
		}
	}
	if err := r.index(); err != nil {
		return err
	}
	st := r.from.State()
	var before block.Hash // of the data of the block before
	for height := st.Oldest; height <= st.Unsafe.Height; height++ {
		if r.Progress != nil {
			r.Progress(height, st.Unsafe.Height)
		}
		rec, err := r.block(height, before)
		if err != nil {
			return fmt.Errorf("block %d: %w", height, err)
		}
		before = rec.Block.Data.Hash()
	}
	return r.flush(0)
}

// index copies the index of transactions. If that is damaged, it begins anew with the next block: what it has is looked
// up again, and who asks for the rest is told from where on it is whole.
func (r *rebuild) index() error {
	var copying error
	for _, table := range []byte("tkw") {
		err := r.from.db.Each([]byte{table}, []byte{table + 1}, func(key, value []byte) error {
			copying = r.set(key, value)
			return copying
		})
		if err != nil {
			break
		}
	}
	return copying
}

// block copies one block.
func (r *rebuild) block(height uint64, before block.Hash) (Record, error) {
	m, err := r.mark(height)
	if err != nil {
		return Record{}, err
	}
	rec, err := r.from.record(height)
	rec.Root, rec.Origin = m.root, m.origin
	if errors.Is(err, ErrCorrupt) || errors.Is(err, errTorn) {
		if rec.Block, err = r.body(height, m.hash); err != nil {
			rec.Block, err = r.Fetch(Lost{Ref: block.Ref{Height: height, Hash: m.hash}, Origin: m.origin, Before: before})
			r.lost = append(r.lost, height)
		}
	}
	if err == nil && rec.Block.Hash() != m.hash {
		err = fmt.Errorf("got %s, want %s", rec.Block.Hash(), m.hash)
	}
	if err != nil {
		return rec, err
	}
	return rec, errors.Join(
		r.set(bodyKey(height), append(m.hash[:], rec.Block.Encode()...)), r.set(originKey(height), m.encode()),
		r.set(hashKey(m.hash), binary.BigEndian.AppendUint64(nil, height)))
}

// body reads a block without its mark.
func (r *rebuild) body(height uint64, hash block.Hash) (*block.Block, error) {
	raw, ok, err := r.from.db.Get(bodyKey(height))
	if err != nil || !ok || len(raw) < len(hash) || !bytes.Equal(raw[:len(hash)], hash[:]) {
		return nil, errTorn
	}
	return block.DecodeBlock(raw[len(hash):])
}

// mark returns a block's mark. If it cannot be read, the block after it, or the state, has what matters of it; where
// the block was posted is not known then.
func (r *rebuild) mark(height uint64) (mark, error) {
	m, err := r.from.mark(height)
	if err == nil || !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotFound) {
		return m, err
	}
	st := r.from.State()
	if height == st.Unsafe.Height {
		return mark{hash: st.Unsafe.Hash, root: st.Root}, nil
	}
	raw, ok, nextErr := r.from.db.Get(bodyKey(height + 1))
	if nextErr != nil || !ok || len(raw) < len(m.hash) {
		return m, err
	}
	next, nextErr := block.DecodeBlock(raw[len(m.hash):])
	if nextErr != nil {
		return m, err
	}
	copy(m.hash[:], next.Header.Header.LastHeaderHash)
	m.root = next.Header.Header.AppHash
	return m, nil
}

func (r *rebuild) set(key, value []byte) error {
	if err := r.batch.Set(key, value, nil); err != nil {
		return err
	}
	return r.flush(4 << 20)
}

// flush writes what is gathered if it is more than size bytes; with 0 it is on disk afterwards.
func (r *rebuild) flush(size int) error {
	if r.batch.Len() < size {
		return nil
	}
	err := r.to.Commit(r.batch, size == 0)
	r.batch.Close()
	r.batch = r.to.NewBatch()
	return err
}
