package node

import (
	"fmt"
	"path/filepath"

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
		e, err := n.engineAPI()
		if err != nil {
			return err
		}
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

// engineAPI makes an engine of the execution client that the configuration names. A client that is down is not an
// error: the first call connects.
func (n *Node) engineAPI() (*engineapi.Engine, error) {
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
	return engineapi.New(engineapi.Options{
		URL: c.URL, JWT: secret, Genesis: genesis, ChainID: n.opt.Genesis.ChainID, InitialHeight: n.opt.Genesis.InitialHeight,
		Dir: filepath.Join(n.opt.Home, "engine"), FeeRecipient: fees, Logger: n.log,
		DialOptions: engineapi.DialOptions{Called: n.opt.Observer.EngineCalled},
	})
}
