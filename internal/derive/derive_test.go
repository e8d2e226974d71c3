package derive_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"headrace/block"
	"headrace/da"
	"headrace/internal/derive"
)

// TestEmptyBlockBesideData: a header that completes an empty block shares a DA height with data of another block,
// which comes before its header, after it, or much later.
func TestEmptyBlockBesideData(t *testing.T) {
	c := chain(t, 2, 1)
	for name, items := range map[string][]*da.Block{
		"data first":      {item(5, dat(c[1].data), hdr(c[0].header)), item(6, hdr(c[1].header))},
		"data after":      {item(5, hdr(c[0].header), dat(c[1].data)), item(6, hdr(c[1].header))},
		"all at once":     {item(5, hdr(c[1].header), dat(c[1].data), hdr(c[0].header))},
		"much later":      {item(5, hdr(c[0].header), hdr(c[1].header)), item(6), item(7), item(500, dat(c[1].data))},
		"header later":    {item(5, dat(c[1].data)), item(6, hdr(c[1].header)), item(900, hdr(c[0].header))},
		"empty one later": {item(5, hdr(c[1].header), dat(c[1].data)), item(6, hdr(c[0].header))},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDeriver(t, config(), derive.State{})
			var got []derive.Derived
			for _, it := range items {
				got = append(got, step(t, d, it).Blocks...)
			}
			wantBlocks(t, got, c...)
			if got[0].HeaderAt != got[0].DataAt {
				t.Errorf("got DA heights %d and %d for an empty block, want the same", got[0].HeaderAt, got[0].DataAt)
			}
		})
	}
}

// TestManyHeadersThenData: ten headers at DA height 2, their data at 3 to 12, and the other way round; the process is
// killed after every block and started again from what is stored.
func TestManyHeadersThenData(t *testing.T) {
	c := chain(t, 10)
	var headers, data []blob
	for _, b := range c {
		headers, data = append(headers, hdr(b.header)), append(data, dat(b.data))
	}
	for name, order := range map[string]struct{ together, spread []blob }{
		"headers first": {headers, data}, "data first": {data, headers},
	} {
		t.Run(name, func(t *testing.T) {
			s := newDisk()
			s.commit(step(t, newDeriver(t, config(), s.load()), item(2, order.together...)))
			if len(s.halves) != 10 {
				t.Fatalf("got %d pending halves, want 10", len(s.halves))
			}
			for i, b := range order.spread {
				r := step(t, newDeriver(t, config(), s.load()), item(uint64(3+i), b))
				wantBlocks(t, r.Blocks, c[i])
				if len(r.Added) != 0 || len(r.Removed) != 1 || !slices.Equal(r.Removed, r.Blocks[0].Removed) {
					t.Errorf("block %d: got added %v, removed %v, want the one half that waited", i+1, r.Added, r.Removed)
				}
				s.commit(r)
			}
			if len(s.halves) != 0 {
				t.Errorf("got %d pending halves, want none", len(s.halves))
			}
		})
	}
	t.Run("the last half at last", func(t *testing.T) { // nine blocks wait for the first one
		d := newDeriver(t, config(), derive.State{})
		wantBlocks(t, step(t, d, item(2, headers...)).Blocks)
		wantBlocks(t, step(t, d, item(3, data[1:]...)).Blocks)
		r := step(t, d, item(4, data[0]))
		wantBlocks(t, r.Blocks, c...)
		if r.Blocks[9].HeaderAt != 2 || r.Blocks[9].DataAt != 3 || r.Blocks[0].DataAt != 4 {
			t.Errorf("got DA heights %+v", r.Blocks)
		}
	})
}

// TestStrangersData: data that a stranger signs for a coming height, earlier or sorted first, with the right
// transactions or others, makes no difference.
func TestStrangersData(t *testing.T) {
	c := chain(t, 2)
	theirs := []blob{
		dat(build(t, stranger, nil, nil, "theirs").data),
		dat(build(t, stranger, c[0], nil, "theirs").data),
		dat(build(t, stranger, c[0], nil, "tx 2", "ty 2").data), // the right content, signed by the wrong one
	}
	pretend := func(b []byte) blob { // says that it is the proposer's
		s, err := block.DecodeSignedData(b)
		if err != nil {
			t.Fatal(err)
		}
		s.Signer = block.Signer{Address: proposer.Public().Address(), PubKey: proposer.Public().Encode()}
		return dat(s.Encode())
	}
	theirs = append(theirs, pretend(theirs[1].data), pretend(theirs[2].data))
	d := newDeriver(t, config(), derive.State{})
	r := step(t, d, item(1, theirs...))
	wantCounts(t, r.Skipped, map[derive.Reason]uint64{derive.Stranger: 3, derive.Forged: 2})
	if len(r.Added) != 0 {
		t.Fatalf("got %d halves of a stranger, want none", len(r.Added))
	}
	wantBlocks(t, step(t, d, item(2, append(theirs, hdr(c[0].header), dat(c[0].data))...)).Blocks, c[0])
	wantBlocks(t, step(t, d, item(3, hdr(c[1].header))).Blocks)
	wantBlocks(t, step(t, d, item(4, theirs...)).Blocks)
	wantBlocks(t, step(t, d, item(5, append(theirs, dat(c[1].data))...)).Blocks, c[1])
}

