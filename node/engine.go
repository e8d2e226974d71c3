package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"headrace/block"
	"headrace/exec"
	"headrace/exec/engineapi"
	enginegrpc "headrace/exec/grpc"
	"headrace/exec/kv"
)

// openEngine opens the engine that the configuration names, unless the program gave one.
func (n *Node) openEngine() (err error) {
	if n.opt.Engine != nil {
		n.engine = n.opt.Engine
		n.kv, _ = n.opt.Engine.(*kv.Engine)
		return nil
	}
	switch c := &n.opt.Config.Engine; c.Kind {
	case "grpc":
		e, err := enginegrpc.Dial(c.Address, enginegrpc.Options{})
		if err != nil {
			return fmt.Errorf("engine.address: %w", err)
		}
		n.engine = e
		n.own(e)
	case "engineapi":
		open, err := n.engineAPI()
		if err != nil {
			return err
		}
		e := &deferred{open: open}
		n.engine = e
		n.own(e)
	default:
		if n.kv, err = kv.Open(filepath.Join(n.opt.Home, "kv"), kv.Options{InitialHeight: n.opt.Genesis.InitialHeight, Logger: n.log}); err != nil {
			return err
		}
		n.engine = n.kv
		n.own(n.kv)
	}
	return nil
}

// engineAPI reads what an execution client needs, now, and returns how to connect to it, later: a client that is down at the start is not an error.
func (n *Node) engineAPI() (func(context.Context) (*engineapi.Engine, error), error) {
	c := &n.opt.Config.Engine
	secret, err := engineapi.ReadSecret(c.JWTFile)
	if err != nil {
		return nil, fmt.Errorf("engine.jwt_file: %w", err)
	}
	genesis, err := engineapi.ReadGenesis(c.GenesisFile)
	if err != nil {
		return nil, fmt.Errorf("engine.genesis_file: %w", err)
	}
	fees, err := engineapi.ParseAddress(c.FeeRecipient)
	if err != nil {
		return nil, fmt.Errorf("engine.fee_recipient: %w", err)
	}
	opt := engineapi.Options{
		URL: c.URL, JWT: secret, Genesis: genesis, ChainID: n.opt.Genesis.ChainID, InitialHeight: n.opt.Genesis.InitialHeight,
		Dir: filepath.Join(n.opt.Home, "engine"), FeeRecipient: fees, Logger: n.log,
	}
	return func(ctx context.Context) (*engineapi.Engine, error) { return engineapi.Open(ctx, opt) }, nil
}

// deferred is an engine over the Engine API that is connected at its first use, and again after a failure to connect.
type deferred struct {
	open func(context.Context) (*engineapi.Engine, error)

	mu     sync.Mutex // guards the rest
	engine *engineapi.Engine
	closed bool
}

var errEngineClosed = errors.New("engine is closed")

func (d *deferred) get(ctx context.Context) (*engineapi.Engine, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errEngineClosed
	}
	if d.engine == nil {
		e, err := d.open(ctx)
		if err != nil {
			return nil, err
		}
		d.engine = e
	}
	return d.engine, nil
}

func (d *deferred) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	e, err := d.get(ctx)
	if err != nil {
		return nil, err
	}
	return e.Execute(ctx, b)
}

func (d *deferred) Head(ctx context.Context) (exec.Head, error) {
	e, err := d.get(ctx)
	if err != nil {
		return exec.Head{}, err
	}
	return e.Head(ctx)
}

func (d *deferred) Revert(ctx context.Context, height uint64) error {
	e, err := d.get(ctx)
	if err != nil {
		return err
	}
	return e.Revert(ctx, height)
}

func (d *deferred) SubmitTx(ctx context.Context, tx []byte) error {
	e, err := d.get(ctx)
	if err != nil {
		return err
	}
	return e.SubmitTx(ctx, tx)
}

func (d *deferred) Build(ctx context.Context, height, time uint64, maxBytes int) ([][]byte, error) {
	e, err := d.get(ctx)
	if err != nil {
		return nil, err
	}
	return e.Build(ctx, height, time, maxBytes)
}

func (d *deferred) Label(ctx context.Context, safe, finalized block.Ref) error {
	e, err := d.get(ctx)
	if err != nil {
		return err
	}
	return e.Label(ctx, safe, finalized)
}

func (d *deferred) BuildForced(ctx context.Context, height, time uint64, maxBytes int, forced [][]byte) ([][]byte, error) {
	e, err := d.get(ctx)
	if err != nil {
		return nil, err
	}
	return e.BuildForced(ctx, height, time, maxBytes, forced)
}

func (d *deferred) Excuse(ctx context.Context, height uint64, item [][]byte) ([]string, error) {
	e, err := d.get(ctx)
	if err != nil {
		return nil, err
	}
	return e.Excuse(ctx, height, item)
}

// OwnTxs implements exec.Sealer: each block begins with the sealed execution header.
func (d *deferred) OwnTxs() int { return 1 }

// Close closes the engine if it was ever connected. It may be called again, as all of a node's parts.
func (d *deferred) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	e := d.engine
	if d.engine = nil; e == nil {
		return nil
	}
	return e.Close()
}

var (
	_ exec.Engine  = (*deferred)(nil)
	_ exec.Builder = (*deferred)(nil)
	_ exec.Labeler = (*deferred)(nil)
	_ exec.Sealer  = (*deferred)(nil)
	_ exec.Forcer  = (*deferred)(nil)
	_ exec.Excuser = (*deferred)(nil)
)
