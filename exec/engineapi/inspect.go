package engineapi

import (
	"context"
	"fmt"

	"github.com/ethereum/go-ethereum/core"
)

// Inspector asks an execution client what an Engine asks when it connects, one thing at a time, for whoever looks for
// what is wrong. It drives nothing, and keeps nothing on disk. Each error says what to do.
type Inspector struct {
	*Client
	genesis *core.Genesis
	derived bool
}

// Inspect returns an inspector of the client of an Engine with these options; derived: of NewDerived's. It makes no
// request. Close must be called.
func Inspect(opt Options, derived bool) (*Inspector, error) {
	if err := checkGenesis(opt.Genesis); err != nil {
		return nil, err
	}
	c, err := Dial(opt.URL, opt.JWT, opt.DialOptions)
	if err != nil {
		return nil, err
	}
	return &Inspector{c, opt.Genesis, derived}, nil
}

// Answers returns nil if there is an Engine API that takes the secret.
func (i *Inspector) Answers(ctx context.Context) error {
	return i.call(ctx, new([]string), "engine_exchangeCapabilities", []string{})
}

// Methods returns nil if the client offers those that the chain's forks need.
func (i *Inspector) Methods(ctx context.Context) error { return checkMethods(ctx, i.Client, i.genesis) }

// Chain returns nil if the client's genesis block and chain id are those of the genesis given to this node.
func (i *Inspector) Chain(ctx context.Context) error {
	return checkChain(ctx, i.Client, i.genesis, i.genesis.ToBlock().Hash())
}

// Forks returns nil if the client's fork schedule is that of the genesis given to this node, as far as it tells.
func (i *Inspector) Forks(ctx context.Context) error {
	return checkForks(ctx, i.Client, i.genesis, i.derived)
}

// Pool returns nil if the client's public JSON-RPC answers, from which a Derived takes what waits in the pool.
func Pool(ctx context.Context, url string, opt DialOptions) error {
	c, err := dial(url, nil, opt)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.ChainID(ctx); err != nil {
		return fmt.Errorf("public JSON-RPC: %w", err)
	}
	return nil
}
