package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/internal/disk/disktest"
	"headrace/internal/store"
)

// history is a run of commits and the model after each: history[0] is the new store.
type history struct {
	models []*model
	synced int // models[synced] is known to be on disk
}

func newHistory() *history { return &history{models: []*model{newModel(modelInitial, modelStart)}} }

func (h *history) last() *model { return h.models[len(h.models)-1] }

// commit commits one random batch and records what the store must be if it takes.
func (h *history) commit(s *store.Store, rng *rand.Rand) error {
	n := len(h.models)
	b := h.last().randomBatch(rng, n)
	m := h.last().clone()
	m.commit(b)
	h.models = append(h.models, m)
	err := s.Commit(b)
	if err == nil && b.Sync {
		h.synced = n
	}
	return err
}

// check says which of the models s is; an error if none, or one before the last sync (I2: what is there is a prefix
// of the commits).
func (h *history) check(s *store.Store) (int, error) {
	var closest error
	for i := len(h.models) - 1; i >= h.synced; i-- {
		if !sameState(s.State(), h.models[i].state) {
			continue
		}
		if closest = h.models[i].diff(s); closest == nil {
			return i, nil
		}
	}
	return 0, fmt.Errorf("no state from commit %d to %d is what the store holds: %+v: %w", h.synced, len(h.models)-1, s.State(), closest)
}

// checkReopened opens the store on fs, compares, and sees that it goes on working.
func (h *history) checkReopened(t *testing.T, fs vfs.FS, rng *rand.Rand) int {
	t.Helper()
	s, err := openModel(modelDir, fs)
	if err != nil {
		t.Fatalf("open after a crash: %v", err)
	}
	defer s.Close()
	i, err := h.check(s)
	if err != nil {
		t.Fatal(err)
	}
	next := &history{models: []*model{h.models[i].clone()}}
	if err := next.commit(s, rng); err != nil {
		t.Fatalf("commit after a crash: %v", err)
	}
	if err := next.last().diff(s); err != nil {
		t.Fatalf("after a crash and a commit: %v", err)
	}
	return i
}

func TestPowerLossLeavesAPrefix(t *testing.T) {
	lost := 0
	for seed := range uint64(60 / disktest.Sparse(6)) {
		rng := rand.New(rand.NewPCG(seed, 2))
		fs := vfs.NewCrashableMem()
		s, err := openModel(modelDir, fs)
		if err != nil {
			t.Fatal(err)
		}
		h := newHistory()
		for range rng.IntN(80) {
			if err := h.commit(s, rng); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if rng.IntN(30) == 0 {
				if err := s.Sync(); err != nil {
					t.Fatal(err)
				}
				h.synced = len(h.models) - 1
			}
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(seed) % 3 * 50, RNG: rng})
		mustClose(t, s)
		lost += len(h.models) - 1 - h.checkReopened(t, crashed, rng)
	}
	if lost == 0 {
		t.Error("no crash lost a commit: the test tests nothing")
	}
}

// TestCutAtAnyByte cuts the log where a crash of the process or of the machine could, at every byte of its end.
func TestCutAtAnyByte(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	fs := vfs.NewMem()
	s, err := openModel(modelDir, fs)
	if err != nil {
		t.Fatal(err)
	}
	h := newHistory()
	for range 6 {
		if err := h.commit(s, rng); err != nil {
			t.Fatal(err)
		}
	}
	h.synced = 0 // a cut is as good as a disk that forgot
	mustClose(t, s)
	wal, size := lastLog(t, fs)
	whole, none := false, false
	for n := size; n >= 0; n -= 1 + rng.IntN(8*disktest.Sparse(10)) {
		cut := disktest.Copy(t, fs, modelDir, func(name string, content []byte) []byte {
			if name == wal {
				return content[:n]
			}
			return content
		})
		s, err := openModel(modelDir, cut)
		if err != nil {
			t.Fatalf("cut at byte %d of %d: %v", n, size, err)
		}
		i, err := h.check(s)
		if err != nil {
			t.Fatalf("cut at byte %d of %d: %v", n, size, err)
		}
		mustClose(t, s)
		whole, none = whole || i == len(h.models)-1, none || i == 0
	}
	if !whole || !none {
		t.Errorf("cuts left everything: %v, nothing: %v; want both to occur", whole, none)
	}
}

