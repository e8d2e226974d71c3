package node_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/nettest"
	"headrace/node"
)

// crowdEnv makes this test's program one that opens connections to the address that it names, and holds them until its
// standard input ends: a process has descriptors for half of a crowd only, when it has both ends.
const crowdEnv = "HEADRACE_NODE_CROWD"

// The crowd that a node must not notice.
const (
	crowdStreams = 1000
	crowdWaiters = 10_000

	idleStream = "/v1/events"
	idleWait   = "/v1/wait?height=1000000000&timeout=10m"
)

func runCrowd(address string) error {
	for path, n := range map[string]int{idleStream: crowdStreams, idleWait: crowdWaiters} {
		if _, err := dialAll(address, path, n); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// crowdOptions are of a node that many may wait for.
func crowdOptions(o node.Options) node.Options {
	o.Config.HTTP.MaxConns, o.Config.HTTP.MaxWaiting = 20_000, 20_000
	return o
}

// dialAll opens n connections that ask for path and read nothing, which takes no memory of this process's heap: what a
// crowd costs is then the server's.
func dialAll(address, path string, n int) (fds []int, err error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	request := []byte("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for range n {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return fds, err
		}
		fds = append(fds, fd)
		if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
			return fds, err
		}
		if _, err := syscall.Write(fd, request); err != nil {
			return fds, err
		}
	}
	return fds, nil
}

// serving waits until a node serves so many requests that last.
func serving(t testing.TB, n *node.Node, waiters, streams int) {
	t.Helper()
	for began := time.Now(); n.Serving() != (node.Serving{Waiters: waiters, Streams: streams}); runtime.Gosched() {
		if time.Since(began) > patience {
			t.Fatalf("got %+v, want %d waiters and %d streams", n.Serving(), waiters, streams)
		}
	}
}

// used returns what is in use of the heap and of stacks, in bytes.
func used() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// Whoever waits, and whoever listens and has nothing to read, costs a node little memory; and nothing when he has gone.
func TestMemoryOfACrowd(t *testing.T) {
	const crowd = 2000
	d, _ := daLayer(t, "127.0.0.1:0", "", time.Hour)
	n := start(t, crowdOptions(newChain(t, "crowd").full(t, d.URL())))
	for _, c := range []struct {
		path             string
		waiters, streams int
		most             uint64
	}{{idleWait, crowd, 0, 8 << 10}, {idleStream + "?events=block,status,live", 0, crowd, 64 << 10}} {
		before := used()
		fds, err := dialAll(n.Address(), c.path, crowd)
		if err != nil {
			t.Error(err)
		} else {
			serving(t, n.Node, c.waiters, c.streams)
		}
		each := (used() - before) / crowd
		if t.Logf("%s: %d bytes each", c.path, each); each > c.most {
			t.Errorf("%s: got %d bytes each, want at most %d", c.path, each, c.most)
		}
		for _, fd := range fds {
			_ = syscall.Close(fd)
		}
		serving(t, n.Node, 0, 0)
	}
}

