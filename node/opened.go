package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"headrace/da"
	"headrace/exec"
	"headrace/exec/kv"
	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/internal/store"
	"headrace/internal/syncer"
)

// opened is all of a node that stands on what is in its home. It is opened as one, runs as one, and is closed as one: a
// write that failed is known for certain only by who opens the home anew, as after a crash.
type opened struct {
	opt    *Options
	log    *slog.Logger
	store  *store.Store
	engine exec.Engine
	kv     *kv.Engine  // nil with another engine
	owned  []io.Closer // what close has to release, last first
	up     *upstream
	seq    *sequencer.Sequencer // nil in a full node

	before *Status // the last one of what was open before; nil: nothing was

	blockTime atomic.Int64 // of the source, as in the status
	shared    sharedEvents // of the blocks in store
}

// open opens the home. Nothing is dialled yet. The transactions that wait in before, if there is one, wait on.
func open(opt *Options, before *kv.Engine) (*opened, error) {
	o := &opened{opt: opt, log: opt.Logger}
	openEngine := func() error { return o.openEngine(before) }
	for _, open := range []func() error{o.openStore, openEngine, o.openIndex, o.checkWay, o.openUpstream, o.openSequencer} {
		if err := open(); err != nil {
			_ = o.close()
			if errors.Is(err, ErrDamaged) {
				err = fmt.Errorf("%w, or run: headrace repair --home %s", err, opt.Home)
			}
			return nil, err
		}
	}
	return o, nil
}

func (o *opened) openStore() error {
	if err := os.MkdirAll(o.opt.Home, 0o700); err != nil {
		return fmt.Errorf("make home: %w", err)
	}
	dir := filepath.Join(o.opt.Home, "store")
	err := o.asNamed(dir, func(id store.Identity, opt store.Options) (err error) {
		if o.store, err = store.Open(dir, id, opt); err != nil {
			return err
		}
		return o.startAnew(dir, id, opt)
	})
	if err != nil {
		return o.opt.ofOtherKind(err)
	}
	o.own(o.store)
	return nil
}

// asNamed calls open with whose store it is and, if that is not whose the one in dir is, with the namespaces' names
// taken as they were by earlier versions: what a home has been made with, it keeps.
func (o *opened) asNamed(dir string, open func(store.Identity, store.Options) error) error {
	try := func() error {
		id, opt, err := o.identity()
		if err != nil {
			return err
		}
		return open(id, opt)
	}
	o.opt.plainNames = false
	err := try()
	if other := errors.Is(err, da.ErrLooksHex) || errors.Is(err, store.ErrOtherChain); !other || !o.isThere(dir) {
		return err
	}
	if header, data, plain := o.opt.Config.namespaces(o.opt.Genesis, namespace); plain == nil && o.opt.onDA() {
		o.opt.plainNames = true
		again := try()
		if again == nil {
			o.log.Warn("the namespaces' names look like hexadecimal digits, and this home takes them for names, as it always has", "header", header, "data", data)
		}
		if again == nil || errors.Is(err, da.ErrLooksHex) {
			return again
		}
		o.opt.plainNames = false
	}
	return err
}

// isThere reports whether a home has a store.
func (o *opened) isThere(dir string) bool {
	stat := func(dir string) error { _, err := os.Stat(dir); return err }
	if fs := o.opt.storeFS; fs != nil {
		stat = func(dir string) error { _, err := fs.Stat(dir); return err }
	}
	return stat(dir) == nil
}

// startAnew puts a new store in the place of one without a block, if da.start_height has it read from elsewhere on.
func (o *opened) startAnew(dir string, id store.Identity, opt store.Options) (err error) {
	want := o.opt.Config.DA.StartHeight
	if want == 0 || !o.opt.onDA() || o.store.Start().Height == opt.Start.Height {
		return nil
	}
	began := o.store.Start().Height + 1
	_, signed, err := syncer.LastSigned(o.store)
	if err == nil && (signed || !o.store.State().Unsafe.Hash.IsZero()) {
		err = fmt.Errorf("da.start_height is %d, and this home has blocks, and has read the DA layer from height %d on: take the setting out, or use another home", want, began)
	}
	if err = errors.Join(err, o.store.Close()); err != nil {
		return err
	}
	if err := store.Remove(dir, opt); err != nil {
		return err
	}
	o.log.Info("reading the DA layer from another height on: this home has no block", "from", want, "before", began)
	o.store, err = store.Open(dir, id, opt)
	return err
}

