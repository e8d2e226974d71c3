package await_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"headrace/await"
	"headrace/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func hash(n byte) await.Hash { return await.Hash{31: n} }

func safe(h uint64) await.Progress { return await.Progress{Safe: await.Ref{Height: h}} }

func proposal(id uint64, fork byte) await.Proposed {
	return await.Proposed{ID: id, L1: await.Ref{Height: 10 + id, Hash: await.Hash{fork, byte(id)}}, Tx: await.Hash{fork, byte(id), 1}}
}

// within is a context of a bubble, whose time is fake.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// E1, P1: waiters that come before, during and after the progress, and after a time without any.
func TestWaitersBeforeDuringAndAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var status watch.Value[await.Progress]
		status.Set(safe(1)) // nobody is there
		var waiters sync.WaitGroup
		for h := range uint64(8) {
			waiters.Go(func() {
				if got, err := await.Height(within(t, time.Hour), &status, h); err != nil || got.Safe.Height < h {
					t.Errorf("got %v, %v, want height %d", got, err, h)
				}
			})
		}
		synctest.Wait()
		for h := uint64(2); h < 8; h += 2 {
			status.Set(safe(h))
			synctest.Wait()
		}
		status.Set(safe(7))
		waiters.Wait()
		if got, err := await.Height(within(t, time.Second), &status, 7); err != nil {
			t.Errorf("late waiter: got %v, %v", got, err)
		}
	})
}

func TestHeightOfOtherHeads(t *testing.T) {
	status := watch.New(await.Progress{Unsafe: await.Ref{Height: 9}, Safe: await.Ref{Height: 5}, Finalized: await.Ref{Height: 3}})
	expired, cancel := context.WithCancel(t.Context())
	cancel()
	for label, want := range map[await.Label]uint64{await.Unsafe: 9, await.Safe: 5, await.Finalized: 3} {
		if _, err := await.Height(t.Context(), status, want, await.WithLabel(label)); err != nil {
			t.Errorf("%s height %d: %v", label, want, err)
		}
		if _, err := await.Height(expired, status, want+1, await.WithLabel(label)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s height %d: got %v, want the context's end", label, want+1, err)
		}
	}
}

// E4, P4, P5: the L1 takes proposals back while two wait for the fifth: any one, and the one of the new branch.
func TestProposalAcrossReorg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := watch.New(await.Progress{Proposal: proposal(4, 0xa)})
		fork := proposal(5, 0xb)
		var waiters sync.WaitGroup
		waiters.Go(func() {
			got, err := await.Proposal(within(t, time.Hour), status, 5)
			if err != nil || got.Proposal != proposal(5, 0xa) {
				t.Errorf("by id: got %v, %v, want the first fifth proposal", got, err)
			}
		})
		for _, h := range []await.Hash{fork.Tx, fork.L1.Hash} {
			waiters.Go(func() {
				got, err := await.ProposalAt(within(t, time.Hour), status, h)
				if err != nil || got.Proposal != fork {
					t.Errorf("by hash: got %v, %v, want %v", got, err, fork)
				}
			})
		}
		synctest.Wait()
		for _, p := range []await.Proposed{proposal(5, 0xa), proposal(3, 0xa), proposal(4, 0xb), fork} {
			status.Set(await.Progress{Proposal: p})
			synctest.Wait()
		}
		waiters.Wait()
	})
}

// P5, P9: a proposal that another followed before the waiter looked is found among the earlier ones.
func TestProposalThatOthersFollowed(t *testing.T) {
	p := await.Progress{Proposal: proposal(7, 1), Earlier: []await.Proposed{proposal(5, 1), proposal(6, 1)}}
	if got, err := await.ProposalAt(t.Context(), watch.New(p), proposal(6, 1).Tx); err != nil {
		t.Errorf("got %v, %v, want the status", got, err)
	}
	if got, ok := p.ProposalAt(proposal(6, 1).L1.Hash); !ok || got != proposal(6, 1) {
		t.Errorf("got %v, %v, want proposal 6", got, ok)
	}
	if got, ok := (await.Progress{}).ProposalAt(await.Hash{}); ok {
		t.Errorf("got %v of nothing", got)
	}
}

// P40: a source block without anything in it can be waited for.
func TestL1Scanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := watch.New(await.Progress{Scanned: await.Ref{Height: 3}})
		time.AfterFunc(time.Minute, func() { status.Set(await.Progress{Scanned: await.Ref{Height: 4, Hash: hash(4)}}) })
		got, err := await.L1Scanned(within(t, time.Hour), status, 4)
		if err != nil || got.Scanned.Hash != hash(4) {
			t.Errorf("got %v, %v, want block 4", got, err)
		}
	})
}

// E2, P15, P16: the end of the producer ends the wait with its cause, but what was reached before is a success.
func TestProducerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := watch.New(safe(1))
		broke := errors.New("disk is full")
		time.AfterFunc(time.Second, func() { status.Set(safe(2)); status.Close(broke) })
		var waiters sync.WaitGroup
		waiters.Go(func() {
			if got, err := await.Height(within(t, time.Hour), status, 2); err != nil {
				t.Errorf("got %v, %v, want what was reached before the end", got, err)
			}
		})
		_, err := await.Height(within(t, time.Hour), status, 3)
		waiters.Wait()
		if !errors.Is(err, await.ErrEnded) || !errors.Is(err, broke) {
			t.Errorf("got %v, want the producer's end and why", err)
		}
	})
}

