package server_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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
	// What it may not do it is told, and nothing of it happens. The other one is another reader.
	other, otherConn, err := connect(t, s.ClientURL(), natsgo.UserInfo("reader", "of-readers"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := other.CreateConsumer(ctx, "hr-x", jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: time.Hour, MemoryStorage: true})
	if err != nil {
		t.Fatal(err)
	}
	const api = "$JS.API."
	for _, subject := range []string{
		"hr.x.block.2", "hr.x.reorg", "hr.y.block.1", "_INBOX.of.another", "_HR.of.the.publisher", "$SYS.REQ.SERVER.PING",
		api + "STREAM.CREATE.hr-y", api + "STREAM.UPDATE.hr-x", api + "STREAM.DELETE.hr-x", api + "STREAM.PURGE.hr-x", api + "STREAM.MSG.DELETE.hr-x",
		api + "STREAM.SNAPSHOT.hr-x", api + "STREAM.RESTORE.hr-x", api + "STREAM.LEADER.STEPDOWN.hr-x", api + "STREAM.PEER.REMOVE.hr-x",
		api + "META.LEADER.STEPDOWN", api + "SERVER.REMOVE", api + "ACCOUNT.PURGE.$G",
		api + "CONSUMER.NAMES.hr-x", api + "CONSUMER.LIST.hr-x", api + "CONSUMER.DURABLE.CREATE.hr-x.mine", api + "CONSUMER.PAUSE.hr-x.mine",
		api + "CONSUMER.LEADER.STEPDOWN.hr-x.mine", api + "CONSUMER.UNPIN.hr-x.mine", api + "CONSUMER.RESET.hr-x.mine",
	} {
		refused(t, conn, fmt.Sprintf("Publish to %q", subject), func() error { return conn.PublishRequest(subject, conn.NewInbox(), []byte("{}")) })
	}
	for _, subject := range []string{">", "$JS.EVENT.>", "$JS.API.>", "_HR.>", "$SYS.>", "$JS.ACK.>"} {
		refused(t, conn, fmt.Sprintf("Subscription to %q", subject), func() error {
			_, err := conn.SubscribeSync(subject)
			return err
		})
	}
	if m, err := theirs.Next(jetstream.FetchContext(ctx)); err != nil || string(m.Data()) != "one" {
		t.Errorf("got %v (%v) from another reader's consumer, want all messages from the first on", m, err)
	}
	if err := otherConn.LastError(); err != nil {
		t.Errorf("got %v of a reader who did what readers do", err)
	}
	if info, err := of.Info(ctx); err != nil || info.State.LastSeq != 1 || info.State.Msgs != 1 || len(info.Config.Subjects) != 1 {
		t.Errorf("got %+v (%v), want one message", info, err)
	}
	if names := writer.StreamNames(ctx); len(collect(names.Name())) != 1 || names.Err() != nil {
		t.Errorf("there are other streams: %v", names.Err())
	}
}

func collect(names <-chan string) (out []string) {
	for n := range names {
		out = append(out, n)
	}
	return out
}

// refused does what the server must refuse.
func refused(t *testing.T, conn *natsgo.Conn, what string, do func() error) {
	t.Helper()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	if err := conn.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := conn.LastError(); err == nil || !strings.Contains(err.Error(), "Permissions Violation for "+what) {
		t.Errorf("got %v, want that the server does not permit %s", err, what)
	}
}