// TestStrangersHeaders: for the next height, the one after, an empty block.
func TestStrangersHeaders(t *testing.T) {
	c := chain(t, 2)
	theirs := func(parent *built) []blob {
		next := build(t, stranger, parent, nil, "theirs")
		empty := build(t, stranger, parent, nil)
		after := build(t, stranger, empty, nil)
		return []blob{hdr(next.header), hdr(next.plain), dat(next.data), hdr(empty.header), hdr(empty.plain), hdr(after.header)}
	}
	d := newDeriver(t, config(), derive.State{})
	r := step(t, d, item(1, theirs(nil)...))
	wantCounts(t, r.Skipped, map[derive.Reason]uint64{derive.Stranger: 6})
	wantBlocks(t, r.Blocks)
	wantBlocks(t, step(t, d, item(2, append(theirs(nil), hdr(c[0].header), dat(c[0].data))...)).Blocks, c[0])
	wantBlocks(t, step(t, d, item(3, append(theirs(c[0]), hdr(c[1].header), dat(c[1].data))...)).Blocks, c[1])
	if w := d.Waiting(); w.Bytes != 0 || w.Headers != 0 || w.Data != 0 {
		t.Errorf("got %+v, want nothing pending", w)
	}
}

// TestNothingCountsButWhatIsNamed: a header waits for the data that it names, whatever else is posted at any height.
func TestNothingCountsButWhatIsNamed(t *testing.T) {
	first := build(t, proposer, nil, nil, "real")
	wrong := []blob{
		dat(build(t, proposer, nil, nil, "other").data), // authentic, but not named
		dat(build(t, proposer, nil, func(h *block.Header, m *block.Metadata) { m.Time++ }, "real").data),
		dat(build(t, proposer, nil, func(h *block.Header, m *block.Metadata) { m.LastDataHash = make([]byte, 32) }, "real").data),
		dat(build(t, proposer, nil, func(h *block.Header, m *block.Metadata) { m.Height++ }, "real").data),
		dat(build(t, proposer, nil, func(h *block.Header, m *block.Metadata) { m.ChainID = "x" }, "real").data),
		dat(build(t, stranger, nil, nil, "real").data),
		dat([]byte("real")),
	}
	d := newDeriver(t, config(), derive.State{})
	wantBlocks(t, step(t, d, item(1, hdr(first.header))).Blocks)
	wantBlocks(t, step(t, d, item(2, wrong...)).Blocks)
	if w := d.Waiting(); w.Missing != derive.MissingData || w.Height != 1 || w.HeaderAt != 1 {
		t.Errorf("got %+v, want block 1 to wait for its data", w)
	}
	r := step(t, d, item(3, dat(first.data)))
	wantBlocks(t, r.Blocks, first)
	wantCounts(t, r.Skipped, map[derive.Reason]uint64{derive.Superseded: 3})
}

// TestHalfProcessedItem: an item gives three blocks, the process fails after the first, the second or none, and the
// item is stepped again.
func TestHalfProcessedItem(t *testing.T) {
	c := chain(t, 5, 2)
	early := item(1, hdr(c[2].header), dat(c[3].data))
	late := item(2, hdr(c[0].header), dat(c[0].data), hdr(c[1].header), dat(c[2].data), hdr(c[4].header))
	for done := range 4 {
		s := newDisk()
		s.commit(step(t, newDeriver(t, config(), s.load()), early))
		r := step(t, newDeriver(t, config(), s.load()), late)
		wantBlocks(t, r.Blocks, c[:3]...)
		for _, b := range r.Blocks[:done] {
			s.commitBlock(b)
		}
		again := step(t, newDeriver(t, config(), s.load()), late)
		wantBlocks(t, again.Blocks, c[done:3]...)
		s.commit(again)
		wantBlocks(t, step(t, newDeriver(t, config(), s.load()), item(3, hdr(c[3].header), dat(c[4].data))).Blocks, c[3:]...)
	}
}

