package node_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/devnet"
	"headrace/follow"
	"headrace/internal/latetest"
	"headrace/node"
)

// unsafeAt has the unsafe head at a height, or above it.
func unsafeAt(height uint64) func(node.Status) bool {
	return func(s node.Status) bool { return s.Heads.Unsafe.Height >= height }
}

// A full node has the sequencer's blocks from its stream, while the DA layer is slow, down and back: it promotes what
// comes from there, says that it has unsafe blocks alone, and is ready again.
func TestFollowsAnotherNode(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "da")
	d, stopDA := daLayer(t, "127.0.0.1:0", dir, 500*time.Millisecond)
	c := newChain(t, "soft")
	o := c.sequencer(t, d.URL(), 20*time.Millisecond)
	o.Config.Sequencer.MaxPending = 100_000
	seq := start(t, o)
	seq.until(t, "at block 5", unsafeAt(5))
	f := c.full(t, d.URL())
	f.Config.Unsafe.From = node.At(seq.URL())
	full := start(t, f)
	s := full.until(t, "far ahead of the DA layer", func(s node.Status) bool {
		return s.Heads.Safe.Height >= 100 && s.Heads.Unsafe.Height >= s.Heads.Safe.Height+5 && s.Ready
	})
	before := s.Counts
	s = full.until(t, "at the next hundred", func(s node.Status) bool { return s.Counts.Promoted >= before.Promoted+100 })
	if c := s.Counts; c.Promoted+c.Executed != s.Heads.Safe.Height || c.RevertedUnsafe != 0 {
		t.Errorf("got %+v at safe block %d, want each either promoted or executed", c, s.Heads.Safe.Height)
	}
	if e := s.Unsafe.From; len(e) != 1 || !e[0].Live || !e[0].Healthy || e[0].Head == 0 || e[0].Role != "unsafe" || e[0].Address != seq.URL() {
		t.Errorf("got %+v of the other node, want it live", e)
	}

	address := strings.TrimPrefix(d.URL(), "http://")
	stopDA()
	s = full.until(t, "unsafe only", func(s node.Status) bool { return !s.Ready && s.Stage == follow.StageUnsafe })
	if !strings.HasPrefix(s.Reason, "unsafe only: blocks ") || s.Remedy == "" || !slices.ContainsFunc(s.Waiting, func(w node.Waiting) bool { return w.Stage == follow.StageSubscribe }) {
		t.Errorf("got the reason %q, remedy %q, and %+v; want what is so, and why", s.Reason, s.Remedy, s.Waiting)
	}
	code, answer := ask(t, full, http.MethodGet, fmt.Sprintf("/v1/wait?height=%d&head=unsafe&timeout=1m", s.Heads.Unsafe.Height+50), "")
	if code != http.StatusOK {
		t.Errorf("a wait for an unsafe head: got %d %s, want 200", code, answer)
	}
	if s := full.Status().Load(); s.Ready {
		t.Error("ready with the DA layer down")
	}
	down := full.Status().Load()
	high := down.Heads.Unsafe.Height
	daLayer(t, address, dir, 500*time.Millisecond)
	s = full.until(t, "ready again, with all of it safe", func(s node.Status) bool { return s.Ready && s.Heads.Safe.Height >= high })
	if got, want := s.Counts.Promoted-down.Counts.Promoted, high-down.Heads.Safe.Height; got < want || s.Counts.RevertedUnsafe != 0 {
		t.Errorf("got %d blocks promoted and %+v, want the %d that were there", got, s.Counts, want)
	}
}

