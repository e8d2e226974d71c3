package proxy_test

import (
	"testing"
	"time"
)

// What is open dies without a word; what is opened afterwards works.
func TestSwallow(t *testing.T) {
	p := start(t, 0)
	c := dial(t, p)
	if _, err := roundTrip(t, c); err != nil {
		t.Fatal(err)
	}
	p.Swallow()
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := roundTrip(t, c); err == nil || !isTimeout(err) {
		t.Fatalf("got %v of a dead connection, want silence", err)
	}
	if _, err := roundTrip(t, dial(t, p)); err != nil {
		t.Fatalf("got %v of a new connection, want an answer", err)
	}
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}
