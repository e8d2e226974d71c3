package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"headrace/node"
)

// TestDiskFull: the disk of a sequencer, then of a full node, is full for a while. Each says that it is not live, and
// is at the head again in the same process once there is room. The DA layer ends, with the status that says why, and
// goes on when it is started again. Nothing is lost. What cannot be opened at its start ends with that status too.
func TestDiskFull(t *testing.T) {
	noteSources(t)
	r := newRollup(t)
	disks := map[*server]string{}
	for s, name := range map[*server]string{r.da: "da", r.seq: "seq", r.all: "full"} {
		disks[s] = filepath.Join(r.home, name)
		ownDisk(t, disks[s])
	}
	for _, s := range r.servers {
		s.start(t)
	}
	r.settled(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	load := newLoad(r.seq.url)
	var work sync.WaitGroup
	work.Go(func() { load.run(ctx) })
	defer work.Wait()
	defer cancel()

	for _, s := range []*server{r.seq, r.all} {
		var free func()
		s.fails(t, func() { free = fill(t, disks[s]) }, func() {}, func() { free() })
	}
	free := fill(t, disks[r.da])
	r.da.endsOnDisk(t)
	free()
	r.da.start(t)
	r.settled(t, 0)
	cancel()
	work.Wait()
	r.verify(t, load)
	for _, s := range []*server{r.all, r.seq, r.da} {
		s.p.interrupt(t)
		fill(t, disks[s])
		s.start(t)
		s.endsOnDisk(t)
	}
}

// TestFewDescriptors: a sequencer, then a full node, may open no file for a while, so that it cannot go on when one is
// full. It says that it is not live, and is at the head again in the same process once it may. Nothing is lost.
func TestFewDescriptors(t *testing.T) {
	noteSources(t)
	r := newRollup(t)
	for _, s := range r.servers {
		s.start(t)
	}
	r.settled(t, 0)
	load := newLoad(r.seq.url)
	defer load.client.CloseIdleConnections()
	n := 0
	post := func() {
		tx := fmt.Sprintf("key-%d=%d-%s", n%keys, n, strings.Repeat("x", 80_000))
		n++
		load.sent[tx] = true
		if load.post(t.Context(), r.seq.url.Load().url, tx) {
			load.accepted[tx] = r.seq.runs
		}
	}
	for range keys {
		post()
	}
	for _, s := range []*server{r.seq, r.all} {
		var raise func()
		s.fails(t, func() { raise = lower(t, s) }, post, func() { raise() })
	}
	r.verify(t, load)
	for _, s := range []*server{r.all, r.seq, r.da} {
		s.p.interrupt(t)
	}
}

// ownDisk puts a small disk of its own under a directory, with what is there.
func ownDisk(t *testing.T, dir string) {
	t.Helper()
	files := t.TempDir()
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.CopyFS(files, os.DirFS(dir))); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m,mode=0700"); err != nil {
		t.Skipf("no disk can be mounted that would be full: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.CopyFS(dir, os.DirFS(files)); err != nil {
		t.Fatal(err)
	}
}

// fill leaves no room on a disk until free is called.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// lower lets a process open nothing more, also in the place of what it has open in its home, until raise is called.
func lower(t *testing.T, s *server) (raise func()) {
	t.Helper()
	pid, home := s.p.cmd.Process.Pid, s.args[slices.Index(s.args, "--home")+1]
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	open, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var most uint64
	for _, fd := range open {
		path, err := os.Readlink(filepath.Join(dir, fd.Name()))
		number, errs := strconv.ParseUint(fd.Name(), 10, 64)
		if errors.Join(err, errs) == nil && strings.HasPrefix(path, home) && (most == 0 || number < most) {
			most = number
		}
	}
	if most == 0 {
		t.Fatalf("%s has nothing open in %s", s.name, home)
	}
	var was unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was); err != nil {
		t.Skipf("the limit of another process cannot be read: %v", err)
	}
	limit := func(to uint64) {
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: to, Max: was.Max}, nil); err != nil {
			t.Errorf("set the limit of another process to %d: %v", to, err)
		}
	}
	limit(most)
	return func() { limit(was.Cur) }
}

// fails fails the test unless s is not live from the moment at which it has noticed what breaks, and back at the head
// in the same process after mend. Meanwhile nudge has it write.
func (s *server) fails(t *testing.T, breaks, nudge, mend func()) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("it hangs"))
	defer cancel()
	c := &asker{client: &http.Client{Transport: &http.Transport{}}} // one connection: it may be that no other is to be had
	defer c.client.CloseIdleConnections()
	url := s.ready(ctx, t)
	c.status(ctx, t, url, "ready", func(s node.Status) bool { return s.Ready })
	breaks()
	// Want of descriptors may be met by a read first. That is no failed write: it is tried again, and the reason says
	// so.
	down := c.status(ctx, t, url, "told of its disk", func(s node.Status) bool {
		told := s.Disk != "" || strings.Contains(s.Reason, "too many open files")
		if !told {
			nudge()
		}
		return told
	})
	code, body := c.code(ctx, t, url+"/livez")
	if down.Disk != "" && (code != http.StatusServiceUnavailable || !strings.Contains(body, "disk failed")) {
		t.Errorf("%s: live: got %d: %s", s.name, code, body)
	}
	if code, body := c.code(ctx, t, url+"/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("%s: ready: got %d: %s", s.name, code, body)
	}
	mend()
	mended := time.Now()
	c.status(ctx, t, url, "at the head again", func(now node.Status) bool {
		return now.Ready && now.Disk == "" && now.Heads.Safe.Height > down.Heads.Unsafe.Height
	})
	t.Logf("%s: at the head again after %s", s.name, time.Since(mended))
	if code, body := c.code(ctx, t, url+"/livez"); code != http.StatusOK {
		t.Errorf("%s: live after that: got %d: %s", s.name, code, body)
	}
	if err := s.p.told.Err(); err != nil {
		t.Errorf("%s ended: %v", s.name, err)
	}
}

// code returns a GET's answer.
func (c *asker) code(ctx context.Context, t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// endsOnDisk fails the test unless s ends by itself with the exit status of a disk that fails.
func (s *server) endsOnDisk(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("it hangs"))
	defer cancel()
	_, err := s.p.told.Wait(ctx, func(progress) bool { return false })
	var exit *exec.ExitError
	tail := s.p.told.Load().Tail
	if !errors.As(err, &exit) || exit.ExitCode() != 5 || !strings.Contains(tail, "no space left on device") {
		t.Errorf("%s: got %v, want exit status 5\n%s", s.name, err, tail)
	}
}
