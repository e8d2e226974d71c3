package position_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"headrace/follow"
	"headrace/follow/followtest"
	"headrace/follow/position"
)

// A position is what was stored last, for whoever opens the file next, and before that the height before the first.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "position")
	for from, want := range map[uint64]uint64{0: 0, 1: 0, 100: 99} {
		if at, err := position.InFile(path, from).Load(); err != nil || at != (follow.Ref{Height: want}) {
			t.Errorf("from %d: got %v and %v, want height %d", from, at, err, want)
		}
	}
	for height := uint64(1); height < 5; height++ {
		want := follow.Ref{Height: height, Hash: follow.Hash{byte(height)}}
		if err := position.InFile(path, 1).Store(want); err != nil {
			t.Fatal(err)
		}
		// What a process leaves behind that was killed while it wrote the next one.
		if err := os.WriteFile(path+".new", []byte(`{"hei`), 0o600); err != nil {
			t.Fatal(err)
		}
		if at, err := position.InFile(path, 1).Load(); err != nil || at != want {
			t.Fatalf("got %v and %v, want %v", at, err, want)
		}
	}
}

// A file that holds no position is an error that says what to do, and never the beginning.
func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "position")
	for _, text := range []string{"", "{", "7", `{"height":-1}`, `{"height":1,"hash":"12"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if at, err := position.InFile(path, 3).Load(); err == nil || at != (follow.Ref{}) || !strings.Contains(err.Error(), "from height 3") {
			t.Errorf("%q: got %v and %v, want an error that says what to do", text, at, err)
		}
	}
}

// A position that cannot be stored leaves the one before.
func TestStoreFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "position")
	want := follow.Ref{Height: 1, Hash: follow.Hash{1}}
	if err := position.InFile(path, 1).Store(want); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := position.InFile(path, 1).Store(follow.Ref{Height: 2}); err == nil {
		t.Error("got a position stored in a directory")
	}
	if at, err := position.InFile(path, 1).Load(); err != nil || at != want {
		t.Errorf("got %v and %v, want %v", at, err, want)
	}
}

// An indexer that is started again goes on where it was.
func ExampleInFile() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "position")
	source, enough := followtest.NewChain(3), errors.New("enough")
	index := func(last uint64) {
		err := follow.Each(context.Background(), source, position.InFile(path, 1), func(_ context.Context, item follow.Item[string]) error {
			fmt.Println("item", item.Height)
			if item.Height == last {
				return enough
			}
			return nil
		}, follow.Options{})
		fmt.Println("enough:", errors.Is(err, enough))
	}
	index(2)
	index(3)
	// Output:
	// item 1
	// item 2
	// enough: true
	// item 2
	// item 3
	// enough: true
}
