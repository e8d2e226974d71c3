package devnet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"

	"headrace/da/celestia"
	"headrace/da/local"
)

// DAOptions are the properties of a dev DA server. The zero value listens on Celestia's port of the loopback and needs no token. It misbehaves as
// Handler.Faults say, on the wire and in what it tells of its chain.
type DAOptions struct {
	Listen  string // default 127.0.0.1:26658
	Chain   local.Options
	Handler celestia.HandlerOptions
	Logger  *slog.Logger // default: silent
}

// DA is a DA layer in the process that serves Celestia's JSON-RPC over HTTP and WebSocket on one port. Make it with NewDA, run it once.
type DA struct {
	chain    *local.Chain
	handler  *celestia.Handler
	listener net.Listener
	scheme   string
}

// NewDA opens the port and the chain.
func NewDA(opt DAOptions) (*DA, error) {
	opt.Listen = cmp.Or(opt.Listen, "127.0.0.1:26658")
	if opt.Logger != nil {
		opt.Chain.Logger, opt.Handler.Logger = opt.Logger, opt.Logger
	}
	l, err := net.Listen("tcp", opt.Listen)
	if err != nil {
		todo := "give --listen an address and a port, such as 127.0.0.1:26658"
		if errors.Is(err, syscall.EADDRINUSE) {
			todo = "stop what uses the port, or choose another one with --listen"
		}
		return nil, fmt.Errorf("listen on %s: %w: %s", opt.Listen, err, todo)
	}
	chain, err := local.New(opt.Chain)
	if err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("open DA chain: %w", err)
	}
	// What the chain is told to be passes by the faults too: what is wrong with it, and with the wire, comes from one set.
	d := &DA{chain: chain, handler: celestia.NewHandler(chain.View(opt.Handler.Faults), opt.Handler), listener: l, scheme: "http://"}
	if opt.Handler.Cert != nil {
		d.scheme = "https://"
	}
	return d, nil
}

// URL returns where the server answers.
func (d *DA) URL() string { return d.scheme + d.listener.Addr().String() }

// Handler returns what answers requests.
func (d *DA) Handler() *celestia.Handler { return d.handler }

// Chain returns the chain behind the server, which has no faults.
func (d *DA) Chain() *local.Chain { return d.chain }

// Run makes blocks and serves until ctx ends, which is no error. All connections have ended and the chain is closed when it returns.
func (d *DA) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	wg.Go(func() { cancel(d.chain.Run(ctx)) })
	wg.Go(func() { cancel(d.handler.Serve(ctx, d.listener)) })
	wg.Wait()
	err := context.Cause(ctx)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return errors.Join(err, d.Close())
}

// Close releases what NewDA opened. Run does it by itself.
func (d *DA) Close() error {
	err := d.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return errors.Join(err, d.handler.Close(), d.chain.Close())
}
