package syncer_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"headrace/block"
	"headrace/internal/store"
	"headrace/internal/syncer"
	"headrace/l1/local"
)

// S33: a block that the engine finds invalid is no unsafe block, and the offer says why. It takes the place of none,
// and keeps none back; nor does one that is too far ahead of the clock.
func TestUnfitOffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		w.propose(0, b.next())
		w.want(1, 1)
		ctx := t.Context()
		w.node.L1.Offers.SetGate(ctx, true)
		parent := b.parent
		invalid := signTxs(t, w.World, parent, []string{"invalid=1"})
		early := signTxs(t, w.World, syncer.Parent{Ref: parent.Ref, DataHash: parent.DataHash, Root: parent.Root, Time: uint64(time.Now().Add(time.Hour).UnixNano())}, []string{"early=1"})
		next := b.next()
		refused := func(want syncer.Status) {
			t.Helper()
			if _, err := w.offer(invalid); !errors.Is(err, syncer.ErrUnfit) || !strings.Contains(err.Error(), "invalid content") {
				t.Fatalf("an invalid block: got %v, want ErrUnfit and why", err)
			}
			if _, err := w.offer(early); err == nil || errors.Is(err, syncer.ErrUnfit) {
				t.Fatalf("a block ahead of the clock: got %v, want an error that is no verdict", err)
			}
			if st := w.node.Status().Load(); st.Unsafe != want.Unsafe || string(st.Root) != string(want.Root) || st.Buffered != 1 || st.Stage != (syncer.Stage{}) {
				t.Fatalf("got %+v, want the head %v as it was and one block held", st, want.Unsafe)
			}
		}
		refused(w.node.Status().Load())
		if buffered, err := w.offer(next); buffered || err != nil {
			t.Fatalf("a good block: got %v, %v, want it connected", buffered, err)
		}
		refused(w.want(1, 1))
		if st := w.node.Status().Load(); st.Unsafe != next.Ref() {
			t.Fatalf("got %v, want the good block as head", st.Unsafe)
		}

		// Held until the L1 has its parent: then it goes, and leaves nothing behind.
		parents := b.next()
		held := signTxs(t, w.World, b.parent, []string{"invalid=2"})
		if buffered, err := w.offer(held); !buffered || err != nil {
			t.Fatalf("a block without parent: got %v, %v, want it held", buffered, err)
		}
		w.propose(0, next, parents)
		if st := w.want(2, 3); st.Unsafe != st.Safe || st.Buffered != 0 || st.Stage != (syncer.Stage{}) {
			t.Fatalf("got %+v, want the safe head as head and nothing held", st)
		}
	})
}

