// Package devnet runs a whole rollup in one process: a DA layer, a sequencer and full nodes, talking over real
// loopback sockets with real signatures. It is the demo behind `headrace dev`, and a test bed for others: New makes
// it, Run runs it until its context ends, and then all of it has stopped.
package devnet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"headrace/block"
	"headrace/da/local"
	"headrace/internal/keyfile"
	"headrace/node"
)

// Options are the properties of a devnet. The zero value works.
type Options struct {
	Home        string        // where everything is kept; "" is a temporary directory that Run removes
	Nodes       int           // full nodes beside the sequencer; default 2
	Replicas    int           // read replicas, each of which follows all full nodes; default none
	BlockTime   time.Duration // of the rollup; default 1 s
	DABlockTime time.Duration // of the DA layer; default 1 s
	TxRate      float64       // transactions per second sent to the sequencer; 0: none
	Logger      *slog.Logger  // default: silent
	Soft        bool          // the full nodes have the sequencer's blocks from its stream, before the DA layer has them
	OnBlock     func(Line)    // called for each block once every full node has applied it; must be quick

	// Each, if not nil, may change what a node (0 is the sequencer) is made with.
	Each func(index int, o *node.Options)

	// Listen is where the DA layer, the sequencer, the full nodes and the replicas listen, in this order: host and port of each. An
	// address that is taken, or is not there, is a free port of the loopback.
	Listen []string

	// Through, if not nil, gives the address at which a node (0 is the sequencer) reaches the DA layer, for a proxy
	// in between.
	Through func(index int, address string) (string, error)
}

// Line is one block as every full node has applied it.
type Line struct {
	Height   uint64
	DAHeight uint64
	Txs      int
	Latency  []time.Duration // of each full node: from the announcement of the DA height that completed the block to the block being stored and visible
	Unsafe   []uint64        // of each: its unsafe head then
	Early    []time.Duration // of each: for how long the block had been there, as an unsafe one, before that announcement; 0: it was not
}

// Net is a devnet. Make it with New, run it once.
type Net struct {
	members
	opt       Options
	temporary bool
	da        *DA
}

// members are a devnet's nodes and what is measured of them.
type members struct {
	nodes   []*node.Node // nodes[0] is the sequencer
	listen  []string     // where they do, see Options
	latency *latency
	each    func(int, *node.Options) // nil: nobody changes anything
	pace    time.Duration            // between the blocks of the canonical source
}