// A late joiner has all blocks from another node while the DA layer is down, and goes on where it was after a restart;
// one whose unsafe.max is reached waits for the DA layer, and for nothing else.
func TestJoinsWithTheDALayerDown(t *testing.T) {
	t.Parallel()
	d, stopDA := daLayer(t, "127.0.0.1:0", filepath.Join(t.TempDir(), "da"), time.Hour)
	c := newChain(t, "late")
	o := c.sequencer(t, d.URL(), 10*time.Millisecond)
	o.Config.Sequencer.MaxPending = 100_000
	seq := start(t, o)
	seq.until(t, "at block 300", unsafeAt(300))
	stopDA()
	f := c.full(t, d.URL())
	f.Config.Unsafe.From = node.At(seq.URL())
	full := start(t, f)
	full.until(t, "at block 300", unsafeAt(300))
	full.stop()
	full = start(t, f)
	s := full.until(t, "further", unsafeAt(seq.Status().Load().Heads.Unsafe.Height+10))
	if s.Counts.Offered > s.Heads.Unsafe.Height-300 || s.Heads.Safe.Height != 0 {
		t.Errorf("got %d blocks taken since the restart, safe head %d; want those after it alone, and none safe", s.Counts.Offered, s.Heads.Safe.Height)
	}
	short := c.full(t, d.URL())
	short.Config.Unsafe.From, short.Config.Unsafe.Max = node.At(full.URL()), 50 // of a node that is a follower itself
	other := start(t, short)
	other.until(t, "at block 50", unsafeAt(50))
	full.until(t, "further", unsafeAt(full.Status().Load().Heads.Unsafe.Height+20))
	if s := other.Status().Load(); s.Heads.Unsafe.Height != 50 || s.Unsafe.Max != 50 || s.Unsafe.From[0].Errors != 0 {
		t.Errorf("got the unsafe head %d, %+v; want it to wait at 50, without a complaint", s.Heads.Unsafe.Height, s.Unsafe)
	}
}

// relay is another node's stream as somebody in between passes it on.
func relay(t *testing.T, from string, each func(w io.Writer, id, kind string, data []byte)) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, from+r.URL.RequestURI(), nil)
		if err != nil {
			t.Error(err)
			return
		}
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		resp, err := client.Do(req)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
		w.WriteHeader(resp.StatusCode)
		in := bufio.NewReaderSize(resp.Body, 1<<20)
		var id, kind string
		for {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			switch name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(": ")); string(name) {
			case "id":
				id = string(value)
			case "event":
				kind = string(value)
			case "data":
				each(w, id, kind, value)
				_ = http.NewResponseController(w).Flush()
			}
		}
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// sse is an event, as a stream has it.
func sse(id, kind string, data []byte) []byte {
	return fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", id, kind, data)
}

// Must hold: a thousand garbled copies of each of a hundred blocks before the honest one, in a stream: nothing is
// displaced, memory stays flat, and the honest block is applied.
func TestGarbledStream(t *testing.T) {
	d, _ := daLayer(t, "127.0.0.1:0", "", time.Hour)
	c := newChain(t, "garbled")
	o := c.sequencer(t, d.URL(), 10*time.Millisecond)
	o.Config.Sequencer.MaxPending = 100_000
	seq := start(t, o)
	seq.until(t, "at block 100", unsafeAt(100))
	seq.stop()
	o.Config.Sequencer.BlockTime = time.Hour
	seq = start(t, o)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 2))
	url := relay(t, seq.URL(), func(w io.Writer, id, kind string, data []byte) {
		var text map[string]any
		if kind != "block" || json.Unmarshal(data, &text) != nil {
			_, _ = w.Write(sse(id, kind, data))
			return
		}
		raw, _ := json.Marshal(text["signed"])
		var signed node.SignedBytes
		if err := json.Unmarshal(raw, &signed); err != nil {
			t.Error(err)
		}
		for i := range 1000 {
			bad := signed
			bad.Header, bad.Data = bytes.Clone(signed.Header), bytes.Clone(signed.Data)
			switch at := random.IntN(len(bad.Header)-2) + 2; i % 4 {
			case 0:
				bad.Header = bad.Header[:at]
			case 1:
				bad.Header[at] ^= 0xff
			case 2:
				bad.Header = append(bad.Header, bad.Data...)
			default:
				bad.Header[len(bad.Header)-1-random.IntN(60)] ^= 1
			}
			out, _ := json.Marshal(map[string]any{"signed": bad})
			if _, err := w.Write(sse(id, kind, out)); err != nil {
				return
			}
		}
		_, _ = w.Write(sse(id, kind, data))
	})
	f := c.full(t, d.URL())
	f.Config.Unsafe.From = node.At(url)
	full := start(t, f)
	full.until(t, "at block 1", unsafeAt(1))
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := full.until(t, "at block 100", unsafeAt(100))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 32<<20 {
		t.Errorf("seed %d: the heap has grown by %d bytes", seed, grown)
	}
	for h := uint64(1); h <= 100; h++ {
		got, want := blockAt(t, full, h), blockAt(t, seq, h)
		if got.Hash != want.Hash || !bytes.Equal(got.StateRoot, want.StateRoot) {
			t.Fatalf("seed %d: block %d is %s, want %s", seed, h, got.Hash, want.Hash)
		}
	}
	if e := s.Unsafe.From[0]; e.Errors == 0 || !strings.Contains(e.LastError, "not the proposer's") || s.Counts.SignedTwice != 0 || s.Unsafe.Buffered != 0 {
		t.Errorf("seed %d: got %+v, %+v; want the endpoint's fault told, and nothing held", seed, e, s.Unsafe)
	}
}

