package server_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/stream/nats/server"
)

// running runs an embedded server until stop, which returns what Run has.
func running(opt server.Options) (e *server.Embedded, stop func() error) {
	opt.Secret = "secret-of-tests"
	e = server.NewEmbedded(opt)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	return e, sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
}

// reaches connects to a server that may not be there yet.
func reaches(t *testing.T, e *server.Embedded) jetstream.JetStream {
	t.Helper()
	there := make(chan struct{})
	opts := []natsgo.Option{natsgo.InProcessServer(e), natsgo.UserInfo(server.Publisher, "secret-of-tests"), natsgo.RetryOnFailedConnect(true),
		natsgo.MaxReconnects(-1), natsgo.ReconnectWait(10 * time.Millisecond), natsgo.ConnectHandler(func(*natsgo.Conn) { close(there) })}
	js, _, err := connect(t, "", opts...)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-there:
	case <-time.After(time.Minute):
		t.Fatal("the server does not come")
	}
	return js
}

// A server that is run beside other things answers after a while; until its end; and what keeps it from starting ends it.
func TestEmbedded(t *testing.T) {
	e, stop := running(server.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Password: "of-readers"})
	js := reaches(t, e)
	if _, err := js.AccountInfo(t.Context()); err != nil {
		t.Error(err)
	}
	if _, _, err := connect(t, "nats://"+e.Addr().String(), natsgo.UserInfo("reader", "of-readers")); err != nil {
		t.Error(err)
	}
	js.Conn().Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := e.InProcessConn(); err == nil {
		t.Error("it is still there after its end")
	}
	if err := server.NewEmbedded(server.Options{Dir: filepath.Join(os.Args[0], "no-directory"), Secret: "x"}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "its streams are in") {
		t.Errorf("got %v, want that streams cannot be kept below a file", err)
	}
}
