// Package store keeps a rollup's blocks, where its source has been read to, and what waits in between, durably and in
// step.
//
// One Commit is one atomic change: blocks, state roots, position and pending halves of one step are all there after a
// crash, or none is, so a stored position never leads its effect (I2). Commits without Sync cost microseconds and a
// crash loses at most a suffix of them, never one from the middle; a commit with Sync, and all before it, is on disk
// when Commit returns. What finality has passed never changes (I10).
//
// After a failed write the outcome of the last commit is unknown: the store then refuses every further commit, and its
// owner, whom Failed tells, closes it and opens it anew. Damage that is found stops nothing; Damage says so.
//
// Concurrency: everything may overlap. Commits are made one at a time; State is the last committed one and costs a
// pointer read.
package store

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/block"
	"headrace/internal/disk"
)

// The kinds of errors; test with errors.Is. Each message says what to do.
var (
	ErrLocked      = disk.ErrLocked      // another process has the store open
	ErrNewerFormat = disk.ErrNewerFormat // a newer version of the program wrote the store
	ErrCorrupt     = disk.ErrCorrupt     // the files are damaged
	ErrFailed      = disk.ErrFailed      // the disk failed a write; the outcome is unknown until the store is opened anew
	ErrClosed      = disk.ErrClosed      // the store is closed
	ErrOtherChain  = errors.New("belongs to another chain")
	ErrNotFound    = errors.New("not in the store")
	ErrRefused     = errors.New("commit refused") // the batch contradicts itself or the store; nothing has changed
)

// Identity says which chain a store belongs to. All of it must match when a store is opened again.
type Identity struct {
	ChainID string
	Genesis block.Hash // Genesis.Hash
	Source  string     // names the canonical source; free text, compared as a whole
}

// FS is a file system, as Options take one.
type FS = vfs.FS

// Options of Open. InitialHeight and Start matter only when the store is new; the zero value of the others works.
type Options struct {
	FS            FS           // nil: the operating system's
	Logger        *slog.Logger // nil: discard
	CacheBytes    int64        // of memory for reads; 0: 8 MiB
	InitialHeight uint64       // the rollup's first height; 0: 1
	Start         block.Ref    // the source's item before the first one to be read
}

func (o Options) fs() vfs.FS {
	if o.FS == nil {
		return vfs.Default
	}
	return o.FS
}

// State is where the store stands. Its slices are shared: read them only.
type State struct {
	Position, Proven        block.Ref // of the source: the last applied item; the last height up to which the content is shown complete
	Unsafe, Safe, Finalized block.Ref // of the rollup; InitialHeight-1 with the zero hash before the first block
	Root, SafeRoot          []byte    // state roots after Unsafe and after Safe; InitialRoot before the first block
	InitialRoot             []byte    // state root before the first block; nil: it is empty, or not known yet
	Oldest                  uint64    // the lowest height that is not pruned
	EnvelopesOnly           bool
	Inbox                   *Inbox // of a source that is an L1; nil: nothing is known of it
}

// Inbox is what has come of the inbox on an L1.
type Inbox struct {
	Proposal  Proposal  `json:"proposal"`  // the last canonical one
	Finalized block.Ref `json:"finalized"` // the highest L1 block that is known to be final
}

// Proposal is a canonical proposal of the inbox. The id of the last one can go down: a reorg of the L1 takes
// proposals back, and Reorgs counts those.
type Proposal struct {
	ID     uint64     `json:"id"`   // 0: none yet
	L1     block.Ref  `json:"l1"`   // the L1 block that holds it
	Tx     block.Hash `json:"tx"`   // its transaction there
	L2     block.Ref  `json:"l2"`   // the safe head after it: of a void one, the block that it left in place
	Void   string     `json:"void"` // why it made no block; empty if it did
	Reorgs uint64     `json:"reorgs"`
}

// Origin says where a block was seen in its source. Zero values: not seen there yet, or not that kind of source.
type Origin struct {
	HeaderAt, DataAt uint64    // source heights where its halves were posted
	Source           block.Ref // the item that completed it
	Proposal         uint64    // inbox id
	Tx               block.Hash
	LogIndex         uint
}

