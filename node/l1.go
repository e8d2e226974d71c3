package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/edge"
	"headrace/internal/sequencer"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/watch"
)

// l1Kind is the inbox of an L1 as the canonical source.
var l1Kind = kind{identity: l1Identity, open: openL1, reader: readL1}

func l1Identity(opt *Options) (id string, first uint64, err error) {
	g := opt.Genesis.L1
	return fmt.Sprintf("l1:%d:%s", g.ChainID, g.Inbox), g.StartBlock, nil
}

// l1Client makes a client of the configured endpoints. Nothing is dialled yet. each is the configured block time.
func l1Client(o *opened) (client *ethereum.Client, each time.Duration, err error) {
	c, err := o.opt.Config.L1.In(o.opt.Home)
	if err != nil {
		return nil, 0, err
	}
	g := o.opt.Genesis.L1
	inbox, err := l1.ParseAddress(g.Inbox)
	if err != nil {
		return nil, 0, fmt.Errorf("genesis: l1.inbox: %w", err)
	}
	if len(c.WS)+len(c.HTTP) == 0 {
		return nil, 0, fmt.Errorf("the genesis names an inbox on an L1: set l1.ws, l1.http or both to an Ethereum node of chain %d", g.ChainID)
	}
	if each, err = c.Pace(); err != nil {
		return nil, 0, err
	}
	var silence time.Duration
	if each == onDemand {
		silence = living
	}
	log := of(o.log, "l1").With("source", "l1")
	client, err = ethereum.New(ethereum.Options{
		WS: c.WS, HTTP: c.HTTP, Beacon: c.Beacon, ChainID: g.ChainID, Inbox: inbox, StartBlock: g.StartBlock,
		BlockTime: each, Silence: silence, CallTimeout: c.CallTimeout, Logger: log, Observer: o.opt.Observer.Source,
	})
	if err != nil {
		return nil, 0, fmt.Errorf("l1: %w", err)
	}
	o.own(closer(client.Close))
	return client, each, nil
}

// l1Source is what the node uses of an L1.
type l1Source interface {
	follow.Source[l1.Block]
	l1.Reader
	BlockTime() time.Duration
	Endpoints() []follow.SourceStatus
}

// l1Source makes one of the configured endpoints, unless a test gave one, and what makes a sequencer post there.
// Nothing is dialled yet.
func (o *opened) l1Source() (source l1Source, each time.Duration, post func(*sequencer.Config) (*ethereum.Account, error), err error) {
	if o.opt.l1Source != nil {
		each, err = o.opt.Config.L1.Pace()
		return o.opt.l1Source, each, func(cfg *sequencer.Config) (*ethereum.Account, error) {
			cfg.Proposer, cfg.Inbox, cfg.Payload = o.opt.l1Proposer, o.opt.l1Source, byte(o.opt.Config.L1.Payload)
			o.opt.Config.L1.policy(cfg, ethereum.CallData)
			return nil, nil
		}, err
	}
	client, each, err := l1Client(o)
	return client, each, func(cfg *sequencer.Config) (*ethereum.Account, error) {
		return postToL1(cfg, &o.opt.Config.L1, client)
	}, err
}

// errNeedsBefore is why a block of a proposal of version 2 cannot be had alone.
var errNeedsBefore = errors.New("it was proposed in version 2, which is read with the block that the proposal builds on: move store and the engine's directory in the home away, and start the node: it reads the L1 anew")

// readL1 reads the proposals in the L1 block that a block came with.
func readL1(o *opened) (posted, error) {
	client, _, err := l1Client(o)
	return func(ctx context.Context, of store.Origin) (found halves, err error) {
		err = client.Fetch(ctx, of.Source.Height, of.Source.Height+1, func(item follow.Item[l1.Block]) error {
			for _, m := range item.Data.Messages {
				if m.Proposal == nil {
					continue
				}
				if m.Proposal.Compact != nil && m.Proposal.ID == of.Proposal {
					return errNeedsBefore
				}
				for _, e := range m.Proposal.Blocks { // what does not decode is nobody's block
					if h, d, err := block.ReadSigned(e.Header, e.Data); err == nil {
						found.headers, found.data = append(found.headers, h), append(found.data, d)
					}
				}
			}
			return nil
		})
		return found, err
	}, err
}

