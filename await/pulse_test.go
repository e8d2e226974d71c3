package await

import (
	"bytes"
	"context"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/httpc"
)

// A large event over a slow link comes, however long it takes; one that drips, or stops, is not waited for.
func TestPulse(t *testing.T) {
	const quiet = 45 * time.Second
	for name, c := range map[string]struct {
		rate  int // bytes a second
		every time.Duration
		total int // then nothing more comes
		ends  time.Duration
	}{
		"large and slow":        {rate: 2 * httpc.MinRate, every: time.Second, total: 32 << 20},
		"in bursts":             {rate: 2 * httpc.MinRate, every: quiet - time.Second, total: 32 << 20},
		"at the least rate":     {rate: httpc.MinRate, every: time.Second, total: 32 << 20},
		"a byte now and then":   {rate: 1, every: time.Second, total: 1 << 10, ends: quiet + time.Second},
		"half of the least":     {rate: httpc.MinRate / 2, every: time.Second, total: 8 << 20, ends: 2*quiet + 2*time.Second},
		"it stops in the midst": {rate: 2 * httpc.MinRate, every: time.Second, total: -(1 << 20), ends: 32*time.Second + quiet},
		"nothing":               {ends: quiet},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				r, w := io.Pipe()
				context.AfterFunc(ctx, func() { _ = r.CloseWithError(context.Cause(ctx)) }) // as an answer's body does
				begun := time.Now()
				p := newPulse(quiet, cancel)
				defer p.stop()
				var writer sync.WaitGroup
				defer writer.Wait()
				defer r.Close()
				writer.Go(func() {
					_, _ = w.Write([]byte("event: block\ndata: "))
					for sent := 0; sent < max(c.total, -c.total); {
						time.Sleep(c.every) // the link's own time
						n, err := w.Write(bytes.Repeat([]byte("x"), int(c.every.Seconds()*float64(c.rate))))
						if sent += n; err != nil {
							return
						}
					}
					if c.total > 0 {
						_, _ = w.Write([]byte("\n\n"))
						_ = w.Close()
					}
				})
				got := 0
				err := readEvents(httpc.Counted(r, p.came), p.line, func(e Event) error { got = len(e.Data); return nil })
				after := time.Since(begun)
				switch {
				case c.ends == 0 && got < c.total:
					t.Errorf("got %d bytes after %s, %v, want %d", got, after, err, c.total)
				case c.ends > 0 && (got > 0 || after > c.ends+2*time.Second || after < c.ends-2*time.Second):
					t.Errorf("got %d bytes after %s, %v, want an end after %s", got, after, err, c.ends)
				}
			})
		})
	}
}
