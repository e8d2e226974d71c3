package publish

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A server that is slow, and was given up for another one, has all its time when it is dialled again without a connection
// since: the other one may refuse.
func TestDialSparesTheSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		after := map[string]time.Duration{"slow": time.Second, "near": time.Millisecond}
		d := &dialer{wait: 2 * time.Second, head: 200 * time.Millisecond, all: []string{"slow", "near"}, cut: map[string]bool{}}
		d.connect = func(ctx context.Context, _, address string) (net.Conn, error) {
			select {
			case <-time.After(after[address]):
				conn, other := net.Pipe()
				_ = other.Close()
				return conn, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		dial := func(address string, want error, within time.Duration) {
			t.Helper()
			began := time.Now()
			conn, err := d.within(t.Context()).Dial("tcp", address)
			if !errors.Is(err, want) || (err == nil) != (want == nil) || time.Since(began) != within {
				t.Errorf("%s: got %v after %s, want %v after %s", address, err, time.Since(began), want, within)
			}
			if err == nil {
				_ = conn.Close()
			}
		}
		dial("near", nil, time.Millisecond)
		dial("slow", errOvertaken, 201*time.Millisecond)
		dial("slow", nil, time.Second)
		dial("slow", errOvertaken, 201*time.Millisecond)
		d.came()
		dial("slow", errOvertaken, 201*time.Millisecond)
		after["slow"] = time.Hour
		dial("slow", context.DeadlineExceeded, 2*time.Second)
		after["near"] = time.Hour
		dial("slow", context.DeadlineExceeded, 2*time.Second)
		dial("near", context.DeadlineExceeded, 2*time.Second)
	})
}

// Servers are dialled at the ports of their schemes.
func TestHosts(t *testing.T) {
	s := Servers{URLs: []string{"nats://user:word@one", "tls://two:1", "ws://three", "wss://[::1]"}}
	if got, want := s.hosts(), []string{"one:4222", "two:1", "three:80", "[::1]:443"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
