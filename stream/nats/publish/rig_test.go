package publish

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"headrace/await"
	"headrace/block"
	"headrace/follow"
	"headrace/node"
	"headrace/ref"
	"headrace/stream/nats"
	"headrace/stream/nats/internal/leader"
	"headrace/stream/nats/server"
	"headrace/watch"
)

func TestMain(m *testing.M) {
	if at := os.Getenv(processEnv); at != "" {
		runProcess(at)
		return
	}
	if at := os.Getenv(serverEnv); at != "" {
		runServer(at)
		return
	}
	goleak.VerifyTestMain(m)
}

// patience bounds every wait: what takes longer on a busy machine hangs.
const patience = 2 * time.Minute

func bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

var testGenesis = &block.Genesis{ChainID: "a chain.of *", StartTime: time.Unix(1, 0), InitialHeight: 1, ProposerAddress: make([]byte, 32)}

var testName = nats.Chain(testGenesis.Hash())

// memory is a node's chain in memory, of blocks that follow from their heights and from the branch that they are on. On an
// L1 what is safe is not final.
type memory struct {
	l1      bool
	txBytes func(height uint64) int // of the one transaction of a block; nil: a few

	fetched atomic.Int64 // blocks that were read

	mu       sync.Mutex          // guards the rest
	branches []branch            // ascending by from
	oldest   uint64              // blocks below are pruned
	hashes   map[uint64]ref.Hash // of the present branch, as far as they were asked for
	status   *watch.Value[node.Status]
}

// branch says that blocks from this height on have this salt.
type branch struct {
	from uint64
	salt byte
}

func newMemory() *memory {
	return &memory{oldest: 1, hashes: map[uint64]ref.Hash{}, status: watch.New(node.Status{})}
}

func (m *memory) hash(height uint64) (h ref.Hash) {
	if height == 0 {
		return h
	}
	if h, ok := m.hashes[height]; ok {
		return h
	}
	salt := byte(0)
	for _, b := range m.branches {
		if height >= b.from {
			salt = b.salt
		}
	}
	first := height
	for ; first > 1; first-- {
		if _, ok := m.hashes[first-1]; ok {
			break
		}
	}
	if first < height { // not by recursion: there are many
		for ; first < height; first++ {
			m.hash(first)
		}
	}
	parent := m.hash(height - 1)
	h = sha256.Sum256(fmt.Appendf(parent[:], "%d %d", height, salt))
	m.hashes[height] = h
	return h
}

func (m *memory) ref(height uint64) ref.Ref {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ref.Ref{Height: height, Hash: m.hash(height)}
}

// set moves the safe head, the final one unless it is an L1, and the position on the source.
func (m *memory) set(safe, final, position uint64) {
	m.mu.Lock()
	if !m.l1 {
		final = safe
	}
	var st node.Status
	st.Heads.Safe, st.Heads.Finalized = ref.Ref{Height: safe, Hash: m.hash(safe)}, ref.Ref{Height: final, Hash: m.hash(final)}
	st.Heads.Unsafe = st.Heads.Safe
	st.Source.Position = ref.Ref{Height: position, Hash: ref.Hash(sha256.Sum256(fmt.Append(nil, "position", position)))}
	m.mu.Unlock()
	m.status.Set(st)
}

// mine adds safe blocks, each at a height of the source.
func (m *memory) mine(n uint64) {
	st := m.status.Load()
	m.set(st.Heads.Safe.Height+n, st.Heads.Finalized.Height, st.Source.Position.Height+n)
}

// fork puts other blocks in the place of those from a height on.
func (m *memory) fork(from uint64, salt byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.branches) > 0 && m.branches[len(m.branches)-1].from >= from {
		m.branches = m.branches[:len(m.branches)-1]
	}
	m.branches = append(m.branches, branch{from, salt})
	for h := range m.hashes {
		if h >= from {
			delete(m.hashes, h)
		}
	}
}

func (m *memory) prune(oldest uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.oldest = oldest
}