func blockAt(t *testing.T, n *running, height uint64) node.Block {
	t.Helper()
	b, err := n.Block(height)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Others that are silent, lie, send without end, or are of another chain cost nothing beside one that is honest; each
// is told of.
func TestHostileStreams(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", time.Hour)
	c := newChain(t, "hostile")
	o := c.sequencer(t, d.URL(), 20*time.Millisecond)
	o.Config.Sequencer.MaxPending = 100_000
	seq := start(t, o)
	foreign := newChain(t, "hostile")
	p := foreign.sequencer(t, d.URL(), 20*time.Millisecond)
	p.Config.Sequencer.MaxPending = 100_000
	other := start(t, p)
	other.until(t, "at block 5", unsafeAt(5))
	serve := func(h func(w http.ResponseWriter, r *http.Request)) string {
		s := httptest.NewServer(http.HandlerFunc(h))
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
		return s.URL
	}
	stream := func(write func(w io.Writer) error) string {
		return serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			for r.Context().Err() == nil && write(w) == nil {
				_ = http.NewResponseController(w).Flush()
			}
		})
	}
	long := bytes.Repeat([]byte("x"), 1<<20)
	id := fmt.Sprintf("1-%s-0", block.Hash{9})
	far := fmt.Sprintf("%d-%s-0", uint64(1)<<60, block.Hash{9})
	high := block.SignedHeader{Header: block.Header{ChainID: seq.Status().Load().ChainID, Height: 1 << 60}}
	misnamed, err := json.Marshal(map[string]any{"signed": node.SignedBytes{Header: high.Encode()}})
	if err != nil {
		t.Fatal(err)
	}
	hostile := map[string]string{
		"another's id":     stream(func(w io.Writer) error { _, err := w.Write(sse(id, "block", misnamed)); return err }),
		"silent":           stream(func(io.Writer) error { <-t.Context().Done(); return io.EOF }),
		"endless event":    stream(func(w io.Writer) error { _, err := w.Write(long); return err }),
		"endless comments": stream(func(w io.Writer) error { _, err := w.Write(bytes.Repeat([]byte(": x\n\n"), 1000)); return err }),
		"empty blocks":     stream(func(w io.Writer) error { _, err := w.Write(sse(id, "block", []byte("{}"))); return err }),
		"no JSON":          stream(func(w io.Writer) error { _, err := w.Write(sse(id, "block", []byte("{{{{"))); return err }),
		"far away":         stream(func(w io.Writer) error { _, err := w.Write(sse(far, "block", []byte("{}"))); return err }),
		"no ids":           stream(func(w io.Writer) error { _, err := w.Write([]byte("event: block\ndata: {}\n\n")); return err }),
		"an end": stream(func(w io.Writer) error {
			_, err := w.Write(sse("", "end", []byte("enough")))
			return errors.Join(err, io.EOF)
		}),
		"no stream":         serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }),
		"an error":          serve(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "go away", http.StatusTeapot) }),
		"the foreign chain": other.URL(),
		"nobody":            "http://127.0.0.1:1",
	}
	f := c.full(t, d.URL())
	for _, url := range hostile {
		f.Config.Unsafe.From = append(f.Config.Unsafe.From, node.At(url)...)
	}
	f.Config.Unsafe.From = append(f.Config.Unsafe.From, node.At(seq.URL())...)
	full := start(t, f)
	s := full.until(t, "at block 100, with the faults told", func(s node.Status) bool {
		faults := 0
		for _, e := range s.Unsafe.From {
			if e.Errors > 0 && e.LastError != "" {
				faults++
			}
		}
		return s.Heads.Unsafe.Height >= 100 && faults >= len(hostile)-1 // but the silent one: it has its time
	})
	for _, e := range s.Unsafe.From {
		if e.Address == seq.URL() && (!e.Healthy || !e.Live || e.Errors > 0) {
			t.Errorf("got %+v of the honest one", e)
		}
	}
	if s.Counts.RevertedUnsafe != 0 || s.Counts.SignedTwice != 0 {
		t.Errorf("got %+v, want no revert", s.Counts)
	}
}

