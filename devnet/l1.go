package devnet

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/params"

	"headrace/block"
	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/l1"
	"headrace/node"
)

// L2ChainID is the chain id of a devnet's execution clients.
const L2ChainID = 13370

// L1Options are the properties of a devnet on an L1. The zero value works.
type L1Options struct {
	Home        string        // where everything is kept: must be absent or empty, since an L1 begins anew; "" is a temporary directory that Run removes
	Nodes       int           // driven nodes beside the sequencer; default 2
	BlockTime   time.Duration // of the rollup; default 1 s
	L1BlockTime time.Duration // default 1 s
	TxRate      float64       // transactions per second sent to the sequencer; 0: none
	KV          bool          // the key-value engine, instead of a geth for each node
	Blobs       bool          // proposals in blobs, instead of call data
	Payload     uint64        // version of the proposals' payloads; default 2
	Logger      *slog.Logger  // default: silent
	OnBlock     func(Line)    // called for each block once every driven node has applied it; must be quick
	Listen      []string      // where the sequencer and the driven nodes listen, in this order; as in Options

	// Each, if not nil, may change what a node (0 is the sequencer) is made with.
	Each func(index int, o *node.Options)

	// Through, if not nil, gives the host:port at which a node (0 is the sequencer) reaches the L1's host:port, for a
	// proxy in between. It is called for the WebSocket and for HTTP.
	Through func(index int, address string) (string, error)
}

// L1 is a whole rollup whose canonical source is an inbox contract on an L1: a geth as the L1, a sequencer that
// proposes, and driven nodes, each with a geth of its own as execution client. Make it with NewL1, run it once.
type L1 struct {
	members
	opt       L1Options
	temporary bool
	inbox     *Inbox
	clients   []*geth.Node // the nodes' execution clients; none with the key-value engine
}

// NewL1 makes a devnet on an L1: it starts all execution clients and deploys the inbox. The error says so when there
// is no geth and none can be built.
func NewL1(ctx context.Context, opt L1Options) (_ *L1, err error) {
	setDefaults(&opt.Nodes, &opt.Logger, &opt.BlockTime, &opt.L1BlockTime)
	n := &L1{opt: opt, members: members{listen: opt.Listen, latency: newLatency(opt.Nodes, opt.OnBlock), pace: opt.L1BlockTime, each: opt.Each}}
	defer func() {
		if err != nil {
			_ = n.Close()
		}
	}()
	if _, err := geth.Binary(ctx); err != nil {
		return nil, fmt.Errorf("a devnet on an L1 needs a geth: %w", err)
	}
	if err := n.makeHome(); err != nil {
		return nil, err
	}
	n.inbox, err = OpenInbox(ctx, InboxOptions{Dir: filepath.Join(n.opt.Home, "l1"), Logger: opt.Logger.With("node", "l1"), Beacon: beacon.Options{SafeDepth: 4, FinalDepth: 16}})
	if err != nil {
		return nil, err
	}
	if err := n.openClients(ctx); err != nil {
		return nil, err
	}
	return n, n.makeNodes()
}

func (n *L1) makeHome() (err error) {
	if n.opt.Home == "" {
		n.temporary = true
		n.opt.Home, err = os.MkdirTemp("", "headrace-dev-")
		return err
	}
	if err := os.MkdirAll(n.opt.Home, 0o700); err != nil {
		return fmt.Errorf("make home: %w", err)
	}
	switch found, err := os.ReadDir(n.opt.Home); {
	case err != nil:
		return fmt.Errorf("read home: %w", err)
	case len(found) > 0:
		return fmt.Errorf("%s is not empty: a devnet on an L1 begins anew each time, give it a new directory", n.opt.Home)
	}
	return nil
}

// L2Genesis is the genesis of a devnet's execution clients.
func L2Genesis() *core.Genesis {
	g := geth.DevGenesis(geth.Prague)
	config := *g.Config
	config.ChainID = big.NewInt(L2ChainID)
	g.Config = &config
	return g
}

