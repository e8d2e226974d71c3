package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"headrace/da"
	"headrace/internal/disk"
	"headrace/internal/square"
)

// onDisk is a history on disk. Keys, with heights in big-endian so that they sort:
//
//	"m"                       format (1), first height (8), chain id
//	"t"                       tail, once something was pruned
//	"z"                       head
//	"h" height                record
//	"c" height                roots, and the blobs without their data; only of heights that are not empty
//	"d" height number         data of a blob
//	"x" hash                  height of the block with this hash
//	"i"                       height up to which each block has its "x"; a program that knew of none leaves it behind "z"
//
// A block is one synced commit: a height that was announced is there after the process is killed, and never becomes another block.
type onDisk struct {
	db     *disk.DB
	recent recent

	mu         sync.RWMutex // guards what follows
	start      uint64       // the chain's first height
	tail, head uint64
	last       *record // of head
}

const diskFormat = 1

func openDisk(o Options) (history, error) {
	db, err := disk.Open(o.Dir, disk.Options{FS: o.FS, Logger: o.Logger})
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	d := &onDisk{db: db, recent: recent{limit: 32 << 20}}
	if err := d.load(o); err != nil {
		return nil, errors.Join(fmt.Errorf("open history: %w", err), db.Close())
	}
	return d, nil
}

// load reads the bounds, or starts a new history.
func (d *onDisk) load(o Options) error {
	meta, ok, err := d.db.Get([]byte("m"))
	if err != nil {
		return err
	}
	if !ok {
		meta = binary.BigEndian.AppendUint64([]byte{diskFormat}, o.StartHeight)
		d.start = o.StartHeight
		b := d.db.NewBatch()
		defer b.Close()
		if err := b.Set([]byte("m"), append(meta, o.ChainID...), nil); err != nil {
			return err
		}
		return d.db.Commit(b, true)
	}
	switch {
	case len(meta) < 9 || meta[0] == 0:
		return disk.Corrupt(o.Dir, fmt.Errorf("meta: %w", errCorrupt))
	case meta[0] > diskFormat:
		return disk.NewerFormat(o.Dir, uint64(meta[0]), diskFormat)
	case string(meta[9:]) != o.ChainID:
		return fmt.Errorf("directory %s holds chain %q, not %q: give that chain's id, or another directory", o.Dir, meta[9:], o.ChainID)
	}
	d.start = binary.BigEndian.Uint64(meta[1:])
	if d.head, err = d.height("z", 0); err != nil || d.head == 0 {
		return err
	}
	if d.tail, err = d.height("t", d.start); err != nil {
		return err
	}
	if d.last, err = d.readRecord(d.head); err != nil {
		return err
	}
	indexed, err := d.height("i", 0)
	if err != nil {
		return err
	}
	return d.index(max(indexed+1, d.tail))
}

// index writes the heights of the hashes from a height on, for what was made by a program without this index.
func (d *onDisk) index(from uint64) error {
	const step = 1 << 14
	for ; from <= d.head; from += step {
		b := d.db.NewBatch()
		end := min(from+step, d.head+1)
		err := d.records(from, end, func(height uint64, r *record) error { return setHash(b, height, r.hash) })
		if err == nil {
			err = d.db.Commit(b, end > d.head)
		}
		if err = errors.Join(err, b.Close()); err != nil {
			return fmt.Errorf("index hashes: %w", err)
		}
	}
	return nil
}

// records calls each for the records of [from, to).
func (d *onDisk) records(from, to uint64, each func(height uint64, r *record) error) error {
	return d.db.Each(key('h', from), key('h', to), func(k, v []byte) error {
		height := binary.BigEndian.Uint64(k[1:])
		r, err := decodeRecord(v)
		if err != nil {
			return disk.Corrupt(d.db.Dir(), fmt.Errorf("height %d: %w", height, err))
		}
		return each(height, r)
	})
}

// setHash notes the height of a hash, and that all up to it are noted.
func setHash(b *pebble.Batch, height uint64, hash [32]byte) error {
	at := binary.BigEndian.AppendUint64(nil, height)
	return errors.Join(b.Set(hashKey(hash), at, nil), b.Set([]byte("i"), at, nil))
}

func hashKey(hash [32]byte) []byte { return append([]byte{'x'}, hash[:]...) }

func (d *onDisk) heightOf(hash [32]byte) (uint64, error) {
	height, err := d.height(string(hashKey(hash)), 0)
	switch {
	case errors.Is(err, disk.ErrClosed):
		return 0, ErrClosed
	case err == nil && height == 0:
		return 0, da.ErrNotFound
	}
	return height, err
}

// height reads a height under a key of its own; def if there is none.
func (d *onDisk) height(key string, def uint64) (uint64, error) {
	v, ok, err := d.db.Get([]byte(key))
	if err != nil || !ok {
		return def, err
	}
	if len(v) != 8 {
		return 0, disk.Corrupt(d.db.Dir(), fmt.Errorf("key %q: %w", key, errCorrupt))
	}
	return binary.BigEndian.Uint64(v), nil
}

func (d *onDisk) first() uint64 { return d.start }

func (d *onDisk) bounds() (tail, head uint64) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.tail, d.head
}

