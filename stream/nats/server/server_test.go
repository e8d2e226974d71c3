package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"headrace/stream/nats/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, url string, opts ...natsgo.Option) (jetstream.JetStream, *natsgo.Conn, error) {
	t.Helper()
	c, err := natsgo.Connect(url, append(opts, natsgo.Timeout(time.Minute), natsgo.ErrorHandler(func(*natsgo.Conn, *natsgo.Subscription, error) {}))...)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(c.Close)
	js, err := jetstream.New(c)
	return js, c, err
}

// Without an address no port is open; the process itself is served.
func TestNoPort(t *testing.T) {
	s, err := server.Open(server.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if a := s.Addr(); a != nil {
		t.Errorf("it listens at %s", a)
	}
	js, _, err := connect(t, "", natsgo.InProcessServer(s), natsgo.UserInfo(s.User, s.Password))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AccountInfo(t.Context()); err != nil {
		t.Error(err)
	}
	if _, _, err := connect(t, "", natsgo.InProcessServer(s), natsgo.UserInfo(s.User, "another")); err == nil {
		t.Error("another password is taken")
	}
}

// Who reads needs the password, and may read, and nothing else. A server that listens without one does not start.
func TestReaders(t *testing.T) {
	if _, err := server.Open(server.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0"}); err == nil || !strings.Contains(err.Error(), "needs a password") {
		t.Errorf("got %v of a server without a password", err)
	}
	s, err := server.Open(server.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Password: "of-readers"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, opt := range [][]natsgo.Option{nil, {natsgo.UserInfo("reader", "x")}, {natsgo.UserInfo("publisher", "of-readers")}} {
		if _, _, err := connect(t, s.ClientURL(), opt...); err == nil {
			t.Errorf("who has no password is let in")
		}
	}
	writer, _, err := connect(t, s.ClientURL(), natsgo.UserInfo(s.User, s.Password))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := writer.CreateStream(ctx, jetstream.StreamConfig{Name: "hr-x", Subjects: []string{"hr.x.>"}, AllowDirect: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Publish(ctx, "hr.x.block.1", []byte("one")); err != nil {
		t.Fatal(err)
	}
	reader, conn, err := connect(t, s.ClientURL(), natsgo.UserInfo("reader", "of-readers"))
	if err != nil {
		t.Fatal(err)
	}
	of, err := reader.Stream(ctx, "hr-x")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := of.GetMsg(ctx, 1); err != nil || string(m.Data) != "one" {
		t.Errorf("got %v (%v) of the first message", m, err)
	}
	consumer, err := of.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := consumer.Next(); err != nil || string(m.Data()) != "one" {
		t.Errorf("got %v (%v) from a consumer", m, err)
	}
	short := func() context.Context {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	if _, err := reader.Publish(short(), "hr.x.block.2", []byte("two")); err == nil {
		t.Error("a reader has published")
	}
	if err := of.Purge(short()); err == nil {
		t.Error("a reader has purged the stream")
	}
	if err := reader.DeleteStream(short(), "hr-x"); err == nil {
		t.Error("a reader has deleted the stream")
	}
	if _, err := reader.CreateStream(short(), jetstream.StreamConfig{Name: "other", Subjects: []string{"other"}}); err == nil {
		t.Error("a reader has made a stream")
	}
	if err := conn.LastError(); err == nil || !strings.Contains(strings.ToLower(err.Error()), "permissions violation") {
		t.Errorf("got %v as what the server said last", err)
	}
	if info, err := of.Info(ctx); err != nil || info.State.LastSeq != 1 || info.State.Msgs != 1 {
		t.Errorf("got %+v (%v), want one message", info, err)
	}
}
