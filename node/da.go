package node

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/da/celestia"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/sequencer"
	"headrace/internal/store"
	"headrace/internal/syncer"
)

// daKind is a DA layer as the canonical source.
var daKind = kind{identity: daIdentity, open: openDA, reader: readDA}

// localDA is the kind of DA layer that ev-node is developed with.
const localDA = "local-da"

// checkKind refuses to believe more of a DA layer than it can show.
func (c *DAConfig) checkKind() error {
	level, err := c.Verified()
	if err != nil {
		return fmt.Errorf("da.level: %w", err)
	}
	if c.StartHeight > block.MaxHeight {
		return fmt.Errorf("da.start_height %d is no height", c.StartHeight)
	}
	switch c.Kind {
	case "", "celestia":
	case localDA:
		if level != da.Trust {
			return fmt.Errorf("da.kind is local-da, which has no headers: what it tells is %s: set da.level to trust to use it all the same", celestia.Unverified)
		}
	default:
		return fmt.Errorf("da.kind %q is not known: use celestia or local-da", c.Kind)
	}
	return nil
}

// IsLocal reports whether the DA layer is a local-da.
func (c *DAConfig) IsLocal() bool { return c.Kind == localDA }

// Pace returns the time between two heights: 0 if it is to be found out; negative: they have no rhythm. A local-da makes
// one for each submission.
func (c *DAConfig) Pace() time.Duration {
	if c.IsLocal() {
		return cmp.Or(c.BlockTime, onDemand)
	}
	return c.BlockTime
}

// Calls count what a node has asked its DA layer for; all zero on an L1.
type Calls = celestia.Stats

func daIdentity(opt *Options) (id string, first uint64, err error) {
	header, data, err := opt.namespaces()
	return fmt.Sprintf("da:%s:%s", header, data), cmp.Or(opt.Config.DA.StartHeight, opt.Genesis.DAStartHeight), err
}

// daSource is what the node uses of a DA layer.
type daSource interface {
	follow.Source[da.Block]
	da.Submitter
	da.Prover
	Head(context.Context) (uint64, error)
	BlockTime() time.Duration
	Endpoints() []follow.SourceStatus
	Stats() celestia.Stats
	SubmitTimeout() time.Duration
}

// daSource makes one of the configured endpoints, unless a test gave one. Nothing is dialled yet.
func (o *opened) daSource() (source daSource, header, data da.Namespace, err error) {
	if o.opt.daSource == nil {
		return daClient(o)
	}
	header, data, err = o.opt.namespaces()
	return o.opt.daSource, header, data, err
}

// namespaces returns those of the home, which are its identity.
func (o *Options) namespaces() (header, data da.Namespace, err error) {
	if o.plainNames {
		return o.Config.namespaces(o.Genesis, namespace)
	}
	return o.Config.Namespaces(o.Genesis)
}

// daClient makes a client of the configured endpoints. Nothing is dialled yet.
func daClient(o *opened) (client *celestia.Client, header, data da.Namespace, err error) {
	c := &o.opt.Config.DA
	if header, data, err = o.opt.namespaces(); err != nil {
		return nil, header, data, err
	}
	level, err := c.Verified()
	if err != nil {
		return nil, header, data, fmt.Errorf("da.level: %w", err)
	}
	addresses, err := c.Address.In(o.opt.Home, "da.address")
	if err != nil {
		return nil, header, data, err
	}
	log, b := of(o.log, "da").With("source", "celestia"), o.opt.Bounds
	client, err = celestia.New(addresses, celestia.Options{
		Token: strings.TrimSpace(c.Token), Namespaces: []da.Namespace{header, data},
		CallTimeout: c.CallTimeout, Level: level, LocalDA: c.IsLocal(), Logger: log,
		BlockTime: c.Pace(), GasPrice: c.GasPrice, MaxGasPrice: c.MaxGasPrice, Priority: int(min(c.Priority, 4)), Keys: c.Keys,
		Silence: b.Silence, Hold: b.Hold, Probe: b.Probe, Polling: b.Polling, SubmitTimeout: c.SubmitTimeout, Observer: o.opt.Observer.Source,
	})
	if err != nil {
		return nil, header, data, fmt.Errorf("da: %w", err)
	}
	o.own(client)
	return client, header, data, nil
}

// readDA reads the blobs at the heights where a block's halves were posted.
func readDA(o *opened) (posted, error) {
	client, headerNS, dataNS, err := daClient(o)
	return func(ctx context.Context, of store.Origin) (found halves, err error) {
		collect := func(item follow.Item[da.Block]) error {
			for _, b := range item.Data.Blobs { // what does not decode is nobody's block
				if b.Namespace == headerNS {
					if h, err := block.DecodeSignedHeader(b.Data); err == nil {
						found.headers = append(found.headers, h)
					}
				}
				if b.Namespace == dataNS {
					if d, err := block.ReadDataBlob(b.Data); err == nil {
						found.data = append(found.data, d)
					}
				}
			}
			return nil
		}
		for _, at := range []uint64{of.HeaderAt, of.DataAt} {
			if at == 0 { // a block without transactions has no data there
				continue
			}
			if err := client.Fetch(ctx, at, at+1, collect); err != nil {
				return halves{}, err
			}
		}
		return found, nil
	}, err
}

