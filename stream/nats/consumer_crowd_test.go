package nats_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/ref"
	"headrace/stream/nats"
)

var (
	crowdReaders = flag.Int("readers", 1000, "of TestCrowdOfReaders")
	crowdKills   = flag.Int("kills", 100, "of TestCrowdOfReaders")
	crowdBlocks  = flag.Int("blocks", 150, "of TestCrowdOfReaders")
)

var errKilled = errors.New("killed")

// rows are the store of one of many readers. A kill in the middle of a transaction leaves it done or not done.
type rows struct {
	mu      sync.Mutex // guards the rest
	chain   []ref.Ref
	applied map[ref.Ref]int // how often each block was stored, less how often it was undone
	dies    bool            // the process is killed in the next transaction
	wrong   error
	last    ref.Ref       // of the test
	done    chan struct{} // closed when that is stored
}

func (s *rows) Last(context.Context) (ref.Ref, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at(), nil
}

func (s *rows) at() ref.Ref {
	if len(s.chain) == 0 {
		return ref.Ref{}
	}
	return s.chain[len(s.chain)-1]
}

func (s *rows) At(_ context.Context, height uint64) (ref.Hash, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if height == 0 || height > uint64(len(s.chain)) {
		return ref.Hash{}, false, nil
	}
	return s.chain[height-1].Hash, true, nil
}

func (s *rows) Apply(_ context.Context, b nats.Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.at(); b.Height != at.Height+1 || b.Parent != at.Hash {
		s.wrong = fmt.Errorf("block %v, child of %s, comes after %v", b.Ref, b.Parent, at)
		return s.wrong
	}
	if s.dies && rand.IntN(2) == 0 {
		return errKilled
	}
	s.chain = append(s.chain, b.Ref)
	if s.applied[b.Ref]++; s.applied[b.Ref] > 1 {
		s.wrong = fmt.Errorf("block %v is stored twice", b.Ref)
	}
	if b.Ref == s.last {
		close(s.done)
	}
	if s.dies {
		return errKilled
	}
	return nil
}

func (s *rows) Undo(_ context.Context, u nats.Undo) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := s.at(); u.From != at || u.To.Height >= at.Height || u.To.Height > 0 && s.chain[u.To.Height-1] != u.To {
		s.wrong = fmt.Errorf("undo from %v to %v at %v", u.From, u.To, at)
		return s.wrong
	}
	if s.dies && rand.IntN(2) == 0 {
		return errKilled
	}
	for _, b := range s.chain[u.To.Height:] {
		s.applied[b]--
	}
	s.chain = s.chain[:u.To.Height]
	if s.dies {
		return errKilled
	}
	return nil
}

// process is a reader as a process: with a connection of its own, which a kill closes first.
type process struct {
	nc   *natsgo.Conn
	stop context.CancelFunc
	done chan struct{} // closed by it when Read has returned
}

func (s *server) process(t *testing.T, sink nats.Sink, opt nats.ReadOptions) *process {
	nc, err := natsgo.Connect("nats://"+s.address, natsgo.MaxReconnects(-1), natsgo.ReconnectWait(100*time.Millisecond), natsgo.RetryOnFailedConnect(true), natsgo.Timeout(20*time.Second),
		natsgo.ReconnectBufSize(-1), natsgo.ErrorHandler(func(*natsgo.Conn, *natsgo.Subscription, error) {}))
	if err != nil {
		t.Error(err)
		return nil
	}
	js, _ := jetstream.New(nc)
	ctx, stop := context.WithCancel(t.Context())
	p := &process{nc, stop, make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = nats.Read(ctx, js, chain, sink, opt)
	}()
	return p
}

func (p *process) kill() {
	p.nc.Close()
	p.stop()
	<-p.done
}

