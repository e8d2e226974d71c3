package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/exec"
	"headrace/internal/syncer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/local"
)

// otherState is an engine that comes to another state than the one of the chain.
type otherState struct{ exec.Engine }

func (o otherState) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	root, err := o.Engine.Execute(ctx, b)
	return append([]byte("other "), root...), err
}

func (o otherState) Head(ctx context.Context) (exec.Head, error) {
	h, err := o.Engine.Head(ctx)
	h.Root = append([]byte("other "), h.Root...)
	return h, err
}

// behindTheHome opens a machine with the wrong engine, and looks at it once.
func behindTheHome(t *testing.T, open func(*syncertest.Home, func(exec.Engine) exec.Engine) *syncertest.Machine, home *syncertest.Home) *syncertest.Machine {
	t.Helper()
	m := open(home, func(e exec.Engine) exec.Engine { return otherState{e} })
	var diverged *syncer.DivergedError
	if err := m.BringUp(t.Context()); !errors.As(err, &diverged) || !m.Status().Load().Diverged {
		t.Fatalf("got %v, %+v, want the engine's state to be another one", err, m.Status().Load())
	}
	return m
}

// A sequencer whose engine has another state than its blocks are built on makes none, and posts none of those that wait:
// nobody knows which of the two states is the chain's. With the right engine all of them are posted.
func TestNothingIsPostedOnAnotherState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, home := syncertest.NewWorld(t, 200*time.Millisecond), syncertest.NewHome()
		sub := &submitter{Submitter: w.Chain, posted: map[string]int{}}
		run := func(m *syncertest.Machine, d time.Duration) {
			f := w.Follower(m)
			stop := syncertest.Run(t, w.Chain.Run, f.Run, newSequencer(w, m, f, sub, nil).Run)
			time.Sleep(d)
			synctest.Wait()
			stop()
		}
		sub.set(func(s *submitter) { s.before = func([]da.Blob) error { return fmt.Errorf("%w: away", da.ErrRejected) } })
		m := w.Open(home, nil)
		run(m, 2*time.Second)
		made := m.Status().Load().Unsafe
		m.Close()

		sub.set(func(s *submitter) { s.before = nil })
		m = behindTheHome(t, w.Open, home)
		run(m, 20*time.Second)
		if st := m.Status().Load(); len(sub.posted) > 0 || st.Unsafe != made || !st.Diverged || made.Height < 10 {
			t.Errorf("got %d blocks posted, and %+v; want block %v, none posted", len(sub.posted), st, made)
		}
		m.Close()

		m = w.Open(home, nil)
		t.Cleanup(m.Close)
		run(m, 20*time.Second)
		if st := m.Status().Load(); st.Diverged || st.Safe.Height < made.Height || sub.posted[made.Hash.String()] != 1 {
			t.Errorf("got %+v, want block %d safe with the right engine", st, made.Height)
		}
	})
}

// Nor is anything proposed to an inbox.
func TestNothingIsProposedOnAnotherState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &inboxBench{World: syncertest.NewWorld(t, -1)}
		home := syncertest.NewHome()
		b.machine = b.OpenL1(home, nil)
		b.start(t, local.Options{}, nil)
		b.proposer.before = errors.New("away")
		stop := b.run(t)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		stop()
		made := b.machine.Status().Load().Unsafe
		b.machine.Close()

		for right := range 2 {
			if right == 0 {
				b.machine = behindTheHome(t, b.OpenL1, home)
			} else {
				b.machine = b.OpenL1(home, nil)
			}
			asked := 0
			b.start(t, local.Options{}, nil)
			b.proposer.answer = func(l1.Draft) (l1.Inclusion, error) { asked++; return l1.Inclusion{}, errors.New("away") }
			stop = b.run(t)
			time.Sleep(20 * time.Second)
			synctest.Wait()
			stop()
			if st := b.machine.Status().Load(); (asked > 0) != (right == 1) || right == 0 && st.Unsafe != made || made.Height < 10 {
				t.Errorf("right engine %d: got %d tries to propose, and block %v; want none, and %v, with the wrong one alone", right, asked, st.Unsafe, made)
			}
			b.machine.Close()
		}
	})
}
