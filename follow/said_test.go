package follow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/follow"
	"headrace/follow/followtest"
)

// What keeps a follower from going on is logged when it begins, and then seldom, however often it is tried. An ended
// subscription is called that only if it had begun.
func TestSaidOnce(t *testing.T) {
	for name, c := range map[string]struct {
		op     string // that fails
		every  int64  // every so many of them
		says   string
		silent string
	}{
		"an endpoint that is not there": {"subscribe", 1, "no news can be had", "subscription ended"},
		"one that ends what it began":   {"news", 2, "subscription ended", "no news can be had"},
		"one that does not fetch":       {"fetch", 1, "waiting", "no news can be had"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				var tries atomic.Int64
				chain := followtest.NewChain(5)
				source := chain.Endpoint(func(op followtest.Op) followtest.Fault {
					if op.Name != c.op {
						return followtest.Fault{NoItem: true}
					}
					if n := tries.Add(1); n%c.every == 0 {
						return followtest.Fault{Err: fmt.Errorf("read tcp 127.0.0.1:%d->10.0.0.1:80: connection reset", 40000+n)}
					}
					return followtest.Fault{NoItem: true}
				})
				f := follow.New[string](source, followtest.NewSink[string](1), follow.Options{
					Logger: slog.New(slog.NewTextHandler(&log, nil)), Backoff: follow.Backoff{Max: 2 * time.Second},
				})
				ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
				defer cancel()
				var work sync.WaitGroup
				work.Go(func() {
					for c.op == "news" && ctx.Err() == nil {
						chain.Extend(1)
						time.Sleep(time.Second)
					}
				})
				if err := f.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				work.Wait()
				if got := strings.Count(log.String(), c.says); tries.Load() < 100 || got != 2 || strings.Contains(log.String(), c.silent) {
					t.Errorf("tried %d times, logged:\n%s\nwant %q at the beginning and after a minute", tries.Load(), log.String(), c.says)
				}
			})
		})
	}
}

// What is waited for is waited for since nothing has got on, whatever was tried meanwhile and failed.
func TestWaitsSinceTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, sink := followtest.NewChain(3), followtest.NewSink[string](1)
		var reads atomic.Bool
		c.Faults = func(op followtest.Op) followtest.Fault {
			if op.Name == "fetch" && !reads.Load() {
				return followtest.Fault{Err: errors.New("not now")}
			}
			return followtest.Fault{NoItem: true}
		}
		sink.Fault = func(string, uint64) error { return errors.New("nor now") }
		f, _ := run(t, c, sink, follow.Options{})
		synctest.Wait()
		first := f.State().Load().Waiting
		time.Sleep(time.Minute)
		reads.Store(true)
		s, err := f.State().Wait(t.Context(), func(s follow.State) bool { return s.Waiting.Stage == follow.StageApply })
		if err != nil || first.Stage != follow.StageFetch || s.Waiting.Since != first.Since {
			t.Errorf("got %+v after %+v, want it since the same time", s.Waiting, first)
		}
	})
}

// At level debug the log has each head that is announced, each fetch and each item; at another it has none of them.
func TestDebugLines(t *testing.T) {
	for level, want := range map[slog.Level]int{slog.LevelDebug: 8, slog.LevelInfo: 0} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			chain := followtest.NewChain(5)
			source := chain.Endpoint(func(followtest.Op) followtest.Fault { return followtest.Fault{} })
			f := follow.New[string](source, followtest.NewSink[string](1), follow.Options{
				Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level})),
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var work sync.WaitGroup
			work.Go(func() {
				for range 3 {
					time.Sleep(time.Second)
					chain.Extend(1)
				}
			})
			if err := f.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatal(err)
			}
			work.Wait()
			text := log.String()
			if got := strings.Count(text, "msg=applied height="); got != want {
				t.Errorf("%s: %d items are said to be applied, want %d:\n%s", level, got, want, text)
			}
			if got := strings.Contains(text, "msg=announced height=8"); got != (want > 0) {
				t.Errorf("%s: the last head is announced %t:\n%s", level, got, text)
			}
			if got := strings.Contains(text, "msg=fetched from="); got != (want > 0) {
				t.Errorf("%s: what was there before was fetched %t:\n%s", level, got, text)
			}
		})
	}
}
