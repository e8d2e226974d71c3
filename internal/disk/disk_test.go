package disk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"headrace/internal/disk"
	"headrace/internal/disk/disktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var small = disk.Options{MemTableBytes: 32 << 10} // so that flushes and compactions happen under test

func open(t *testing.T, fs vfs.FS) *disk.DB {
	t.Helper()
	opt := small
	opt.FS = fs
	db, err := disk.Open("home/db", opt)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func mustClose(t *testing.T, db *disk.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// put commits number n: under a key of its own a value that n determines, and n itself under one key.
func put(db *disk.DB, n uint64, sync bool) error {
	b := db.NewBatch()
	defer b.Close()
	if err := errors.Join(b.Set(binary.BigEndian.AppendUint64([]byte("v"), n), value(n), nil), b.Set([]byte("n"), binary.BigEndian.AppendUint64(nil, n), nil)); err != nil {
		return err
	}
	return db.Commit(b, sync)
}

func value(n uint64) []byte {
	rng := rand.New(rand.NewPCG(n, 0))
	v := make([]byte, rng.IntN(4000))
	for i := range v {
		v[i] = byte(rng.Uint32())
	}
	return v
}

// last returns the number of commits that db holds, and an error if it holds anything but 1 to that number.
func last(db *disk.DB) (uint64, error) {
	raw, ok, err := db.Get([]byte("n"))
	if err != nil {
		return 0, err
	}
	var n, seen uint64
	if ok {
		n = binary.BigEndian.Uint64(raw)
	}
	err = db.Each([]byte("v"), []byte("w"), func(key, got []byte) error {
		seen++
		if k := binary.BigEndian.Uint64(key[1:]); k != seen || !bytes.Equal(got, value(k)) {
			return fmt.Errorf("at %d there is %d with %d bytes", seen, k, len(got))
		}
		return nil
	})
	if err == nil && seen != n {
		err = fmt.Errorf("the last commit is %d, and there are %d", n, seen)
	}
	return n, err
}

// TestFaults fails every few operations of the disk, once not done and once done, and sees that commits acknowledged
// as durable survive, that there is no hole, and that nothing is written after the error.
func TestFaults(t *testing.T) {
	for _, done := range []bool{false, true} {
		faults := 0
		for at := 0; ; at += (1 + at/30) * disktest.Sparse(8) {
			if !fault(t, at, done) {
				break
			}
			faults++
		}
		if faults < 60/disktest.Sparse(8) {
			t.Errorf("done %v: only %d operations were failed", done, faults)
		}
	}
}

func fault(t *testing.T, at int, done bool) bool {
	t.Helper()
	rng := rand.New(rand.NewPCG(uint64(at), 1))
	mem := vfs.NewCrashableMem()
	fs := &disktest.FaultFS{FS: mem, At: at, Done: done}
	opt := small
	opt.FS = fs
	var tried, synced uint64
	db, err := disk.Open("home/db", opt)
	if err == nil {
		for n := uint64(1); n <= 150 && err == nil; n++ {
			tried = n
			sync := rng.IntN(20) == 0
			if err = put(db, n, sync); err == nil && sync {
				synced = n
			}
		}
		if err != nil {
			checkFailed(t, db, err, at)
		}
		if cerr := db.Close(); cerr == nil && err != nil {
			t.Fatalf("operation %d: close after %v: got no error", at, err)
		} else if cerr == nil {
			synced = tried
		}
	}
	failed := fs.Failed()
	if err != nil && !failed {
		t.Fatalf("operation %d: %v, and nothing was failed", at, err)
	}
	for i, fs := range []vfs.FS{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 30, RNG: rng}), mem} {
		db := open(t, fs)
		n, err := last(db)
		if err != nil || n < synced || n > tried {
			t.Fatalf("operation %d, copy %d: got %d commits, %v, want %d to %d", at, i, n, err, synced, tried)
		}
		mustClose(t, db)
	}
	return failed
}

func checkFailed(t *testing.T, db *disk.DB, err error, at int) {
	t.Helper()
	if !errors.Is(err, disk.ErrFailed) || !strings.Contains(err.Error(), "opened anew") {
		t.Fatalf("operation %d: got %v, want the disk failed, and what to do", at, err)
	}
	if err := put(db, 1<<40, true); !errors.Is(err, disk.ErrFailed) {
		t.Fatalf("operation %d: a commit after the failure: got %v", at, err)
	}
}

// TestPowerLossWhileReopening takes the power away before each operation of a database's second life, several times
// with other parts of what was not synced: it must open, with all that was durable.
func TestPowerLossWhileReopening(t *testing.T) {
	mem := vfs.NewCrashableMem()
	db := open(t, mem)
	for n := range uint64(60) {
		if err := put(db, n+1, false); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, db)

	rng := rand.New(rand.NewPCG(1, 3))
	var mu sync.Mutex
	var crashed []*vfs.MemFS
	fs := &disktest.FaultFS{FS: mem, At: -1, Before: func(int) {
		mu.Lock()
		defer mu.Unlock()
		for range 12 / disktest.Sparse(12) {
			crashed = append(crashed, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}))
		}
	}}
	db = open(t, fs)
	mustClose(t, db)
	if len(crashed) < 20 {
		t.Errorf("got %d crashes, want more to test", len(crashed))
	}
	for i, fs := range crashed {
		db := open(t, fs)
		if n, err := last(db); err != nil || n != 60 {
			t.Fatalf("crash %d: got %d commits, %v, want 60", i, n, err)
		}
		mustClose(t, db)
	}
}