func (m *memory) Status() *watch.Value[node.Status] { return m.status }
func (m *memory) Refresh()                          {}

func (m *memory) Oldest() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.oldest
}

func (m *memory) Blocks(head await.Label) follow.Source[node.Delivered] {
	return &memorySource{m, head}
}

type memorySource struct {
	*memory
	head await.Label
}

func (s *memorySource) Subscribe(context.Context, func(follow.Update[node.Delivered])) error {
	panic("a publisher goes by the status")
}

func (s *memorySource) Fetch(ctx context.Context, from, to uint64, deliver func(follow.Item[node.Delivered]) error) error {
	for ; from < to; from++ {
		st := s.status.Load()
		if from > headOf(s.head, &st).Height {
			return follow.ErrNotYet
		}
		s.mu.Lock()
		if from < s.oldest {
			s.mu.Unlock()
			return fmt.Errorf("block %d is %w", from, node.ErrPruned)
		}
		hash, parent := s.hash(from), s.hash(from-1)
		s.mu.Unlock()
		s.fetched.Add(1)
		size := 10
		if s.txBytes != nil {
			size = s.txBytes(from)
		}
		item := follow.Item[node.Delivered]{Height: from, Hash: hash, Parent: parent, Data: node.Delivered{
			Block:  node.Block{Height: from, Hash: hash.String(), ParentHash: parent.Field(), Txs: [][]byte{make([]byte, size)}, Safe: true, StateRoot: hash[:4]},
			Origin: ref.Ref{Height: from, Hash: hash},
		}}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := deliver(item); err != nil {
			return err
		}
	}
	return nil
}

// host is a server whose directory stays when it ends.
type host struct {
	t   testing.TB
	opt server.Options

	mu  sync.Mutex // guards now
	now *server.Server
}

func newHost(t testing.TB, opt server.Options) *host {
	t.Helper()
	if opt.Dir == "" {
		opt.Dir = t.TempDir()
	}
	opt.Secret = "secret-of-tests"
	h := &host{t: t, opt: opt}
	t.Cleanup(h.down)
	h.up()
	return h
}

func (h *host) up() {
	h.t.Helper()
	s, err := server.Open(h.opt)
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = s
}

func (h *host) down() {
	h.mu.Lock()
	s := h.now
	h.now = nil
	h.mu.Unlock()
	if s != nil {
		s.Close()
	}
}

// InProcessConn implements nats.InProcessConnProvider over restarts.
func (h *host) InProcessConn() (net.Conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == nil {
		return nil, errors.New("the server is down")
	}
	return h.now.InProcessConn()
}

// servers is how the server is reached by who may write.
func (h *host) servers() Servers {
	s := Servers{User: h.now.User, Password: h.now.Password}
	if h.opt.Listen == "" {
		s.InProcess = h
	} else {
		s.URLs = []string{h.now.ClientURL()}
	}
	return s
}

// working is a publisher at work.
type working struct {
	*Publisher
	stop func()
}

// publishing runs a publisher until the test, or stop, ends it.
func publishing(t testing.TB, of chain, opt Options) *working {
	t.Helper()
	opt.Genesis = testGenesis
	if opt.Probe == 0 {
		opt.Probe = 200 * time.Millisecond
	}
	p, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // run's result
	go func() { ended <- p.run(ctx, of) }()
	w := &working{Publisher: p, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v of a publisher whose context has ended, want that", err)
		}
	})}
	t.Cleanup(w.stop)
	return w
}

// until waits for a state of the publisher.
func (w *working) until(t testing.TB, what string, pred func(s node.Stream) bool) node.Stream {
	t.Helper()
	s, err := w.state.Wait(bounded(t), pred)
	if err != nil {
		t.Fatalf("publisher is not %s: %v: %+v", what, err, s)
	}
	return s
}

func at(r ref.Ref) func(node.Stream) bool {
	return func(s node.Stream) bool { return s.At == r }
}