// Beyond the loopback a full node of a chain on a DA layer starts without a token, as ever, and takes no block then.
func TestUnsafeNeedsAToken(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "token")
	_, _, body := c.signed(t, []byte("a=1"))
	f := c.full(t, d.URL())
	f.Config.HTTP.Address = "0.0.0.0:0"
	public := start(t, f)
	if code, answer := ask(t, public, http.MethodPost, "/v1/unsafe", body); code != http.StatusForbidden || !strings.Contains(answer, "http.token") {
		t.Errorf("without a token: got %d %s, want 403 and what to set", code, answer)
	}
	f = c.full(t, d.URL())
	f.Config.HTTP.Address, f.Config.HTTP.Token = "0.0.0.0:0", strings.Repeat("t", 16)
	locked := start(t, f)
	if code, answer := ask(t, locked, http.MethodPost, "/v1/unsafe", body); code != http.StatusUnauthorized {
		t.Errorf("without the token: got %d %s, want 401", code, answer)
	}
	if got := public.Status().Load().Heads.Unsafe.Height + locked.Status().Load().Heads.Unsafe.Height; got != 0 {
		t.Errorf("got unsafe heads, want none")
	}
}

// What gossip, or whoever else brings blocks, has of a node: bytes in, a verdict out, nothing decoded before the
// signature; and the blocks from a height on, within bytes.
func TestTakeSigned(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", time.Hour)
	c := newChain(t, "seam")
	o := c.sequencer(t, d.URL(), 10*time.Millisecond)
	seq := start(t, o)
	seq.until(t, "at block 40", unsafeAt(40))
	f := c.full(t, d.URL())
	f.Config.Unsafe.Max = 30
	full := start(t, f)
	full.until(t, "open", func(s node.Status) bool { return s.Unsafe.Open })
	blocks, err := seq.Signed(1, 40, 1<<20)
	if err != nil || len(blocks) != 40 {
		t.Fatalf("got %d blocks, %v, want 40", len(blocks), err)
	}
	if some, err := seq.Signed(5, 40, len(blocks[4].Header)+len(blocks[4].Data)); err != nil || len(some) != 1 || !bytes.Equal(some[0].Header, blocks[4].Header) {
		t.Errorf("got %d blocks, %v, want the one for which there is room", len(some), err)
	}
	forged := blocks[0]
	forged.Header = bytes.Clone(forged.Header)
	forged.Header[len(forged.Header)-1] ^= 1
	for _, q := range []struct {
		what string
		b    node.SignedBlock
		want node.Verdict
		err  error
	}{
		{"forged", forged, node.BlockForged, node.ErrForged},
		{"garbled", node.SignedBlock{Header: []byte{0xff}}, node.BlockForged, node.ErrGarbled},
		{"the second", blocks[1], node.BlockWaits, nil},
		{"the first", blocks[0], node.BlockApplied, nil},
		{"the second again", blocks[1], node.BlockKnown, nil},
		{"too far", blocks[39], node.BlockIgnored, node.ErrFar},
	} {
		if got, err := full.TakeSigned(t.Context(), q.b); got != q.want || !errors.Is(err, q.err) || (err == nil) != (q.err == nil) {
			t.Errorf("%s: got %s, %v, want %s, %v", q.what, got, err, q.want, q.err)
		}
	}
	if got, err := seq.TakeSigned(t.Context(), blocks[0]); got != node.BlockIgnored || !errors.Is(err, node.ErrGate) {
		t.Errorf("a sequencer: got %s, %v, want ErrGate", got, err)
	}
	if full.Takes(2) != nil || !errors.Is(full.Takes(31), node.ErrFar) || !full.Has(full.Status().Load().Heads.Unsafe) {
		t.Errorf("got %v, %v of what is taken", full.Takes(2), full.Takes(31))
	}
}