func openDA(o *opened, cfg syncer.Config, opt follow.Options) (*upstream, error) {
	client, header, data, err := o.daSource()
	if err != nil {
		return nil, err
	}
	cfg.Derive.HeaderNamespace, cfg.Derive.DataNamespace = header, data
	b := o.opt.Bounds
	sink, err := syncer.OpenDA(cfg)
	if err != nil {
		return nil, err
	}
	o.log.Info("following the DA layer", "height", o.store.State().Position.Height+1, "header_namespace", header, "data_namespace", data)
	if o.opt.Config.DA.StartHeight == 0 && o.opt.Genesis.DAStartHeight == 0 && o.store.State().Unsafe.Hash.IsZero() {
		o.log.Warn("the genesis does not know from which DA height on the chain is, so all are read: the chain's nodes know it, set da.start_height")
	}
	unverified := ""
	if o.opt.Config.DA.IsLocal() {
		unverified = "the DA layer is a local-da: " + celestia.Unverified
		o.log.Warn(unverified)
	}
	opt.Logger, opt.Stall = of(o.log, "follow").With("source", "celestia"), b.Stall
	opt.FetchStall = fetchStall(b.Stall, o.opt.Config.DA.CallTimeout)
	if b.Retry > 0 {
		opt.Backoff.Max = b.Retry
	}
	blockTime := client.BlockTime
	if given := o.opt.Config.DA.Pace(); given < 0 {
		blockTime = func() time.Duration { return given }
	}
	flight := func() time.Duration { return flightTime(b.Flight, blockTime()) }
	follower := follow.New(sink.Checked(client), sink, opt)
	return &upstream{
		layer: "DA layer", unit: "DA", syncer: sink.Syncer, offers: sink.Offers, follower: follower,
		blockTime: blockTime, unknown: 6 * time.Second, // Celestia's, at the most
		resets: unverified != "",
		beside: []func(context.Context) error{sink.Prover(client, follower.Wake)},
		status: func(s *Status, _ *syncer.Status) {
			s.Source.Endpoints, s.Source.Calls, s.Source.Unverified = endpoints(client.Endpoints()), client.Stats(), unverified
		},
		post: func(cfg *sequencer.Config) error {
			cfg.Head, cfg.Submitter, cfg.HeaderNamespace, cfg.DataNamespace = client.Head, client, header, data
			cfg.SubmitTimeout = client.SubmitTimeout
			cfg.Arrival, cfg.MaxSubmitBytes = b.Arrival, int(min(o.opt.Config.DA.MaxSubmitBytes, math.MaxInt))
			return nil
		},
		fetches: func() uint64 { return client.Stats().ContentFetches },
		unseen: func(s *syncer.Status) (string, bool) {
			return unseen(s, o.opt.Genesis.InitialHeight, o.store.Start().Height+1, header, data)
		},
		decided: func(ctx context.Context) (uint64, error) { return afterFlight(ctx, follower, flight) },
		inFlight: func() string {
			until := time.Now().Add(flight()).UTC().Format(time.RFC3339)
			return fmt.Sprintf("the DA layer has been read to the head that it has at %s, when nothing is under way any more", until)
		},
	}, nil
}

// unseen says why there is no block of the chain at the DA layer's head, which has been read from a height on.
func unseen(s *syncer.Status, initial, from uint64, header, data da.Namespace) (cause string, missing bool) {
	if s.Missing.Headers > 0 && s.Missing.Missing == derive.MissingHeader {
		return fmt.Sprintf("the DA layer has been read from height %d on, and there is no block %d, the chain's first, but %d headers of later ones: the chain begins below; set da.start_height to where, or to 1",
			from, initial, s.Missing.Headers), true
	}
	cause = fmt.Sprintf("no block of this chain seen yet in namespaces %s and %s, from DA height %d on", header, data, from)
	if n := s.Skipped[derive.Legacy]; n > 0 {
		cause = fmt.Sprintf("%s, but %d headers of an older format, with fields 5, 7 or 9, in which chains are not supported", cause, n)
	}
	return cause, false
}

// fetchStall is how long a fetch may go without progress: longer than any of its calls, so that one that gets no answer is
// told of by whoever made it, and by what it was about.
func fetchStall(stall, call time.Duration) time.Duration { return max(stall, call+call/2) }

// flight is how long a submission of a process that has ended may still be included. A transaction's life in
// Celestia's mempools is bounded in blocks, a few dozen; the celestia-node that was asked may have sent it again.
const (
	flight       = 5 * time.Minute
	flightBlocks = 50 // so long at least, if the DA layer's blocks are far apart
)

// flightTime returns how long that is, unless it is given, with the block time as far as it is known.
func flightTime(given, blockTime time.Duration) time.Duration {
	return cmp.Or(given, max(flight, flightBlocks*blockTime))
}

// afterFlight waits for so long, which may turn out to be longer meanwhile, and then for the source's head.
func afterFlight(ctx context.Context, source follower, flight func() time.Duration) (uint64, error) {
	start := time.Now()
	timer := time.NewTimer(flight()) // of what is outside: nobody tells when a mempool forgets
	defer timer.Stop()
	for left := flight(); left > 0; left = flight() - time.Since(start) {
		timer.Reset(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	now := time.Now()
	s, err := source.State().Wait(ctx, func(s follow.State) bool { return s.NewsAt.After(now) })
	return s.Head.Height, err
}
