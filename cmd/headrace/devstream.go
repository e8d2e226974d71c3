package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"headrace/block"
	"headrace/devnet"
	"headrace/node"
	"headrace/stream/nats"
	"headrace/stream/nats/publish"
	natsserver "headrace/stream/nats/server"
)

// devStream shows a stream beside a devnet. A server is in the process, two nodes publish in it, and one reads. Memory is
// the reader's own store.
type devStream struct {
	log    *slog.Logger
	dir    string // of the server; removed at the end if temporary
	temp   bool
	server *natsserver.Server
	two    [2]int // the nodes that publish

	publishers [2]*publish.Publisher // from the making of the nodes on
	genesis    *block.Genesis
	failure    error // of that

	mu      sync.Mutex // guards the rest
	safe    map[uint64]time.Time
	blocks  []nats.Block
	undone  int
	took    []time.Duration // from the block being safe on the first publisher that has it to its being stored by the reader
	changed chan struct{}   // closed and made anew with each block
}

// devReaders is how those who read a devnet's stream are let in: it listens on the loopback alone.
const devReaders = "reader:headrace"

// openDevStream starts the server, at the port of NATS unless it is taken, or any port is asked for.
func openDevStream(opt *devnet.Options, anyPort bool, log *slog.Logger) (_ *devStream, err error) {
	d := &devStream{log: log, two: [2]int{max(opt.Nodes-1, 0), opt.Nodes}, safe: map[uint64]time.Time{}, changed: make(chan struct{})}
	if opt.Home != "" {
		d.dir = filepath.Join(opt.Home, "stream")
	} else if d.dir, err = os.MkdirTemp("", "headrace-stream-"); err != nil {
		return nil, err
	} else {
		d.temp = true
	}
	listen := "127.0.0.1:4222"
	if anyPort || taken(listen) {
		listen = "127.0.0.1:0"
	}
	user, password, _ := strings.Cut(devReaders, ":")
	if d.server, err = natsserver.Open(natsserver.Options{Dir: d.dir, Listen: listen, User: user, Password: password, Logger: log}); err != nil {
		d.remove()
		return nil, err
	}
	was := opt.Each
	opt.Each = func(i int, o *node.Options) {
		if was != nil {
			was(i, o)
		}
		d.join(i, o)
	}
	return d, nil
}

// taken reports whether somebody listens at an address.
func taken(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return true
	}
	_ = l.Close()
	return false
}

// join has a node publish if it is one of the two.
func (d *devStream) join(i int, o *node.Options) {
	at := slices.Index(d.two[:], i)
	if at < 0 {
		return
	}
	d.genesis = o.Genesis
	p, err := publish.New(publish.Options{
		Genesis: o.Genesis, Servers: publish.Servers{InProcess: d.server, User: d.server.User, Password: d.server.Password}, Logger: d.log,
	})
	if err != nil {
		d.failure = errors.Join(d.failure, err)
		return
	}
	d.publishers[at] = p
	o.Outlets = append(o.Outlets, p)
	var observe node.Observer
	observe.Applied = func(a node.Applied) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if _, ok := d.safe[a.Ref.Height]; a.Safe && !ok {
			d.safe[a.Ref.Height] = time.Now()
		}
	}
	o.Observer = node.Join(o.Observer, observe)
}

// url is where those who read connect.
func (d *devStream) url() string {
	return "nats://" + devReaders + "@" + d.server.Addr().String()
}

// run reads the stream until ctx ends.
func (d *devStream) run(ctx context.Context) error {
	if d.failure != nil {
		return d.failure
	}
	at := publish.Servers{URLs: []string{d.url()}}
	js, err := at.Dial(ctx, func(error) {}) // it is in this process
	if err != nil {
		return fmt.Errorf("read the stream: %w", err)
	}
	defer js.Conn().Close()
	err = nats.Read(ctx, js, nats.Chain(d.genesis.Hash()), (*devReader)(d), nats.ReadOptions{})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// close stops the server.
func (d *devStream) close() {
	d.server.Close()
	d.remove()
}

func (d *devStream) remove() {
	if d.temp {
		_ = os.RemoveAll(d.dir) // a temporary directory that stays is no harm
	}
}

// devReader is who reads: a nats.Sink.
type devReader devStream

// Last implements nats.Sink.
func (d *devReader) Last(context.Context) (block.Ref, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.blocks) == 0 {
		return block.Ref{Height: d.genesis.InitialHeight - 1}, nil
	}
	return d.blocks[len(d.blocks)-1].Ref, nil
}

