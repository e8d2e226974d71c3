package node

import (
	"log/slog"
	"path/filepath"

	"headrace/block"
	"headrace/internal/store"
)

// Standing is where a home's node stands, by what is on disk.
type Standing struct {
	There     bool      // the home has a store; if not, the rest is where a new one begins
	Position  block.Ref // the last height of the source that was applied; without a hash, none was
	Finalized block.Ref
}

// Peek returns where the node of a home stands, without opening it: nothing is locked, made or changed, and the node may
// run. The errors are those that a start would end with, of the store alone.
func Peek(opt Options) (at Standing, err error) {
	o := &opened{opt: &opt, log: slog.New(slog.DiscardHandler)}
	dir := filepath.Join(opt.Home, "store")
	if !o.isThere(dir) {
		_, with, err := o.identity()
		return Standing{Position: with.Start}, err
	}
	at.There = true
	err = o.asNamed(dir, func(id store.Identity, with store.Options) error {
		st, start, err := store.Peek(dir, id, with)
		at.Position, at.Finalized = st.Position, st.Finalized
		if moved := opt.Config.DA.StartHeight != 0 && opt.onDA() && start.Height != with.Start.Height; err == nil && moved && st.Unsafe.Hash.IsZero() {
			at.Position = with.Start // a start reads from there, see startAnew
		}
		return err
	})
	return at, err
}