// Record is one block and what goes with it.
type Record struct {
	Block  *block.Block
	Root   []byte // state root after it
	Origin Origin
}

// Item is one applied item of the source, kept while it may be reverted or asked for.
type Item struct {
	Ref    block.Ref
	Parent block.Hash
	Safe   uint64 // safe height after it
	Inbox  *Inbox // after it, so that a revert finds it
}

// Promotion gives the block at Height its origin.
type Promotion struct {
	Height uint64
	Origin Origin
}

// Batch is one commit. Its parts take effect in the order of the fields; nil and empty parts change nothing. Commit
// keeps nothing of it but the roots.
type Batch struct {
	Truncate *uint64  // drop the blocks above this height
	Append   []Record // on top of what is left, contiguous
	Promote  []Promotion

	// Stored blocks; Finalized <= Safe <= Unsafe. Finalized never goes back. When Safe does, the blocks above it that
	// are not dropped stay as unsafe ones, without their origin.
	Safe, Finalized  *block.Ref
	Position, Proven *block.Ref // Proven <= Position; not below the start

	DropItemsAbove, DropItemsBelow *uint64
	Item                           *Item // its Ref is the position

	RemoveHalves []block.HalfKey
	AddHalves    []block.Half

	InitialRoot []byte // sets it; nil changes nothing
	Root        []byte // puts another state root in the place of the one after Unsafe; nil changes nothing. Not with Truncate or Append

	EnvelopesOnly bool // true sets it; false changes nothing
	Inbox         *Inbox
	Named         map[string][]byte // small values by name; a nil value deletes

	Sync bool // be on disk on return
}

// Store is an open store.
type Store struct {
	db    *disk.DB
	fixed meta
	log   *slog.Logger

	mu      sync.Mutex                               // held by commits and pruning
	items   span                                     // heights of stored items lie within; guarded by mu, as what follows is
	hashes  func(*block.Block) ([]block.Hash, error) // of its transactions; nil: they are not indexed
	txsFrom uint64                                   // TxsFrom as it was written last; 0: never

	state atomic.Pointer[State] // set by commits only
	whole atomic.Uint64         // likewise; see TxsFrom
}

// span is a range of heights [low, high), empty when they are equal.
type span struct{ low, high uint64 }

// Open opens the store in dir, or makes a new one that stands at opt.InitialHeight-1 and opt.Start. Errors:
// ErrOtherChain, ErrNewerFormat, ErrCorrupt, ErrLocked, or the file system's own.
func Open(dir string, id Identity, opt Options) (*Store, error) {
	log := cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	if err := checkRepair(opt.fs(), dir); err != nil {
		return nil, err
	}
	db, err := disk.Open(dir, disk.Options{FS: opt.FS, Logger: opt.Logger, CacheBytes: opt.CacheBytes})
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, log: log}
	if err := s.load(id, opt); err != nil {
		db.Close() // what it says now would only repeat err
		return nil, err
	}
	return s, nil
}

// State returns the last committed state.
func (s *Store) State() State { return *s.state.Load() }

// InitialHeight returns the rollup's first height.
func (s *Store) InitialHeight() uint64 { return s.fixed.initial }

// Start returns the position that the store began with.
func (s *Store) Start() block.Ref { return s.fixed.start }

// Err returns nil, or the ErrFailed after which no commit is taken.
func (s *Store) Err() error { return s.db.Err() }

// Failed is closed when Err is no longer nil.
func (s *Store) Failed() <-chan struct{} { return s.db.Failed() }

// Damage returns nil, or an ErrCorrupt that says what was first found to be damaged, in this process or an earlier one.
func (s *Store) Damage() error { return s.db.Damage() }

// Damaged is closed when Damage is no longer nil.
func (s *Store) Damaged() <-chan struct{} { return s.db.Damaged() }

// Sync returns when everything committed so far is on disk.
func (s *Store) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.db.Sync(); err != nil {
		return fmt.Errorf("sync store: %w", err)
	}
	return nil
}

// Close makes everything committed durable and gives the directory back.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}