var unsafeBlockTime = flag.Duration("unsafe.block_time", 50*time.Millisecond, "time between the blocks of BenchmarkUnsafeLatency; its DA layer's is six times that")

// BenchmarkUnsafeLatency measures how long after the sequencer's commit a block is an unsafe one at a full node on the
// loopback that follows its stream, beside a DA layer that is six times slower than the blocks. Beside it, it measures by
// how much a timer of 20 ms is late in this process meanwhile, which is the machine's own part. At 1 s blocks and 6 s DA
// blocks:
//
//	go test ./node -run '^$' -bench UnsafeLatency -benchtime 120x -unsafe.block_time 1s
func BenchmarkUnsafeLatency(b *testing.B) {
	blockTime := *unsafeBlockTime
	n, err := devnet.New(devnet.Options{Nodes: 1, BlockTime: blockTime, DABlockTime: 6 * blockTime, TxRate: 40, Soft: true})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	defer func() { cancel(); <-done }()
	seq, full := n.Nodes()[0], n.Nodes()[1]
	from := seq.Status().Load().Heads.Unsafe.Height + 20
	if _, err := full.Status().Wait(ctx, unsafeAt(from)); err != nil {
		b.Fatal(err)
	}
	before := full.Status().Load().Counts
	var took []time.Duration
	late, begun := latetest.New(b), time.Now()
	b.ResetTimer()
	for i := range uint64(b.N) {
		s, err := full.Status().Wait(ctx, unsafeAt(from+1+i))
		if err != nil {
			b.Fatal(err)
		}
		at, err := seq.Status().Wait(ctx, unsafeAt(from+1+i))
		if err != nil {
			b.Fatal(err)
		}
		if at.Heads.Unsafe == s.Heads.Unsafe {
			took = append(took, max(s.Chain.UnsafeAt.Sub(at.Chain.UnsafeAt), 0))
		}
	}
	b.StopTimer()
	late.Stop()
	after := full.Status().Load().Counts
	for name, all := range map[string][]time.Duration{"": took, "timer-": late.All(begun)} {
		if len(all) > 0 {
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"p50-ms")
			b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, name+"p99-ms")
		}
	}
	b.ReportMetric(float64(len(took)), "blocks")
	if safe := after.Promoted - before.Promoted + after.Executed - before.Executed; safe > 0 {
		b.ReportMetric(100*float64(after.Promoted-before.Promoted)/float64(safe), "%promoted")
	}
}
