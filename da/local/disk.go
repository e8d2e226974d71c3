package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/da"
	"headrace/internal/square"
)

// disk is a history on disk. Keys, with heights in big-endian so that they sort:
//
//	"m"                       format, first height, chain id
//	"t"                       tail
//	"h" height                record
//	"c" height                roots, and the blobs without their data; only of heights that are not empty
//	"d" height number         data of a blob
//
// A block is one synced commit: a height that was announced is there after the process is killed, and never becomes another block.
type disk struct {
	life   sync.RWMutex // held for reading by each use of db, for writing by close
	db     *pebble.DB   // nil once closed
	recent recent

	mu         sync.RWMutex // guards what follows
	start      uint64       // the chain's first height
	tail, head uint64
	last       *record // of head
}

const diskFormat = 1

func openDisk(o Options) (*disk, error) {
	fs := o.FS
	if fs == nil {
		fs = vfs.Default
	}
	db, err := pebble.Open(o.Dir, &pebble.Options{
		FS:                         fs,
		FormatMajorVersion:         pebble.FormatNewest,
		MemTableSize:               8 << 20,
		CacheSize:                  16 << 20,
		MaxOpenFiles:               256,
		Logger:                     quiet{},
		CompactionConcurrencyRange: func() (int, int) { return 1, 1 },
	})
	if err != nil {
		return nil, fmt.Errorf("open history in %s (is another process using it?): %w", o.Dir, err)
	}
	d := &disk{db: db, recent: recent{limit: 32 << 20}}
	if err := d.load(o); err != nil {
		db.Close()
		return nil, fmt.Errorf("open history in %s: %w", o.Dir, err)
	}
	return d, nil
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...)) // the store cannot go on
}

// load reads the bounds, or starts a new history.
func (d *disk) load(o Options) error {
	meta, err := d.get([]byte("m"))
	if errors.Is(err, pebble.ErrNotFound) {
		meta = binary.BigEndian.AppendUint64([]byte{diskFormat}, o.StartHeight)
		d.start = o.StartHeight
		return d.db.Set([]byte("m"), append(meta, o.ChainID...), pebble.Sync)
	}
	if err != nil {
		return err
	}
	if len(meta) < 9 || meta[0] != diskFormat {
		return fmt.Errorf("format %x is not known to this version", meta[:min(len(meta), 1)])
	}
	if id := string(meta[9:]); id != o.ChainID {
		return fmt.Errorf("it holds chain %q, not %q", id, o.ChainID)
	}
	d.start = binary.BigEndian.Uint64(meta[1:])
	it, err := d.db.NewIter(&pebble.IterOptions{LowerBound: []byte("h"), UpperBound: []byte("i")})
	if err != nil {
		return err
	}
	defer it.Close()
	if !it.Last() {
		return it.Error()
	}
	d.head = binary.BigEndian.Uint64(it.Key()[1:])
	if d.last, err = decodeRecord(it.Value()); err != nil {
		return fmt.Errorf("height %d: %w", d.head, err)
	}
	d.tail = d.start
	if t, err := d.get([]byte("t")); err == nil && len(t) == 8 {
		d.tail = binary.BigEndian.Uint64(t)
	} else if err != nil && !errors.Is(err, pebble.ErrNotFound) {
		return err
	}
	return nil
}

func (d *disk) first() uint64 { return d.start }

func (d *disk) bounds() (tail, head uint64) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.tail, d.head
}

func (d *disk) append(height uint64, rec *record, body *content) error {
	d.life.RLock()
	defer d.life.RUnlock()
	if d.db == nil {
		return ErrClosed
	}
	b := d.db.NewBatch()
	defer b.Close()
	if err := d.write(b, height, rec, body); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
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

func (d *disk) write(b *pebble.Batch, height uint64, rec *record, body *content) error {
	if err := b.Set(key('h', height), rec.encode(), nil); err != nil || body == nil {
		return err
	}
	for i := range body.blobs {
		if err := b.Set(dataKey(height, i), body.blobs[i].Data, nil); err != nil {
			return err
		}
	}
	return b.Set(key('c', height), body.encode(), nil)
}

// get returns a copy of a value.
func (d *disk) get(key []byte) ([]byte, error) {
	d.life.RLock()
	defer d.life.RUnlock()
	if d.db == nil {
		return nil, ErrClosed
	}
	v, closer, err := d.db.Get(key)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return append(make([]byte, 0, len(v)), v...), nil
}

func (d *disk) record(height uint64) (*record, error) {
	d.mu.RLock()
	last, head := d.last, d.head
	d.mu.RUnlock()
	if last != nil && height == head {
		return last, nil
	}
	v, err := d.get(key('h', height))
	if err != nil {
		return nil, missing(height, err)
	}
	return decodeRecord(v)
}

// missing is the error for a height that the caller thought was there: it has been pruned in between.
func missing(height uint64, err error) error {
	if errors.Is(err, pebble.ErrNotFound) {
		err = da.ErrPruned
	}
	return fmt.Errorf("read height %d: %w", height, err)
}

// body returns what is kept at a height, with the data of the blobs that want chooses; nil if the height is empty.
func (d *disk) body(height uint64, want func(*posted) bool) (*content, error) {
	rec, err := d.record(height)
	if err != nil || rec.empty {
		return nil, err
	}
	if c := d.recent.get(height); c != nil {
		return c, nil
	}
	v, err := d.get(key('c', height))
	if err != nil {
		return nil, missing(height, err)
	}
	c, err := decodeContent(v)
	if err != nil {
		return nil, fmt.Errorf("read height %d: %w", height, err)
	}
	for i := range c.blobs {
		if !want(&c.blobs[i]) {
			continue
		}
		if c.blobs[i].Data, err = d.get(dataKey(height, i)); err != nil {
			return nil, missing(height, err)
		}
	}
	return c, nil
}

func (d *disk) dah(height uint64) (square.DAH, error) {
	c, err := d.body(height, func(*posted) bool { return false })
	if err != nil || c == nil {
		return square.EmptyDAH(), err
	}
	return c.dah, nil
}

func (d *disk) blobs(height uint64, ns da.Namespace) ([]da.Blob, error) {
	c, err := d.body(height, func(p *posted) bool { return p.Namespace == ns })
	if err != nil || c == nil {
		return nil, err
	}
	return c.in(ns), nil
}

func (d *disk) submissions(height uint64) ([][]da.Blob, error) {
	c, err := d.body(height, func(*posted) bool { return true })
	if err != nil || c == nil {
		return nil, err
	}
	return c.submissions(), nil
}

func (d *disk) prune(below uint64) error {
	if tail, _ := d.bounds(); below <= tail {
		return nil
	}
	d.mu.Lock()
	d.tail = below // first, so that nobody comes to read what goes
	d.mu.Unlock()
	d.life.RLock()
	defer d.life.RUnlock()
	if d.db == nil {
		return ErrClosed
	}
	b := d.db.NewBatch()
	defer b.Close()
	err := errors.Join(
		b.Set([]byte("t"), binary.BigEndian.AppendUint64(nil, below), nil),
		b.DeleteRange(key('h', 0), key('h', below-1), nil), // the record before the tail stays
		b.DeleteRange(key('c', 0), key('c', below), nil),
		b.DeleteRange(key('d', 0), key('d', below), nil))
	if err != nil {
		return err
	}
	return b.Commit(pebble.Sync)
}

func (d *disk) close() error {
	d.life.Lock()
	defer d.life.Unlock()
	if d.db == nil {
		return nil
	}
	err := d.db.Close()
	d.db = nil
	return err
}

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
