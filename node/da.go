package node

import (
	"fmt"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/follow"
	"headrace/internal/syncer"
)

// openDA opens a chain whose canonical source is a DA layer. Nothing is dialled yet.
func (n *Node) openDA(cfg syncer.Config, opt follow.Options) (err error) {
	c := &n.opt.Config.DA
	if cfg.Derive.HeaderNamespace, cfg.Derive.DataNamespace, err = n.opt.Config.namespaces(n.opt.Genesis); err != nil {
		return err
	}
	level, err := c.level()
	if err != nil {
		return fmt.Errorf("da.level: %w", err)
	}
	log, b := n.log.With("source", "celestia"), n.opt.Bounds
	n.source, err = celestia.New(c.Address, celestia.Options{
		Token: c.Token, Namespaces: []da.Namespace{cfg.Derive.HeaderNamespace, cfg.Derive.DataNamespace},
		CallTimeout: c.CallTimeout, Level: level, Logger: log,
		GasPrice: c.GasPrice, MaxGasPrice: c.MaxGasPrice, Priority: int(min(c.Priority, 4)), Keys: c.Keys,
		Silence: b.Silence, Hold: b.Hold, Probe: b.Probe, Polling: b.Polling, SubmitTimeout: b.Submit,
	})
	if err != nil {
		return fmt.Errorf("da: %w", err)
	}
	n.own(n.source)
	sink, err := syncer.OpenDA(cfg)
	if err != nil {
		return err
	}
	opt.Logger, opt.Stall = log, b.Stall
	if b.Retry > 0 {
		opt.Backoff.Max = b.Retry
	}
	n.syncer, n.follower = sink.Syncer, follow.New(sink.Checked(n.source), sink, opt)
	n.beside = append(n.beside, sink.Prover(n.source, n.follower.Wake))
	return nil
}