// A reader cannot have the server write into the stream in its place: by an answer, or by what a consumer delivers.
func TestReadersWriteNothing(t *testing.T) {
	s, err := server.Open(server.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Password: "of-readers"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	writer, _, err := connect(t, s.ClientURL(), natsgo.UserInfo(s.User, s.Password))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	of, err := writer.CreateStream(ctx, jetstream.StreamConfig{Name: "hr-x", Subjects: []string{"hr.x.>"}, AllowDirect: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Publish(ctx, "hr.x.block.1", []byte("one")); err != nil {
		t.Fatal(err)
	}
	reader, conn, err := connect(t, s.ClientURL(), natsgo.UserInfo("reader", "of-readers"))
	if err != nil {
		t.Fatal(err)
	}
	const into = "hr.x.block.2"
	for _, ask := range []struct{ subject, body string }{
		{"$JS.API.INFO", ""}, {"$JS.API.STREAM.NAMES", ""}, {"$JS.API.STREAM.INFO.hr-x", ""}, {"$JS.API.STREAM.MSG.GET.hr-x", `{"seq":1}`},
		{"$JS.API.DIRECT.GET.hr-x", `{"seq":1}`}, {"$JS.API.DIRECT.GET.hr-x.hr.x.block.1", ""},
		{"$JS.API.CONSUMER.CREATE.hr-x", `{"stream_name":"hr-x","config":{"deliver_policy":"all","ack_policy":"none"}}`},
		{"$JS.API.CONSUMER.CREATE.hr-x.mine", `{"stream_name":"hr-x","config":{"name":"mine","deliver_policy":"all","ack_policy":"none"}}`},
		{"$JS.API.CONSUMER.MSG.NEXT.hr-x.mine", `{"batch":1}`},
		{"$JS.API.CONSUMER.INFO.hr-x.mine", ""}, {"$JS.API.CONSUMER.DELETE.hr-x.mine", ""},
	} {
		if err := conn.PublishRequest(ask.subject, into, []byte(ask.body)); err != nil {
			t.Fatal(err)
		}
		if _, err := reader.Stream(ctx, "hr-x"); err != nil { // what was asked before is answered
			t.Fatal(err)
		}
		if info, err := of.Info(ctx); err != nil || info.State.LastSeq != 1 {
			t.Errorf("%s: got %+v (%v), want one message", ask.subject, info.State, err)
		}
	}
	if _, err := reader.CreateConsumer(ctx, "hr-x", jetstream.ConsumerConfig{DeliverSubject: into, AckPolicy: jetstream.AckNonePolicy}); err == nil {
		t.Error("a reader has what it reads delivered into the stream")
	}
}

// What keeps a server from starting is said at once, with the cause.
func TestCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	notDir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(notDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		says string
		opt  server.Options
	}{
		{"address already in use", server.Options{Listen: taken.Addr().String(), Password: "x"}},
		{"address already in use", server.Options{Listen: "127.0.0.1:0", Password: "x", Cluster: &server.Cluster{Name: "one", Listen: taken.Addr().String(), Routes: []string{taken.Addr().String()}}}},
		{"its streams are in " + notDir, server.Options{Dir: notDir}},
	} {
		if c.opt.Dir == "" {
			c.opt.Dir = t.TempDir()
		}
		s, err := server.Open(c.opt)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want %q", err, c.says)
		}
	}
}

// stuck makes a directory of streams which a server does not come to an end with reading, until free is called.
func stuck(t *testing.T) (dir string, free func()) {
	t.Helper()
	dir = t.TempDir()
	s, err := server.Open(server.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	js, _, err := connect(t, "", natsgo.InProcessServer(s), natsgo.UserInfo(s.User, s.Password))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "hr-x", Subjects: []string{"hr.x.>"}}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	meta := filepath.Join(dir, "jetstream", "$G", "streams", "hr-x", "meta.inf")
	was, err := os.ReadFile(meta)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(meta); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(meta, 0o600); err != nil {
		t.Skip("this system has no named pipes here: ", err)
	}
	return dir, sync.OnceFunc(func() {
		if err := os.WriteFile(meta, was, 0o600); err != nil { // as soon as it is read
			t.Error(err)
		}
	})
}

// A server that is still reading its streams is ended at once, and stops by itself when it has read them.
func TestEndedWhileItStarts(t *testing.T) {
	dir, free := stuck(t)
	defer server.Ended()
	defer free()
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := errors.New("ended")
	time.AfterFunc(10*time.Millisecond, func() { cancel(ended) })
	if s, err := server.Start(ctx, server.Options{Dir: dir}); !errors.Is(err, ended) {
		t.Errorf("got %v, %v", s, err)
	}
	e := server.NewEmbedded(server.Options{Dir: dir})
	if _, err := e.InProcessConn(); err == nil || !strings.Contains(err.Error(), "not started yet") {
		t.Errorf("got %v of a server that has not started", err)
	}
}

// When a server has switched its streams off, whatever for, that is a failure, with what it has said last.
func TestFailed(t *testing.T) {
	s, err := server.Open(server.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Errorf("nothing that lasts: %d", 1)
	if err := s.Failed(); err != nil {
		t.Errorf("got %v of a server that keeps streams", err)
	}
	s.Errorf("the cause: %d", 2)
	if err := s.ShutdownJetStream(); err != nil {
		t.Fatal(err)
	}
	if err := s.Failed(); err == nil || !strings.Contains(err.Error(), "JetStream is off") || !strings.Contains(err.Error(), "the cause: 2") {
		t.Errorf("got %v, want that it keeps none any more, and why", err)
	}
}