// raw sends a request as it is, and returns the connection's other end.
func raw(t *testing.T, n *running, request string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := new(net.Dialer).DialContext(bounded(t), "tcp", n.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// A wait that lasts is answered as one that does not, but for its connection, which ends; also one whose client sends more
// meanwhile, which is not read. When a client leaves, its place is free.
func TestParkedWait(t *testing.T) {
	n, _ := sequencer(t)
	const get = "GET /v1/wait?%s HTTP/1.1\r\nHost: localhost\r\n\r\n"
	at := n.until(t, "at a height", func(s node.Status) bool { return s.Heads.Safe.Height > 0 }).Source.Position.Height
	for name, more := range map[string]string{"alone": "", "with another request": "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"} {
		_, in := raw(t, n, fmt.Sprintf(get, "timeout=10m&position="+strconv.FormatUint(at+50, 10))+more)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		var w node.Waited
		if err := json.NewDecoder(resp.Body).Decode(&w); err != nil || w.Result != "reached" || w.Position.Height < at+50 {
			t.Errorf("%s: got %+v, %v, want the position", name, w, err)
		}
		h := resp.Header
		if resp.StatusCode != http.StatusOK || !resp.Close || h.Get("Cache-Control") != "no-store" || h.Get("Content-Type") != "application/json" || h.Get("Date") == "" {
			t.Errorf("%s: got %d, closed %v, %v", name, resp.StatusCode, resp.Close, h)
		}
		if rest, err := io.ReadAll(in); len(rest) > 0 {
			t.Errorf("%s: got %q, %v behind the answer, want the end", name, rest, err)
		}
		at += 50
	}
	c, _ := raw(t, n, fmt.Sprintf(get, "timeout=10m&height=1000000"))
	serving(t, n.Node, 1, 0)
	_ = c.Close()
	serving(t, n.Node, 0, 0)
	_, in := raw(t, n, fmt.Sprintf(get, "timeout=10m&height=1000000"))
	serving(t, n.Node, 1, 0)
	n.stopped(t)
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusGone {
		t.Errorf("got %v, %v at the node's end, want 410", resp, err)
	}
}

// A node is restarted under a crowd: each stream goes on by the id of its last event, and has every block once, in order;
// and each who waits has an answer, who asks again when the node has ended.
func TestCrowdOutlivesARestart(t *testing.T) {
	const streams, waiters, far = 50, 500, 60
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "restart")
	start(t, c.sequencer(t, d.URL(), 50*time.Millisecond))
	o := crowdOptions(c.full(t, d.URL()))
	o.Config.HTTP.Address = nettest.FreeAddress(t)
	n := start(t, o)
	ctx := bounded(t)
	var work sync.WaitGroup
	var answered atomic.Int64
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 1}}
	defer client.CloseIdleConnections()
	again := func(path, id string) *http.Response { // asks until somebody is there
		for {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.Config.HTTP.Address+path, nil)
			if err != nil {
				t.Error(err)
				return nil
			}
			if id != "" {
				req.Header.Set("Last-Event-ID", id)
			}
			resp, err := client.Do(req)
			if err == nil {
				return resp
			}
			if backoff := (follow.Backoff{Min: 50 * time.Millisecond}); backoff.Sleep(ctx, nil) != nil { // the client's, as browsers have one
				t.Errorf("%s: %v", path, err)
				return nil
			}
		}
	}
	have := make([]reader, streams)
	for i := range have {
		work.Go(func() {
			for have[i].at.Height < far && ctx.Err() == nil {
				if resp := again("/v1/events?from=1", have[i].id); resp != nil {
					have[i].read(t, resp.Body, far)
					_ = resp.Body.Close()
				}
			}
		})
	}
	for i := range waiters {
		work.Go(func() {
			for code := 0; code != http.StatusOK && ctx.Err() == nil; {
				resp := again(fmt.Sprintf("/v1/wait?height=%d&timeout=1m", 1+i*far/waiters), "")
				if resp == nil {
					return
				}
				if code = resp.StatusCode; code == http.StatusOK {
					answered.Add(1)
				} else if code != http.StatusGone {
					t.Errorf("got %s, want an answer, or the node's end", resp.Status)
				}
				_ = resp.Body.Close()
			}
		})
	}
	for _, height := range []uint64{far / 4, far / 2} {
		n.until(t, "amid the blocks", func(s node.Status) bool { return s.Heads.Safe.Height >= height })
		n.stopped(t)
		n = start(t, o)
	}
	work.Wait()
	if got := answered.Load(); got != waiters {
		t.Errorf("%d of %d waits were answered", got, waiters)
	}
	resumed := 0
	for _, r := range have {
		if r.at.Height < far {
			t.Errorf("a stream is at %d, want %d", r.at.Height, far)
		}
		if r.sessions > 1 {
			resumed++
		}
	}
	if resumed == 0 {
		t.Error("no stream has gone on where it was cut")
	}
}