// openClients starts the nodes' execution clients side by side.
func (n *L1) openClients(ctx context.Context) error {
	if n.opt.KV {
		return nil
	}
	n.clients = make([]*geth.Node, n.opt.Nodes+1)
	errs := make([]error, len(n.clients))
	var wg sync.WaitGroup
	for i := range n.clients {
		wg.Go(func() {
			n.clients[i], errs[i] = geth.Open(ctx, geth.Options{Dir: filepath.Join(n.opt.Home, n.Name(i)+"-geth"), Genesis: L2Genesis()})
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("open execution clients: %w", err)
	}
	raw, err := json.Marshal(L2Genesis())
	if err != nil {
		return fmt.Errorf("encode execution genesis: %w", err)
	}
	return os.WriteFile(n.path("execution-genesis.json"), raw, 0o600)
}

func (n *L1) path(name string) string { return filepath.Join(n.opt.Home, name) }

// makeNodes makes the sequencer and the driven nodes, each with its home below the devnet's.
func (n *L1) makeNodes() error {
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		return err
	}
	at := n.inbox.Client
	genesis := &block.Genesis{
		ChainID: "headrace-dev", StartTime: time.Now().UTC(), InitialHeight: 1, ProposerAddress: key.Public().Address(),
		L1: &block.GenesisL1{ChainID: at.ChainID, Inbox: at.Inbox.String(), StartBlock: at.StartBlock},
	}
	if err := os.WriteFile(n.path("genesis.json"), genesis.Encode(), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(n.path("proposer-key"), []byte(hex.EncodeToString(crypto.FromECDSA(geth.DevKey(1)))), 0o600); err != nil {
		return err
	}
	for i := range n.opt.Nodes + 1 {
		c, err := n.config(i)
		if err != nil {
			return err
		}
		if err := n.add(key, n.opt.BlockTime, node.Options{Home: n.opt.Home, Genesis: genesis, Config: c, Logger: n.opt.Logger}); err != nil {
			return err
		}
	}
	return nil
}

// config is that of one node.
func (n *L1) config(i int) (node.Config, error) {
	c := node.Default()
	c.HTTP.Address = "127.0.0.1:0"
	ws, http := n.inbox.Geth.WS(), n.inbox.Geth.HTTP()
	if n.opt.Through != nil {
		for _, url := range []*string{&ws, &http} {
			scheme, address, _ := strings.Cut(*url, "://")
			through, err := n.opt.Through(i, address)
			if err != nil {
				return c, err
			}
			*url = scheme + "://" + through
		}
	}
	c.L1.WS, c.L1.HTTP, c.L1.Beacon, c.L1.KeyFile, c.L1.Blobs = node.At(ws), node.At(http), n.inbox.Client.Beacon, n.path("proposer-key"), n.opt.Blobs
	c.L1.BlockTime, c.L1.Payload = n.opt.L1BlockTime.String(), cmp.Or(n.opt.Payload, l1.CompactVersion)
	if !n.opt.KV {
		client := n.clients[i]
		c.Engine.Kind, c.Engine.URL = "engineapi", client.Engine()
		c.Engine.JWTFile, c.Engine.GenesisFile = filepath.Join(client.Dir(), "jwt.hex"), n.path("execution-genesis.json")
	}
	return c, nil
}

// Inbox returns the L1 and the inbox on it.
func (n *L1) Inbox() *Inbox { return n.inbox }

// Clients returns the nodes' execution clients, in the order of Nodes; none with the key-value engine.
func (n *L1) Clients() []*geth.Node { return n.clients }

// Home returns the directory that holds everything.
func (n *L1) Home() string { return n.opt.Home }

// Run runs everything until ctx ends, which is no error, or a part fails.
func (n *L1) Run(ctx context.Context) error {
	return errors.Join(n.run(ctx, n.mine, n.load), n.Close())
}

// mine is the L1's block clock. A client that does not answer costs the blocks of that time.
func (n *L1) mine(ctx context.Context) error {
	clock := time.NewTicker(n.opt.L1BlockTime)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-clock.C:
		}
		n.latency.begun(n.inbox.Chain.Head().Number() + 1)
		if _, err := n.inbox.Chain.Mine(ctx, beacon.Spec{}); err != nil && ctx.Err() == nil {
			n.opt.Logger.Warn("no L1 block made", "err", err)
		}
	}
}

// Close releases what NewL1 made. Run does it by itself.
func (n *L1) Close() error {
	var errs []error
	for _, each := range n.nodes {
		errs = append(errs, each.Close())
	}
	for _, each := range n.clients {
		if each != nil {
			each.Kill() // its directory is of no more use
		}
	}
	if n.inbox != nil {
		errs = append(errs, n.inbox.Close())
	}
	if n.temporary {
		errs = append(errs, os.RemoveAll(n.opt.Home))
	}
	return errors.Join(errs...)
}

// load sends the sequencer TxRate transactions per second: transfers or, with the key-value engine, writes to a
// hundred keys in turn.
func (n *L1) load(ctx context.Context) error {
	make := func(i uint64) ([]byte, error) { return fmt.Appendf(nil, "key-%d=%d", i%100, i), nil }
	if !n.opt.KV {
		make = transfer
	}
	return n.send(ctx, n.opt.TxRate, n.opt.Logger, make)
}

// transfer is the i-th transfer of one account.
func transfer(i uint64) ([]byte, error) {
	id, to := big.NewInt(L2ChainID), common.Address{0xaa}
	tx, err := types.SignNewTx(geth.DevKey(2), types.LatestSignerForChainID(id), &types.DynamicFeeTx{
		ChainID: id, Nonce: i, To: &to, Value: big.NewInt(1), Gas: 21_000, GasTipCap: big.NewInt(params.GWei), GasFeeCap: big.NewInt(100 * params.GWei),
	})
	if err != nil {
		return nil, fmt.Errorf("sign transfer: %w", err)
	}
	return tx.MarshalBinary()
}
