package nats_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/await"
	"headrace/internal/nettest"
	"headrace/ref"
	"headrace/stream/nats"
	"headrace/watch"
)

// genesis is of the chain of these tests.
var genesis = ref.Hash{0xab, 0xcd, 31: 1}

var chain = nats.Chain(genesis)

// hashOf is the hash of a branch's block.
func hashOf(branch string, height uint64) (h ref.Hash) {
	if height == 0 {
		return h
	}
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte(branch), height))
}

// branch is a chain: block i of it is its element i-1.
type branch []ref.Ref

// branchOf returns a chain that leaves another one above a height.
func branchOf(name string, from branch, above, to uint64) branch {
	b := append(branch{}, from[:above]...)
	for height := above + 1; height <= to; height++ {
		b = append(b, ref.Ref{Height: height, Hash: hashOf(name, height)})
	}
	return b
}

// at returns a block; the zero Ref for height 0.
func (b branch) at(height uint64) ref.Ref {
	if height == 0 {
		return ref.Ref{}
	}
	return b[height-1]
}

// body is the JSON of a block.
func (b branch) body(height uint64, size int) []byte {
	type block struct {
		Height     uint64   `json:"height"`
		Hash       ref.Hash `json:"hash"`
		ParentHash ref.Hash `json:"parent_hash"`
		Proposer   string   `json:"proposer"`
		Txs        [][]byte `json:"txs"`
		Safe       bool     `json:"safe"`
	}
	text, _ := json.Marshal(block{height, b.at(height).Hash, b.at(height - 1).Hash, "aa", [][]byte{make([]byte, size)}, true})
	return text
}

// block is the message of a block. What is 20 below it is final.
func (b branch) block(height uint64) nats.Message {
	return nats.Message{
		Block: b.at(height), Parent: b.at(height - 1).Hash, Source: ref.Ref{Height: height, Hash: hashOf("source", height)}, Origin: height,
		Final: max(height, 20) - 20, Body: b.body(height, 30),
	}
}

// blocks are the messages of [from, to].
func (b branch) blocks(from, to uint64) (out []nats.Message) {
	for height := from; height <= to; height++ {
		out = append(out, b.block(height))
	}
	return out
}

// reorg is the message of a reorg from b's head to a height.
func (b branch) reorg(from, to uint64) nats.Message {
	return nats.Message{Block: b.at(to), From: b.at(from), Source: ref.Ref{Height: from, Hash: hashOf("source", from)}, Final: max(to, 20) - 20}
}

// server is a NATS server that can be stopped, and started again at the same address.
type server struct {
	t       testing.TB
	dir     string
	address string
	users   []*natsserver.User // none: anybody
	*natsserver.Server
}

