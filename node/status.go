package node

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/derive"
	"headrace/internal/syncer"
)

// Status is what a node knows of itself and of its source, as one value. It is what /v1/status serves.
type Status struct {
	Version   string       `json:"version,omitempty"` // of the program
	StartedAt time.Time    `json:"started_at,omitzero"`
	At        time.Time    `json:"at,omitzero"` // when all this was so: ages are this less what they count from
	ChainID   string       `json:"chain_id"`
	Mode      string       `json:"mode"` // "sequencer", "full" or "replica"
	Ready     bool         `json:"ready"`
	Reason    string       `json:"reason,omitempty"` // why it is not ready
	Stage     follow.Stage `json:"stage,omitzero"`   // at which something stands in the way
	Remedy    string       `json:"remedy,omitempty"` // what to do about that
	Disk      string       `json:"disk,omitempty"`   // what is wrong with it, and what is done about that, or what to do
	Heads     Heads        `json:"heads"`
	Chain     Chain        `json:"chain"`
	StateRoot string       `json:"state_root"` // after the unsafe head; empty while the state is
	Source    Source       `json:"source"`
	Proposal  *Proposal    `json:"proposal,omitempty"` // of a chain whose canonical source is an L1 inbox; Source.Position is how far the L1 has been scanned
	Unsafe    *Unsafe      `json:"unsafe,omitempty"`   // what is taken beside the canonical source; absent if nothing ever is
	Peers     *Peers       `json:"peers,omitempty"`    // of gossip, if there is any
	Stream    *Stream      `json:"stream,omitempty"`   // in which the blocks are published, if there is one
	Unseen    string       `json:"unseen,omitempty"`   // why there is no block yet, at the source's head
	headless  bool         // because the chain's first block is not among what is read
	earlier   []Proposal   // canonical ones before it, for those who wait for one that others have followed already
	Waiting   []Waiting    `json:"waiting"` // everything that waits for something else than news, with the cause
	Pending   Pending      `json:"pending"`
	Skipped   any          `json:"skipped"` // blobs in our namespaces that were not ours, by reason, since the start
	Counts    Counts       `json:"counts"`
	Sequencer *Sequence    `json:"sequencer,omitempty"`
}

// Proposal is the last canonical proposal of the inbox.
type Proposal = syncer.Proposal

// Unsafe says whether blocks offered beside the canonical source are taken, and how many of them wait for their parent.
type Unsafe struct {
	Open     bool       `json:"open"`
	Buffered int        `json:"buffered"`
	Max      uint64     `json:"max,omitempty"`          // how far above the safe head one may be, on a DA layer
	From     []Endpoint `json:"from"`                   // who is asked for them
	Twice    *Twice     `json:"signed_twice,omitempty"` // the highest height at which the proposer was found to have signed two blocks
}

// Heads are the rollup's heads. Height InitialHeight-1 and a zero hash: none yet.
type Heads struct {
	Unsafe    block.Ref `json:"unsafe"`    // made here, not yet on the DA layer
	Safe      block.Ref `json:"safe"`      // derived from the DA layer
	Finalized block.Ref `json:"finalized"` // with a DA layer the same as safe
}

// Source is where the node stands on the DA layer.
type Source struct {
	Position   block.Ref  `json:"position"`             // the last DA height applied
	Proven     block.Ref  `json:"proven"`               // the last one at or below which the content is shown complete
	Head       block.Ref  `json:"head"`                 // the newest one announced
	HeadAt     time.Time  `json:"head_at"`              // when a new height was announced last
	HeardAt    time.Time  `json:"heard_at,omitzero"`    // when the canonical source last showed that it goes on, by the clock of who has heard that: this node or, of a replica, another one
	HeardBy    string     `json:"heard_by,omitempty"`   // who that is: a name that each process makes for itself
	Lag        uint64     `json:"lag"`                  // heights between the two
	BlockTime  string     `json:"block_time"`           // between two heights: a duration, or "on-demand"; "" while it is not known
	Live       bool       `json:"live"`                 // the position has reached the head of the present subscription
	Rate       float64    `json:"rate"`                 // heights applied a second, lately
	LatencyMS  float64    `json:"latency_ms"`           // of the last height, from its news to its application
	CatchUp    *CatchUp   `json:"catch_up,omitempty"`   // while it is behind
	Unverified string     `json:"unverified,omitempty"` // why nothing that it tells is shown to be so, whatever da.level says
	Believed   string     `json:"believed,omitempty"`   // what is taken on the word of other nodes, by a replica
	Endpoints  []Endpoint `json:"endpoints"`
	Calls      Calls      `json:"calls"`
}