// padded returns a blob with fields in it that no signature covers.
func padded(b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(bytes.Clone(b), 77, protowire.BytesType), make([]byte, 1<<16))
}

// TestPaddingIsNotKept: anyone may pad an authentic half and post it first; it counts, its padding does not.
func TestPaddingIsNotKept(t *testing.T) {
	cfg := config()
	cfg.MaxPendingBytes = 1 << 16
	c := chain(t, 2)
	d := newDeriver(t, cfg, derive.State{})
	r := step(t, d, item(1, hdr(padded(c[1].header)[:60<<10]), dat(padded(c[1].data))))
	wantCounts(t, r.Skipped, map[derive.Reason]uint64{derive.Garbage: 1}) // the header is cut
	if len(r.Added) != 1 || !bytes.Equal(r.Added[0].Raw, c[1].data) {
		t.Fatalf("got %d halves, want the data as it was made", len(r.Added))
	}
	small := protowire.AppendVarint(protowire.AppendTag(bytes.Clone(c[1].header), 77, protowire.VarintType), 1)
	r = step(t, d, item(2, hdr(small), hdr(c[1].header)))
	wantCounts(t, r.Skipped, map[derive.Reason]uint64{derive.Duplicate: 1})
	if len(r.Added) != 1 || !bytes.Equal(r.Added[0].Raw, c[1].header) {
		t.Fatalf("got %d halves, want the header as it was made", len(r.Added))
	}
	wantBlocks(t, step(t, d, item(3, hdr(c[0].header), dat(padded(c[0].data)))).Blocks, c...)
}

func TestReasons(t *testing.T) {
	c := chain(t, 3)
	with := func(change func(s *block.SignedHeader)) []byte {
		s := c[2].Header
		change(&s)
		return s.Encode()
	}
	short := func(h *block.Header, _ *block.Metadata) { h.DataHash = h.DataHash[:31] }
	long := func(h *block.Header, _ *block.Metadata) { h.LastHeaderHash = make([]byte, 33) }
	other := func(h *block.Header, m *block.Metadata) { h.ChainID, m.ChainID = "other", "other" }
	low := func(h *block.Header, m *block.Metadata) { h.Height, m.Height = 0, 0 }
	emptyData, err := block.SignData(proposer, block.EmptyData(&c[2].Header.Header, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		blob blob
		want derive.Reason
	}{
		{"no bytes", hdr(nil), derive.Garbage},
		{"text", hdr([]byte("hello")), derive.Garbage},
		{"text as data", dat([]byte("hello")), derive.Garbage},
		{"data among headers", hdr(c[2].data), derive.Garbage},
		{"header among data", dat(c[2].header), derive.Garbage},
		{"another namespace", blob{da.NamespaceFromName("x"), c[2].header}, derive.Garbage},
		{"huge header", hdr(padded(c[2].header)), derive.Garbage},
		{"another chain", hdr(build(t, proposer, c[1], other).header), derive.OtherChain},
		{"another chain's data", dat(build(t, proposer, c[1], other, "tx").data), derive.OtherChain},
		{"at the tip", hdr(c[0].header), derive.Stale},
		{"another chain's, at the tip", hdr(build(t, proposer, nil, other).header), derive.OtherChain},
		{"data at the tip", dat(c[0].data), derive.Stale},
		{"height 0", hdr(build(t, proposer, nil, low).header), derive.Stale},
		{"stranger", hdr(build(t, stranger, c[1], nil).header), derive.Stranger},
		{"stranger's data", dat(build(t, stranger, c[1], nil, "tx").data), derive.Stranger},
		{"stranger's key", hdr(with(func(s *block.SignedHeader) { s.Signer.PubKey = stranger.Public().Encode() })), derive.Stranger},
		{"no key", hdr(with(func(s *block.SignedHeader) { s.Signer.PubKey = nil })), derive.Stranger},
		{"proposer's key, stranger's block", hdr(with(func(s *block.SignedHeader) { s.Header.ProposerAddress = stranger.Public().Address() })), derive.Stranger},
		{"short data hash", hdr(build(t, proposer, c[1], short).header), derive.Malformed},
		{"long last header hash", hdr(build(t, proposer, c[1], long).header), derive.Malformed},
		{"data without transactions", dat(emptyData.Encode()), derive.Malformed},
		{"plain", hdr(c[2].plain), derive.Plain},
		{"header changed", hdr(with(func(s *block.SignedHeader) { s.Header.AppHash = []byte("x") })), derive.Forged},
		{"envelope signature changed", hdr(with(func(s *block.SignedHeader) { s.EnvelopeSignature = make([]byte, 64) })), derive.Forged},
		{"only the envelope holds", hdr(resealed(t, c[2])), derive.Forged},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDeriver(t, config(), derive.State{Tip: derive.TipOf(c[0].Block), EnvelopesOnly: true})
			it := item(9, tc.blob)
			r := step(t, d, it)
			wantCounts(t, r.Skipped, map[derive.Reason]uint64{tc.want: 1})
			if len(r.Added)+len(r.Removed)+len(r.Blocks) != 0 {
				t.Errorf("got %+v, want nothing", r)
			}
			// Verified ahead, when nothing was known: the same in the end.
			cfg := config()
			d = newDeriver(t, cfg, derive.State{Tip: derive.TipOf(c[0].Block), EnvelopesOnly: true})
			ahead, err := d.StepVerified(derive.Verify(&cfg, derive.Known{}, it))
			if err != nil || len(ahead.Added) != 0 || ahead.Skipped != r.Skipped {
				t.Errorf("verified ahead: got %v, %v, want %v", ahead.Skipped.Map(), err, r.Skipped.Map())
			}
		})
	}
}

