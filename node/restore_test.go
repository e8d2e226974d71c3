package node_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"headrace/node"
)

// overwrite makes the files in to what those in from are, in the same files where there are some, as rsync --inplace
// --delete does.
func overwrite(t *testing.T, from, to string) {
	t.Helper()
	kept := map[string]bool{}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		kept[name] = true
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), raw, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(to, path)
		if err == nil && !kept[name] {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			if d.IsDir() {
				return fs.SkipDir
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A sequencer whose home is an older copy, wherever and however it was put there, signs nothing before it has read
// the DA layer to the head and nothing can be under way there any more; then it goes on where the chain is. Without
// the DA layer it says so and waits. One whose home is its own does not wait; nor does one that is told not to.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	d, stopDA := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "restored")
	o := c.sequencer(t, d.URL(), 50*time.Millisecond)
	o.Bounds.Flight = time.Hour // who waits does not go on

	// doubts ends at the first block, or when the node says that it waits.
	doubts := func(n *running) bool {
		s := n.until(t, "making blocks, or waiting", func(s node.Status) bool {
			return s.Counts.Produced > 0 || strings.Contains(s.Sequencer.Paused, "may not be the one")
		})
		return s.Counts.Produced == 0
	}
	run := func(home string, flight time.Duration) *running {
		o := o
		o.Home, o.Bounds.Flight = home, flight
		return start(t, o)
	}
	seq := run(o.Home, time.Hour)
	if doubts(seq) {
		t.Fatal("the first start of a new chain waits")
	}
	seq.until(t, "at block 5", func(s node.Status) bool { return s.Heads.Safe.Height >= 5 })
	seq.stopped(t)
	backup := t.TempDir()
	overwrite(t, o.Home, backup)

	seq = run(o.Home, time.Hour)
	if doubts(seq) {
		t.Error("a restart waits")
	}
	top := seq.until(t, "at block 40", func(s node.Status) bool { return s.Heads.Safe.Height >= 40 }).Heads.Safe
	seq.stopped(t)
	inPlace, elsewhere := o.Home, t.TempDir()
	overwrite(t, backup, inPlace)
	overwrite(t, backup, elsewhere)
	for what, home := range map[string]string{"put back in place": inPlace, "copied elsewhere": elsewhere, "empty": t.TempDir()} {
		seq := run(home, time.Hour)
		if !doubts(seq) {
			t.Fatalf("%s: a block was signed at once", what)
		}
		s := seq.until(t, "at the DA layer's head", func(s node.Status) bool { return s.Source.Live && s.Heads.Safe.Height >= top.Height })
		if s.Ready || !strings.Contains(s.Reason, "may not be the one") || s.Counts.Produced > 0 || s.Heads.Unsafe != s.Heads.Safe {
			t.Errorf("%s: got %+v, want it to say that it waits, and no block of its own", what, s)
		}
		ends, err := time.Parse("has at "+time.RFC3339, regexp.MustCompile(`has at [^,]*`).FindString(s.Reason))
		if left := time.Until(ends); err != nil || left > time.Hour || left < 50*time.Minute {
			t.Errorf("%s: got reason %q, want it to name the time in an hour's time, however often it is asked", what, s.Reason)
		}
		if b, err := seq.Block(top.Height); err != nil || b.Hash != top.Hash.String() {
			t.Errorf("%s: block %d is %s (%v), want %s", what, top.Height, b.Hash, err, top.Hash)
		}
		seq.stopped(t)
	}

	seq = run(elsewhere, 100*time.Millisecond)
	s := seq.until(t, "making blocks", func(s node.Status) bool { return s.Counts.Produced > 0 })
	if s.Counts.RevertedUnsafe > 0 {
		t.Errorf("%d blocks reverted: it has signed others than the chain has", s.Counts.RevertedUnsafe)
	}
	seq.until(t, "posting", func(s node.Status) bool { return s.Heads.Safe.Height > top.Height+5 })
	seq.stopped(t)
	seq = run(elsewhere, time.Hour)
	if doubts(seq) {
		t.Error("a restart of the home that signs now waits")
	}
	seq.stopped(t)

	stopDA()
	away := t.TempDir()
	overwrite(t, backup, away)
	seq = run(away, time.Millisecond)
	if !doubts(seq) {
		t.Fatal("a block was signed without the DA layer")
	}
	s = seq.until(t, "waiting for the DA layer", func(s node.Status) bool { return len(s.Waiting) > 0 })
	if s.Ready || s.Counts.Produced > 0 || !strings.Contains(s.Sequencer.Paused, "until the DA layer has been read") {
		t.Errorf("got %+v, want it to say that it waits for the DA layer", s)
	}
	seq.stopped(t)
	seq = run(elsewhere, time.Hour)
	if doubts(seq) {
		t.Error("a restart without the DA layer waits")
	}
	seq.stopped(t)
	o.Config.Sequencer.TrustHome = true
	seq = run(away, time.Hour)
	if doubts(seq) {
		t.Error("a trusted home waits")
	}
	seq.stopped(t)
}

// A copy of a home that is at work elsewhere signs nothing, however long it waits, while the other one posts; it says that
// there is another. When that has ended it goes on where the chain is, after one more wait.
func TestCopyOfASequencerAtWork(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "copied")
	o := c.sequencer(t, d.URL(), 50*time.Millisecond)
	seq := start(t, o)
	seq.until(t, "at block 5", func(s node.Status) bool { return s.Heads.Safe.Height >= 5 })
	seq.stopped(t)
	copied := t.TempDir()
	overwrite(t, o.Home, copied)

	seq = start(t, o)
	seq.until(t, "at block 20", func(s node.Status) bool { return s.Heads.Safe.Height >= 20 })
	two := o
	two.Home, two.Bounds.Flight = copied, 3*time.Second
	second := start(t, two)
	const says = "another sequencer with this key"
	from := second.until(t, "saying that there is another one", func(s node.Status) bool {
		return s.Sequencer != nil && strings.Contains(s.Sequencer.Paused, says) || s.Counts.Produced > 0
	}).Heads.Safe.Height
	until := second.until(t, "waiting again", func(s node.Status) bool { // for as long as it has waited, and half of that
		return s.Heads.Safe.Height > from+90 || s.Counts.Produced > 0
	})
	if until.Counts.Produced > 0 || until.Ready || !strings.Contains(until.Reason, says) {
		t.Fatalf("got %+v, want it to wait, and to say why", until)
	}
	seq.stopped(t)
	s := second.until(t, "making blocks", func(s node.Status) bool { return s.Counts.Produced > 0 })
	if s.Counts.RevertedUnsafe > 0 {
		t.Errorf("%d blocks reverted: it has signed others than the chain has", s.Counts.RevertedUnsafe)
	}
	second.until(t, "posting", func(s node.Status) bool {
		return s.Heads.Safe.Height > until.Heads.Safe.Height+5 && s.Sequencer.Paused == ""
	})
	second.stopped(t)
}