// identity returns whose store it is, and what a new one starts with.
func (o *opened) identity() (id store.Identity, opt store.Options, err error) {
	g := o.opt.Genesis
	id = store.Identity{ChainID: g.ChainID, Genesis: g.Hash()}
	opt = store.Options{FS: o.opt.storeFS, Logger: of(o.log, "store"), InitialHeight: g.InitialHeight}
	var first uint64
	if id.Source, first, err = kindOf(o.opt).identity(o.opt); err == nil {
		opt.Start.Height = max(first, 1) - 1
	}
	return id, opt, err
}

// own notes what close has to release, before all that was noted earlier.
func (o *opened) own(c io.Closer) { o.owned = append([]io.Closer{c}, o.owned...) }

func (o *opened) openSequencer() error {
	c := &o.opt.Config.Sequencer
	if !c.Enabled {
		return nil
	}
	builder, ok := o.engine.(exec.Builder)
	switch {
	case !ok:
		return errors.New("sequencer.enabled: this engine cannot build blocks; it serves a full node only")
	case o.opt.Key == nil:
		return errors.New("sequencer.enabled: no signing key was given")
	}
	if err := o.openHand(); err != nil {
		return err
	}
	mark, err := sequencer.OpenMark(filepath.Join(o.opt.Home, "signed"))
	if err != nil {
		return err
	}
	o.own(mark)
	cfg := sequencer.Config{
		Syncer: o.up.syncer, Builder: builder, Key: o.opt.Key, TxOnce: exec.TxOnce(o.engine), CaughtUp: o.caughtUp,
		BlockTime: c.BlockTime, Lazy: c.Lazy, LazyInterval: c.LazyInterval, MaxPending: c.MaxPending, Logger: of(o.log, "sequencer"),
		Wall: o.opt.Clock, Ahead: o.ahead, Patience: func() time.Duration { return o.up.bound(o.up.blockTime()) },
		Source: o.up.follower.State(), Mark: mark, Decided: o.decided, InFlight: o.up.inFlight, Trust: c.TrustHome,
		TakeBack: o.takeBack, Hand: o.opt.hand, HoldTx: o.opt.holdTx, Seals: exec.SealCodecOf(o.engine),
	}
	if err := o.up.post(&cfg); err != nil {
		return err
	}
	o.seq, err = sequencer.New(cfg)
	return err
}

// ahead returns how far a block's time may be ahead of the source's newest header: five of its block times, which
// leaves it room to be late, but at least half a minute. It is never more than the minute that followers allow a block
// to be ahead of their clocks: a source with slower blocks than Ethereum's leaves the rest to the monotonic clock.
func (o *opened) ahead() time.Duration {
	return min(max(5*time.Duration(o.blockTime.Load()), 30*time.Second), time.Minute)
}

// caughtUp waits until the follower has reached the source's head once.
func (o *opened) caughtUp(ctx context.Context) error {
	_, err := o.up.follower.State().Wait(ctx, func(s follow.State) bool { return s.Live })
	return err
}

// decided waits until the source has been followed past all that may have been on its way there.
func (o *opened) decided(ctx context.Context) error {
	height, err := o.up.decided(ctx)
	if err != nil {
		return err
	}
	_, err = o.up.syncer.Status().Wait(ctx, func(s syncer.Status) bool { return s.Position.Height >= height })
	return err
}

// run works, and has those who watch at work beside it, until ctx ends, or something fails that no retry can cure.
func (o *opened) run(ctx context.Context, watch ...func(context.Context) error) error {
	parts := append([]func(context.Context) error{o.watchDisks, o.bringUp, o.up.follower.Run, o.gate}, o.up.beside...)
	parts = append(parts, watch...)
	if o.seq != nil {
		parts = append(parts, o.seq.Run)
	}
	return together(ctx, parts...)
}

func (o *opened) close() error {
	var errs []error
	for _, c := range o.owned {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// lookAgain is how long the engine is left alone between two looks at it.
const lookAgain = time.Second

// bringUp brings the engine up to the store, however late it comes. Each item of the source is an occasion to look at
// it again: one that was restarted may have lost blocks.
func (o *opened) bringUp(ctx context.Context) error {
	var backoff follow.Backoff
	for {
		at := o.up.syncer.Status().Load().Position
		err := o.up.syncer.BringUp(ctx)
		if follow.IsFatal(err) {
			return err
		}
		if err != nil {
			if err := backoff.Sleep(ctx, nil); err != nil {
				return err
			}
			continue
		}
		backoff.Reset()
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := o.up.syncer.Status().Wait(ctx, func(s syncer.Status) bool { return s.Position != at }); err != nil {
			return err
		}
	}
}
