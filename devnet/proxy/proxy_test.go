package proxy_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headrace/devnet/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo serves one connection after the other, sending back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { _, _ = io.Copy(c, c); _ = c.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String()
}

func start(t *testing.T, delay time.Duration) *proxy.Proxy {
	t.Helper()
	p, err := proxy.New(echo(t), delay)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return p
}

func roundTrip(t *testing.T, c net.Conn) (took time.Duration, err error) {
	t.Helper()
	begin := time.Now()
	if _, err := c.Write([]byte("ping")); err != nil {
		return 0, err
	}
	_, err = io.ReadFull(c, make([]byte, 4))
	return time.Since(begin), err
}

func dial(t *testing.T, p *proxy.Proxy) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestDelayFreezeAndCut(t *testing.T) {
	p := start(t, 30*time.Millisecond)
	c := dial(t, p)
	if took, err := roundTrip(t, c); err != nil || took < 30*time.Millisecond {
		t.Fatalf("round trip took %s (%v), want at least the delay", took, err)
	}
	p.SetDelay(0)
	p.Freeze(true)
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := roundTrip(t, c); err == nil {
		t.Fatal("bytes passed a frozen proxy")
	}
	p.Freeze(false)
	_ = c.SetReadDeadline(time.Time{})
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Fatalf("what was frozen did not arrive: %v", err)
	}
	p.Cut(true)
	if _, err := roundTrip(t, c); err == nil {
		t.Fatal("bytes passed a cut connection")
	}
	p.Cut(false)
	if _, err := roundTrip(t, dial(t, p)); err != nil {
		t.Fatalf("no connection after the cut: %v", err)
	}
}