// Chain is when the chain's heads came to be where they are, and its own pace.
type Chain struct {
	UnsafeMadeAt time.Time `json:"unsafe_made_at,omitzero"` // by the block's header
	UnsafeAt     time.Time `json:"unsafe_at,omitzero"`      // since when it is the head here; at the most since the start
	SafeMadeAt   time.Time `json:"safe_made_at,omitzero"`
	SafeAt       time.Time `json:"safe_at,omitzero"`
	Quiet        string    `json:"quiet,omitempty"` // how long it goes without a block when all is well, as its blocks show; "" while that is not known
}

// Endpoint is the state of one endpoint of the source.
type Endpoint struct {
	Address   string        `json:"address"`               // without what is secret in it
	Role      string        `json:"role"`                  // what it is used for
	Healthy   bool          `json:"healthy"`               // the last thing asked of it was answered, or it has not been asked
	Since     time.Time     `json:"since,omitzero"`        // when that was found to have changed
	Live      bool          `json:"live"`                  // subscribed to, and news has come
	Mode      string        `json:"mode,omitempty"`        // how its news comes: "websocket" or "polling"; "" while it does not
	Head      uint64        `json:"head"`                  // the height it announced last
	HeadAt    time.Time     `json:"head_at,omitzero"`      // when it did
	Pace      time.Duration `json:"-"`                     // about the time between two heights; 0: not known yet
	Lag       uint64        `json:"lag"`                   // heights behind the best endpoint
	Silent    time.Time     `json:"silent_since,omitzero"` // since when it announces nothing while another one does; zero: it keeps up, as far as one has to reckon with it
	Calls     uint64        `json:"calls"`                 // that were answered, or failed
	Errors    uint64        `json:"errors"`                // of them, that failed in a way that speaks against the endpoint
	LastError string        `json:"last_error,omitempty"`
	ErrorAt   time.Time     `json:"last_error_at,omitzero"`
}

func endpoints(of []follow.SourceStatus) []Endpoint {
	out := make([]Endpoint, len(of))
	for i, e := range of {
		out[i] = Endpoint(e)
	}
	return out
}

// patient does not call an endpoint silent before it has been for as long as the source itself may be.
func patient(of []Endpoint, bound time.Duration, now time.Time) {
	for i := range of {
		if now.Sub(of[i].Silent) < bound {
			of[i].Silent = time.Time{}
		}
	}
}

// Waiting says what waits, for what, and when it is tried again.
type Waiting = follow.Waiting

// Pending counts halves of blocks that wait for their other half or for their parent.
type Pending struct {
	Headers int `json:"headers"`
	Data    int `json:"data"`
	Bytes   int `json:"bytes"`
}

// Counts count since the start.
type Counts struct {
	syncer.Counts        // of blocks and proposals
	InlineItems   uint64 `json:"inline_items"`  // DA heights applied as they were pushed
	FetchedItems  uint64 `json:"fetched_items"` // DA heights that were fetched
	Subscriptions uint64 `json:"subscriptions"`
}

// Sequence is the sequencer's part.
type Sequence struct {
	Paused    string    `json:"paused,omitempty"`       // why no blocks are made
	Stopped   time.Time `json:"stopped_since,omitzero"` // since when an operator has none made
	Pending   uint64    `json:"pending"`                // blocks not yet seen on the DA layer
	Submitted uint64    `json:"submitted"`
	Failure   string    `json:"failure,omitempty"` // of the last submission
	Failures  uint64    `json:"failures"`
	Stuck     string    `json:"stuck,omitempty"` // why nothing can be posted before somebody acts
	MaxTx     int       `json:"max_tx_bytes"`    // the largest transaction that is taken: a block holds no larger one
	Pool      Pool      `json:"pool"`
	Preparing string    `json:"preparing,omitempty"` // what is prepared, before anything is posted
	Clock     string    `json:"clock,omitempty"`     // why the last block's time is not what the machine's clock said, with both
	DueAt     time.Time `json:"due_at,omitzero"`     // when what waits for more is proposed, at the latest
	Posted    *Posted   `json:"posted,omitempty"`    // of a sequencer that proposes to an inbox, since the start
	Flight    *Flight   `json:"in_flight,omitempty"` // the submission that is under way

	Forced *ForcedQueue `json:"forced,omitempty"` // of a sequencer that proposes to an inbox, once that is known
}