func openL1(o *opened, cfg syncer.Config, opt follow.Options) (*upstream, error) {
	client, each, post, err := o.l1Source()
	if err != nil {
		return nil, err
	}
	each = cmp.Or(each, o.opt.Config.DA.BlockTime) // which was the L1's once
	depth, err := o.opt.Config.L1.depth()
	if err != nil {
		return nil, err
	}
	opt.Logger, opt.FetchStall = of(o.log, "follow").With("source", "l1"), fetchStall(30*time.Second, o.opt.Config.L1.CallTimeout)
	sink, err := syncer.OpenL1(cfg)
	if err != nil {
		return nil, err
	}
	up := &upstream{
		layer: "L1", unit: "L1", syncer: sink.Syncer, offers: sink.Offers, follower: follow.New(client, sink, opt),
		blockTime: func() time.Duration { return cmp.Or(each, client.BlockTime()) }, unknown: 12 * time.Second, slots: true,
		beside: []func(context.Context) error{func(ctx context.Context) error { return followFinality(ctx, client, sink, depth, opt.Logger) }},
		status: func(s *Status, sync *syncer.Status) {
			s.Source.Endpoints = endpoints(client.Endpoints())
			s.Proposal, s.earlier = &sync.Proposal, sync.Earlier
		},
		delay:   o.opt.Config.L1.MaxDelay,
		fetches: func() uint64 { return 0 },
		inFlight: func() string {
			return "the L1 has been read to its head, with no transaction of the proposing account under way there"
		},
	}
	up.post = func(cfg *sequencer.Config) error {
		account, err := post(cfg)
		if account != nil {
			up.posted = func() *Posted { return postedBy(account) }
		}
		up.decided = func(ctx context.Context) (uint64, error) { return account.Idle(ctx) }
		if c, ok := client.(*ethereum.Client); ok && err == nil {
			up.queue = watch.New[*ForcedQueue](nil)
			up.beside = append(up.beside, func(ctx context.Context) error {
				return watchQueue(ctx, func(ctx context.Context) (*ForcedQueue, error) { return queueOf(ctx, c) }, sink.Status(), up.queue, opt.Logger)
			})
		}
		return err
	}
	return up, nil
}

// closer makes an io.Closer of a function.
type closer func()

func (c closer) Close() error { c(); return nil }

// postToL1 makes the sequencer propose to the inbox, with the account whose key is in l1.key_file.
func postToL1(cfg *sequencer.Config, c *L1Config, client *ethereum.Client) (*ethereum.Account, error) {
	path := c.KeyFile
	if path == "" {
		return nil, errors.New("sequencer.enabled: set l1.key_file to a file with the private key, in hexadecimal, of the L1 account that proposes")
	}
	key, err := ethereum.ReadKey(path)
	if err != nil {
		return nil, fmt.Errorf("l1.key_file: %w", err)
	}
	opt, err := c.accountOptions()
	if err != nil {
		return nil, err
	}
	account := ethereum.NewAccount(client, key, opt)
	cfg.Proposer, cfg.Inbox, cfg.Payload = account, client, byte(c.Payload)
	c.policy(cfg, opt.Content)
	if account.MayUseBlobs() {
		cfg.Prepare, cfg.Preparing = ethereum.PrepareBlobs, "what commitments to blobs need, some seconds of a core"
	}
	return account, nil
}

// followFinality asks the L1, with each block of it that was applied, what it has finalized; or takes that for it which
// is deep enough, if depth is not 0.
func followFinality(ctx context.Context, client l1Source, sink *syncer.L1Sink, depth uint64, log *slog.Logger) error {
	var backoff follow.Backoff
	var said edge.Log
	at := uint64(0)
	for {
		s, err := sink.Status().Wait(ctx, func(s syncer.Status) bool { return s.Position.Height != at })
		if err != nil {
			return err
		}
		switch err := finalize(ctx, client, sink, depth); {
		case ctx.Err() != nil:
			return ctx.Err()
		case follow.IsFatal(err):
			return err
		case err != nil:
			said.Warn(log, "finality not known", err)
			if err := backoff.Sleep(ctx, nil); err != nil {
				return err
			}
		default:
			at = s.Position.Height
			backoff.Reset()
		}
	}
}

