package follow_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/follow/followtest"
)

// kept is a position in memory, which outlives its reader.
type kept struct {
	mu    sync.Mutex // guards the rest
	at    follow.Ref
	fails int // the number of the Store that fails; 0: none
	calls int
}

var errFull = errors.New("disk is full")

func (k *kept) Load() (follow.Ref, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.at, nil
}

func (k *kept) Store(at follow.Ref) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.calls++; k.calls == k.fails {
		return errFull
	}
	k.at = at
	return nil
}

// I1, I2: each item is done in order, whatever ends the reader. It is done again only if its position was not stored, and
// the position never is that of an item that was not done.
func TestEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, at := followtest.NewChain(10), &kept{fails: 4}
		errBusy := errors.New("busy")
		var done []uint64
		var busy atomic.Bool
		busy.Store(true)
		read := func(ctx context.Context) error {
			return follow.Each(ctx, source, at, func(_ context.Context, item follow.Item[string]) error {
				if was, _ := at.Load(); item.Height > was.Height+1 || was.Height > 0 && item.Parent != was.Hash {
					t.Errorf("got item %d after %v", item.Height, was)
				}
				if item.Height == 7 && busy.Swap(false) {
					return errBusy
				}
				done = append(done, item.Height)
				return nil
			}, follow.Options{})
		}
		if err := read(t.Context()); !errors.Is(err, errFull) {
			t.Errorf("got %v, want what the position failed of", err)
		}
		if err := read(t.Context()); !errors.Is(err, errBusy) {
			t.Errorf("got %v, want what the reader failed of", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() {
			if err := read(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the end of the context", err)
			}
		})
		synctest.Wait()
		source.Extend(2)
		synctest.Wait()
		cancel()
		work.Wait()
		if got, want := fmt.Sprint(done), "[1 2 3 4 4 5 6 7 8 9 10 11 12]"; got != want {
			t.Errorf("got items %s, want %s", got, want)
		}
		if at.at != source.Head() {
			t.Errorf("got position %v, want the head %v", at.at, source.Head())
		}
	})
}

// A source that has another item in the place of the last one is no reason to go on as if nothing was.
func TestEachAcrossAFork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, at := followtest.NewChain(5), &kept{}
		var ended error
		var work sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		work.Go(func() {
			ended = follow.Each(ctx, source, at, func(context.Context, follow.Item[string]) error { return nil }, follow.Options{})
		})
		synctest.Wait()
		before := at.at
		source.Fork(2, 4)
		work.Wait()
		if !errors.Is(ended, follow.ErrFinalized) || at.at != before {
			t.Errorf("got %v at %v, want the end at %v", ended, at.at, before)
		}
	})
}

// A reader of a source has each item once, in order, and stops when it wants to.
func ExampleEach() {
	source, position := followtest.NewChain(3), &kept{}
	enough := errors.New("enough")
	err := follow.Each(context.Background(), source, position, func(_ context.Context, item follow.Item[string]) error {
		fmt.Println(item.Height)
		if item.Height == 3 {
			return enough
		}
		return nil
	}, follow.Options{})
	fmt.Println(errors.Is(err, enough))
	// Output:
	// 1
	// 2
	// 3
	// true
}