// TestNothingIsWrittenAfterAFailure compares the files right after a failed sync with those after the database has
// been used and closed.
func TestNothingIsWrittenAfterAFailure(t *testing.T) {
	mem := vfs.NewMem()
	fs := &disktest.FaultFS{FS: mem, At: -1}
	db := open(t, fs)
	for n := range uint64(100) {
		if err := put(db, n+1, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Sync(); err != nil {
		t.Fatal(err)
	}
	fs.FailNext()
	if err := put(db, 101, true); !errors.Is(err, disk.ErrFailed) {
		t.Fatalf("got %v, want the disk failed", err)
	}
	before := contents(t, mem)
	for n := range uint64(50) {
		if err := put(db, 102+n, n%2 == 0); !errors.Is(err, disk.ErrFailed) {
			t.Fatalf("got %v, want the disk failed", err)
		}
	}
	db.Close()
	after := contents(t, mem)
	for name := range before {
		if _, ok := after[name]; !ok && !strings.HasSuffix(name, ".sst") { // a table whose writing was under way is taken away
			t.Errorf("%s is gone", name)
		}
	}
	for name, content := range after {
		if content != before[name] {
			t.Errorf("%s: got %d bytes, had %d", name, len(content), len(before[name]))
		}
	}
}

func contents(t *testing.T, fs vfs.FS) map[string]string {
	files := map[string]string{}
	disktest.Copy(t, fs, "home/db", func(name string, content []byte) []byte {
		files[name] = string(content)
		return content
	})
	return files
}

func TestRefusals(t *testing.T) {
	mem := vfs.NewMem()
	db := open(t, mem)
	opt := small
	opt.FS = mem
	_, err := disk.Open("home/db", opt)
	wantLine(t, err, disk.ErrLocked, "stop that process")
	mustClose(t, db)
	mustClose(t, db)
	if err := put(db, 1, false); !errors.Is(err, disk.ErrClosed) {
		t.Errorf("commit after close: got %v", err)
	}
	if _, _, err := db.Get([]byte("n")); !errors.Is(err, disk.ErrClosed) {
		t.Errorf("get after close: got %v", err)
	}
	if err := db.Each(nil, nil, nil); !errors.Is(err, disk.ErrClosed) {
		t.Errorf("each after close: got %v", err)
	}

	newer := vfs.NewMem()
	disktest.Write(t, newer, "home/db", "marker.format-version.000099.999", nil)
	opt.FS = newer
	_, err = disk.Open("home/db", opt)
	wantLine(t, err, disk.ErrNewerFormat, "run the version that wrote it")

	strange := vfs.NewMem()
	disktest.Write(t, strange, "home/db", "thesis.tex", []byte("my life's work"))
	opt.FS = strange
	_, err = disk.Open("home/db", opt)
	wantLine(t, err, disk.ErrCorrupt, "move it away")
	if got := disktest.Read(t, strange, "home/db/thesis.tex"); string(got) != "my life's work" {
		t.Errorf("a stranger's file: got %q", got)
	}
}

func wantLine(t *testing.T, err, want error, advice string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), advice) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "home/db") {
		t.Errorf("got %v, want %v in one line, with the directory and %q", err, want, advice)
	}
}

func TestLockOnRealFiles(t *testing.T) {
	dir := t.TempDir()
	db, err := disk.Open(dir, disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Open(dir, disk.Options{}); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("got %v, want it locked", err)
	}
	mustClose(t, db)
	if db, err = disk.Open(dir, disk.Options{}); err != nil {
		t.Fatal(err)
	}
	mustClose(t, db)
	if _, err := disk.Open("/dev/null/db", disk.Options{}); err == nil || errors.Is(err, disk.ErrLocked) {
		t.Errorf("below a file: got %v", err)
	}
}

// TestDamage flips a bit in each part of each file. Opening and reading must give an error of the right kind or what
// was written, and never panic; a flip in the log may look like its end: then there is less, but no hole. (The
// manifest is left out: damage in it looks like its end too, and the tables named after that are forgotten. Owners
// compare what they find with what they know.)
func TestDamage(t *testing.T) {
	mem := vfs.NewMem()
	db := open(t, mem)
	for n := range uint64(60) {
		if err := put(db, n+1, false); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, db)
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for victim, content := range contents(t, mem) {
		if strings.HasPrefix(victim, "MANIFEST") {
			continue
		}
		for at := 0; at < len(content); at += 1 + rng.IntN(len(content)/20*disktest.Sparse(6)+1) {
			fs := disktest.Copy(t, mem, "home/db", func(name string, content []byte) []byte {
				if name == victim {
					content[at] ^= 1 << rng.IntN(8)
				}
				return content
			})
			opt := small
			opt.FS = fs
			db, err := disk.Open("home/db", opt)
			if err == nil {
				_, err = last(db)
				db.Close()
			}
			if err == nil {
				continue
			}
			refused++
			wantLine(t, err, disk.ErrCorrupt, "restore a copy")
		}
	}
	if refused == 0 {
		t.Error("no damage was noticed")
	}
}

// TestInBubbles flushes in several synctest bubbles of one process, one after the other: what Pebble pools must not
// tie them together.
func TestInBubbles(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			db := open(t, vfs.NewMem())
			for n := range uint64(60) {
				if err := put(db, n+1, n%10 == 0); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := last(db); err != nil || n != 60 {
				t.Errorf("got %d commits, %v, want 60", n, err)
			}
			mustClose(t, db)
		})
	}
}

// TestReadsOverlapClose reads, commits and closes at the same time; the race detector is the judge.
func TestReadsOverlapClose(t *testing.T) {
	db := open(t, vfs.NewMem())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				if _, err := last(db); errors.Is(err, disk.ErrClosed) {
					return
				}
			}
		})
	}
	for n := range uint64(200) {
		if err := put(db, n+1, false); err != nil {
			t.Error(err)
		}
	}
	mustClose(t, db)
	wg.Wait()
}