func startServer(t testing.TB, users ...*natsserver.User) *server {
	t.Helper()
	s := &server{t: t, dir: filepath.Join(t.TempDir(), "nats"), address: nettest.FreeAddress(t), users: users}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) start() {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.address)
	number, _ := strconv.Atoi(port)
	one, err := natsserver.NewServer(&natsserver.Options{
		Host: host, Port: number, Users: s.users, JetStream: true, StoreDir: s.dir, NoSigs: true, NoLog: true, NoSystemAccount: true, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 1 << 40,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	one.Start()
	if !one.ReadyForConnections(time.Minute) {
		s.t.Fatal("the server does not start")
	}
	s.Server = one
}

func (s *server) stop() {
	s.Shutdown()
	s.WaitForShutdown()
}

// copied returns a copy of the directory of a server that is stopped.
func (s *server) copied() string {
	s.t.Helper()
	to := filepath.Join(s.t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(s.dir)); err != nil {
		s.t.Fatal(err)
	}
	return to
}

// put puts a copy in the place of the directory of a server that is stopped.
func (s *server) put(dir string) {
	s.t.Helper()
	if err := errors.Join(os.RemoveAll(s.dir), os.CopyFS(s.dir, os.DirFS(dir))); err != nil {
		s.t.Fatal(err)
	}
}

// dial returns a connection that comes back for ever, of the user who may do anything.
func (s *server) dial() jetstream.JetStream {
	s.t.Helper()
	return s.dialAs("admin", "of-admin")
}

// dialAs is dial for another user.
func (s *server) dialAs(user, password string) jetstream.JetStream {
	s.t.Helper()
	nc, err := natsgo.Connect("nats://"+s.address, natsgo.UserInfo(user, password), natsgo.IgnoreAuthErrorAbort(),
		natsgo.MaxReconnects(-1), natsgo.ReconnectWait(20*time.Millisecond), natsgo.ReconnectJitter(0, 0), natsgo.RetryOnFailedConnect(true),
		natsgo.ErrorHandler(func(*natsgo.Conn, *natsgo.Subscription, error) {}))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// dialBy is dial for a connection whose questions come to the server by way of the test, which is told each before.
func (s *server) dialBy(before func(subject, data string)) jetstream.JetStream {
	s.t.Helper()
	const by = "BY.API."
	nc := s.dial().Conn()
	if _, err := nc.Subscribe(by+">", func(m *natsgo.Msg) {
		before(m.Subject, string(m.Data))
		_ = nc.PublishRequest(jetstream.DefaultAPIPrefix+strings.TrimPrefix(m.Subject, by), m.Reply, m.Data)
	}); err != nil {
		s.t.Fatal(err)
	}
	if err := nc.FlushTimeout(time.Minute); err != nil {
		s.t.Fatal(err)
	}
	js, err := jetstream.NewWithAPIPrefix(s.dial().Conn(), strings.TrimSuffix(by, "."))
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// writer publishes to a stream what it is told, right or wrong.
type writer struct {
	t     testing.TB
	js    jetstream.JetStream
	limit int // bytes of a message
}

// newWriter makes the stream.
func (s *server) newWriter() *writer {
	s.t.Helper()
	w := &writer{t: s.t, js: s.dial(), limit: 2000}
	w.create()
	return w
}

func (w *writer) create() {
	w.t.Helper()
	_, err := w.js.CreateStream(w.t.Context(), jetstream.StreamConfig{
		Name: nats.StreamName(chain), Subjects: nats.Subjects(chain), Storage: jetstream.FileStorage, AllowDirect: true, AllowAtomicPublish: true, MaxConsumers: 20_000,
		Metadata: nats.Metadata(genesis, "test", "safe"),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) stream() jetstream.Stream {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), nats.StreamName(chain))
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// anew deletes the stream, and makes another one of the same name when nothing of it is left on the disk: with two that are
// deleted at a time the second one's messages would come back.
func (w *writer) anew(s *server) {
	w.t.Helper()
	if err := w.js.DeleteStream(w.t.Context(), nats.StreamName(chain)); err != nil {
		w.t.Fatal(err)
	}
	for limit := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) { // the server tells nobody
		left, err := filepath.Glob(filepath.Join(s.dir, "jetstream", "*", "streams", "*"))
		if err != nil || time.Now().After(limit) {
			w.t.Fatalf("got %q, %v, want nothing", left, err)
		}
		if len(left) == 0 {
			break
		}
	}
	w.create()
}

// publish sends messages as they are, each when the one before is stored.
func (w *writer) publish(messages ...nats.Message) {
	w.t.Helper()
	for _, m := range messages {
		parts, err := m.Split(w.limit)
		if err != nil {
			w.t.Fatal(err)
		}
		for i, p := range parts {
			h := natsgo.Header(p.Header())
			if len(parts) > 1 {
				h.Set("Nats-Batch-Id", "batch")
				h.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
			}
			if len(parts) > 1 && i == len(parts)-1 {
				h.Set("Nats-Batch-Commit", "1")
			}
			w.raw(p.Subject(chain), h, p.Body, len(parts) > 1 && i < len(parts)-1)
		}
	}
}

// raw sends one message. One of a batch that is not the last one has no acknowledgement that counts. The dedup window is
// passed by.
func (w *writer) raw(subject string, header natsgo.Header, body []byte, batched bool) {
	w.t.Helper()
	if header.Get(nats.HeaderID) != "" && header.Get("Nats-Batch-Id") == "" {
		header.Set(nats.HeaderID, header.Get(nats.HeaderID)+"@"+strconv.FormatInt(time.Now().UnixNano(), 10))
	}
	msg := &natsgo.Msg{Subject: subject, Header: header, Data: body}
	if batched {
		if err := w.js.Conn().PublishMsg(msg); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	for tries := 0; ; tries++ {
		_, err := w.js.PublishMsg(w.t.Context(), msg)
		if err == nil {
			return
		}
		if tries > 100 || w.t.Context().Err() != nil {
			w.t.Fatalf("publish %s: %v", subject, err)
		}
		if nc := w.js.Conn(); !nc.IsConnected() {
			_ = nc.FlushTimeout(10 * time.Second)
		}
	}
}

// table is a sink like a database: what a method stores is there as a whole, and what is not in order is refused.
type table struct {
	first uint64 // the height to begin with

	// fault, if it is there, is asked before a block or an undo is stored: an error is returned, after that was stored or not.
	fault func(height uint64) (stored bool, err error)

	state *watch.Value[tableState]
}

type tableState struct {
	chain   []ref.Ref // without gaps
	undos   []nats.Undo
	applied int
	wrong   error // what was not in order
}

func (s tableState) last() ref.Ref {
	if len(s.chain) == 0 {
		return ref.Ref{}
	}
	return s.chain[len(s.chain)-1]
}

func newTable(first uint64) *table { return &table{first: first, state: watch.New(tableState{})} }

// with has blocks stored already.
func (b *table) with(blocks branch) *table {
	b.state.Set(tableState{chain: append([]ref.Ref{}, blocks...)})
	return b
}

func (b *table) Last(context.Context) (ref.Ref, error) {
	if s := b.state.Load(); len(s.chain) > 0 {
		return s.last(), nil
	}
	return ref.Ref{Height: b.first - 1}, nil
}

func (b *table) At(_ context.Context, height uint64) (ref.Hash, bool, error) {
	for _, r := range b.state.Load().chain {
		if r.Height == height {
			return r.Hash, true, nil
		}
	}
	return ref.Hash{}, false, nil
}

func (b *table) store(height uint64, f func(s tableState) tableState) error {
	stored, err := true, error(nil)
	if b.fault != nil {
		stored, err = b.fault(height)
	}
	if stored {
		b.state.Update(func(s tableState) tableState {
			s = f(s)
			if err == nil {
				err = s.wrong
			}
			return s
		})
	}
	return err
}

func (b *table) Apply(_ context.Context, block nats.Block) error {
	return b.store(block.Height, func(s tableState) tableState {
		if last := s.last(); len(s.chain) > 0 && (block.Height != last.Height+1 || block.Parent != last.Hash) || len(s.chain) == 0 && block.Height != b.first {
			s.wrong = fmt.Errorf("block %v, child of %s, comes after %v", block.Ref, block.Parent, last)
			return s
		}
		var body struct {
			Height uint64
			Hash   ref.Hash
		}
		if err := json.Unmarshal(block.Body, &body); err != nil || body.Height != block.Height || body.Hash != block.Hash || !strings.HasPrefix(block.Cursor, fmt.Sprintf("%d-%s-", block.Height, block.Hash)) {
			s.wrong = fmt.Errorf("block %v comes with body %.200s (%v) and cursor %s", block.Ref, block.Body, err, block.Cursor)
			return s
		}
		s.chain = append(s.chain[:len(s.chain):len(s.chain)], block.Ref)
		s.applied++
		return s
	})
}

func (b *table) Undo(_ context.Context, u nats.Undo) error {
	return b.store(u.To.Height, func(s tableState) tableState {
		last := s.last()
		if u.From != last || u.To.Height >= last.Height {
			s.wrong = fmt.Errorf("undo from %v to %v at %v", u.From, u.To, last)
			return s
		}
		var kept []ref.Ref
		for _, r := range s.chain {
			if r.Height <= u.To.Height {
				kept = append(kept, r)
			}
		}
		s.chain, s.undos = kept, append(s.undos[:len(s.undos):len(s.undos)], u)
		if last := s.last(); len(kept) > 0 && last != u.To {
			s.wrong = fmt.Errorf("undo to %v, and block %v is there", u.To, last)
		}
		return s
	})
}

// until waits until the table's last block is one, and everything below it what it should be.
func (b *table) until(t testing.TB, want branch) tableState {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	last := want[len(want)-1]
	s, err := b.state.Wait(ctx, func(s tableState) bool { return s.last() == last || s.wrong != nil })
	if err != nil || s.wrong != nil {
		t.Fatalf("got block %v (%v, %v), want %v", s.last(), s.wrong, err, last)
	}
	checkChain(t, s.chain, want)
	return s
}

func checkChain(t testing.TB, got []ref.Ref, want branch) {
	t.Helper()
	if len(got) == 0 {
		t.Fatal("got no block")
	}
	for i, r := range got {
		if height := got[0].Height + uint64(i); r != want.at(height) {
			t.Fatalf("got block %v, want %v", r, want.at(height))
		}
	}
	if len(want) != int(got[len(got)-1].Height) {
		t.Fatalf("got %d blocks, want %d", len(got), len(want))
	}
}

// reading is a Read in the background.
type reading struct {
	cancel context.CancelFunc
	done   chan struct{} // closed by it when Read has returned
	err    error         // of Read, then
}

// quick are options with times for tests.
var quick = nats.ReadOptions{Quiet: 300 * time.Millisecond, MaxBackoff: 200 * time.Millisecond}

func read(t testing.TB, js jetstream.JetStream, sink nats.Sink, opt nats.ReadOptions) *reading {
	ctx, cancel := context.WithCancel(t.Context())
	r := &reading{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = nats.Read(ctx, js, chain, sink, opt)
	}()
	t.Cleanup(r.stop)
	return r
}

func (r *reading) stop() {
	r.cancel()
	<-r.done
}

// ends waits for the error of Read.
func (r *reading) ends(t testing.TB) error {
	t.Helper()
	select {
	case <-r.done:
		return r.err
	case <-time.After(time.Minute):
		t.Fatal("Read does not end")
		return nil
	}
}

// fakeNode serves a chain as GET /v1/events of a node does, of which blocks up to final are final.
type fakeNode struct {
	mu     sync.Mutex // guards the rest
	chain  branch
	final  uint64
	oldest uint64
	asked  []string
}

func (n *fakeNode) client(t testing.TB) *await.Client {
	t.Helper()
	s := httptest.NewServer(n)
	t.Cleanup(s.Close)
	c, err := await.OpenNode(await.Endpoint{URL: s.URL}, await.ClientOptions{MaxBackoff: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.CloseClientConnections)
	return c
}

func (n *fakeNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id, from := r.Header.Get("Last-Event-ID"), uint64(0)
	n.asked = append(n.asked, id+r.URL.Query().Get("from"))
	refuse := func(code int) {
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"error":"refused with %d"}`, code)
	}
	text := ""
	event := func(at ref.Ref, kind string, data any) {
		raw, _ := json.Marshal(data)
		text += fmt.Sprintf("id: %d-%s-%d\nevent: %s\ndata: %s\n\n", at.Height, at.Hash, min(at.Height, n.final), kind, raw)
	}
	if strings.Contains(r.URL.Query().Get("events"), "status") {
		head := n.chain[len(n.chain)-1]
		event(ref.Ref{}, "status", map[string]any{"heads": map[string]any{"safe": head, "unsafe": head, "finalized": n.chain.at(n.final)}})
	}
	if id != "" {
		at, final, err := nats.ParseCursor(id)
		if err != nil {
			refuse(400)
			return
		}
		if strings.Count(id, "-") == 1 {
			final = min(n.final, at.Height)
		}
		from = at.Height + 1
		if at.Height > uint64(len(n.chain)) || n.chain.at(at.Height) != at {
			if at.Height <= final {
				refuse(409)
				return
			}
			event(n.chain.at(final), "reorg", await.Reorg{From: at, To: n.chain.at(final)})
			from = final + 1
		}
	} else {
		from, _ = strconv.ParseUint(r.URL.Query().Get("from"), 10, 64)
	}
	if from < n.oldest && !strings.Contains(r.URL.Query().Get("events"), "status") {
		refuse(410)
		return
	}
	if !strings.Contains(r.URL.Query().Get("events"), "status") {
		for height := from; height <= uint64(len(n.chain)); height++ {
			event(n.chain.at(height), "block", json.RawMessage(n.chain.body(height, 30)))
		}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = w.Write([]byte(text))
	w.(http.Flusher).Flush()
	n.mu.Unlock()
	<-r.Context().Done()
	n.mu.Lock()
}
