package jsonrpc

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
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
		"below the lowest rate":        {each: minRate / 2, until: time.Hour, ends: 2 * limit, text: "and only"},
		"above it":                     {each: 2 * minRate, until: time.Hour, ends: time.Hour + limit, text: "no byte within 30s"},
		"calls of the same time first": {each: 2 * minRate, until: time.Hour, other: limit, ends: time.Hour + limit, text: "no byte within 30s"},
		"later calls first":            {each: 2 * minRate, until: time.Hour, other: limit + time.Second, ends: limit, text: "later have theirs"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &Client{opt: ClientOptions{CallTimeout: limit}}
				start := time.Now()
				ctx, k := c.clock(t.Context(), "m")
				defer k.stop()
				var in traffic
				k.sent(&in)
				for ctx.Err() == nil && time.Since(start) < test.until {
					time.Sleep(time.Second)
					in.add(test.each)
					if test.other > 0 {
						in.answered(start.Add(test.other).UnixNano())
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
		c := &Client{opt: ClientOptions{CallTimeout: time.Second}}
		ctx, k := c.clock(t.Context(), "m")
		defer k.stop()
		k.hold()
		time.Sleep(time.Minute)
		k.release()
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