func (d *onDisk) append(height uint64, rec *record, body *content) error {
	b := d.db.NewBatch()
	defer b.Close()
	if err := write(b, height, rec, body); err != nil {
		return err
	}
	if err := d.db.Commit(b, true); err != nil {
		return err
	}
	if body != nil {
		d.recent.add(height, body)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.head == 0 {
		d.tail = height
	}
	d.head, d.last = height, rec
	return nil
}

func write(b *pebble.Batch, height uint64, rec *record, body *content) error {
	err := errors.Join(
		b.Set(key('h', height), rec.encode(), nil),
		b.Set([]byte("z"), binary.BigEndian.AppendUint64(nil, height), nil),
		setHash(b, height, rec.hash))
	if err != nil || body == nil {
		return err
	}
	for i := range body.blobs {
		if err := b.Set(dataKey(height, i), body.blobs[i].Data, nil); err != nil {
			return err
		}
	}
	return b.Set(key('c', height), body.encode(), nil)
}

func (d *onDisk) record(height uint64) (*record, error) {
	d.mu.RLock()
	last, head := d.last, d.head
	d.mu.RUnlock()
	if last != nil && height == head {
		return last, nil
	}
	return d.readRecord(height)
}

func (d *onDisk) readRecord(height uint64) (*record, error) {
	v, err := d.get(height, key('h', height))
	if err != nil {
		return nil, err
	}
	r, err := decodeRecord(v)
	if err != nil {
		return nil, disk.Corrupt(d.db.Dir(), fmt.Errorf("height %d: %w", height, err))
	}
	return r, nil
}

// get returns a value of a height that the caller knows to have been there: if it is not, it has been pruned since.
func (d *onDisk) get(height uint64, key []byte) ([]byte, error) {
	v, ok, err := d.db.Get(key)
	switch {
	case errors.Is(err, disk.ErrClosed):
		return nil, ErrClosed
	case err != nil:
		return nil, fmt.Errorf("read height %d: %w", height, err)
	case !ok:
		return nil, fmt.Errorf("read height %d: %w", height, da.ErrPruned)
	}
	return v, nil
}

// body returns what is kept at a height, with the data of the blobs that want chooses; nil if the height is empty.
func (d *onDisk) body(height uint64, want func(*posted) bool) (*content, error) {
	rec, err := d.record(height)
	if err != nil || rec.empty {
		return nil, err
	}
	if c := d.recent.get(height); c != nil {
		return c, nil
	}
	v, err := d.get(height, key('c', height))
	if err != nil {
		return nil, err
	}
	c, err := decodeContent(v)
	if err != nil {
		return nil, disk.Corrupt(d.db.Dir(), fmt.Errorf("height %d: %w", height, err))
	}
	for i := range c.blobs {
		if !want(&c.blobs[i]) {
			continue
		}
		if c.blobs[i].Data, err = d.get(height, dataKey(height, i)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (d *onDisk) dah(height uint64) (square.DAH, error) {
	c, err := d.body(height, func(*posted) bool { return false })
	if err != nil || c == nil {
		return square.EmptyDAH(), err
	}
	return c.dah, nil
}

func (d *onDisk) blobs(height uint64, ns da.Namespace) ([]da.Blob, error) {
	c, err := d.body(height, func(p *posted) bool { return p.Namespace == ns })
	if err != nil || c == nil {
		return nil, err
	}
	return c.in(ns), nil
}

func (d *onDisk) submissions(height uint64) ([][]da.Blob, error) {
	c, err := d.body(height, func(*posted) bool { return true })
	if err != nil || c == nil {
		return nil, err
	}
	return c.submissions(), nil
}

func (d *onDisk) prune(below uint64) error {
	tail, _ := d.bounds()
	if below <= tail {
		return nil
	}
	d.mu.Lock()
	d.tail = below // first, so that nobody comes to read what goes
	d.mu.Unlock()
	b := d.db.NewBatch()
	defer b.Close()
	err := errors.Join(
		d.records(tail, below, func(_ uint64, r *record) error { return b.Delete(hashKey(r.hash), nil) }),
		b.Set([]byte("t"), binary.BigEndian.AppendUint64(nil, below), nil),
		b.DeleteRange(key('h', 0), key('h', below-1), nil), // the record before the tail stays
		b.DeleteRange(key('c', 0), key('c', below), nil),
		b.DeleteRange(key('d', 0), key('d', below), nil))
	if err != nil {
		return err
	}
	return d.db.Commit(b, true)
}

func (d *onDisk) close() error { return d.db.Close() }

func key(kind byte, height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{kind}, height)
}

func dataKey(height uint64, i int) []byte {
	return binary.BigEndian.AppendUint32(key('d', height), uint32(i))
}

// recent keeps the newest blocks that are not empty, up to a limit in bytes, but always the last one.
type recent struct {
	limit int

	mu      sync.Mutex
	bodies  map[uint64]*content
	heights []uint64 // oldest first
	bytes   int
}

func (r *recent) add(height uint64, c *content) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bodies == nil {
		r.bodies = map[uint64]*content{}
	}
	r.bodies[height] = c
	r.heights = append(r.heights, height)
	r.bytes += c.size()
	for r.bytes > r.limit && len(r.heights) > 1 {
		old := r.heights[0]
		r.bytes -= r.bodies[old].size()
		delete(r.bodies, old)
		r.heights = r.heights[1:]
	}
}

func (r *recent) get(height uint64) *content {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bodies[height]
}