// resealed returns an envelope whose own signature holds, around a header signature that does not.
func resealed(t *testing.T, b *built) []byte {
	t.Helper()
	s := b.Header
	s.Signature = bytes.Clone(s.Signature)
	s.Signature[0] ^= 1
	s.EnvelopeSignature = nil
	s.EnvelopeSignature = proposer.Sign(s.Encode())
	if err := s.VerifyEnvelope(); err != nil {
		t.Fatal(err)
	}
	return s.Encode()
}

// TestEnvelopesOnly: plain headers count until a block has been derived from an envelope.
func TestEnvelopesOnly(t *testing.T) {
	c := chain(t, 4, 1, 2, 3, 4)
	plain := func(b *built) *built {
		p := *b.Block
		p.Header.EnvelopeSignature = nil
		return &built{Block: &p}
	}
	d := newDeriver(t, config(), derive.State{})
	r := step(t, d, item(1, hdr(c[0].plain)))
	wantBlocks(t, r.Blocks, plain(c[0]))
	if r.EnvelopesOnly || r.Blocks[0].EnvelopesOnly {
		t.Error("a plain header switched plain headers off")
	}
	wantBlocks(t, step(t, d, item(2, hdr(c[2].plain), hdr(c[3].plain), hdr(c[3].header))).Blocks) // they wait for block 2
	r = step(t, d, item(3, hdr(c[1].header), hdr(c[1].plain)))
	wantBlocks(t, r.Blocks, c[1])
	wantCounts(t, r.Skipped, map[derive.Reason]uint64{derive.Superseded: 3})
	if !r.EnvelopesOnly || !r.Blocks[0].EnvelopesOnly {
		t.Error("an envelope did not switch plain headers off")
	}
	if len(r.Blocks[0].Removed) != 2 { // the two plain ones that waited
		t.Errorf("got %d halves removed, want 2", len(r.Blocks[0].Removed))
	}
	r = step(t, d, item(4, hdr(c[2].plain)))
	wantBlocks(t, r.Blocks)
	wantCounts(t, r.Skipped, map[derive.Reason]uint64{derive.Plain: 1})
	wantBlocks(t, step(t, d, item(5, hdr(c[2].header))).Blocks, c[2], c[3])
}