// A thousand readers, each with a consumer of its own, of which many are killed in the middle of what they store, while
// blocks are published and reorganised and the server starts again: what each has stored is the chain, complete and without
// doubles.
func TestCrowdOfReaders(t *testing.T) {
	readers, kills, blocks := *crowdReaders, *crowdKills, uint64(*crowdBlocks)
	if testing.Short() {
		readers, kills = 100, 30
	}
	s := startServer(t)
	w := s.newWriter()
	final := branchOf("b", branchOf("a", nil, 0, blocks), blocks*2/3-4, blocks)
	first := branchOf("a", nil, 0, blocks)
	opt := nats.ReadOptions{Attempt: 20 * time.Second, Quiet: 10 * time.Second, Buffer: 64}

	stores, processes := make([]*rows, readers), make([]*process, readers)
	for i := range stores {
		stores[i] = &rows{applied: map[ref.Ref]int{}, last: final.at(blocks), done: make(chan struct{})}
	}
	w.publish(first.blocks(1, blocks/3)...)
	began := time.Now()
	var starting sync.WaitGroup
	for part := range 16 {
		starting.Go(func() {
			for i := part; i < readers; i += 16 {
				processes[i] = s.process(t, stores[i], opt)
			}
		})
	}
	starting.Wait()
	if t.Failed() {
		return
	}
	var killing sync.WaitGroup
	killing.Go(func() {
		for range kills {
			i := rand.IntN(readers)
			stores[i].mu.Lock()
			stores[i].dies = rand.IntN(4) > 0 // else it is killed between two
			stores[i].mu.Unlock()
			processes[i].kill()
			stores[i].mu.Lock()
			stores[i].dies = false
			stores[i].mu.Unlock()
			processes[i] = s.process(t, stores[i], opt)
		}
	})
	w.publish(first.blocks(blocks/3+1, blocks/2)...)
	s.stop()
	s.start()
	w.publish(first.blocks(blocks/2+1, blocks*2/3)...)
	w.publish(first.reorg(blocks*2/3, blocks*2/3-4))
	w.publish(final.blocks(blocks*2/3-3, blocks)...)
	killing.Wait()
	limit := time.After(5 * time.Minute)
	for i, r := range stores {
		select {
		case <-r.done:
		case <-limit:
			t.Fatalf("reader %d: got block %v after %s, want %v", i, r.at(), time.Since(began), final.at(blocks))
		}
	}
	took := time.Since(began)
	for i, p := range processes {
		p.kill()
		got := stores[i]
		if got.wrong != nil {
			t.Errorf("reader %d: %v", i, got.wrong)
		}
		checkChain(t, got.chain, final)
		for b, times := range got.applied {
			if want := map[bool]int{true: 1}[final.at(b.Height) == b]; times != want {
				t.Errorf("reader %d has block %v %d times, want %d", i, b, times, want)
			}
		}
	}
	t.Logf("%d readers, %d kills, %d blocks: %s", readers, kills, blocks, took.Round(time.Millisecond))
}

// counted is a sink that only counts.
type counted struct {
	last ref.Ref
	end  uint64
}

func (c *counted) Last(context.Context) (ref.Ref, error) { return c.last, nil }

func (c *counted) At(context.Context, uint64) (ref.Hash, bool, error) { return ref.Hash{}, true, nil }

func (c *counted) Apply(_ context.Context, b nats.Block) error {
	if c.last = b.Ref; b.Height == c.end {
		return errEnough
	}
	return nil
}

func (c *counted) Undo(context.Context, nats.Undo) error { return errors.New("there is no reorg") }

// How fast a stream of small blocks is read from its beginning, into a sink that costs nothing.
func BenchmarkRead(b *testing.B) {
	s := startServer(b)
	w := s.newWriter()
	const blocks = 20_000
	chainOf := branchOf("a", nil, 0, blocks)
	for _, m := range chainOf.blocks(1, blocks) {
		if _, err := w.js.PublishMsgAsync(&natsgo.Msg{Subject: m.Subject(chain), Header: m.Header(), Data: m.Body}); err != nil {
			b.Fatal(err)
		}
	}
	<-w.js.PublishAsyncComplete()
	for b.Loop() {
		if err := nats.Read(b.Context(), w.js, chain, &counted{end: blocks}, nats.ReadOptions{}); !errors.Is(err, errEnough) {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(blocks*b.N)/b.Elapsed().Seconds(), "blocks/s")
}
