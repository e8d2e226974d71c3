package node

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"headrace/exec"
	"headrace/exec/engineapi"
	"headrace/exec/evolve"
	"headrace/exec/evolve/evgrpc"
	enginegrpc "headrace/exec/grpc"
	"headrace/exec/kv"
)

// openEngine opens the engine that the configuration names, unless the program gave one.
func (o *opened) openEngine(before *kv.Engine) (err error) {
	if o.opt.Engine != nil {
		o.engine = o.opt.Engine
		o.kv, _ = o.opt.Engine.(*kv.Engine)
		return nil
	}
	var e interface {
		exec.Engine
		io.Closer
	}
	switch c := &o.opt.Config.Engine; c.Kind {
	case "grpc":
		if e, err = enginegrpc.Dial(c.Address, enginegrpc.Options{}); err != nil {
			err = fmt.Errorf("engine.address: %w", err)
		}
	case "engineapi":
		e, err = o.engineAPI()
	case evolveGRPC:
		e, err = o.evolve()
	case "evolve-evm":
		e, err = o.evolveEVM()
	default:
		o.kv, err = kv.Open(filepath.Join(o.opt.Home, "kv"), kv.Options{FS: o.opt.engineFS, InitialHeight: o.opt.Genesis.InitialHeight, Logger: of(o.log, "engine"), Before: before, History: o.opt.kvHistory()})
		e = o.kv
	}
	if err != nil {
		return err
	}
	o.engine = e
	o.own(e)
	return nil
}

// engineAPI makes an engine of the execution client that the configuration names. A client that is down is not an
// error: the first call connects.
func (o *opened) engineAPI() (*engineapi.Engine, error) {
	opt, err := o.clientOptions()
	if err != nil {
		return nil, err
	}
	return engineapi.New(opt)
}

// evolveEVM is engineAPI for an EVM chain of Evolve. Such a chain is on a DA layer: nothing that a proposal on an L1
// holds could be void by its content.
func (o *opened) evolveEVM() (*engineapi.Derived, error) {
	if o.opt.Genesis.L1 != nil {
		return nil, errors.New("engine.kind is evolve-evm, and the genesis names an inbox on an L1: only a chain on a DA layer has such an engine; use engineapi")
	}
	opt, err := o.clientOptions()
	if err != nil {
		return nil, err
	}
	opt.EthURL = o.opt.Config.Engine.EthURL
	return engineapi.NewDerived(opt)
}

// clientOptions is what the configuration says of an execution client.
func (o *opened) clientOptions() (opt engineapi.Options, err error) {
	c := &o.opt.Config.Engine
	opt = engineapi.Options{
		URL: c.URL, ChainID: o.opt.Genesis.ChainID, InitialHeight: o.opt.Genesis.InitialHeight,
		Dir: filepath.Join(o.opt.Home, "engine"), FS: o.opt.engineFS, Logger: of(o.log, "engine"),
		DialOptions: engineapi.DialOptions{Called: o.opt.Observer.EngineCalled},
	}
	if opt.JWT, err = engineapi.ReadSecret(c.JWTFile); err != nil {
		return opt, fmt.Errorf("engine.jwt_file: %w", err)
	}
	if opt.Genesis, err = engineapi.ReadGenesis(c.GenesisFile); err != nil {
		return opt, fmt.Errorf("engine.genesis_file: %w", err)
	}
	if opt.FeeRecipient, err = engineapi.ParseAddress(c.FeeRecipient); err != nil {
		return opt, fmt.Errorf("engine.fee_recipient: %w", err)
	}
	return opt, nil
}

// evolveGRPC is the kind of an executor of an Evolve chain, over gRPC.
const evolveGRPC = "evolve-grpc"

// evolve makes an engine of the executor that the configuration names. One that is down is not an error: the first call
// connects.
func (o *opened) evolve() (*evolve.Engine, error) {
	x, err := evgrpc.Dial(o.opt.Config.Engine.Address, evgrpc.Options{})
	if err != nil {
		return nil, fmt.Errorf("engine.address: %w", err)
	}
	o.own(x)
	g := o.opt.Genesis
	return evolve.New(x, evolve.Options{
		ChainID: g.ChainID, InitialHeight: g.InitialHeight, GenesisTime: g.StartTime,
		Dir: filepath.Join(o.opt.Home, "engine"), FS: o.opt.engineFS, Logger: of(o.log, "engine"),
	})
}

// checkExecutor refuses what is no address of an executor, and does not repeat it.
func checkExecutor(address string) error {
	if address == "" {
		return fmt.Errorf("engine.kind is evolve-grpc: set engine.address, http://host:port or unix:///path")
	}
	if _, _, err := evgrpc.Parse(address); err != nil {
		return fmt.Errorf("engine.address: %w", err)
	}
	return nil
}

// checkWay looks whether the engine can take blocks back, and if not, whether it ever has to: what a DA layer holds is
// final.
func (o *opened) checkWay() error {
	if !o.oneWay() {
		return nil
	}
	if o.opt.Genesis.L1 != nil {
		return errors.New("this engine cannot take blocks back, and the genesis names an inbox on an L1, which may be reorganised: such a chain needs an engine that can")
	}
	o.log.Info("the engine cannot take blocks back: this node takes no unsafe blocks, and follows no L1 inbox")
	return nil
}

func (o *opened) oneWay() bool {
	w, ok := o.engine.(exec.OneWay)
	return ok && w.OneWay()
}

// engineOnDisk says where in the home the engine that the configuration names keeps what can be made anew from the
// store's blocks, and how to read all of that; "" if it keeps nothing there.
func (opt *Options) engineOnDisk() (dir string, check func(dir string) error) {
	kind := opt.Config.Engine.Kind
	switch {
	case opt.Engine != nil || kind == "grpc":
		return "", nil
	case kind == evolveGRPC:
		return filepath.Join(opt.Home, "engine"), func(dir string) error { return evolve.CheckIndex(dir, opt.engineFS, of(opt.Logger, "engine")) }
	case kind == "engineapi" || kind == "evolve-evm":
		return filepath.Join(opt.Home, "engine"), func(dir string) error { return engineapi.CheckIndex(dir, opt.engineFS, of(opt.Logger, "engine")) }
	}
	return filepath.Join(opt.Home, "kv"), func(dir string) error {
		return kv.Check(dir, kv.Options{FS: opt.engineFS, InitialHeight: opt.Genesis.InitialHeight, Logger: of(opt.Logger, "engine")})
	}
}
