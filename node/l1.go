package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/internal/syncer"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// openL1 opens a chain whose canonical source is the inbox of an L1. Nothing is dialled yet.
func (n *Node) openL1(cfg syncer.Config, opt follow.Options) (err error) {
	c, g := &n.opt.Config.L1, n.opt.Genesis.L1
	inbox, err := l1.ParseAddress(g.Inbox)
	if err != nil {
		return fmt.Errorf("genesis: l1.inbox: %w", err)
	}
	if len(c.WS)+len(c.HTTP) == 0 {
		return fmt.Errorf("the genesis names an inbox on an L1: set l1.ws, l1.http or both to an Ethereum node of chain %d", g.ChainID)
	}
	log := n.log.With("source", "l1")
	n.l1, err = ethereum.New(ethereum.Options{
		WS: c.WS, HTTP: c.HTTP, Beacon: c.Beacon, ChainID: g.ChainID, Inbox: inbox, StartBlock: g.StartBlock,
		CallTimeout: c.CallTimeout, Logger: log,
	})
	if err != nil {
		return fmt.Errorf("l1: %w", err)
	}
	n.own(closer(n.l1.Close))
	sink, err := syncer.OpenL1(cfg)
	if err != nil {
		return err
	}
	opt.Logger = log
	n.syncer, n.offers, n.follower = sink.Syncer, sink.Offers, follow.New[l1.Block](n.l1, sink, opt)
	n.beside = append(n.beside, n.gate, func(ctx context.Context) error { return n.followFinality(ctx, sink) })
	return nil
}

// closer makes an io.Closer of a function.
type closer func()

func (c closer) Close() error { c(); return nil }

// postToL1 makes the sequencer propose to the inbox, with the account whose key is in l1.key_file.
func (n *Node) postToL1(cfg *sequencer.Config) error {
	path := n.opt.Config.L1.KeyFile
	if path == "" {
		return errors.New("sequencer.enabled: set l1.key_file to a file with the private key, in hexadecimal, of the L1 account that proposes")
	}
	key, err := ethereum.ReadKey(path)
	if err != nil {
		return fmt.Errorf("l1.key_file: %w", err)
	}
	content := ethereum.CallData
	if n.opt.Config.L1.Blobs {
		if len(n.opt.Config.L1.Beacon) == 0 {
			return errors.New("l1.blobs: set l1.beacon to the beacon API of a consensus node of the L1, as on every node of the chain: without it this node could not read what it proposes in blobs")
		}
		content = ethereum.Blobs
	}
	cfg.Proposer, cfg.Inbox = ethereum.NewAccount(n.l1, key, ethereum.AccountOptions{Content: content}), n.l1
	return nil
}

// followFinality asks the L1, with each block of it that was applied, what it has finalized.
func (n *Node) followFinality(ctx context.Context, sink *syncer.L1Sink) error {
	var backoff follow.Backoff
	at := uint64(0)
	for {
		s, err := n.syncer.Status().Wait(ctx, func(s syncer.Status) bool { return s.Position.Height != at })
		if err != nil {
			return err
		}
		switch err := n.finalize(ctx, sink); {
		case ctx.Err() != nil:
			return ctx.Err()
		case follow.IsFatal(err):
			return err
		case err != nil:
			n.log.Warn("finality not known", "source", "l1", "err", err)
			if err := backoff.Sleep(ctx, nil); err != nil {
				return err
			}
		default:
			at = s.Position.Height
			backoff.Reset()
		}
	}
}

func (n *Node) finalize(ctx context.Context, sink *syncer.L1Sink) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // one endpoint may be silent
	defer cancel()
	ref, err := n.l1.Finalized(ctx)
	if errors.Is(err, l1.ErrNoFinality) {
		return nil
	}
	if err != nil {
		return err
	}
	return sink.Finalize(ctx, ref)
}

// gate opens the section for offered blocks while the source is live and all that it has told of is applied, and closes it at each reconnect. It stays closed at a sequencer,
// who makes the unsafe blocks, and may have given up some that others still offer.
func (n *Node) gate(ctx context.Context) error {
	for {
		s, changed := n.follower.State().Get()
		if err := n.follower.State().Err(); err != nil {
			return err
		}
		n.offers.SetGate(ctx, n.seq == nil && s.Live && s.Waiting == (follow.Waiting{}))
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
