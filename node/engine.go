package node

import (
	"fmt"
	"path/filepath"

	"headrace/exec/engineapi"
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
	switch c := &o.opt.Config.Engine; c.Kind {
	case "grpc":
		e, err := enginegrpc.Dial(c.Address, enginegrpc.Options{})
		if err != nil {
			return fmt.Errorf("engine.address: %w", err)
		}
		o.engine = e
		o.own(e)
	case "engineapi":
		e, err := o.engineAPI()
		if err != nil {
			return err
		}
		o.engine = e
		o.own(e)
	default:
		if o.kv, err = kv.Open(filepath.Join(o.opt.Home, "kv"), kv.Options{FS: o.opt.engineFS, InitialHeight: o.opt.Genesis.InitialHeight, Logger: o.log, Before: before}); err != nil {
			return err
		}
		o.engine = o.kv
		o.own(o.kv)
	}
	return nil
}

// engineAPI makes an engine of the execution client that the configuration names. A client that is down is not an
// error: the first call connects.
func (o *opened) engineAPI() (*engineapi.Engine, error) {
	c := &o.opt.Config.Engine
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
	return engineapi.New(engineapi.Options{
		URL: c.URL, JWT: secret, Genesis: genesis, ChainID: o.opt.Genesis.ChainID, InitialHeight: o.opt.Genesis.InitialHeight,
		Dir: filepath.Join(o.opt.Home, "engine"), FS: o.opt.engineFS, FeeRecipient: fees, Logger: o.log,
		DialOptions: engineapi.DialOptions{Called: o.opt.Observer.EngineCalled},
	})
}

// engineOnDisk says where in the home the engine that the configuration names keeps what can be made anew from the
// store's blocks, and how to read all of that; "" if it keeps nothing there.
func (opt *Options) engineOnDisk() (dir string, check func(dir string) error) {
	kind := opt.Config.Engine.Kind
	switch {
	case opt.Engine != nil || kind == "grpc":
		return "", nil
	case kind == "engineapi":
		return filepath.Join(opt.Home, "engine"), func(dir string) error { return engineapi.CheckIndex(dir, opt.engineFS, opt.Logger) }
	}
	return filepath.Join(opt.Home, "kv"), func(dir string) error {
		return kv.Check(dir, kv.Options{FS: opt.engineFS, InitialHeight: opt.Genesis.InitialHeight, Logger: opt.Logger})
	}
}
