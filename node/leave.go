package node

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"headrace/da"
	"headrace/internal/store"
)

// Left is what a home knows that another program needs to run its chain.
type Left struct {
	Header, Data da.Namespace
	Start        uint64 // DA height from which on the chain is; 0: not known
}

// Leave calls do with what a home whose chain is on a DA layer knows of it. With withKey do takes the signing key out:
// the home is then locked until do has returned, has no block that is still to be posted, and does not sign at once
// if it is started again, see sequencer.Mark. Without, the node may run.
func Leave(opt Options, withKey bool, do func(Left) error) (err error) {
	if opt.Genesis.L1 != nil {
		return errors.New("this chain is on an L1, by its genesis, and an ev-node's on a DA layer: there is nothing to export")
	}
	opt.Logger = cmp.Or(opt.Logger, slog.New(slog.DiscardHandler))
	o := &opened{opt: &opt, log: opt.Logger}
	defer func() { err = errors.Join(err, o.close()) }()
	left := Left{Start: cmp.Or(opt.Genesis.DAStartHeight, opt.Config.DA.StartHeight)}
	if o.isThere(filepath.Join(opt.Home, "store")) {
		opt.Config.DA.StartHeight = 0 // nothing of the home is changed
		err := o.openStore()
		switch {
		case errors.Is(err, store.ErrLocked) && !withKey && left.Start != 0: // by its node; the names are as its start says
		case err != nil:
			return err
		default:
			left.Start = cmp.Or(opt.Genesis.DAStartHeight, o.firstAt(), left.Start)
		}
	}
	if left.Header, left.Data, err = opt.namespaces(); err != nil {
		return err
	}
	if withKey {
		if err := o.retire(); err != nil {
			return err
		}
	}
	return do(left)
}

// firstAt returns the DA height of the first block; 0 if it is not known.
func (o *opened) firstAt() uint64 {
	rec, err := o.store.Block(o.store.InitialHeight())
	if err != nil {
		return 0
	}
	at := rec.Origin.HeaderAt
	if rec.Origin.DataAt != 0 {
		at = min(at, rec.Origin.DataAt)
	}
	return at
}

// retire makes sure that what was signed here is posted, and that the home looks first whether another sequencer is at
// work if it is started again.
func (o *opened) retire() error {
	if o.store != nil {
		if st := o.store.State(); st.Unsafe.Height > st.Safe.Height {
			return fmt.Errorf("%d blocks that were signed here, up to %d, are not on the DA layer yet, and who has the key would sign others at their heights: start the node with --sequencer.lazy --sequencer.lazy_interval 1h, send no transactions, and stop it when headrace status says that none wait",
				st.Unsafe.Height-st.Safe.Height, st.Unsafe.Height)
		}
	}
	if err := os.Remove(filepath.Join(o.opt.Home, "signed")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the mark of what was signed last: %w", err)
	}
	return nil
}