// S33: an offered block that is not all the proposer's is refused, whether its parent is there or not: it is not
// held, not stored, and not what others are given. The good one then takes its place.
func TestForgedOffers(t *testing.T) {
	stranger, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	strangers := block.Signer{Address: stranger.Public().Address(), PubKey: stranger.Public().Encode()}
	spoil := func(b *[]byte) { *b = bytes.Clone(*b); (*b)[5] ^= 1 }
	type spoiler = func(w *inboxWorld, h *block.SignedHeader, d *block.SignedData)
	signData := func(w *inboxWorld, d *block.SignedData) {
		if *d, err = block.SignData(w.Key, d.Data); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]spoiler{
		"header's signature": func(_ *inboxWorld, h *block.SignedHeader, _ *block.SignedData) { spoil(&h.Signature) },
		"header's signature, with no envelope": func(_ *inboxWorld, h *block.SignedHeader, _ *block.SignedData) {
			spoil(&h.Signature)
			h.EnvelopeSignature = nil
		},
		"envelope's signature": func(_ *inboxWorld, h *block.SignedHeader, _ *block.SignedData) { spoil(&h.EnvelopeSignature) },
		"a stranger's envelope": func(_ *inboxWorld, h *block.SignedHeader, _ *block.SignedData) {
			h.EnvelopeSignature = nil
			h.EnvelopeSignature = stranger.Sign(h.Encode())
		},
		"a stranger's header": func(_ *inboxWorld, h *block.SignedHeader, _ *block.SignedData) {
			h.Header.ProposerAddress = strangers.Address
			if *h, err = block.SignHeader(stranger, h.Header); err != nil {
				t.Fatal(err)
			}
		},
		"another chain": func(w *inboxWorld, h *block.SignedHeader, d *block.SignedData) {
			h.Header.ChainID, d.Data.Metadata.ChainID = "other", "other"
			if *h, err = block.SignHeader(w.Key, h.Header); err != nil {
				t.Fatal(err)
			}
			signData(w, d)
		},
		"data's signature":         func(_ *inboxWorld, _ *block.SignedHeader, d *block.SignedData) { spoil(&d.Signature) },
		"no signature of the data": func(_ *inboxWorld, _ *block.SignedHeader, d *block.SignedData) { d.Signature = nil },
		"data signed by another": func(_ *inboxWorld, _ *block.SignedHeader, d *block.SignedData) {
			d.Signer, d.Signature = strangers, stranger.Sign(d.Data.Encode())
		},
		"data signed by another in the proposer's name": func(_ *inboxWorld, _ *block.SignedHeader, d *block.SignedData) {
			d.Signature = stranger.Sign(d.Data.Encode())
		},
		"other data": func(w *inboxWorld, _ *block.SignedHeader, d *block.SignedData) {
			d.Data.Txs = [][]byte{[]byte("other=1")}
			signData(w, d)
		},
		"data of another height": func(w *inboxWorld, _ *block.SignedHeader, d *block.SignedData) {
			d.Data.Metadata.Height++
			signData(w, d)
		},
		"data of another time": func(w *inboxWorld, _ *block.SignedHeader, d *block.SignedData) {
			d.Data.Metadata.Time++
			signData(w, d)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newInboxWorld(t, local.Options{})
				b := w.branch("a")
				w.propose(0, b.next())
				before := w.want(1, 1)
				w.node.L1.Offers.SetGate(t.Context(), true)
				blocks := []*block.Block{b.next(), b.next(), b.next()}
				executed := w.engine.executed
				for _, good := range blocks[:2] { // the parent of the first is there, that of the second is not
					header, data := good.Header, *signedData(t, w.World, good)
					change(w, &header, &data)
					if buffered, err := w.offerSigned(&header, &data); buffered || !errors.Is(err, syncer.ErrForged) {
						t.Fatalf("block %d: got %v, %v, want ErrForged", good.Height(), buffered, err)
					}
				}
				if st := w.node.Status().Load(); st.Unsafe != before.Unsafe || st.Buffered != 0 || st.Counts.Offered != 0 || w.engine.executed != executed {
					t.Fatalf("got %+v, want the head %v and nothing held", st, before.Unsafe)
				}
				if rec, err := w.node.Block(2); !errors.Is(err, store.ErrNotFound) {
					t.Fatalf("block 2: got %v, %v, want none", rec, err)
				}
				for i := range blocks {
					if _, err := w.offer(blocks[len(blocks)-1-i]); err != nil {
						t.Fatal(err)
					}
				}
				for _, good := range blocks {
					if rec, err := w.node.Block(good.Height()); err != nil || !bytes.Equal(rec.Block.Encode(), good.Encode()) {
						t.Fatalf("block %d: got %v, %v, want the one that the proposer has signed", good.Height(), rec.Block, err)
					}
				}
			})
		})
	}
}

// What waits is the block alone: whatever else was in the bytes that it came in, which anyone may add, does not take
// room that is not counted (I6).
func TestOfferIsNotKeptAsItCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		b := w.branch("a")
		w.propose(0, b.next())
		w.want(1, 1)
		w.node.L1.Offers.SetGate(t.Context(), true)
		parent, child := b.next(), b.next()
		padding := protowire.AppendBytes(protowire.AppendTag(nil, 99, protowire.BytesType), make([]byte, 1<<16))
		rawHeader, rawData := append(child.Header.Encode(), padding...), append(signedData(t, w.World, child).Encode(), padding...)
		if buffered, err := w.node.L1.Offers.Offer(t.Context(), rawHeader, rawData); !buffered || err != nil {
			t.Fatalf("got %v, %v, want it held", buffered, err)
		}
		clear(rawHeader)
		clear(rawData)
		if _, err := w.offer(parent); err != nil {
			t.Fatal(err)
		}
		if rec, err := w.node.Block(3); err != nil || !bytes.Equal(rec.Block.Encode(), child.Encode()) {
			t.Fatalf("got %v, %v, want the block as it was signed", rec.Block, err)
		}
	})
}

// The first block has no parent, and may not be older than the chain: no proposal could hold it.
func TestOfferBeforeTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newInboxWorld(t, local.Options{})
		w.node.L1.Offers.SetGate(t.Context(), true)
		b := w.branch("a").next()
		h := b.Header.Header
		h.Time = uint64(w.Genesis.StartTime.UnixNano()) - 1
		b.Data.Metadata.Time = h.Time
		early, err := block.SignHeader(w.Key, h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.offer(&block.Block{Header: early, Data: b.Data}); !errors.Is(err, syncer.ErrUnfit) {
			t.Fatalf("got %v, want ErrUnfit", err)
		}
		h.Height = 0 // which no chain has
		b.Data.Metadata.Height = 0
		if early, err = block.SignHeader(w.Key, h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.offer(&block.Block{Header: early, Data: b.Data}); !errors.Is(err, syncer.ErrStale) {
			t.Fatalf("below the first height: got %v, want ErrStale", err)
		}
		if st := w.node.Status().Load(); st.Unsafe.Height != 0 || st.Buffered != 0 {
			t.Fatalf("got %+v, want nothing held", st)
		}
	})
}