// setDefaults fills in what the options of every devnet have.
func setDefaults(nodes *int, logger **slog.Logger, blockTimes ...*time.Duration) {
	if *nodes <= 0 {
		*nodes = 2
	}
	if *logger == nil {
		*logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range blockTimes {
		if *d <= 0 {
			*d = time.Second
		}
	}
}

// New makes a devnet, its home and its keys, and opens its ports.
func New(opt Options) (_ *Net, err error) {
	setDefaults(&opt.Nodes, &opt.Logger, &opt.BlockTime, &opt.DABlockTime)
	n := &Net{opt: opt, members: members{latency: newLatency(opt.Nodes, opt.OnBlock), pace: opt.DABlockTime, each: opt.Each}}
	if len(opt.Listen) > 0 {
		n.listen = opt.Listen[1:]
	}
	defer func() {
		if err != nil {
			_ = n.Close()
		}
	}()
	if opt.Home == "" {
		n.temporary = true
		if n.opt.Home, err = os.MkdirTemp("", "headrace-dev-"); err != nil {
			return nil, fmt.Errorf("make temporary home: %w", err)
		}
	}
	key, genesis, err := identity(n.opt.Home)
	if err != nil {
		return nil, err
	}
	err = listenAt(opt.Listen, 0, "127.0.0.1:0", func(address string) (err error) {
		n.da, err = NewDA(DAOptions{
			Listen: address,
			Chain: local.Options{
				ChainID: "headrace-dev-da", Interval: opt.DABlockTime, Dir: filepath.Join(n.opt.Home, "da"), Announce: n.latency.announced,
			},
			Logger: opt.Logger.With("node", "da"),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, n.makeNodes(key, genesis)
}

// makeNodes makes the sequencer and the full nodes, each with its home below the devnet's.
func (n *Net) makeNodes(key *block.PrivateKey, genesis *block.Genesis) (err error) {
	var full node.Addresses
	for i := range n.opt.Nodes + 1 + n.opt.Replicas {
		address := n.da.URL()
		if n.opt.Through != nil {
			if address, err = n.opt.Through(i, address); err != nil {
				return err
			}
		}
		c := node.Default()
		c.HTTP.Address = "127.0.0.1:0"
		c.DA.Address = node.At(address)
		c.DA.BlockTime = n.opt.DABlockTime
		if n.opt.Soft && i > 0 {
			c.Unsafe.From = node.At(n.nodes[0].URL())
		}
		if i > n.opt.Nodes {
			c.Source.Node = full
		}
		if err := n.add(key, n.opt.BlockTime, node.Options{Home: n.opt.Home, Genesis: genesis, Config: c, Logger: n.opt.Logger}); err != nil {
			return err
		}
		if i > 0 && i <= n.opt.Nodes {
			full = append(full, node.At(n.nodes[i].URL())...)
		}
	}
	return nil
}

// add makes the next node, with a home of its own below opt.Home. The first one is the sequencer, which has the key.
func (n *members) add(key *block.PrivateKey, blockTime time.Duration, opt node.Options) error {
	i := len(n.nodes)
	opt.Home, opt.Logger = filepath.Join(opt.Home, n.Name(i)), opt.Logger.With("node", n.Name(i))
	if i == 0 {
		opt.Key, opt.Config.Sequencer.Enabled, opt.Config.Sequencer.BlockTime = key, true, blockTime
	}
	if n.each != nil {
		n.each(i, &opt)
	}
	if i > 0 && i <= n.latency.nodes {
		var measured node.Observer
		measured.Applied = func(a node.Applied) { n.latency.applied(i-1, a, time.Now()) }
		opt.Observer = node.Join(measured, opt.Observer)
	}
	err := listenAt(n.listen, i, opt.Config.HTTP.Address, func(address string) error {
		opt.Config.HTTP.Address = address
		made, err := node.New(opt)
		if err == nil {
			n.nodes = append(n.nodes, made)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name(i), err)
	}
	return nil
}

// listenAt calls open with the i-th address, or, if there is none or it is taken, with another one.
func listenAt(addresses []string, i int, other string, open func(address string) error) error {
	if i < len(addresses) {
		if err := open(addresses[i]); !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
	return open(other)
}

// identity returns the devnet's key and genesis, from its home or new. The key of a devnet is not worth encrypting.
// Nothing that is there is written over: what a devnet has not made is another's, and may be there only once.
func identity(home string) (*block.PrivateKey, *block.Genesis, error) {
	keyPath, genesisPath := filepath.Join(home, "dev-key"), filepath.Join(home, "genesis.json")
	raw, err := os.ReadFile(keyPath)
	var key *block.PrivateKey
	switch {
	case errors.Is(err, os.ErrNotExist):
		if key, err = newKey(home, keyPath); err != nil {
			return nil, nil, err
		}
	case err != nil:
		return nil, nil, fmt.Errorf("read key: %w", err)
	default:
		if key, err = block.ParsePrivateKey(raw); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", keyPath, err)
		}
	}
	genesis, err := block.LoadGenesis(genesisPath)
	if errors.Is(err, os.ErrNotExist) { // also after a crash, before it was written
		genesis = &block.Genesis{
			ChainID: "headrace-dev", StartTime: time.Now().UTC(), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
			DA: &block.GenesisDA{HeaderNamespace: "hdr", DataNamespace: "dat"},
		}
		err = keyfile.WriteNew(genesisPath, genesis.Encode())
	}
	return key, genesis, err
}

// newKey makes the key of a devnet that begins, in a home that has nothing of a node in it.
func newKey(home, path string) (*block.PrivateKey, error) {
	for _, name := range []string{"genesis.json", "config.yaml"} {
		if _, err := os.Lstat(filepath.Join(home, name)); err == nil {
			return nil, fmt.Errorf("%s has a %s that no devnet has made, as the home of a node has: give the devnet a directory of its own", home, name)
		}
	}
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	return key, keyfile.WriteNew(path, key.Encode())
}

// Name returns what a node is called in logs and in the home: "sequencer", "node-1" and so on, "replica-1" and so on.
func (m *members) Name(i int) string {
	switch {
	case i == 0:
		return "sequencer"
	case i > m.latency.nodes:
		return fmt.Sprintf("replica-%d", i-m.latency.nodes)
	}
	return fmt.Sprintf("node-%d", i)
}

// Nodes returns the sequencer, the full nodes and the replicas, in this order.
func (m *members) Nodes() []*node.Node { return m.nodes }

// DA returns the DA layer.
func (n *Net) DA() *DA { return n.da }

// Home returns the directory that holds everything.
func (n *Net) Home() string { return n.opt.Home }

// Run runs everything until ctx ends, which is no error, or a part fails.
func (n *Net) Run(ctx context.Context) error {
	return errors.Join(n.run(ctx, n.da.Run, n.load), n.Close())
}

// run runs the parts and the nodes until ctx ends, which is no error, or one of them fails.
func (m *members) run(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, each := range m.nodes {
		parts = append(parts, each.Run)
	}
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("part %d: %w", i, err))
			}
		})
	}
	wg.Wait()
	err := context.Cause(ctx)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return err
}

// Close releases what New made. Run does it by itself.
func (n *Net) Close() error {
	var errs []error
	for _, each := range n.nodes {
		errs = append(errs, each.Close())
	}
	if n.da != nil {
		errs = append(errs, n.da.Close())
	}
	if n.temporary {
		errs = append(errs, os.RemoveAll(n.opt.Home))
	}
	return errors.Join(errs...)
}

// load sends the sequencer TxRate transactions per second: writes to a hundred keys in turn.
func (n *Net) load(ctx context.Context) error {
	return n.send(ctx, n.opt.TxRate, n.opt.Logger, func(i uint64) ([]byte, error) { return fmt.Appendf(nil, "key-%d=%d", i%100, i), nil })
}

// send sends the sequencer rate transactions per second, each as make makes it of its number. One that is not taken
// is sent again: later ones may need it.
func (m *members) send(ctx context.Context, rate float64, log *slog.Logger, make func(i uint64) ([]byte, error)) error {
	if rate <= 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	clock := time.NewTicker(time.Duration(float64(time.Second) / rate)) // the load's own pace
	defer clock.Stop()
	for i := uint64(0); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-clock.C:
		}
		tx, err := make(i)
		if err != nil {
			return err
		}
		if err := m.nodes[0].SubmitTx(ctx, tx); err == nil {
			i++
		} else if ctx.Err() == nil {
			log.Warn("transaction not taken", "err", err)
		}
	}
}
