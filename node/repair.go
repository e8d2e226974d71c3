package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"headrace/block"
	"headrace/internal/derive"
	"headrace/internal/store"
	"headrace/internal/syncer"
)

// refetch bounds how long the source may take to give one block again.
const refetch = time.Minute

// Repair looks at all that is in a home whose node does not run, and mends what cannot be read; say is told of each
// thing that it does. The blocks of a damaged store are copied, and those that are lost read from the canonical
// source again. What an engine has in the home, the key-value engine's state or the index of an execution client's
// blocks, is removed if it is damaged: the engine is given the stored blocks again. With startOver the store is moved
// away, whatever is in it, and the node will read its chain from the beginning: a sequencer forgets the blocks that
// it signed and that were never posted.
func Repair(ctx context.Context, opt Options, startOver bool, say func(format string, a ...any)) error {
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	if err := errors.Join(opt.Config.Validate(), opt.Genesis.Validate()); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	dir := filepath.Join(opt.Home, "store")
	if _, err := os.Stat(opt.Home); err != nil {
		return err
	}
	if startOver {
		if err := store.SetAside(dir, store.Options{FS: opt.storeFS}); err != nil {
			return err
		}
		say("moved %s away: the chain is read from the beginning at the next start", dir)
		return removeEngine(&opt, say)
	}
	lost, err := repairStore(ctx, &opt, dir)
	switch {
	case errors.Is(err, store.ErrCorrupt):
		return fmt.Errorf("%w: or start over: headrace repair --home %s --start-over", err, opt.Home)
	case err != nil:
		return err
	case len(lost) > 0:
		say("read %d lost blocks again, from %d to %d", len(lost), lost[0], lost[len(lost)-1])
	}
	say("the store is whole")
	engine, check := opt.engineOnDisk()
	if engine == "" {
		return nil
	}
	err = check(engine)
	if errors.Is(err, ErrDamaged) {
		return removeEngine(&opt, say)
	}
	if err == nil {
		say("the engine is whole")
	}
	return err
}

// removeEngine removes what the engine has in the home.
func removeEngine(opt *Options, say func(string, ...any)) error {
	dir, _ := opt.engineOnDisk()
	if dir == "" {
		return nil
	}
	remove := os.RemoveAll
	if opt.engineFS != nil {
		remove = opt.engineFS.RemoveAll
	}
	if err := remove(dir); err != nil {
		return fmt.Errorf("remove the engine's state: %w", err)
	}
	say("removed %s: the engine is given the blocks again at the next start", dir)
	if opt.Config.Engine.Kind == evolveGRPC {
		say("before that, give the executor an empty data directory: it cannot go back by itself")
	}
	return nil
}

func repairStore(ctx context.Context, opt *Options, dir string) (lost []uint64, err error) {
	o := &opened{opt: opt, log: opt.Logger}
	defer func() { err = errors.Join(err, o.close()) }()
	var read posted
	o.log.Info("checking the store", "path", dir)
	p := repairing{log: o.log}
	mender := store.Mender{
		Progress: p.copying,
		Fetch: func(l store.Lost) (_ *block.Block, err error) {
			p.fetching(l)
			if read == nil {
				if read, err = kindOf(opt).reader(o); err != nil {
					return nil, err
				}
			}
			return o.refetch(ctx, read, l)
		},
	}
	err = o.asNamed(dir, func(id store.Identity, opt store.Options) (err error) {
		lost, err = store.Repair(dir, id, opt, mender)
		return err
	})
	return lost, err
}

// eachProgress is how often a repair that lasts says how far it is.
const eachProgress = 10 * time.Second

// repairing logs how a repair goes on: when it begins to copy and to fetch, and then now and then.
type repairing struct {
	log  *slog.Logger
	said time.Time // when it said something last; zero: nothing yet
	lost int
}

func (p *repairing) copying(height, last uint64) {
	switch {
	case p.said.IsZero():
		p.log.Info("the store is damaged: copying its blocks", "from", height, "to", last)
	case time.Since(p.said) >= eachProgress:
		p.log.Info("copying", "height", height, "to", last, "lost", p.lost)
	default:
		return
	}
	p.said = time.Now()
}

func (p *repairing) fetching(l store.Lost) {
	if p.lost++; p.lost > 1 {
		return
	}
	p.log.Info("a block is lost: reading it from the source again, and others that are", "height", l.Ref.Height, "source", l.Origin.Source.Height)
	p.said = time.Now()
}

// refetch reads a block that is lost from the source again.
func (o *opened) refetch(ctx context.Context, read posted, l store.Lost) (*block.Block, error) {
	if l.Origin == (store.Origin{}) {
		return nil, fmt.Errorf("%w, and where it was posted is not known, if it was", store.ErrCorrupt)
	}
	ctx, cancel := context.WithTimeout(ctx, refetch)
	defer cancel()
	found, err := read(ctx, l.Origin)
	if err != nil {
		return nil, fmt.Errorf("read it from the source again: %w", err)
	}
	authority := derive.NewAuthority(o.opt.Genesis.ChainID, o.opt.Genesis.ProposerAddress)
	for _, h := range found.headers {
		if h.Header.Hash() != l.Ref.Hash {
			continue
		}
		for _, d := range append(found.data, nil) {
			if b, err := authority.Block(h, d, l.Before); err == nil {
				return b, nil
			}
		}
	}
	for _, s := range found.bare {
		if b, err := syncer.ReadReplicated(authority, s.Header, s.Data, l.Before); err == nil && b.Hash() == l.Ref.Hash {
			return b, nil
		}
		if o.opt.Genesis.L1 == nil {
			continue
		}
		if b, err := syncer.ReadNamed(authority, l.Ref, s.Header, s.Data, l.Before); err == nil { // it may have had no signature
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w, and the source does not have it where it was", store.ErrCorrupt)
}
