package sequencer

import (
	"context"
	"log/slog"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/syncer"
	"headrace/watch"
)

// Write and Doubt are what the sequencer uses of a Mark.
func (m *Mark) Write(ref block.Ref) error { return m.write(ref) }

func (m *Mark) Doubt(last syncer.Signed) string { return m.doubt(last) }

// Pause is the sequencer's pause between two tries, of one that knows how its source is followed.
func Pause(ctx context.Context, source *watch.Value[follow.State], backoff *follow.Backoff) error {
	return PauseByHand(ctx, source, backoff, new(Hand))
}

// PauseByHand is Pause of one that an operator has a hand on.
func PauseByHand(ctx context.Context, source *watch.Value[follow.State], backoff *follow.Backoff, hand *Hand) error {
	if hand.is == nil {
		hand.is = new(watch.Value[Held])
	}
	return (&Sequencer{cfg: Config{Source: source, Hand: hand}}).sleep(ctx, backoff)
}

// Make makes a block, or whatever, as the sequencer does.
func (h *Hand) Make(ctx context.Context, block func() error) (bool, error) { return h.make(ctx, block) }

// NoteInVain has the next note fail to be written.
func (m *Mark) NoteInVain(ref block.Ref) error {
	if err := m.file.Close(); err != nil {
		return err
	}
	m.note(ref, slog.New(slog.DiscardHandler))
	return nil
}

// MakeBlock makes a block of what waits.
func (q *Sequencer) MakeBlock(ctx context.Context) error {
	_, err := q.cfg.Syncer.Produce(ctx, func(ctx context.Context, p syncer.Parent) (*block.Block, error) { return q.build(ctx, p, true) })
	return err
}

// Drafted drafts a proposal of the blocks that wait, and returns how many it has, and its bytes.
func (q *Sequencer) Drafted(ctx context.Context) (blocks, size int, err error) {
	d, err := q.draft(ctx, q.cfg.Syncer.Status().Load(), q.cfg.Proposer.Limit(), false)
	return d.n, d.size, err
}

// Fewer is fewer.
func Fewer(n, limit, size int) int { return fewer(n, limit, size) }
