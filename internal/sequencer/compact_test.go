package sequencer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/sequencer"
	"headrace/internal/syncer/syncertest"
	"headrace/l1"
	"headrace/l1/local"
)

// posted returns how many proposals of the inbox are in each version, and what the bytes of both come to.
func (b *inboxBench) posted(t *testing.T) (one, two int) {
	t.Helper()
	for height := uint64(1); height <= b.chain.Head().Number; height++ {
		if err := b.chain.Fetch(t.Context(), height, height+1, func(item follow.Item[l1.Block]) error {
			for _, m := range item.Data.Messages {
				switch {
				case m.Proposal == nil:
				case m.Proposal.Compact != nil:
					two++
				default:
					one++
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return one, two
}

// TestVersion2: what holds of proposals of version 1 holds of those of version 2.
func TestVersion2(t *testing.T) {
	payload = l1.CompactVersion
	defer func() { payload = 0 }()
	for name, test := range map[string]func(*testing.T){
		"IncludedOnAnotherBranch": TestIncludedOnAnotherBranch, "Proposing": TestProposing, "ForcedAlone": TestForcedAlone,
		"ForcedInVain": TestForcedInVain, "ForcedBehindStrangers": TestForcedBehindStrangers, "ProposerRefused": TestProposerRefused,
		"VanishedHeadIsTold": TestVanishedHeadIsTold, "IncludedInAVanishedBlock": TestIncludedInAVanishedBlock,
	} {
		t.Run(name, test)
	}
	if testing.Short() || raced {
		t.Skip("the rest takes a minute, and many with the race detector, which sees the same code in version 1")
	}
	for name, test := range map[string]func(*testing.T){
		"ForcedBehindABacklog": TestForcedBehindABacklog, "HeadVanishes": TestHeadVanishes, "HeadVanishesWithForcedDue": TestHeadVanishesWithForcedDue,
		"ReorgsLoseNothing": TestReorgsLoseNothing,
	} {
		t.Run(name, test)
	}
}

// TestAChainGoesOnInVersion2: a sequencer that has proposed in version 1 goes on in version 2, and back; with no block
// twice or missing, none void, and fewer bytes.
func TestAChainGoesOnInVersion2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInboxBench(t, local.Options{}, nil)
		defer b.machine.Close()
		var all []block.Ref
		for i, version := range []byte{1, l1.CompactVersion, 1, l1.CompactVersion} {
			b.cfg.Payload = version
			var err error
			if b.seq, err = sequencer.New(b.cfg); err != nil {
				t.Fatal(err)
			}
			stop := b.run(t)
			b.machine.Load(t, i, 20)
			time.Sleep(30 * time.Second)
			synctest.Wait()
			stop()
			one, two := b.posted(t)
			s := b.machine.Status().Load()
			if s.Counts.Void != 0 || s.Safe.Height < uint64(60*(i+1)) || (two > 0) != (i > 0) || one == 0 {
				t.Fatalf("after version %d: %d and %d proposals, %d void, safe head %d", version, one, two, s.Counts.Void, s.Safe.Height)
			}
			for _, ref := range all {
				if rec, err := b.machine.Block(ref.Height); err != nil || rec.Block.Ref() != ref {
					t.Errorf("block %d has changed", ref.Height)
				}
			}
			all = append(all, s.Safe)
		}
		// A node that begins now reads the same chain, and has no signature of most of it.
		m, want := b.OpenL1(syncertest.NewHome(), nil), b.machine.Status().Load()
		defer m.Close()
		stop := syncertest.Run(t, b.chain.Run, follow.New[l1.Block](b.chain, m.L1, follow.Options{}).Run)
		defer stop()
		synctest.Wait()
		got := m.Status().Load()
		if got.Safe != want.Safe || string(got.Root) != string(want.Root) || got.Counts.Void != 0 {
			t.Fatalf("a new node: got safe head %v, %d void, want %v", got.Safe, got.Counts.Void, want.Safe)
		}
		with := 0
		for h := uint64(1); h <= got.Safe.Height; h++ {
			ours, err := m.Block(h)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := b.machine.Block(h)
			if err != nil || ours.Block.Hash() != theirs.Block.Hash() || ours.Block.Data.Hash() != theirs.Block.Data.Hash() || len(theirs.Block.Header.Signature) == 0 {
				t.Fatalf("block %d: got %v, want the sequencer's, which has its signature (%v)", h, ours.Block.Hash(), err)
			}
			if len(ours.Block.Header.Signature) > 0 {
				with++
			}
		}
		if with == 0 || uint64(with) > got.Safe.Height*9/10 {
			t.Errorf("%d of %d blocks have a signature, want those of version 1 and the last of each proposal", with, got.Safe.Height)
		}
	})
}