// Flight is a submission that is under way.
type Flight struct {
	From     uint64    `json:"from"` // blocks
	To       uint64    `json:"to"`
	Since    time.Time `json:"since"`
	Deadline time.Time `json:"deadline,omitzero"` // when it is given up
}

// Pool says what became of transactions that were offered and are in no block yet.
type Pool struct {
	FullSince time.Time `json:"full_since,omitzero"` // it has had no room since then
	Refused   uint64    `json:"refused"`             // transactions for which there was no room
	Dropped   uint64    `json:"dropped"`             // that waited, and were larger than a block holds now
}

// publish computes the status from the parts of what is open. It is called by New, then by watchStatus, and by reopen
// and Run when that has ended.
func (n *Node) publish(o *opened) (next time.Duration) {
	now, sync, src := time.Now(), o.up.syncer.Status().Load(), o.up.follower.State().Load()
	s := Status{
		Version: n.opt.Version, StartedAt: n.started, At: now,
		ChainID: n.opt.Genesis.ChainID, Mode: "full", Disk: n.diskTrouble(o), Chain: chainOf(&sync, n.opt.quiet(sync.Rhythm)),
		Heads:     Heads{Unsafe: sync.Unsafe, Safe: sync.Safe, Finalized: sync.Finalized},
		StateRoot: hex.EncodeToString(sync.Root),
		Source: Source{
			Position: sync.Position, Proven: sync.Proven, Head: src.Head,
			HeadAt: src.AdvancedAt, Live: src.Live, LatencyMS: millis(n.history.latency()),
		},
		Pending: Pending{Headers: sync.Missing.Headers, Data: sync.Missing.Data, Bytes: sync.Missing.Bytes},
		Skipped: sync.Skipped,
		Counts:  Counts{Counts: sync.Counts, InlineItems: src.Counts.Inline, FetchedItems: src.Counts.Fetched, Subscriptions: src.Counts.Subscriptions},
	}
	s.Source.HeardBy = n.id
	if at := heardAt(o.up, src); !at.IsZero() {
		s.Source.HeardAt = n.started.Add(at.Sub(n.started)) // so that a clock that is put back is no silence to who compares it
	}
	o.up.status(&s, &sync)
	if o.up.offers != nil {
		s.Unsafe = n.unsafe(&sync)
	}
	s.Peers = n.peers()
	s.Stream = n.stream(&s)
	if o.up.nodes != nil {
		s.Mode = modeReplica
	}
	blockTime := o.up.blockTime()
	o.blockTime.Store(int64(blockTime))
	patient(s.Source.Endpoints, o.up.bound(blockTime), now)
	switch {
	case blockTime > 0:
		s.Source.BlockTime = blockTime.Round(time.Millisecond).String()
	case blockTime < 0:
		s.Source.BlockTime = "on-demand"
	}
	if src.Head.Height > sync.Position.Height {
		s.Source.Lag = src.Head.Height - sync.Position.Height
	}
	s.Source.Rate, s.Source.CatchUp = n.progress.rate(sync.Position.Height, now), n.progress.catchUp(&s, src, blockTime, now)
	if o.seq != nil {
		s.Mode = "sequencer"
		q := o.seq.Status().Load()
		s.Sequencer = &Sequence{
			Paused: q.Paused, Pending: sync.Unsafe.Height - sync.Safe.Height, Submitted: max(q.Submitted, sync.Safe.Height), Failure: q.Failure, Failures: q.Failures, Stuck: q.Stuck,
			Preparing: q.Preparing, DueAt: q.Due, Clock: q.Clock, MaxTx: o.seq.MaxTx(), Pool: Pool{FullSince: q.Full.Since, Refused: q.Full.Refused},
		}
		if held := o.opt.hand.Held().Load(); !held.Stopped.IsZero() {
			s.Sequencer.Stopped, s.Sequencer.Paused = held.Stopped, stoppedByHand(held.Stopped)
		}
		if o.up.posted != nil {
			s.Sequencer.Posted = o.up.posted()
		}
		if o.up.queue != nil {
			s.Sequencer.Forced = o.up.queue.Load()
		}
		if f := q.Flight; !f.Since.IsZero() {
			s.Sequencer.Flight = &Flight{f.From, f.To, f.Since, f.Deadline}
		}
		if p, ok := o.engine.(exec.Pool); ok {
			s.Sequencer.Pool.Dropped = p.Dropped()
		}
	}
	o.goOn(&s)
	s.Unseen, s.headless = o.unseen(&s, &sync)
	v := n.readiness(o, &s, &sync, src, blockTime, now)
	s.Ready, s.Reason, s.Stage, s.Remedy, s.Waiting, next = v.ready, v.reason, v.stage, remedyOf(s.Mode, v.stage), v.waiting, v.next
	if src.Live && n.headSince.Load() == nil {
		calls := o.fetches()
		n.headSince.Store(&calls)
	}
	n.tell(&s, o.up.bound(blockTime))
	n.status.Set(s)
	return next
}

