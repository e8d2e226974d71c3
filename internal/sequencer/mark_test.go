package sequencer_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/internal/sequencer"
	"headrace/internal/syncer"
)

func openMark(t testing.TB, path string) *sequencer.Mark {
	t.Helper()
	m, err := sequencer.OpenMark(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A mark is believed after an orderly end and after a kill, also one between the store's record and the mark; and not
// when the file, or the store beside it, was copied, put back or changed, in whatever way.
func TestMark(t *testing.T) {
	at := func(height byte) block.Ref { return block.Ref{Height: uint64(height), Hash: block.Hash{height}} }
	signed := func(height byte) syncer.Signed { return syncer.Signed{Ref: at(height), Parent: at(height - 1).Hash} }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		change func(path string, before []byte) // before: the file, blocks ago
		last   byte                             // that the store says; the mark says 9
		want   string
	}{
		"a restart":                 {nil, 9, ""},
		"a kill before the mark":    {nil, 10, ""},
		"the store was put back":    {nil, 8, "signed block 9 last, its store block 8"},
		"the store is ahead":        {nil, 11, "signed block 9 last, its store block 11"},
		"moved":                     {func(path string, _ []byte) { must(os.Rename(path, path+"2")); must(os.Rename(path+"2", path)) }, 9, ""},
		"gone":                      {func(path string, _ []byte) { must(os.Remove(path)) }, 9, "no record"},
		"garbage":                   {func(path string, _ []byte) { must(os.WriteFile(path, []byte("{"), 0o600)) }, 9, "cannot be read"},
		"an older one in its place": {func(path string, before []byte) { must(os.WriteFile(path, before, 0o600)) }, 5, "copied or put back"},
		"an older one, with its time": {func(path string, before []byte) {
			info, err := os.Stat(path)
			must(err)
			must(os.WriteFile(path, before, 0o600))
			must(os.Chtimes(path, info.ModTime(), info.ModTime()))
		}, 5, "copied or put back"},
		"an older one as a new file": {func(path string, before []byte) {
			must(os.WriteFile(path+"2", before, 0o600))
			must(os.Rename(path+"2", path))
		}, 5, "copied or put back"},
		"another machine's": {func(path string, _ []byte) {
			raw, err := os.ReadFile(path)
			must(err)
			i := bytes.Index(raw, []byte(`"host":"`)) + len(`"host":"`)
			raw[i] ^= 1
			must(os.WriteFile(path, raw, 0o600))
		}, 9, "another machine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "signed")
			m := openMark(t, path)
			if why := m.Doubt(signed(5)); !strings.Contains(why, "no record") {
				t.Fatalf("without a mark: got %q, want that there is none", why)
			}
			must(m.Write(at(5)))
			before, err := os.ReadFile(path)
			must(err)
			time.Sleep(time.Second) // twice as old as what cannot be told from a new one
			for h := byte(6); h <= 9; h++ {
				must(m.Write(at(h)))
			}
			must(m.Close())
			if c.change != nil {
				c.change(path, before)
			}
			again := openMark(t, path)
			why := again.Doubt(signed(c.last))
			if (why == "") != (c.want == "") || !strings.Contains(why, c.want) {
				t.Fatalf("got doubt %q, want %q", why, c.want)
			}
			must(again.Write(at(20)))
			must(again.Close())
			if why := openMark(t, path).Doubt(signed(20)); why != "" {
				t.Errorf("after the home has signed again: got doubt %q", why)
			}
		})
	}
}

// A mark that cannot be written is gone: beside a copy of the store from before, the old one would be believed.
func TestMarkThatCannotBeWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signed")
	m, err := sequencer.OpenMark(path)
	if err != nil {
		t.Fatal(err)
	}
	at := block.Ref{Height: 7, Hash: block.Hash{7}}
	if err := m.Write(at); err != nil {
		t.Fatal(err)
	}
	if err := m.NoteInVain(block.Ref{Height: 8, Hash: block.Hash{8}}); err != nil {
		t.Fatal(err)
	}
	if m, err = sequencer.OpenMark(path); err != nil {
		t.Fatal(err)
	}
	if why := m.Doubt(syncer.Signed{Ref: at}); !strings.Contains(why, "no record") {
		t.Errorf("got doubt %q, want that there is no record", why)
	}
}

func BenchmarkMark(b *testing.B) {
	m := openMark(b, filepath.Join(b.TempDir(), "signed"))
	defer m.Close()
	for n := range b.N {
		if err := m.Write(block.Ref{Height: uint64(n), Hash: block.Hash{1}}); err != nil {
			b.Fatal(err)
		}
	}
}