// At implements nats.Sink.
func (d *devReader) At(_ context.Context, height uint64) (block.Hash, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := int(height) - int(d.genesis.InitialHeight)
	if i < 0 || i >= len(d.blocks) {
		return block.Hash{}, false, nil
	}
	return d.blocks[i].Hash, true, nil
}

// Apply implements nats.Sink.
func (d *devReader) Apply(_ context.Context, b nats.Block) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	b.Body = nil
	d.blocks = append(d.blocks, b)
	if at, ok := d.safe[b.Height]; ok {
		d.took = append(d.took, time.Since(at))
		delete(d.safe, b.Height)
	}
	close(d.changed)
	d.changed = make(chan struct{})
	return nil
}

// Undo implements nats.Sink.
func (d *devReader) Undo(_ context.Context, u nats.Undo) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.blocks) > 0 && d.blocks[len(d.blocks)-1].Height > u.To.Height {
		d.blocks = d.blocks[:len(d.blocks)-1]
	}
	d.undone++
	return nil
}

// streamReport is how a stream beside a devnet has done.
type streamReport struct {
	OK        bool      `json:"ok"` // the reader has the chain of a full node
	Blocks    int       `json:"blocks"`
	Undone    int       `json:"undone"` // reorgs
	Published [2]uint64 `json:"published"`
	LatencyMS struct {
		P50 float64 `json:"p50"`
		P99 float64 `json:"p99"`
	} `json:"latency_ms"` // from the block being safe on a publisher to its being the reader's
	Problem string `json:"problem,omitempty"`
}

// settle waits until the reader has a height, and compares what it has with a node.
func (d *devStream) settle(ctx context.Context, n *node.Node, height uint64) (r streamReport) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // only for one that hangs
	defer cancel()
	for r.Problem == "" {
		d.mu.Lock()
		changed, at := d.changed, uint64(0)
		if k := len(d.blocks); k > 0 {
			at = d.blocks[k-1].Height
		}
		d.mu.Unlock()
		if at >= height {
			break
		}
		select {
		case <-changed:
		case <-ctx.Done():
			r.Problem = fmt.Sprintf("who reads the stream is at block %d, not at %d", at, height)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	r.Blocks, r.Undone = len(d.blocks), d.undone
	for i, b := range d.blocks {
		if want, err := n.Block(b.Height); (err != nil || want.Hash != b.Hash.String() || b.Height != d.genesis.InitialHeight+uint64(i)) && r.Problem == "" {
			r.Problem = fmt.Sprintf("who reads the stream has block %d %s in place %d, and a full node has %s (%v)", b.Height, b.Hash, i+1, want.Hash, err)
		}
	}
	for i, p := range d.publishers {
		if p != nil {
			r.Published[i] = p.Streaming().Counts.Published
		}
	}
	slices.Sort(d.took)
	if k := len(d.took); k > 0 {
		ms := func(part int) float64 { return float64(d.took[min(k*part/100, k-1)].Microseconds()) / 1000 }
		r.LatencyMS.P50, r.LatencyMS.P99 = ms(50), ms(99)
	}
	r.OK = r.Problem == ""
	return r
}

// streamed is a devnet with a stream beside it.
type streamed struct {
	network
	*devStream
	report streamReport
}

// Run implements network.
func (s *streamed) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reader sync.WaitGroup
	var failure error
	reader.Go(func() {
		if failure = s.run(ctx); failure != nil {
			cancel(failure)
		}
	})
	err := s.network.Run(ctx)
	cancel(nil)
	reader.Wait()
	s.close()
	return errors.Join(err, failure)
}

// Settle implements network.
func (s *streamed) Settle(ctx context.Context) devnet.Report {
	r := s.network.Settle(ctx)
	if len(r.Nodes) == 0 || r.Nodes[0].Height == 0 {
		return r
	}
	s.report = s.settle(ctx, s.Nodes()[0], r.Nodes[0].Height)
	if !s.report.OK && r.OK {
		r.OK, r.Problem = false, s.report.Problem
	}
	return r
}