// P29: the end of another producer, too, whichever way it tells.
func TestAbort(t *testing.T) {
	broke := errors.New("cannot propose")
	status := func() *watch.Value[await.Progress] { return watch.New(safe(1)) }
	for name, end := range map[string]func() await.End{
		"value": func() await.End {
			v := status()
			time.AfterFunc(time.Second, func() { v.Close(broke) })
			return await.Closed(v)
		},
		"result": func() await.End {
			c := make(chan error, 1)
			time.AfterFunc(time.Second, func() { c <- broke })
			return await.Exit(c)
		},
		"process": func() await.End {
			c := make(chan struct{})
			time.AfterFunc(time.Second, func() { close(c) })
			return await.Exit(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				alive := make(chan error)
				began := time.Now()
				_, err := await.Height(within(t, time.Hour), status(), 2, await.WithAbort(await.Exit(alive), end()))
				if !errors.Is(err, await.ErrEnded) || name != "process" && !errors.Is(err, broke) {
					t.Errorf("got %v, want the producer's end and why", err)
				}
				if took := time.Since(began); took != time.Second {
					t.Errorf("got an end after %s, want one at once", took)
				}
			})
		})
	}
	t.Run("reached before", func(t *testing.T) {
		ended := make(chan error, 1)
		ended <- broke
		if _, err := await.Height(t.Context(), status(), 1, await.WithAbort(await.Exit(ended))); err != nil {
			t.Errorf("got %v, want the value that was there before the end", err)
		}
	})
	t.Run("reached with the end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v, ended := status(), make(chan error, 1)
			time.AfterFunc(time.Second, func() { v.Set(safe(2)); ended <- broke })
			if _, err := await.Height(within(t, time.Hour), v, 2, await.WithAbort(await.Exit(ended))); err != nil {
				t.Errorf("got %v, want the value", err)
			}
		})
	})
}

// P13, P14: the error says what was waited for, what was seen last, and since when.
func TestErrorSaysEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := watch.New(await.Progress{Safe: await.Ref{Height: 57, Hash: hash(0xab)}, Proposal: proposal(3, 1)})
		_, err := await.Height(within(t, 10*time.Second), status, 100)
		for _, want := range []string{"safe height 100", "deadline exceeded", "last change 10s ago", "safe head 57 0x", "proposal 3"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("got %q, want %q in it", err, want)
			}
		}
		if e := (*await.Error)(nil); !errors.As(err, &e) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %#v, want an await.Error with its cause", err)
		}
	})
}

// P30: several waits under one deadline, side by side.
func TestAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := watch.New(safe(0)), watch.New(safe(0))
		height := func(v *watch.Value[await.Progress], h uint64) func(context.Context) (await.Progress, error) {
			return func(ctx context.Context) (await.Progress, error) { return await.Height(ctx, v, h) }
		}
		time.AfterFunc(2*time.Second, func() { a.Set(safe(1)) })
		time.AfterFunc(time.Second, func() { b.Set(safe(2)) })
		began := time.Now()
		got, err := await.All(within(t, time.Minute), height(a, 1), height(b, 2))
		if err != nil || !slices.EqualFunc(got, []uint64{1, 2}, func(p await.Progress, h uint64) bool { return p.Safe.Height == h }) || time.Since(began) != 2*time.Second {
			t.Errorf("got %v, %v after %s, want heights 1 and 2 after 2s", got, err, time.Since(began))
		}

		_, err = await.All(within(t, time.Minute), height(a, 1), height(b, 9), height(a, 9))
		if took := time.Since(began); took != time.Minute+2*time.Second || strings.Count(err.Error(), "safe height 9") != 2 {
			t.Errorf("got %v after %s, want both failures under one deadline", err, took)
		}

		time.AfterFunc(time.Second, func() { b.Close(nil) })
		_, err = await.All(within(t, time.Minute), height(a, 9), height(b, 9))
		if !errors.Is(err, await.ErrEnded) || strings.Count(err.Error(), "safe height 9") != 1 {
			t.Errorf("got %v, want the first failure alone", err)
		}
	})
}

func TestAny(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		after := func(d time.Duration, v int, err error) func(context.Context) (int, error) {
			return func(ctx context.Context) (int, error) {
				select {
				case <-time.After(d):
					return v, err
				case <-ctx.Done():
					return 0, context.Cause(ctx)
				}
			}
		}
		broke := errors.New("broke")
		began := time.Now()
		i, v, err := await.Any(within(t, time.Minute), after(time.Second, 0, broke), after(3*time.Second, 33, nil), after(2*time.Second, 22, nil))
		if i != 2 || v != 22 || err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("got %d, %d, %v after %s, want the third", i, v, err, time.Since(began))
		}
		i, _, err = await.Any(within(t, time.Minute), after(time.Second, 0, broke), after(time.Hour, 1, nil))
		if i != -1 || !errors.Is(err, broke) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %d, %v, want every failure", i, err)
		}
	})
}
