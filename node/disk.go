package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"headrace/exec"
	"headrace/follow"
	"headrace/internal/store"
)

// What Run and New can fail with that concerns the disk; test with errors.Is.
var (
	// ErrDisk: a write has failed, and what cannot be opened anew while the process runs hangs on it. A restart helps
	// once the disk works again.
	ErrDisk = store.ErrFailed
	// ErrDamaged: what is in the home cannot be read. A restart does not help: run headrace repair.
	ErrDamaged = store.ErrCorrupt
)

// disks returns what writes to a disk.
func (o *opened) disks() []exec.Disk {
	disks := []exec.Disk{o.store}
	if d, ok := o.engine.(exec.Disk); ok {
		disks = append(disks, d)
	}
	return disks
}

// failure returns the failed write after which o does nothing more, or nil.
func (o *opened) failure() error { return o.first(exec.Disk.Err) }

// damage returns what was found to be unreadable, or nil.
func (o *opened) damage() error { return o.first(exec.Disk.Damage) }

func (o *opened) first(trouble func(exec.Disk) error) error {
	for _, d := range o.disks() {
		if err := trouble(d); err != nil {
			return err
		}
	}
	return nil
}

// watchDisks waits for the first failed write, which need not be anybody's call: the disk is written in the background
// too.
func (o *opened) watchDisks(ctx context.Context) error {
	var engine <-chan struct{}
	if d, ok := o.engine.(exec.Disk); ok {
		engine = d.Failed()
	}
	select {
	case <-o.store.Failed():
	case <-engine:
	case <-ctx.Done():
		return ctx.Err()
	}
	return o.failure()
}

// damaged returns a channel that is closed with the first damage; nil once there is some.
func (o *opened) damaged() (store, engine <-chan struct{}) {
	if o.damage() != nil {
		return nil, nil
	}
	if d, ok := o.engine.(exec.Disk); ok {
		engine = d.Damaged()
	}
	return o.store.Damaged(), engine
}

// steady is how long what was opened anew must have worked for the next failure to be a new one.
const steady = 10 * time.Second

// work runs what is open, and opens it anew after a failed write, until ctx ends or something else fails.
func (n *Node) work(ctx context.Context) error {
	backoff := follow.Backoff{Min: 50 * time.Millisecond, Max: maxBackoff}
	for {
		o, began := n.at.Load(), time.Now()
		watch := []func(context.Context) error{func(ctx context.Context) error { return n.watchStatus(ctx, o) }}
		if o.seq != nil {
			watch = append(watch, func(ctx context.Context) error { return n.sent.follow(ctx, o) })
		}
		err := o.run(ctx, watch...)
		failure := o.failure()
		n.sent.end(cmp.Or(failure, err))
		if ctx.Err() != nil || failure == nil {
			return err
		}
		if time.Since(began) >= steady {
			backoff.Reset()
		}
		if err := n.reopen(ctx, o, failure, &backoff); err != nil {
			return err
		}
	}
}

// reopen closes what is open after a failed write, and opens the home anew, as a restart would: what was committed is
// there up to some point (I2), the engine is brought to it by replay (I4), and a block that was signed is used again. A
// disk that is still full, or a process without descriptors, is tried again and again.
//
// Meanwhile the HTTP endpoints serve the last status, which says why the node is not live. Streams end, so that their
// clients ask again for what comes after the block they know: it may be gone for a while.
func (n *Node) reopen(ctx context.Context, o *opened, failure error, backoff *follow.Backoff) error {
	n.log.Error("opening the home anew after a failed write", "err", failure)
	n.down.Store(&failure)
	defer n.down.Store(nil)
	n.publish(o)
	o.up.syncer.Close(failure)
	_ = o.close() // it repeats the failure
	if d, ok := o.opt.Engine.(exec.Disk); ok && d.Err() != nil {
		return failure // the engine is somebody else's to open
	}
	for {
		if err := backoff.Sleep(ctx, nil); err != nil {
			return err
		}
		next, err := open(&n.opt, o.kv)
		switch {
		case err == nil:
			last := n.status.Load() // of o, which has stopped
			next.before = &last
			if next.seq != nil {
				next.seq.GoOn(o.seq)
			}
			n.at.Store(next)
			n.down.Store(nil)
			n.publish(next)
			n.log.Info("the home is open again", "unsafe", next.store.State().Unsafe.Height, "safe", next.store.State().Safe.Height)
			return nil
		case lasts(err):
			return fmt.Errorf("open the home anew: %w", err)
		}
		n.said.Warn(n.log, "the home cannot be opened yet", err)
		failure = fmt.Errorf("%w; opening it anew: %w", o.failure(), err)
		n.down.Store(&failure)
		n.publish(o)
	}
}

// lasts reports whether a home that could not be opened for the reason err will not be by trying again.
func lasts(err error) bool {
	kinds := []error{store.ErrCorrupt, store.ErrLocked, store.ErrNewerFormat, store.ErrOtherChain}
	return slices.ContainsFunc(kinds, func(kind error) bool { return errors.Is(err, kind) })
}

// notLive returns why the node does nothing, or nil.
func (n *Node) notLive() error {
	if err := n.down.Load(); err != nil {
		return *err
	}
	return n.at.Load().failure()
}

// diskTrouble says what is wrong with the disk, and what to do; empty if nothing is.
func (n *Node) diskTrouble(o *opened) string {
	if err := n.notLive(); err != nil {
		return err.Error() + ": the node opens it anew by itself"
	}
	if err := o.damage(); err != nil {
		return fmt.Sprintf("%v: stop the node and run: headrace repair --home %s", err, n.opt.Home)
	}
	return ""
}
