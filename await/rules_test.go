package await_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/await"
	"headrace/watch"
)

// P11: every wait on a status keeps the same rules, as there is one loop for all.
func TestEveryWaitKeepsTheRules(t *testing.T) {
	reached := await.Progress{
		Unsafe: await.Ref{Height: 9}, Safe: await.Ref{Height: 5}, Scanned: await.Ref{Height: 15}, Proposal: proposal(5, 1), Earlier: []await.Proposed{proposal(4, 1)},
	}
	type status = *watch.Value[await.Progress]
	for name, wait := range map[string]func(context.Context, status, ...await.Option) (await.Progress, error){
		"height": func(ctx context.Context, v status, o ...await.Option) (await.Progress, error) {
			return await.Height(ctx, v, 5, o...)
		},
		"unsafe height": func(ctx context.Context, v status, o ...await.Option) (await.Progress, error) {
			return await.Height(ctx, v, 9, append(o, await.WithLabel(await.Unsafe))...)
		},
		"proposal": func(ctx context.Context, v status, o ...await.Option) (await.Progress, error) {
			return await.Proposal(ctx, v, 5, o...)
		},
		"proposal at": func(ctx context.Context, v status, o ...await.Option) (await.Progress, error) {
			return await.ProposalAt(ctx, v, proposal(4, 1).Tx, o...)
		},
		"scanned": func(ctx context.Context, v status, o ...await.Option) (await.Progress, error) {
			return await.L1Scanned(ctx, v, 15, o...)
		},
		"value": func(ctx context.Context, v status, o ...await.Option) (await.Progress, error) {
			return await.Value(ctx, v, "all", func(p await.Progress) bool { return p.Scanned.Height == 15 }, o...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone, cancel := context.WithCancel(t.Context())
				cancel()
				broke := errors.New("broke")
				is := func(what string, p await.Progress, err error, want error) {
					t.Helper()
					if !errors.Is(err, want) || (err == nil) != (want == nil) || want == nil && p.Scanned.Height != 15 {
						t.Errorf("%s: got %v, %v, want %v", what, p, err, want)
					}
					if e := (*await.Error)(nil); want != nil && (!errors.As(err, &e) || e.What == "" || !strings.Contains(e.Last, "safe head 1")) {
						t.Errorf("%s: got %#v, want what was waited for and what was seen last", what, err)
					}
				}

				v := watch.New(safe(1)) // P1: nobody is there when it is set
				v.Set(reached)
				p, err := wait(gone, v)
				is("there already, and the context has ended", p, err, nil)
				v.Close(broke)
				p, err = wait(t.Context(), v, await.WithAbort(await.Closed(v)))
				is("there already, and all have ended", p, err, nil)

				v = watch.New(safe(1))
				time.AfterFunc(time.Second, func() { v.Set(reached) })
				p, err = wait(within(t, time.Minute), v)
				is("later", p, err, nil)

				v = watch.New(safe(1))
				began := time.Now()
				p, err = wait(within(t, time.Second), v) // P13: the context's clock is the only one
				if is("never", p, err, context.DeadlineExceeded); time.Since(began) != time.Second {
					t.Errorf("got a deadline after %s, want 1s", time.Since(began))
				}

				time.AfterFunc(time.Second, func() { v.Close(broke) })
				p, err = wait(within(t, time.Minute), v)
				is("the producer ends", p, err, broke)
				is("the producer has ended", p, err, await.ErrEnded)

				other := make(chan error, 1)
				other <- broke
				p, err = wait(within(t, time.Minute), watch.New(safe(1)), await.WithAbort(await.Exit(other)))
				is("another producer has ended", p, err, broke)
			})
		})
	}
}

// P12: a condition that is slow, or looks at the value itself, holds up nobody.
func TestSlowCondition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, looking, look := watch.New(safe(1)), make(chan struct{}), make(chan struct{})
		result := make(chan error, 1) // how the slow wait ends
		go func() {
			first := true
			_, err := await.Value(within(t, time.Hour), v, "a slow condition", func(p await.Progress) bool {
				if first {
					first = false
					close(looking)
					<-look
				}
				return v.Load().Safe.Height >= 3 && p.Safe.Height >= 3
			})
			result <- err
		}()
		<-looking
		for h := uint64(2); h <= 3; h++ {
			v.Set(safe(h)) // the bubble fails if this has to wait
		}
		if p, err := await.Height(within(t, time.Second), v, 3); err != nil {
			t.Errorf("another wait: got %v, %v", p, err)
		}
		close(look)
		if err := <-result; err != nil { // nothing was set after the look: what came meanwhile must be seen
			t.Error(err)
		}
	})
}

// P17: what has ended is looked at once more, not again and again.
func TestEndIsNoHotLoop(t *testing.T) {
	v, looks := watch.New(safe(1)), 0
	v.Close(nil)
	if _, err := await.Value(t.Context(), v, "more", func(await.Progress) bool { looks++; return false }); !errors.Is(err, await.ErrEnded) || looks > 3 {
		t.Errorf("got %v after %d looks at a value that has ended, want its end at once", err, looks)
	}
}

// P18: what happened before, or in another order than it is waited for, is not gone: a wait looks at the state, and
// takes no event from another.
func TestAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := watch.New(await.Progress{})
		late := make(chan error, 1) // a wait for the last thing, begun first
		go func() {
			_, err := await.ProposalAt(within(t, time.Hour), v, proposal(1, 1).Tx)
			late <- err
		}()
		synctest.Wait()
		p := await.Progress{Scanned: await.Ref{Height: 11}, Proposal: proposal(1, 1), Safe: await.Ref{Height: 4}}
		v.Set(p)
		p.Scanned.Height, p.Earlier, p.Proposal, p.Safe.Height = 12, []await.Proposed{p.Proposal}, proposal(2, 1), 7
		v.Set(p)
		for _, wait := range []func() (await.Progress, error){
			func() (await.Progress, error) { return await.Proposal(within(t, time.Second), v, 2) },
			func() (await.Progress, error) { return await.Height(within(t, time.Second), v, 4) },
			func() (await.Progress, error) {
				return await.ProposalAt(within(t, time.Second), v, proposal(1, 1).L1.Hash)
			},
			func() (await.Progress, error) { return await.L1Scanned(within(t, time.Second), v, 11) },
		} {
			if got, err := wait(); err != nil {
				t.Errorf("got %v, %v", got, err)
			}
		}
		if err := <-late; err != nil {
			t.Error(err)
		}
	})
}