// chainOf says when the heads came to be where they are.
func chainOf(sync *syncer.Status, quiet time.Duration) Chain {
	c := Chain{UnsafeMadeAt: sync.UnsafeAt.Made, UnsafeAt: sync.UnsafeAt.At, SafeMadeAt: sync.SafeAt.Made, SafeAt: sync.SafeAt.At}
	if quiet > 0 {
		c.Quiet = quiet.Round(time.Millisecond).String()
	}
	return c
}

// FetchesAtHead returns how many requests for content the node has made since it first reached the DA layer's head: 0
// as long as every block comes with its news.
func (n *Node) FetchesAtHead() uint64 {
	before := n.headSince.Load()
	if before == nil {
		return 0
	}
	return n.at.Load().fetches() - *before
}

// fetches returns how many requests for content have been made since the start.
func (o *opened) fetches() uint64 {
	n := o.up.fetches()
	if o.before != nil {
		n += o.before.Source.Calls.ContentFetches
	}
	return n
}

// missing says what the next block lacks, if anything that belongs to it or to later ones is here already.
func missing(w derive.Waiting) string {
	switch {
	case w.Headers+w.Data == 0:
		return ""
	case w.Missing == derive.MissingData:
		return fmt.Sprintf("the header of block %d is here, posted at DA height %d, its data is not", w.Height, w.HeaderAt)
	case w.Missing == derive.MissingLink:
		return fmt.Sprintf("no header posted for block %d continues the chain", w.Height)
	}
	return fmt.Sprintf("no header of block %d has been posted, and %d headers and %d data of it and of later blocks wait", w.Height, w.Headers, w.Data)
}

// unseen says why there is no block yet, at the source's head; see upstream.
func (o *opened) unseen(s *Status, sync *syncer.Status) (cause string, missing bool) {
	if o.up.unseen == nil || !s.Source.Live || s.Source.Lag > staleAfter || !sync.Unsafe.Hash.IsZero() {
		return "", false
	}
	return o.up.unseen(sync)
}

// watchStatus publishes the status whenever a part of it changes, and when readiness changes by the clock.
func (n *Node) watchStatus(ctx context.Context, o *opened) error {
	for {
		store, engine := o.damaged()
		_, sync := o.up.syncer.Status().Get()
		_, src := o.up.follower.State().Get()
		var seq, hand <-chan struct{}
		if o.seq != nil {
			_, seq = o.seq.Status().Get()
			_, hand = o.opt.hand.Held().Get()
		}
		var queue <-chan struct{}
		if o.up.queue != nil {
			_, queue = o.up.queue.Get()
		}
		var nodes <-chan struct{}
		if o.up.nodes != nil {
			_, nodes = o.up.nodes.news.Get()
		}
		next := n.publish(o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if next <= 0 {
			next = time.Hour
		}
		clock := time.NewTimer(next) // readiness expires by the clock, not by an event
		select {
		case <-sync:
		case <-src:
		case <-seq:
		case <-nodes:
		case <-queue:
		case <-hand:
		case <-store:
		case <-engine:
		case <-n.poked:
		case <-clock.C:
		case <-ctx.Done():
		}
		clock.Stop()
	}
}
