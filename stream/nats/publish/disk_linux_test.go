package publish

import (
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"headrace/node"
	"headrace/stream/nats/server"
)

// TestFullDisk: the server's disk is full in the middle of what is published, which is said; when there is room the stream
// goes on by itself, and is whole.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skip("a small disk cannot be mounted here: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	e := server.NewEmbedded(server.Options{Dir: filepath.Join(dir, "stream"), Secret: "secret-of-tests"})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // what e.Run returns
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	m := newMemory()
	m.txBytes = func(uint64) int { return 100 << 10 }
	m.mine(200) // 27 MB
	servers := Servers{InProcess: e, User: server.Publisher, Password: "secret-of-tests"}
	p := publishing(t, m, Options{Servers: servers})
	p.until(t, "at work", func(s node.Stream) bool { return s.At.Height > 10 })
	full := p.until(t, "failing, with the cause", func(s node.Stream) bool {
		return s.State == node.StreamFailing && strings.Contains(s.Cause, "no space left on device")
	})
	t.Logf("at block %d: %s", full.At.Height, full.Cause)
	if full.At.Height >= 200 {
		t.Errorf("got %+v: a disk of 16 MiB holds 27 MB", full)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=128m"); err != nil {
		t.Fatal(err)
	}
	p.until(t, "there", at(m.ref(200)))
	newReader(t, servers).wants(m, 1, 200)
}
