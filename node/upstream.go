package node

import (
	"cmp"
	"context"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/sequencer"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/watch"
)

// kind is what the node knows of one kind of source. There are three: daKind and l1Kind, which are canonical, and
// replicaKind.
type kind struct {
	// identity names the source in the identity of a home, and gives the first height of the source that may hold
	// something of the chain.
	identity func(*Options) (id string, first uint64, err error)
	// open makes the upstream. Nothing is dialled yet.
	open func(*opened, syncer.Config, follow.Options) (*upstream, error)
	// reader returns what reads single blocks again. What it dials, o owns.
	reader func(o *opened) (posted, error)
}

// posted reads what may be a block of the chain, of this origin, from the source.
type posted func(ctx context.Context, of store.Origin) (halves, error)

// halves are of blocks, as they were read from the source.
type halves struct {
	headers []*block.SignedHeader
	data    []*block.DataBlob
	bare    []SignedBlock // and whole blocks, of which nobody has signed the data
}

// kindOf returns the kind of the one source that a genesis names, unless the node is a replica.
func kindOf(opt *Options) kind {
	switch {
	case opt.isReplica():
		return replicaKind
	case opt.Genesis.L1 != nil:
		return l1Kind
	}
	return daKind
}

// upstream is the chain's canonical source as the node uses it, whatever its kind.
type upstream struct {
	layer    string // what it is called in texts: "DA layer", "L1"
	unit     string // and its blocks: "DA", "L1"
	syncer   *syncer.Syncer
	offers   *syncer.Offers // what comes beside the source; nil: nothing is taken
	follower follower
	beside   []func(context.Context) error // what runs beside the follower
	nodes    *mirrors                      // the other nodes that a replica follows; nil of another node

	blockTime func() time.Duration // between two blocks of the source, given or measured; 0: not known; onDemand: there is none
	unknown   time.Duration        // is reckoned with while it is not known
	slots     bool                 // some blocks are missing now and then
	delay     time.Duration        // how long a block may wait to be posted with others
	resets    bool                 // it keeps nothing when it ends, and begins anew then

	status  func(*Status, *syncer.Status) // adds to the status what only this kind has
	post    func(*sequencer.Config) error // makes a sequencer post there
	fetches func() uint64                 // requests for content so far
	posted  func() *Posted                // what was posted, and what that has cost; nil: it is not known
	queue   *watch.Value[*ForcedQueue]    // of the inbox, for a sequencer; nil: there is none, or it is not looked at

	// unseen says, at the source's head, why there may be no block of the chain yet. Missing reports that it is known
	// to have some, and that the first of them is not among what has been read. Nil: there is nothing to say.
	unseen func(*syncer.Status) (cause string, missing bool)

	// decided returns when nothing that was posted before by whoever has the sequencer's keys can be included any
	// more, with the height up to which it may have been. inFlight says so, as that wait begins.
	decided  func(context.Context) (height uint64, err error)
	inFlight func() string
}

// follower is what the node uses of a follow.Follower, whatever it follows.
type follower interface {
	Run(context.Context) error
	State() *watch.Value[follow.State]
	Wake()
}

// maxBackoff bounds the pause between retries, so that a source that is back is followed again well within three of
// its blocks.
const maxBackoff = 2 * time.Second

// openUpstream opens the canonical source, the syncer, and the follower between them.
func (o *opened) openUpstream() error {
	g := o.opt.Genesis
	blocks, err := o.blockLog()
	if err != nil {
		return err
	}
	cfg := syncer.Config{
		Genesis: g, Store: o.store, Engine: o.engine, Logger: of(o.log, "syncer"), Told: blocks, Observer: o.opt.Observer.Observer,
		Derive: derive.Config{Authority: derive.NewAuthority(g.ChainID, g.ProposerAddress), InitialHeight: g.InitialHeight, StartTime: uint64(g.StartTime.UnixNano()), Seals: exec.SealCodecOf(o.engine)},
	}
	cfg.Signs = o.opt.Config.Sequencer.Enabled
	if !o.oneWay() {
		cfg.MaxUnsafe = o.opt.maxUnsafe()
	}
	up, err := kindOf(o.opt).open(o, cfg, follow.Options{Backoff: follow.Backoff{Max: maxBackoff}, Observer: o.opt.Observer.Source})
	if err != nil {
		return err
	}
	measured := up.blockTime
	up.blockTime = func() time.Duration { // what was read says it before enough has been announced
		return cmp.Or(measured(), up.syncer.Status().Load().Rhythm.Source)
	}
	o.up = up
	return nil
}

// gate opens the section for offered blocks. On an L1 that is while the source is live and all that it has announced is
// applied, and it is closed at each reconnect; on a DA layer, where safe blocks never revert, always. It stays closed at
// a sequencer, who makes the unsafe blocks, and may have dropped some that others still offer.
func (o *opened) gate(ctx context.Context) error {
	if o.up.offers == nil || o.seq != nil {
		<-ctx.Done()
		return ctx.Err()
	}
	for was := false; ; { // the section is entered when the gate moves, and not with each news
		s, changed := o.up.follower.State().Get()
		if err := o.up.follower.State().Err(); err != nil {
			return err
		}
		if open := o.opt.Genesis.L1 == nil || s.Live && s.Waiting == (follow.Waiting{}); open != was {
			o.up.offers.SetGate(ctx, open)
			was = open
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