// reader reads a stream as those who check it do, by its own connection.
type reader struct {
	t    testing.TB
	conn *natsgo.Conn
	js   jetstream.JetStream
}

func newReader(t testing.TB, s Servers) *reader {
	t.Helper()
	conn, err := s.dial(t.Context(), func() {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return &reader{t, conn, js}
}

// ask asks until there is an answer.
func ask[T any](r *reader, question func(ctx context.Context) (T, error)) T {
	r.t.Helper()
	ctx := bounded(r.t)
	var pause follow.Backoff
	for {
		answer, err := leader.Ask(ctx, time.Second, question)
		if err == nil {
			return answer
		}
		if pause.Sleep(ctx, nil) != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *reader) stream() jetstream.Stream {
	r.t.Helper()
	return ask(r, func(ctx context.Context) (jetstream.Stream, error) {
		return r.js.Stream(ctx, nats.StreamName(testName))
	})
}

// raw returns all messages of the stream, in order, as its leader has them: a replica may be behind.
func (r *reader) raw() (out []*jetstream.RawStreamMsg) {
	r.t.Helper()
	st := r.stream().CachedInfo().State
	if st.Msgs == 0 {
		return nil
	}
	for seq := st.FirstSeq; seq <= st.LastSeq; seq++ {
		got := ask(r, func(ctx context.Context) (leader.Message, error) {
			m, err := leader.Get(ctx, r.conn, jetstream.DefaultAPIPrefix, nats.StreamName(testName), map[string]any{"seq": seq})
			if errors.Is(err, leader.ErrNotFound) {
				return leader.Message{}, nil
			}
			return m, err
		})
		if got.Seq == seq {
			out = append(out, &jetstream.RawStreamMsg{Subject: got.Subject, Sequence: seq, Data: got.Data, Header: got.Header})
		}
	}
	return out
}

// chain reads the stream from its beginning by the rules of its readers, and fails the test where one is broken. It
// returns the chain that is in it, by height, and how many reorgs there were.
func (r *reader) chain() (blocks map[uint64]ref.Ref, last ref.Ref, reorgs int) {
	r.t.Helper()
	blocks = map[uint64]ref.Ref{}
	var joiner nats.Joiner
	for _, raw := range r.raw() {
		m, err := nats.Parse(testName, raw.Subject, raw.Header, raw.Data)
		if err != nil {
			r.t.Fatalf("message %d: %v", raw.Sequence, err)
		}
		if !m.Follows(last) {
			info := r.stream().CachedInfo()
			r.t.Fatalf("message %d is %s and does not follow block %d %s: the stream is %+v of %+v", raw.Sequence, m.ID(), last.Height, last.Hash, info.State, info.Cluster)
		}
		whole, ok, _ := joiner.Add(m)
		if !ok {
			continue
		}
		for h := whole.Block.Height + 1; h <= last.Height; h++ {
			delete(blocks, h)
		}
		if last = whole.Block; whole.IsReorg() {
			reorgs++
		} else {
			blocks[last.Height] = last
		}
	}
	return blocks, last, reorgs
}

// wants fails the test unless the stream holds the chain [from, to] of m and no more.
func (r *reader) wants(m *memory, from, to uint64) {
	r.t.Helper()
	blocks, last, _ := r.chain()
	if want := m.ref(to); last != want {
		r.t.Fatalf("the stream stands at %d %s, want %d %s", last.Height, last.Hash, want.Height, want.Hash)
	}
	for h := from; h <= to; h++ {
		if blocks[h] != m.ref(h) {
			r.t.Errorf("the stream has %v at height %d, want %v", blocks[h], h, m.ref(h))
		}
	}
	if n := uint64(len(blocks)); n != to-from+1 {
		r.t.Errorf("the stream has %d blocks, want %d", n, to-from+1)
	}
}

// copyDir copies a directory as it is, in the place of what is there. A server that has ended may still take files away: then
// it is copied again.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	err := copyOnce(from, to)
	for range 100 {
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		err = copyOnce(from, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func copyOnce(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
}
