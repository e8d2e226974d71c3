package devnet

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"headrace/devnet/beacon"
	"headrace/devnet/geth"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// InboxOptions are the properties of an Inbox. Dir is needed.
type InboxOptions struct {
	Dir      string      // of the L1's geth; must be new
	Settings l1.Settings // of the contract; default: of version 2
	Fork     geth.Fork   // the L1's rules; default Cancun
	Beacon   beacon.Options
	Logger   *slog.Logger // default: silent
}

// Inbox is an L1 of one real geth, with a consensus of ours that makes its blocks, a beacon API for their blobs, and
// an inbox contract. It makes blocks when Chain is told to. The contract's owner is geth.DevKey(0), and its one
// proposer geth.DevKey(1). Safe for concurrent use.
type Inbox struct {
	Geth    *geth.Node
	Chain   *beacon.Chain
	Client  ethereum.Options // of a client of this L1 and inbox
	api     *http.Server
	serving sync.WaitGroup
}

// OpenInbox starts an L1 and deploys an inbox on it.
func OpenInbox(ctx context.Context, opt InboxOptions) (_ *Inbox, err error) {
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	i := &Inbox{}
	defer func() {
		if err != nil {
			_ = i.Close()
		}
	}()
	if i.Geth, err = geth.Open(ctx, geth.Options{Dir: opt.Dir, Genesis: geth.DevGenesis(opt.Fork)}); err != nil {
		return nil, fmt.Errorf("open the L1's geth: %w", err)
	}
	if i.Chain, err = beacon.New(ctx, i.Geth, opt.Beacon); err != nil {
		return nil, fmt.Errorf("begin the L1's consensus: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the beacon API: %w", err)
	}
	i.api = &http.Server{Handler: i.Chain.API(), ReadHeaderTimeout: 10 * time.Second}
	i.serving.Go(func() { _ = i.api.Serve(l) }) // until Close
	i.Client = ethereum.Options{
		WS: []ethereum.Endpoint{{URL: i.Geth.WS()}}, HTTP: []ethereum.Endpoint{{URL: i.Geth.HTTP()}}, Beacon: []ethereum.Endpoint{{URL: "http://" + l.Addr().String()}},
		ChainID: geth.DevChainID, Logger: opt.Logger,
	}
	return i, i.deploy(ctx, opt)
}

// deploy makes the contract, with a block whenever the last one is done, since nobody else makes any yet.
func (i *Inbox) deploy(ctx context.Context, opt InboxOptions) error {
	contract := ethereum.Contract{Settings: opt.Settings, Proposers: []l1.Address{addressOf(geth.DevKey(1))}}
	const period = 20 * time.Millisecond
	client := i.Client
	client.Poll = period
	return i.WhileMining(ctx, period, func(ctx context.Context) error {
		at, block, err := ethereum.Deploy(ctx, client, ethereum.AccountOptions{}, geth.DevKey(0), contract)
		if err != nil {
			return fmt.Errorf("deploy the inbox: %w", err)
		}
		i.Client.Inbox, i.Client.StartBlock = at, block.Height
		return nil
	})
}

// WhileMining calls f while the L1 makes a block each period, from its pool of transactions. When it returns, no
// block is being made any more.
func (i *Inbox) WhileMining(ctx context.Context, period time.Duration, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := make(chan struct{}) // closed below
	var miner sync.WaitGroup
	miner.Go(func() {
		clock := time.NewTicker(period) // the L1's block clock
		defer clock.Stop()
		for {
			select {
			case <-stop:
				return
			case <-clock.C:
			}
			if _, err := i.Chain.Mine(ctx, beacon.Spec{}); err != nil {
				cancel(fmt.Errorf("make an L1 block: %w", err))
				return
			}
		}
	})
	err := f(ctx)
	close(stop)
	miner.Wait()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = errors.Join(err, cause)
	}
	return err
}

// Close ends all of the L1.
func (i *Inbox) Close() error {
	var errs []error
	if i.api != nil {
		errs = append(errs, i.api.Close())
	}
	i.serving.Wait()
	if i.Chain != nil {
		i.Chain.Close()
	}
	if i.Geth != nil {
		i.Geth.Kill() // its directory is of no more use
	}
	return errors.Join(errs...)
}

func addressOf(key *ecdsa.PrivateKey) l1.Address {
	return l1.Address(crypto.PubkeyToAddress(key.PublicKey))
}