// TestFirstCompleteWins: of several authentic candidates the one that is complete first is taken, not the one whose
// header is first, and what an unlinked one says does not matter.
func TestFirstCompleteWins(t *testing.T) {
	root := func(h *block.Header, _ *block.Metadata) { h.AppHash = []byte("another") }
	parent := build(t, proposer, nil, nil)
	a := build(t, proposer, parent, nil, "a")
	b := build(t, proposer, parent, root, "b")
	e := build(t, proposer, parent, root)                                                        // an empty one
	same := build(t, proposer, parent, root, "a")                                                // another header with a's data
	unlinked := build(t, proposer, a, func(h *block.Header, m *block.Metadata) { h.Height = 2 }) // does not continue parent
	back := build(t, proposer, parent, func(h *block.Header, m *block.Metadata) { h.Time = startTime - 1; m.Time = h.Time })
	still := build(t, proposer, parent, func(h *block.Header, m *block.Metadata) { h.Time = startTime; m.Time = h.Time })
	for _, c := range []struct {
		name  string
		blobs []blob
		want  *built
	}{
		{"first header, first data", []blob{hdr(a.header), hdr(b.header), dat(a.data), dat(b.data)}, a},
		{"second header, first data", []blob{hdr(a.header), hdr(b.header), dat(b.data), dat(a.data)}, b},
		{"data before headers", []blob{dat(b.data), dat(a.data), hdr(a.header), hdr(b.header)}, a},
		{"empty before complete", []blob{hdr(a.header), hdr(e.header), dat(a.data)}, e},
		{"empty after complete", []blob{hdr(a.header), dat(a.data), hdr(e.header)}, a},
		{"two headers, one data", []blob{hdr(same.header), hdr(a.header), dat(a.data)}, same},
		{"two headers after one data", []blob{dat(a.data), hdr(a.header), hdr(same.header)}, a},
		{"unlinked", []blob{hdr(unlinked.header), hdr(a.header), dat(a.data)}, a},
		{"time goes back", []blob{hdr(back.header), hdr(a.header), dat(a.data)}, a},
		{"time stands still", []blob{hdr(still.header), hdr(a.header), dat(a.data)}, still},
	} {
		for cut := range len(c.blobs) + 1 { // the parent comes early, late, or between
			var got []derive.Derived
			d := newDeriver(t, config(), derive.State{})
			for i, b := range slices.Insert(slices.Clone(c.blobs), cut, hdr(parent.header)) {
				got = append(got, step(t, d, item(uint64(i+1), b)).Blocks...)
			}
			if len(got) != 2 || got[1].Block().Hash() != c.want.Hash() {
				t.Errorf("%s, parent at %d: got %d blocks, want another second one", c.name, cut, len(got))
			}
			together := newDeriver(t, config(), derive.State{})
			wantBlocks(t, step(t, together, item(1, slices.Insert(slices.Clone(c.blobs), cut, hdr(parent.header))...)).Blocks, parent, c.want)
		}
	}
}

// TestFirstBlock: it links to nothing, and is not earlier than the genesis.
func TestFirstBlock(t *testing.T) {
	cfg := config()
	cfg.InitialHeight = 5
	at := func(change func(h *block.Header, m *block.Metadata)) blob {
		return hdr(build(t, proposer, nil, func(h *block.Header, m *block.Metadata) {
			h.Height, m.Height = 5, 5
			change(h, m)
		}).header)
	}
	d := newDeriver(t, cfg, derive.State{Tip: derive.Tip{Height: 4}})
	r := step(t, d, item(1,
		at(func(h *block.Header, m *block.Metadata) { h.Height = 4 }),
		at(func(h *block.Header, m *block.Metadata) { h.LastHeaderHash = make([]byte, 32) }),
		at(func(h *block.Header, m *block.Metadata) { h.Time = startTime - 1 })))
	wantBlocks(t, r.Blocks)
	wantCounts(t, r.Skipped, map[derive.Reason]uint64{derive.Stale: 1})
	if w := d.Waiting(); w.Height != 5 || w.Missing != derive.MissingLink || w.Headers != 2 {
		t.Errorf("got %+v", w)
	}
	r = step(t, d, item(2, at(func(*block.Header, *block.Metadata) {})))
	if len(r.Blocks) != 1 || r.Blocks[0].Block().Height() != 5 {
		t.Fatalf("got %d blocks, want block 5", len(r.Blocks))
	}
}

// TestReadAgain: the source is read again from an earlier height, after a part of it had been left out at first. What
// is there already is dropped, the place of a half is the first one, and the blocks are those of an honest read.
func TestReadAgain(t *testing.T) {
	c := chain(t, 3, 1)
	alt := build(t, proposer, c[0], func(h *block.Header, _ *block.Metadata) { h.AppHash = []byte("x") }, "alt")
	full := []*da.Block{
		item(1, hdr(c[0].header), hdr(c[1].header), dat(c[1].data)), item(2, hdr(alt.header), dat(alt.data)), item(3, dat(c[1].data)), item(4, hdr(c[2].header)), item(5, dat(c[2].data)),
	}
	s := newDisk()
	first := newDeriver(t, config(), s.load())
	s.commit(step(t, first, item(1, hdr(c[1].header)))) // the parent and the data are left out
	s.commit(step(t, first, full[1]))
	s.commit(step(t, first, full[2]))
	d := newDeriver(t, config(), s.load())
	var got []derive.Derived
	for i, it := range full {
		r := step(t, d, it)
		if i == 0 {
			// The data now has an earlier place, before the other candidate was complete.
			wantCounts(t, r.Skipped, map[derive.Reason]uint64{derive.Duplicate: 2, derive.Superseded: 2})
		}
		got = append(got, r.Blocks...)
		s.commit(r)
	}
	wantBlocks(t, got, c...)
	if got[1].DataAt != 1 {
		t.Errorf("got data at DA height %d, want 1", got[1].DataAt)
	}
	for _, it := range full { // and once more, after all of it
		r := step(t, d, it)
		if len(r.Blocks)+len(r.Added)+len(r.Removed) != 0 {
			t.Errorf("got %+v, want nothing", r)
		}
	}
	if len(s.halves) != 0 {
		t.Errorf("got %d pending halves, want none", len(s.halves))
	}
}

