package syncer

import (
	"context"
	"fmt"

	"headrace/block"
	"headrace/internal/derive"
	"headrace/internal/store"
)

// adopt makes blk, the successor of the safe head, part of the chain, and commits more with it, which has it as the safe
// head. The block that is there as an unsafe one is promoted; another one, with those above it, gives way.
func (s *Syncer) adopt(ctx context.Context, blk *block.Block, origin store.Origin, more *store.Batch) error {
	st := s.cfg.Store.State()
	ref := blk.Ref()
	if ref.Height <= st.Unsafe.Height {
		rec, err := s.cfg.Store.Block(ref.Height)
		if err != nil {
			return fmt.Errorf("read block %d: %w", ref.Height, err)
		}
		if rec.Block.Hash() == ref.Hash { // the known-canonical fast path
			more.Promote = append(more.Promote, store.Promotion{Height: ref.Height, Origin: origin})
			if err := s.commit(more); err != nil {
				return err
			}
			s.counts.Promoted++
			s.applied(blk, origin, true)
			return nil
		}
		if err := s.signedTwice(rec.Block, blk); err != nil {
			return err
		}
		if err := s.dropUnsafe(ctx, ref.Height-1, "the canonical source has others"); err != nil {
			return err
		}
	}
	if err := s.inTime(blk); err != nil {
		return err
	}
	root, err := s.executeNext(ctx, blk)
	if err != nil {
		return err
	}
	more.Append = append(more.Append, store.Record{Block: blk, Root: root, Origin: origin})
	if err := s.commit(more); err != nil {
		return err
	}
	s.counts.Executed++
	s.applied(blk, origin, false)
	return nil
}

// bareOf returns b, of whose data the transactions alone are known to be the proposer's: all else of them follows from the
// header and the block before.
func bareOf(b *block.Block, before derive.Tip) *block.Block {
	txs := b.Data.Txs
	b = &block.Block{Header: b.Header, Data: block.EmptyData(&b.Header.Header, before.DataHash.Field())}
	b.Data.Txs = txs
	return b
}
