package publish

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"headrace/ref"
	"headrace/stream/nats"
	"headrace/stream/nats/server"
	"headrace/watch"
)

// timed is a reader's store that notes when each block came.
type timed struct {
	shelf
	mu   sync.Mutex // guards came
	came map[uint64]time.Time
}

func (s *timed) Apply(ctx context.Context, b nats.Block) error {
	now := time.Now()
	s.mu.Lock()
	s.came[b.Height] = now
	s.mu.Unlock()
	return s.shelf.Apply(ctx, b)
}

// BenchmarkLive is how long a block takes from its being safe at a node to its being a reader's, at ten blocks a second,
// with a server that syncs each write; and in the same run what a synced write of a block's size takes.
func BenchmarkLive(b *testing.B) {
	const each = 100 * time.Millisecond
	h, m := newHost(b, server.Options{Listen: "127.0.0.1:0", Password: "of-readers"}), newMemory()
	m.mine(1)
	publishing(b, m, Options{Servers: h.servers()}).until(b, "there", at(m.ref(1)))
	s := &timed{shelf: shelf{last: watch.New(ref.Ref{})}, came: map[uint64]time.Time{}}
	r := newReader(b, Servers{URLs: []string{h.now.ClientURL()}, User: "reader", Password: "of-readers"})
	ctx, cancel := context.WithCancelCause(context.Background())
	over := errors.New("over")
	var reading sync.WaitGroup
	reading.Go(func() {
		if err := nats.Read(ctx, r.js, testName, s, nats.ReadOptions{}); !errors.Is(err, over) {
			b.Error(err)
		}
	})
	defer reading.Wait()
	defer cancel(over)
	reached := func(height uint64) {
		if _, err := s.last.Wait(bounded(b), func(at ref.Ref) bool { return at.Height >= height }); err != nil {
			b.Fatal(err)
		}
	}
	reached(1)
	file, err := os.Create(filepath.Join(h.opt.Dir, "synced"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	var took, syncs []time.Duration
	block := make([]byte, 600)
	tick := time.NewTicker(each) // the pace of blocks
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
		began := time.Now()
		m.mine(1)
		height := m.status.Load().Heads.Safe.Height
		reached(height)
		s.mu.Lock()
		took = append(took, s.came[height].Sub(began))
		s.mu.Unlock()
		began = time.Now()
		if _, err := file.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := file.Sync(); err != nil {
			b.Fatal(err)
		}
		syncs = append(syncs, time.Since(began))
	}
	report := func(name string, d []time.Duration) {
		slices.Sort(d)
		for _, part := range []int{50, 99} {
			b.ReportMetric(float64(d[min(len(d)*part/100, len(d)-1)].Microseconds())/1000, []string{50: "p50", 99: "p99"}[part]+"-"+name+"-ms")
		}
	}
	report("block", took)
	report("sync", syncs)
}
