package publish

import (
	"context"
	"net"
	"syscall"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"headrace/internal/nettest"
	"headrace/stream/nats/server"
)

// silent returns the address of a server that gives no answer at all, not even a refusal: its queue of connections is full.
func silent(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
	conn, err := net.DialTimeout("tcp", address, time.Minute) // the one for which there is room
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return address
}

// Servers that give no answer at all do not hold up the one that does, at first and later: here each has an hour.
func TestDialPassesTheDeadBy(t *testing.T) {
	h := newHost(t, server.Options{Listen: nettest.FreeAddress(t), Password: "of-readers"})
	s := Servers{User: "publisher", Password: "secret-of-tests", wait: time.Hour}
	s.URLs = []string{"nats://" + silent(t), "nats://" + silent(t), "nats://" + h.opt.Listen}
	came := make(chan struct{}, 1) // by the client library
	conn := dialled(t, t.Context(), s, func() { came <- struct{}{} }, natsgo.DontRandomize())
	for again := range 3 {
		if again > 0 {
			h.down()
			h.up()
		}
		select {
		case <-came:
		case <-time.After(time.Minute):
			t.Fatalf("there is no connection the %d. time: %v", again+1, conn.LastError())
		}
	}
}

// What is dialled ends with its context, also at first.
func TestDialEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel) // most times while it dials
	conn := dialled(t, ctx, Servers{URLs: []string{"nats://" + silent(t), "nats://" + silent(t)}, wait: time.Hour}, func() {})
	if conn.IsConnected() {
		t.Error("there is a connection to a server that does not answer")
	}
}

func dialled(t *testing.T, ctx context.Context, s Servers, back func(), more ...natsgo.Option) *natsgo.Conn {
	t.Helper()
	done := make(chan *natsgo.Conn, 1) // by the goroutine below
	go func() {
		conn, err := s.dial(ctx, back, more...)
		if err != nil {
			t.Error(err)
		}
		done <- conn
	}()
	select {
	case conn := <-done:
		t.Cleanup(conn.Close)
		return conn
	case <-time.After(time.Minute):
		t.Fatal("it dials on")
		return nil
	}
}