func TestWaiting(t *testing.T) {
	c := chain(t, 2)
	other := build(t, proposer, nil, func(h *block.Header, _ *block.Metadata) { h.AppHash = []byte("x") }, "tx 1", "ty 1")
	d := newDeriver(t, config(), derive.State{})
	if got, want := d.Waiting(), (derive.Waiting{Height: 1, Missing: derive.MissingHeader}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for at, b := range []blob{5: hdr(c[1].header), 6: dat(c[1].data), 7: hdr(other.header), 8: hdr(c[0].header)} {
		step(t, d, item(uint64(at), b))
	}
	step(t, d, item(3, hdr(c[0].header))) // read again
	got := d.Waiting()
	if got.Bytes < 4*1000 || got.Bytes > 4*1500 {
		t.Errorf("got %d bytes for 4 small halves", got.Bytes)
	}
	got.Bytes = 0
	if want := (derive.Waiting{Height: 1, Missing: derive.MissingData, HeaderAt: 3, Headers: 3, Data: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestMovedHalfIsStoredAgain: the earlier place of a half survives a restart.
func TestMovedHalfIsStoredAgain(t *testing.T) {
	c := chain(t, 2)
	s := newDisk()
	s.commit(step(t, newDeriver(t, config(), s.load()), item(7, hdr(c[1].header))))
	r := step(t, newDeriver(t, config(), s.load()), item(3, hdr(c[1].header)))
	if len(r.Added) != 1 || r.Added[0].DAHeight != 3 || len(r.Removed) != 0 {
		t.Fatalf("got %+v, want the half at its new place", r)
	}
	s.commit(r)
	r = step(t, newDeriver(t, config(), s.load()), item(8, hdr(c[1].header), hdr(c[0].header), dat(c[0].data), dat(c[1].data)))
	wantBlocks(t, r.Blocks, c...)
	if r.Blocks[1].HeaderAt != 3 || len(r.Removed) != 1 {
		t.Errorf("got header at %d and %d removed, want 3 and 1", r.Blocks[1].HeaderAt, len(r.Removed))
	}
}

// TestKnownAhead: an item verified for a chain that has been reverted meanwhile has to be verified again, which the
// deriver says and does not do: it would keep others waiting.
func TestKnownAhead(t *testing.T) {
	c := chain(t, 2)
	cfg := config()
	v := derive.Verify(&cfg, derive.Known{Height: 2, EnvelopesOnly: true}, item(1, hdr(c[0].plain), dat(c[0].data)))
	if v.Block().Height != 1 {
		t.Errorf("got item %d, want 1", v.Block().Height)
	}
	for _, known := range []derive.Known{{Height: 1}, {EnvelopesOnly: true}} {
		behind := newDeriver(t, cfg, derive.State{})
		if _, err := behind.StepVerified(derive.Verify(&cfg, known, v.Block())); !errors.Is(err, derive.ErrAhead) {
			t.Errorf("verified for %+v: got %v, want ErrAhead", known, err)
		}
	}
	d := newDeriver(t, cfg, derive.State{})
	if _, err := d.StepVerified(v); !errors.Is(err, derive.ErrAhead) {
		t.Fatalf("got %v, want ErrAhead", err)
	}
	r, err := d.StepVerified(derive.Verify(&cfg, d.Known(), v.Block())) // and nothing has happened to the deriver
	if err != nil || len(r.Blocks) != 1 {
		t.Fatalf("got %d blocks, %v, want 1", len(r.Blocks), err)
	}
	for range 2 { // a Verified is good for any number of steps
		d := newDeriver(t, cfg, derive.State{Tip: derive.TipOf(c[0].Block)})
		if got := d.Known(); got != (derive.Known{Height: 1}) {
			t.Errorf("got %+v", got)
		}
		v := derive.Verify(&cfg, d.Known(), item(2, hdr(c[1].header), dat(c[1].data)))
		for range 2 {
			r, err := newDeriver(t, cfg, derive.State{Tip: d.Tip()}).StepVerified(v)
			if err != nil {
				t.Fatal(err)
			}
			wantBlocks(t, r.Blocks, c[1])
		}
	}
	// Nothing of one Deriver sticks to it: where the halves waited makes no difference where they did not.
	v = derive.Verify(&cfg, derive.Known{}, item(2, hdr(c[1].header), dat(c[1].data)))
	if r, err := newDeriver(t, cfg, derive.State{}).StepVerified(v); err != nil || len(r.Added) != 2 {
		t.Fatalf("got %d added, %v, want 2", len(r.Added), err)
	}
	r, err = newDeriver(t, cfg, derive.State{Tip: derive.TipOf(c[0].Block)}).StepVerified(v)
	if err != nil || len(r.Removed)+len(r.Blocks[0].Removed) != 0 {
		t.Errorf("got %d removed, %v, want none", len(r.Removed), err)
	}
}

// TestKnownSavesWork: the signatures of what is stale, or plain, are not looked at.
func TestKnownSavesWork(t *testing.T) {
	c := chain(t, 2)
	forged := func(b *built, plain bool) blob {
		s := b.Header
		s.Header.AppHash = []byte("forged")
		if plain {
			s.EnvelopeSignature = nil
		}
		return hdr(s.Encode())
	}
	it := item(1, forged(c[0], false), forged(c[1], true))
	d := newDeriver(t, config(), derive.State{Tip: derive.TipOf(c[0].Block), EnvelopesOnly: true})
	wantCounts(t, step(t, d, it).Skipped, map[derive.Reason]uint64{derive.Stale: 1, derive.Plain: 1})
	wantCounts(t, step(t, newDeriver(t, config(), derive.State{}), it).Skipped, map[derive.Reason]uint64{derive.Forged: 2})
}

// TestSourceOrder: the index counts, not the order in which a source lists the blobs.
func TestSourceOrder(t *testing.T) {
	a := build(t, proposer, nil, nil)
	b := build(t, proposer, nil, func(h *block.Header, _ *block.Metadata) { h.AppHash = []byte("b") })
	at := func(index int, raw []byte) da.Blob { return da.Blob{Namespace: headerNS, Data: raw, Index: index} }
	blobs := []da.Blob{at(50, a.header), at(20, b.header), at(10, a.header)}
	for range 3 {
		wantBlocks(t, step(t, newDeriver(t, config(), derive.State{}), &da.Block{Height: 1, Blobs: blobs}).Blocks, a)
		blobs = append(blobs[1:], blobs[0])
	}
}

func TestFull(t *testing.T) {
	c := chain(t, 40)
	cfg := config()
	cfg.MaxPendingBytes = 10 << 10
	s := newDisk()
	var full error
	at := uint64(0)
	for i := 1; full == nil; i++ { // headers without the first one's data
		at++
		d := newDeriver(t, cfg, s.load())
		r, err := d.Step(item(at, hdr(c[i-1].header)))
		if w := d.Waiting(); err == nil && w.Bytes > cfg.MaxPendingBytes {
			t.Fatalf("got %d bytes pending, the bound is %d", w.Bytes, cfg.MaxPendingBytes)
		}
		if err != nil {
			full = err
			if _, again := d.Step(item(at + 1)); !errors.Is(again, derive.ErrFull) {
				t.Errorf("got %v from a deriver that has failed, want ErrFull", again)
			}
			break
		}
		s.commit(r)
	}
	if !errors.Is(full, derive.ErrFull) || !strings.Contains(full.Error(), "block 1 waits for its data") || !strings.Contains(full.Error(), "10240") {
		t.Fatalf("got %v", full)
	}
	n := len(s.halves)
	if n < 5 || n > 20 {
		t.Fatalf("got %d halves within %d bytes", n, cfg.MaxPendingBytes)
	}
	// Nothing was evicted, and an item that gives way to what waits is taken, however big.
	var blobs []blob
	for _, b := range c {
		blobs = append(blobs, hdr(b.header), dat(b.data))
	}
	wantBlocks(t, step(t, newDeriver(t, cfg, s.load()), item(at, blobs...)).Blocks, c...)
	// A bound that was lowered stops growth, not progress.
	cfg.MaxPendingBytes = 1
	r := step(t, newDeriver(t, cfg, s.load()), item(at, dat(c[0].data)))
	wantBlocks(t, r.Blocks, c[0])
	if _, err := newDeriver(t, cfg, s.load()).Step(item(at, dat(c[1].data))); !errors.Is(err, derive.ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
}

func TestNewErrors(t *testing.T) {
	c := chain(t, 2)
	bad := func(change func(*derive.Config)) derive.Config { cfg := config(); change(&cfg); return cfg }
	for name, cfg := range map[string]derive.Config{
		"chain id":       bad(func(c *derive.Config) { c.Authority = derive.NewAuthority("", c.Authority.ProposerAt(1)) }),
		"proposer":       bad(func(c *derive.Config) { c.Authority = derive.NewAuthority(chainID, c.Authority.ProposerAt(1)[1:]) }),
		"initial height": bad(func(c *derive.Config) { c.InitialHeight = 0 }),
		"tip":            bad(func(c *derive.Config) { c.InitialHeight = 3 }),
	} {
		if _, err := derive.New(cfg, derive.State{Tip: derive.Tip{Height: 1}}); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	data := c[1].Data.Hash()
	for name, h := range map[string]block.Half{
		"kind":         {Kind: 9, Height: 2, Raw: c[1].header},
		"raw header":   {Kind: block.HeaderHalf, Height: 2, Hash: c[1].Hash(), Raw: []byte("x")},
		"raw data":     {Kind: block.DataHalf, Height: 2, Hash: data, Raw: []byte("x")},
		"other hash":   {Kind: block.HeaderHalf, Height: 2, Hash: data, Raw: c[1].header},
		"other height": {Kind: block.DataHalf, Height: 3, Hash: data, Raw: c[1].data},
		"other form":   {Kind: block.PlainHeaderHalf, Height: 2, Hash: c[1].Hash(), Raw: c[1].header},
	} {
		if _, err := derive.New(config(), derive.State{Pending: []block.Half{h}}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one line", name, err)
		}
	}
}

// TestStaleStateIsCleaned: pending halves that can be of no use any more are removed by the next step.
func TestStaleStateIsCleaned(t *testing.T) {
	c := chain(t, 3)
	s := newDisk()
	s.commit(step(t, newDeriver(t, config(), s.load()), item(1, hdr(c[0].header), hdr(c[2].plain), hdr(c[1].header))))
	s.state.Tip, s.state.EnvelopesOnly = derive.TipOf(c[0].Block), true
	d := newDeriver(t, config(), s.load())
	if w := d.Waiting(); w.Headers != 1 {
		t.Errorf("got %+v, want the header of block 2 alone", w)
	}
	s.commit(step(t, d, item(2)))
	if len(s.halves) != 1 {
		t.Errorf("got %d halves, want 1", len(s.halves))
	}
}

func TestCounts(t *testing.T) {
	var a, b derive.Counts
	a[derive.Stale], b[derive.Stale], b[derive.Forged] = 2, 3, 1
	got, err := json.Marshal(a.Plus(b))
	if err != nil || string(got) != `{"forged":1,"stale":5}` {
		t.Errorf("got %s, %v", got, err)
	}
	seen := map[string]bool{}
	for r := range a {
		name := fmt.Sprint(derive.Reason(r))
		if seen[name] || (name == "") != (r == 0) {
			t.Errorf("reason %d: got name %q", r, name)
		}
		seen[name] = true
	}
}

// legacyHeader returns a header blob with a field that the format had before: signed with it, or added by somebody.
func legacyHeader(t *testing.T, k *block.PrivateKey, b *built, field protowire.Number, signed bool) []byte {
	t.Helper()
	s := b.Header
	old := protowire.AppendBytes(protowire.AppendTag(s.Header.Encode(), field, protowire.BytesType), make([]byte, 32))
	if signed {
		s.Signature = k.Sign(old)
	}
	rest := s.Encode()
	_, _, n := protowire.ConsumeField(rest)
	return append(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), old), rest[n:]...)
}

// TestLegacyHeaders: a header of the format of before is no block, and is counted by its name. A field of that format
// which somebody has added to a header of today changes nothing.
func TestLegacyHeaders(t *testing.T) {
	first := build(t, proposer, nil, nil)
	for _, field := range []protowire.Number{5, 7, 9, 13} {
		want := derive.Legacy
		if field == 13 {
			want = derive.Forged
		}
		r := step(t, newDeriver(t, config(), newDisk().load()), item(1, hdr(legacyHeader(t, proposer, first, field, true))))
		wantCounts(t, r.Skipped, map[derive.Reason]uint64{want: 1})
		if len(r.Blocks) != 0 {
			t.Errorf("field %d: got %d blocks of it, want none", field, len(r.Blocks))
		}
		r = step(t, newDeriver(t, config(), newDisk().load()), item(1, hdr(legacyHeader(t, proposer, first, field, false))))
		if len(r.Blocks) != 1 || r.Blocks[0].Tip.HeaderHash != first.Hash() {
			t.Errorf("field %d, added to a header of today: got %d blocks, want that one", field, len(r.Blocks))
		}
	}
}
