package local_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"headrace/da"
	"headrace/da/local"
	"headrace/internal/disk"
	"headrace/internal/disk/disktest"
)

func TestRestart(t *testing.T) {
	o := local.Options{ChainID: "one", Interval: -1, Dir: "da", FS: vfs.NewMem(), StartHeight: 100}
	c := open(t, o)
	submit(t, c, []da.Blob{blob(data, "kept")})
	head := produce(t, c)
	before := header(t, c, 101)
	if _, err := local.New(o); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("got %v for a second chain on the same directory, want ErrLocked", err)
	}
	c.Close()

	c = open(t, o)
	want(t, "head", c.Head().Load(), head)
	want(t, "tail", c.Tail(), 100)
	want(t, "data", contents(t, c, 101, data), []string{"kept"})
	want(t, "header", string(before.AppendJSON(nil)), string(header(t, c, 101).AppendJSON(nil)))
	next := produce(t, c)
	want(t, "parent of the next", header(t, c, next.Height).Header.Parent(), head.Hash)
	c.Close()

	o.ChainID = "two"
	if _, err := local.New(o); err == nil || !strings.Contains(err.Error(), `holds chain "one"`) {
		t.Errorf("got %v, want an error that names the chain", err)
	}
}

// A machine that loses its power loses nothing that was announced: a height never becomes another block.
func TestCrash(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := local.Options{Interval: -1, Dir: "da", FS: fs}
	c := open(t, o)
	for i := range 20 {
		head, _ := submit(t, c, []da.Blob{blob(data, fmt.Sprint("block ", i))})
		crashed := o
		crashed.FS = fs.CrashClone(vfs.CrashCloneCfg{})
		after := open(t, crashed)
		want(t, "head after the crash", after.Head().Load(), head)
		want(t, "data after the crash", contents(t, after, head.Height, data), []string{fmt.Sprint("block ", i)})
		after.Close()
	}
}

// Whichever write fails, and whether it was carried out or not: the submitter is told that the outcome is not known, the chain stops, and after a
// restart the height is there whole or not at all, and what was announced before is unchanged.
func TestDiskFails(t *testing.T) {
	for _, done := range []bool{false, true} {
		for at := 0; ; at++ {
			if at == 500 {
				t.Fatal("a block takes more than 500 operations on files")
			}
			mem := vfs.NewCrashableMem()
			o := local.Options{Interval: -1, Deterministic: true, Dir: "da", FS: mem}
			c := open(t, o)
			first, _ := submit(t, c, []da.Blob{blob(data, "first")})
			c.Close()

			fault := &disktest.FaultFS{FS: mem, At: at, Done: done}
			o.FS = fault
			c, err := local.New(o)
			if err != nil {
				continue // it failed at the start: nothing was lost, see below for the rest
			}
			errs := make(chan error, 1)
			go func() {
				_, err := c.Submit(t.Context(), []da.Blob{blob(data, "second")})
				errs <- err
			}()
			pending(t, c, 1)
			_, produced := c.Produce()
			submitted := <-errs
			c.Close()
			if produced == nil {
				if submitted != nil {
					t.Errorf("operation %d: got %v of a block that was made", at, submitted)
				}
				break // all operations of one block have been tried
			}
			if !errors.Is(submitted, da.ErrUnknownOutcome) {
				t.Errorf("operation %d: got %v, want ErrUnknownOutcome", at, submitted)
			}
			o.FS = mem.CrashClone(vfs.CrashCloneCfg{})
			c = open(t, o)
			head := c.Head().Load()
			want(t, "first block", header(t, c, first.Height).Header.Hash(), [32]byte(first.Hash))
			switch head.Height {
			case first.Height:
			case first.Height + 1:
				want(t, "second block", contents(t, c, head.Height, data), []string{"second"})
			default:
				t.Errorf("operation %d: got head %d after a restart, want %d or one more", at, head.Height, first.Height)
			}
			c.Close()
		}
	}
}

func TestCorruptHistory(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := local.Options{Interval: -1, Dir: "da", FS: fs}
	c := open(t, o)
	submit(t, c, []da.Blob{blob(data, "x")})
	c.Close()
	// Garbage where the manifest was.
	o.FS = disktest.Copy(t, fs, "da", func(name string, content []byte) []byte {
		if strings.HasPrefix(name, "MANIFEST") {
			return []byte("garbage garbage garbage garbage")
		}
		return content
	})
	if _, err := local.New(o); !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}
