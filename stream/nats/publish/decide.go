package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"headrace/await"
	"headrace/block"
	"headrace/follow"
	"headrace/node"
	"headrace/ref"
	"headrace/stream/nats"
	"headrace/stream/nats/internal/leader"
)

// todo is what comes next in a stream.
type todo struct {
	reorg *nats.Message // first; nil: nothing is taken back
	next  uint64        // height of the next block
	after ref.Ref       // whose child it is
	first bool          // it is the first one, whatever it follows
}

// errWait: nothing can be published before this node, or another one, has got on. It is no failure.
var errWait = errors.New("waiting")

func waits(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errWait, fmt.Sprintf(format, args...))
}

// decide says what comes next in a stream that stands there, by a node's status and its store. The status was read before
// the stream.
func (s *session) decide(ctx context.Context, st *node.Status, at *place) (todo, error) {
	if at.empty {
		return s.begin(st)
	}
	stands, head, position := at.last.Stands(), s.head(st), st.Source.Position
	final := at.last.Final >= stands.Height                     // for who published it
	beyond := position.Height > at.last.Source.Height           // this node stands further on the canonical source
	mayRevert := s.p.opt.Head == await.Safe && !final && beyond // up to the finalized head nothing is ever taken back
	if stands.Height > head.Height {
		if mayRevert { // it is not safe any more
			return s.revert(ctx, st, at)
		}
		return todo{}, waits("the stream is at block %d, and this node at %d", stands.Height, head.Height)
	}
	here, err := s.ref(ctx, stands.Height)
	switch {
	case errors.Is(err, node.ErrPruned):
		return todo{}, s.pruned(fmt.Sprintf("the stream is at block %d", stands.Height))
	case err != nil:
		return todo{}, err
	case here == stands:
		return todo{next: stands.Height + 1, after: stands}, nil
	case mayRevert:
		return s.revert(ctx, st, at)
	case stands.Height <= st.Heads.Finalized.Height:
		return todo{}, fmt.Errorf("%w: block %d is %s here and final, and the stream has %s, published at height %d of the source%s; this node is at %d", errDisagree,
			stands.Height, here.Hash, stands.Hash, at.last.Source.Height, map[bool]string{true: " as final"}[final], position.Height)
	}
	return todo{}, waits("block %d is another one here than in the stream, whose publisher was at height %d of the source; this node is at %d", stands.Height, at.last.Source.Height, position.Height)
}

// pruned waits for a node that keeps what this one does not.
func (s *session) pruned(why string) error {
	oldest := s.of.Oldest()
	return waits("%s, and this node keeps none below %d: a node that has them has to publish them, or delete the stream and it begins at %d", why, oldest, oldest)
}

// begin is what an empty stream begins with.
func (s *session) begin(st *node.Status) (todo, error) {
	oldest := s.of.Oldest()
	next := max(s.p.opt.From, oldest, s.p.opt.Genesis.InitialHeight)
	if head := s.head(st).Height; next > head {
		return todo{}, waits("the stream is empty and begins at block %d, and this node is at %d", next, head)
	}
	if pruned := max(s.p.opt.From, s.p.opt.Genesis.InitialHeight); pruned < oldest {
		s.p.said.Tell(s.p.log, slog.LevelWarn, "the stream is empty, and begins with the oldest block that this node keeps: those before it are pruned", "", "from", oldest, "pruned_from", pruned)
	}
	return todo{next: next, first: true}, nil
}

// revert is the reorg from where the stream stands to the last of its blocks that is one of this node's.
func (s *session) revert(ctx context.Context, st *node.Status, at *place) (todo, error) {
	from := at.last.Stands()
	to, err := s.common(ctx, st, from)
	switch {
	case errors.Is(err, node.ErrPruned): // what would come behind the reorg is not kept
		return todo{}, s.pruned(fmt.Sprintf("block %d is another one here than in the stream, as are some below it", from.Height))
	case err != nil:
		return todo{}, err
	}
	if to.Height < at.last.Final {
		return todo{}, fmt.Errorf("%w: block %d is final for who published block %d, and is another one here", errDisagree, at.last.Final, from.Height)
	}
	m := &nats.Message{Block: to, From: from, Source: st.Source.Position, Final: min(st.Heads.Finalized.Height, to.Height)}
	if m.Body, err = reorgBody(from, to); err != nil {
		return todo{}, err
	}
	return todo{reorg: m, next: to.Height + 1, after: to}, nil
}

// common returns the last block of the stream that is one of this node's, up to its head, below from. Blocks of the stream
// are found by their heights: the last one that was published at a height is that of the branch at which the stream stands.
// Where the stream has no more, what is final here holds.
func (s *session) common(ctx context.Context, st *node.Status, from ref.Ref) (ref.Ref, error) {
	head := s.head(st).Height
	for at := from; ; {
		if at.Height <= head {
			here, err := s.ref(ctx, at.Height)
			if err != nil {
				return ref.Ref{}, err
			}
			if here == at {
				if at == from {
					return ref.Ref{}, errChanged
				}
				return at, nil
			}
		}
		m, _, err := s.read(ctx, map[string]any{"last_by_subj": nats.BlockSubject(s.p.name, at.Height)})
		if errors.Is(err, leader.ErrNotFound) || err == nil && m.Block != at || at.Height == 0 {
			to := min(st.Heads.Finalized.Height, from.Height-1)
			return s.ref(ctx, to)
		}
		if err != nil {
			return ref.Ref{}, fmt.Errorf("read block %d of the stream: %w", at.Height, err)
		}
		at = ref.Ref{Height: at.Height - 1, Hash: m.Parent}
	}
}

// head is up to which block is published.
func (s *session) head(st *node.Status) block.Ref { return headOf(s.p.opt.Head, st) }

func headOf(label await.Label, st *node.Status) block.Ref {
	if label == await.Finalized {
		return st.Heads.Finalized
	}
	return st.Heads.Safe
}

// ref returns this node's block at a height, which is not above the head. It also knows the one before the oldest, as soon
// as there is that.
func (s *session) ref(ctx context.Context, height uint64) (r ref.Ref, err error) {
	before := height == s.of.Oldest()-1
	from := height
	if before {
		from++
	}
	err = s.source.Fetch(ctx, from, from+1, func(i follow.Item[node.Delivered]) error {
		if r = i.Ref(); before {
			r = ref.Ref{Height: height, Hash: i.Parent}
		}
		return nil
	})
	if !errors.Is(err, follow.ErrNotYet) {
		return r, err
	}
	if st := s.of.Status().Load(); before && s.head(&st).Height <= height {
		return r, waits("this node has no block above %d yet", height)
	}
	return r, errChanged // it is gone since the status was made
}