func finalize(ctx context.Context, client l1Source, sink *syncer.L1Sink, depth uint64) error {
	if depth > 0 {
		return sink.FinalizeBelow(ctx, depth)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // one endpoint may be silent
	defer cancel()
	ref, err := client.Finalized(ctx)
	if errors.Is(err, l1.ErrNoFinality) {
		return nil
	}
	if err != nil {
		return err
	}
	return sink.Finalize(ctx, ref)
}

// checkFees refuses what no proposal can be sent with.
func (c *L1Config) checkFees() error {
	if _, err := c.content(); err != nil {
		return err
	}
	for _, f := range []struct {
		key  string
		gwei float64
	}{{"l1.max_fee", c.MaxFee}, {"l1.max_tip", c.MaxTip}, {"l1.max_blob_fee", c.MaxBlobFee}} {
		if !(f.gwei >= 0 && f.gwei <= 1e9) {
			return fmt.Errorf("%s %v is not from 0 to 1000000000: it is in gwei per gas", f.key, f.gwei)
		}
	}
	if c.MaxBlobs > mostBlobs {
		return fmt.Errorf("l1.max_blobs %d is more than %d, what the largest proposal takes", c.MaxBlobs, mostBlobs)
	}
	return nil
}

// mostBlobs is how many blobs the largest proposal takes, defaultMaxBlobs how many a transaction may have by default.
const (
	mostBlobs       = l1.MaxPayload/l1.BlobCapacity + 1
	defaultMaxBlobs = ethereum.DefaultMaxBlobs
)

// content returns where proposals go.
func (c *L1Config) content() (ethereum.Content, error) {
	switch {
	case c.Content == "" && c.Blobs, c.Content == "blobs":
		return ethereum.Blobs, nil
	case c.Blobs:
		return 0, fmt.Errorf("l1.blobs is set, and l1.content is %s: take l1.blobs out", c.Content)
	case c.Content == "", c.Content == "calldata":
		return ethereum.CallData, nil
	case c.Content == "auto":
		return ethereum.Cheapest, nil
	}
	return 0, fmt.Errorf("l1.content %q is not known: use calldata, blobs or auto", c.Content)
}

// accountOptions returns what the account that proposes goes by.
func (c *L1Config) accountOptions() (opt ethereum.AccountOptions, err error) {
	if opt.Content, err = c.content(); err != nil {
		return opt, err
	}
	if opt.Content != ethereum.CallData && len(c.Beacon) == 0 {
		return opt, errors.New("l1.blobs, or l1.content: set l1.beacon to the beacon API of a consensus node of the L1, as on every node of the chain: without it this node could not read what it proposes in blobs")
	}
	opt.MaxBlobs, opt.ResendBlocks = int(c.MaxBlobs), int(min(c.Resend, 1000))
	opt.MaxFee, opt.MaxTip, opt.MaxBlobFee = wei(c.MaxFee), wei(c.MaxTip), wei(c.MaxBlobFee)
	return opt, nil
}

// wei returns an amount of gwei in wei; nil for 0, which stands for a default.
func wei(gwei float64) *big.Int {
	if gwei == 0 {
		return nil
	}
	n, _ := new(big.Float).Mul(big.NewFloat(gwei), big.NewFloat(1e9)).Int(nil)
	if n.Sign() == 0 {
		return big.NewInt(1)
	}
	return n
}

// fullPayload returns the bytes of a payload that waits for no more blocks. One is full, too, that holds no more: that is
// for the account to say (AccountOptions.MaxBlobs).
func (c *L1Config) fullPayload(content ethereum.Content) int {
	if content == ethereum.Blobs || content == ethereum.Cheapest && c.TargetBlobs > 1 {
		return int(min(max(c.TargetBlobs, 1), mostBlobs)) * l1.BlobCapacity
	}
	return int(min(c.TargetData, math.MaxInt32))
}

// policy has a sequencer propose as the settings say.
func (c *L1Config) policy(cfg *sequencer.Config, content ethereum.Content) {
	cfg.MaxDelay, cfg.Full = c.MaxDelay, c.fullPayload(content)
}

// queueOf asks for the forced queue.
func queueOf(ctx context.Context, c *ethereum.Client) (*ForcedQueue, error) {
	q, err := c.ForcedQueue(ctx, queueItem)
	if err != nil {
		return nil, err
	}
	return &ForcedQueue{L1: q.L1, Items: q.Items, Bytes: q.Bytes, FeeGas: q.Fee.Gas, FeeETH: inETH(q.Fee.Wei), Wait: q.Wait}, nil
}

// postedBy returns what an account has posted.
func postedBy(a *ethereum.Account) *Posted {
	data, blobs := a.Posted()
	return &Posted{CallData: proposals(data), Blobs: proposals(blobs)}
}

func proposals(p ethereum.Posted) Proposals {
	out := Proposals{Proposals: p.Proposals, Blocks: p.Blocks, Bytes: p.Bytes, Gas: p.Gas, BlobGas: p.BlobGas}
	if p.Wei != nil {
		out.CostETH = inETH(p.Wei)
	}
	out.average()
	return out
}
