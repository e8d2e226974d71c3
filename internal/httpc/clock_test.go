package httpc_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/httpc"
)

// TestClock: bytes keep a call waiting, and only so long as they come at the lowest rate and this call may be behind
// others.
func TestClock(t *testing.T) {
	const limit = 30 * time.Second
	for name, test := range map[string]struct {
		each  int           // bytes that come in every second
		until time.Duration // then no more
		other time.Duration // calls are answered that were sent so much later than this one
		ends  time.Duration // of the call's time
		text  string
	}{
		"silence":                      {ends: limit, text: "no byte within 30s"},
		"bytes, then silence":          {each: 100 << 10, until: 5 * time.Minute, ends: 5*time.Minute + limit, text: "no byte within 30s"},
		"below the lowest rate":        {each: httpc.MinRate / 2, until: time.Hour, ends: 2 * limit, text: "and only"},
		"above it":                     {each: 2 * httpc.MinRate, until: time.Hour, ends: time.Hour + limit, text: "no byte within 30s"},
		"calls of the same time first": {each: 2 * httpc.MinRate, until: time.Hour, other: limit, ends: time.Hour + limit, text: "no byte within 30s"},
		"later calls first":            {each: 2 * httpc.MinRate, until: time.Hour, other: limit + time.Second, ends: limit, text: "later have theirs"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, k := httpc.NewClock(t.Context(), "m", limit)
				defer k.Stop()
				var in httpc.Traffic
				k.Sent(&in)
				for ctx.Err() == nil && time.Since(start) < test.until {
					time.Sleep(time.Second)
					in.Add(test.each)
					if test.other > 0 {
						in.Answered(start.Add(test.other))
					}
				}
				<-ctx.Done()
				err := context.Cause(ctx)
				took := time.Since(start)
				if off := (took - test.ends).Abs(); off > time.Second || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), test.text) {
					t.Errorf("ended after %s with %v, want %s and %q", took, err, test.ends, test.text)
				}
			})
		})
	}
}

// TestClockHeld: while a call waits for us, its time stands still.
func TestClockHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, k := httpc.NewClock(t.Context(), "m", time.Second)
		defer k.Stop()
		k.Hold()
		time.Sleep(time.Minute)
		k.Release()
		if ctx.Err() != nil {
			t.Fatalf("held: %v", context.Cause(ctx))
		}
		start := time.Now()
		<-ctx.Done()
		if took := time.Since(start); took > time.Second {
			t.Errorf("released: ended after %s, want a second", took)
		}
	})
}

// TestCounted: bytes of a chunked answer are counted while a large buffer is being filled.
func TestCounted(t *testing.T) {
	more := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 64<<10))
		_ = http.NewResponseController(w).Flush()
		<-more // the rest of the chunks
		_, _ = w.Write(make([]byte, 64<<10))
	}))
	defer s.Close()
	c := httpc.New(httpc.Options{})
	defer c.CloseIdleConnections()
	resp, err := c.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	seen := 0
	body := httpc.Counted(resp.Body, func(n int) {
		if seen += n; seen == 64<<10 {
			close(more) // else nothing more comes
		}
	})
	if n, err := io.ReadFull(body, make([]byte, 128<<10)); err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
}