// reader is what one client has read of its streams.
type reader struct {
	at       block.Ref
	id       string
	sessions int
}

// read reads a stream to its end, or the height.
func (r *reader) read(t *testing.T, body io.Reader, until uint64) {
	lines := bufio.NewScanner(body)
	id, kind := "", ""
	r.sessions++
	for r.at.Height < until && lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case name == "id":
			id = value
		case name == "event":
			kind = value
		case name == "data" && kind == "block":
			var b node.BlockEvent
			if err := json.Unmarshal([]byte(value), &b); err != nil {
				t.Error(err)
			}
			if b.Height != r.at.Height+1 || b.ParentHash != r.at.Hash {
				t.Errorf("got block %d %s after %d %s", b.Height, b.Hash, r.at.Height, r.at.Hash)
			}
			r.at, r.id = block.Ref{Height: b.Height, Hash: b.Hash}, id
		}
	}
}

// BenchmarkAppliedInACrowd compares the time from the announcement of a height to its application at a node that nobody
// asks for anything with the same at a node with 1,000 streams and 10,000 waits, which are another process's. Windows with
// and without the crowd take turns, ten of each. It reports the medians without, and by how much more it is with the
// crowd, the median of the pairs:
//
//	go test ./node -run '^$' -bench AppliedInACrowd -benchtime 1x
func BenchmarkAppliedInACrowd(b *testing.B) {
	const pairs, window = 10, 100
	d, _ := daLayer(b, "127.0.0.1:0", "", 100*time.Millisecond)
	c := newChain(b, "crowd")
	start(b, c.sequencer(b, d.URL(), 100*time.Millisecond))
	o := crowdOptions(c.full(b, d.URL()))
	took := make(chan time.Duration, 1) // sent to by the observer; what nobody waits for is dropped
	var announced follow.Announced
	o.Observer.Source.News = func(head block.Ref, _ bool) { announced.Note(head.Height, time.Now()) }
	o.Observer.Source.Applied = func(item block.Ref, _ bool) {
		if at := announced.Applied(item.Height); !at.IsZero() {
			select {
			case took <- time.Since(at):
			default:
			}
		}
	}
	n := start(b, o)
	n.until(b, "ready", ready)
	measure := func() (p50, p99 float64) {
		runtime.GC()
		<-took // of before
		var all []time.Duration
		for range window {
			all = append(all, <-took)
		}
		slices.Sort(all)
		us := func(i int) float64 { return float64(all[i].Nanoseconds()) / 1e3 }
		return us(window / 2), us(window - 2)
	}
	for b.Loop() {
		var base, more [2][]float64
		for i := range pairs {
			var with, without [2]float64
			plain := func() { without[0], without[1] = measure() }
			if i%2 == 0 {
				plain()
			}
			end := crowdAt(b, n)
			with[0], with[1] = measure()
			end()
			serving(b, n.Node, 0, 0)
			if i%2 == 1 {
				plain()
			}
			for k := range 2 {
				base[k], more[k] = append(base[k], without[k]), append(more[k], with[k]-without[k])
			}
		}
		for k, name := range []string{"p50", "p99"} {
			slices.Sort(base[k])
			slices.Sort(more[k])
			b.Logf("%s: without %.0f, more with %.0f", name, base[k], more[k])
			b.ReportMetric((base[k][pairs/2-1]+base[k][pairs/2])/2, name+"-us")
			b.ReportMetric((more[k][pairs/2-1]+more[k][pairs/2])/2, name+"-more-us")
		}
		b.ReportMetric(0, "ns/op")
	}
}

// crowdAt starts the process with the crowd, waits until all are there, and returns what ends it.
func crowdAt(b *testing.B, n *running) (end func()) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crowdEnv+"="+n.Address())
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	end = func() {
		if err := errors.Join(hold.Close(), cmd.Wait()); err != nil {
			b.Errorf("the crowd: %v", err)
		}
	}
	serving(b, n.Node, crowdWaiters, crowdStreams)
	return end
}