// lastLog returns the name and the length of the newest write-ahead log.
func lastLog(t *testing.T, fs vfs.FS) (name string, size int) {
	t.Helper()
	names, err := fs.List(modelDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.HasSuffix(n, ".log") && n > name {
			name = n
		}
	}
	return name, len(disktest.Read(t, fs, fs.PathJoin(modelDir, name)))
}

// TestDiskFaults fails each operation of the disk in turn, once not done and once done, while a store is made and
// while an old one is opened. Whatever the store said of its commits must then be found by whoever opens it again:
// after the process' end, and after the machine's.
func TestDiskFaults(t *testing.T) {
	for _, old := range []int{0, 12} {
		for _, done := range []bool{false, true} {
			at := 0
			for diskFault(t, old, at, done) {
				at += disktest.Sparse(10)
			}
			if at < 30 {
				t.Errorf("old commits %d, done %v: only %d operations were there to fail", old, done, at)
			}
		}
	}
}

// diskFault runs commits on a disk whose operation number at fails, after old ones on a good disk, and reports
// whether there was such an operation.
func diskFault(t *testing.T, old, at int, done bool) bool {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(at), 4))
	mem := vfs.NewCrashableMem()
	h := newHistory()
	if old > 0 {
		s, err := openModel(modelDir, mem)
		if err != nil {
			t.Fatal(err)
		}
		for range old {
			if err := h.commit(s, rng); err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, s)
		h.synced = old
	}
	fs := &disktest.FaultFS{FS: mem, At: at, Done: done}
	s, err := openModel(modelDir, fs)
	if err == nil {
		err = h.commitAndSync(s, rng)
		refusesAll(t, s, err, at)
		if cerr := s.Close(); cerr == nil && err != nil {
			t.Fatalf("operation %d: close after %v: got no error", at, err)
		} else if cerr == nil {
			h.synced = len(h.models) - 1
		}
	}
	failed := fs.Failed()
	if err != nil && !failed {
		t.Fatalf("operation %d: %v, and nothing was failed", at, err)
	}
	powerLoss := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
	h.checkReopened(t, mem, rng)
	h.checkReopened(t, powerLoss, rng)
	return failed
}

// commitAndSync commits until the disk fails, or forty times.
func (h *history) commitAndSync(s *store.Store, rng *rand.Rand) error {
	for range 40 {
		if err := h.commit(s, rng); err != nil {
			return err
		}
		if rng.IntN(4) == 0 {
			if err := s.Sync(); err != nil {
				return err
			}
			h.synced = len(h.models) - 1
		}
	}
	return nil
}

// refusesAll checks that after an error the store takes nothing more, and that the state it shows is one it committed.
func refusesAll(t *testing.T, s *store.Store, after error, at int) {
	t.Helper()
	if after == nil {
		return
	}
	before := s.State()
	if !errors.Is(after, store.ErrFailed) {
		t.Fatalf("operation %d: got %v, want the disk failed", at, after)
	}
	if err := s.Commit(&store.Batch{EnvelopesOnly: true}); !errors.Is(err, store.ErrFailed) {
		t.Fatalf("operation %d: commit after %v: got %v, want the disk failed", at, after, err)
	}
	if err := s.Sync(); !errors.Is(err, store.ErrFailed) {
		t.Fatalf("operation %d: sync after %v: got %v, want the disk failed", at, after, err)
	}
	if !sameState(s.State(), before) {
		t.Fatalf("operation %d: the state moved in a commit that failed", at)
	}
}
