package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"headrace/block"
	"headrace/internal/sequencer"
)

// Sequencing is what an operator's hand on a sequencer is answered with.
type Sequencing struct {
	StoppedSince time.Time `json:"stopped_since,omitzero"` // since when no blocks are made, because somebody wants it so; absent: they are
	Head         block.Ref `json:"head"`                   // the newest block that was made
	Safe         block.Ref `json:"safe"`                   // the newest one that was read back from the source: those above it are pending
	Making       bool      `json:"making,omitempty"`       // the block that was under way when it was stopped is not done yet
}

// handWait is how long a stop waits for the block under way before it is answered: the engine may be busy with it.
const handWait = 10 * time.Second

// openHand opens the operator's hand on the sequencer of a home, once in a process.
func (o *opened) openHand() (err error) {
	if o.opt.hand == nil {
		if o.opt.hand, err = sequencer.OpenHand(filepath.Join(o.opt.Home, "stopped")); err != nil {
			return err
		}
		if since := o.opt.hand.Held().Load().Stopped; !since.IsZero() {
			o.log.Warn("an operator has stopped sequencing: no blocks are made until it is started", "since", since.Format(time.RFC3339))
		}
	}
	return nil
}

// sequencing returns how it stands.
func (n *Node) sequencing() Sequencing {
	st := n.at.Load().store.State()
	return Sequencing{StoppedSince: n.opt.hand.Held().Load().Stopped, Head: st.Unsafe, Safe: st.Safe}
}

// handed serves a change of what the sequencer does. Only the operator gets here: it is a write.
func (n *Node) handed(change func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if n.opt.hand == nil {
			fail(w, http.StatusConflict, errNoSequencer)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), handWait)
		defer cancel()
		err := change(ctx)
		w.Header().Set("Cache-Control", "no-store")
		now := n.sequencing()
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			now.Making = true
			reply(w, http.StatusAccepted, now)
		case err != nil:
			fail(w, http.StatusInternalServerError, err)
		default:
			reply(w, http.StatusOK, now)
		}
	}
}

var errNoSequencer = errors.New("this node is not the sequencer: ask the one that is")

// stopSequencing has no more blocks made.
func (n *Node) stopSequencing(ctx context.Context) error {
	before := n.opt.hand.Held().Load().Stopped
	err := n.opt.hand.Stop(ctx)
	if now := n.opt.hand.Held().Load().Stopped; before.IsZero() && !now.IsZero() {
		n.log.Warn("an operator has stopped sequencing: no blocks are made until headrace sequencer start", "head", n.at.Load().store.State().Unsafe.Height)
	}
	return err
}

// startSequencing has blocks made again.
func (n *Node) startSequencing(context.Context) error {
	before := n.opt.hand.Held().Load().Stopped
	err := n.opt.hand.Start()
	if err == nil && !before.IsZero() {
		n.log.Info("an operator has started sequencing again", "after", time.Since(before).Round(time.Millisecond))
	}
	return err
}

// proposeNow has what is pending posted without a wait.
func (n *Node) proposeNow(context.Context) error {
	st := n.at.Load().store.State()
	n.opt.hand.Post(st.Unsafe.Height)
	n.log.Info("an operator has what is pending posted now", "from", st.Safe.Height+1, "to", st.Unsafe.Height)
	return nil
}

// stoppedByHand is why no blocks are made.
func stoppedByHand(since time.Time) string {
	return fmt.Sprintf("an operator has stopped sequencing at %s: headrace sequencer start has blocks made again", since.UTC().Format(time.RFC3339))
}