// A kill may come between a block's signature and its mark, and at the next start again: the mark is brought up to the
// store first, so that it is never two blocks behind.
func TestMarkCatchesUp(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "marked")
	o := c.sequencer(t, d.URL(), 50*time.Millisecond)
	o.Bounds.Flight = time.Hour // who waits does not go on
	seq := start(t, o)
	seq.until(t, "at block 3", func(s node.Status) bool { return s.Heads.Unsafe.Height >= 3 })
	seq.stopped(t)

	path := filepath.Join(o.Home, "signed")
	read := func() (m map[string]any) {
		t.Helper()
		raw, err := os.ReadFile(path)
		if err == nil {
			d := json.NewDecoder(bytes.NewReader(raw))
			d.UseNumber()
			err = d.Decode(&m)
		}
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	o.Config.Sequencer.Lazy, o.Config.Sequencer.LazyInterval = true, time.Hour // nothing is signed now
	seq = start(t, o)
	last := seq.until(t, "ready", func(s node.Status) bool { return s.Ready }).Heads.Unsafe
	before, err := seq.Block(last.Height - 1)
	if err != nil {
		t.Fatal(err)
	}
	seq.stopped(t)
	behind := read()
	behind["height"], behind["hash"], behind["at"] = last.Height-1, before.Hash, json.Number(strconv.FormatInt(time.Now().UnixNano(), 10))
	raw, err := json.Marshal(behind)
	if err != nil {
		t.Fatal(err)
	}
	raw = append(raw, bytes.Repeat([]byte{' '}, 512-len(raw))...)
	if err := os.WriteFile(path, raw, 0o600); err != nil { // in the same file
		t.Fatal(err)
	}
	seq = start(t, o)
	seq.until(t, "ready", func(s node.Status) bool { return s.Ready })
	seq.stopped(t)
	if got := read()["hash"]; got != last.Hash.String() {
		t.Errorf("the mark names %v, want the store's last block %s", got, last.Hash)
	}
}
