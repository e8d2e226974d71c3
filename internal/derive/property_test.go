package derive_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"headrace/block"
	"headrace/da"
	"headrace/internal/derive"
)

// The blocks are a function of the posted blobs and their order (I3). Random chains with an equivocating proposer and
// busy strangers are posted in random order; then the same sequence is derived in different ways, all of which must
// give what a naive oracle says.

// drawPosts draws a chain with candidates that compete, and everything that is posted, in order.
func drawPosts(t *rapid.T) []blob {
	var made []*built
	var posts []blob
	add := func(b *built) {
		made = append(made, b)
		forms := rapid.SampledFrom([]string{"envelope", "envelope", "envelope", "plain", "both"}).Draw(t, "form")
		if forms != "plain" {
			posts = append(posts, hdr(b.header))
		}
		if forms != "envelope" {
			posts = append(posts, hdr(b.plain))
		}
		if b.data != nil {
			posts = append(posts, dat(b.data))
		}
	}
	for range rapid.IntRange(1, 9).Draw(t, "blocks") {
		var parent *built
		if len(made) > 0 && rapid.IntRange(0, 9).Draw(t, "from start") > 0 {
			// Mostly on the newest, sometimes on an older one: two candidates for one height.
			parent = made[max(0, len(made)-1-rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "back"))]
		}
		var txs []string
		for range rapid.IntRange(0, 2).Draw(t, "txs") {
			txs = append(txs, rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "tx"))
		}
		root := rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "root")
		shift := rapid.SampledFrom([]int{0, 0, 0, -1, -2}).Draw(t, "time")
		add(build(t, proposer, parent, func(h *block.Header, m *block.Metadata) {
			h.AppHash = []byte(root)
			h.Time += uint64(shift)
			m.Time = h.Time
		}, txs...))
	}
	for range rapid.IntRange(0, 6).Draw(t, "others") {
		posts = append(posts, drawHostile(t, made, posts))
	}
	posts = append(posts, rapid.SliceOfN(rapid.SampledFrom(posts), 0, 4).Draw(t, "repeated")...)
	return rapid.Permutation(posts).Draw(t, "order")
}

// drawHostile draws what anyone might post, seeing the proposer's posts.
func drawHostile(t *rapid.T, made []*built, posts []blob) blob {
	b := rapid.SampledFrom(made).Draw(t, "near")
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		return hdr(build(t, stranger, b, nil, "theirs").header)
	case 1:
		return dat(build(t, stranger, b, nil, "theirs").data)
	case 2:
		s := b.Header
		s.Header.AppHash = []byte("forged")
		return hdr(s.Encode())
	case 3: // the right transactions in the proposer's name, not signed
		s := block.SignedData{Data: b.Data, Signature: []byte("none"), Signer: b.Header.Signer}
		return dat(s.Encode())
	case 4:
		p := rapid.SampledFrom(posts).Draw(t, "padded")
		return blob{p.ns, append(bytes.Clone(p.data), 0x98, 0x06, 0x01)} // field 99, a varint
	case 5:
		s := b.Header
		s.EnvelopeSignature = []byte("junk")
		return hdr(s.Encode())
	case 6:
		p := rapid.SampledFrom(posts).Draw(t, "misplaced")
		return blob{da.NamespaceFromName("elsewhere"), p.data}
	default:
		return blob{rapid.SampledFrom([]da.Namespace{headerNS, dataNS}).Draw(t, "namespace"), rapid.SliceOf(rapid.Byte()).Draw(t, "garbage")}
	}
}

// oracle says what the sequence of posts derives to, from the definition: at each height, of all candidates in the
// whole sequence that continue the chain, the one that was complete first, then whose header was first.
func oracle(posts []blob) (want []*block.Block) {
	type candidate struct {
		blk              block.Block
		complete, header int
	}
	envelopes, tip := false, derive.Tip{Time: startTime}
	link := func(h block.Hash) []byte {
		if tip.Height == 0 {
			return nil
		}
		return h[:]
	}
	for {
		var best *candidate
		for i, p := range posts {
			if p.ns != headerNS {
				continue
			}
			s, err := block.DecodeSignedHeader(p.data)
			if err != nil || s.Verify() != nil || (s.EnvelopeSignature != nil && s.VerifyEnvelope() != nil) ||
				!bytes.Equal(s.Signer.Address, proposer.Public().Address()) {
				continue
			}
			h := &s.Header
			if envelopes && s.EnvelopeSignature == nil || h.Height != tip.Height+1 || h.Time < tip.Time || !bytes.Equal(h.LastHeaderHash, link(tip.HeaderHash)) {
				continue
			}
			c := &candidate{blk: block.Block{Header: *s, Data: block.EmptyData(h, link(tip.DataHash))}, complete: i, header: i}
			if !bytes.Equal(h.DataHash, block.EmptyCommitment[:]) {
				at := slices.IndexFunc(posts, func(p blob) bool {
					d, err := block.DecodeSignedData(p.data)
					if p.ns != dataNS || err != nil || d.Verify() != nil || !bytes.Equal(d.Signer.Address, proposer.Public().Address()) {
						return false
					}
					commitment, whole := d.Data.Commitment(), c.blk.Data
					whole.Txs = d.Data.Txs
					return bytes.Equal(commitment[:], h.DataHash) && d.Data.Hash() == whole.Hash()
				})
				if at < 0 {
					continue
				}
				d, _ := block.DecodeSignedData(posts[at].data)
				c.blk.Data, c.complete = d.Data, max(i, at)
			}
			if best == nil || c.complete < best.complete || c.complete == best.complete && c.header < best.header {
				best = c
			}
		}
		if best == nil {
			return want
		}
		envelopes = envelopes || best.blk.Header.EnvelopeSignature != nil
		tip = derive.TipOf(&best.blk)
		want = append(want, &best.blk)
	}
}

// drawItems cuts the sequence into items: some heights hold many blobs, some none.
func drawItems(t *rapid.T, posts []blob, label string) (items []*da.Block) {
	height := uint64(rapid.IntRange(1, 100).Draw(t, label+" start"))
	for rest := posts; len(rest) > 0; height += uint64(rapid.IntRange(1, 3).Draw(t, label+" gap")) {
		n := rapid.IntRange(0, min(len(rest), 6)).Draw(t, label+" blobs")
		items = append(items, item(height, rest[:n]...))
		rest = rest[n:]
	}
	return items
}

// plainRun derives items with one Deriver, without a fault.
func plainRun(t *rapid.T, items []*da.Block) *disk {
	s := newDisk()
	d := newDeriver(t, config(), s.load())
	for _, it := range items {
		s.commit(step(t, d, it))
	}
	return s
}

// faultyRun derives items with crashes before, between and after the commits of an item, restarts, reading again from
// an earlier item, and signatures checked ahead, knowing as much as was known at some moment before.
func faultyRun(t *rapid.T, items []*da.Block) *disk {
	s := newDisk()
	cfg := config()
	d := newDeriver(t, cfg, s.load())
	known := []derive.Known{{}}
	crashes := 0
	for i := 0; i < len(items); i++ {
		var v *derive.Verified
		if rapid.Bool().Draw(t, "ahead") {
			v = derive.Verify(&cfg, rapid.SampledFrom(known).Draw(t, "known"), items[i])
		} else {
			v = derive.Verify(&cfg, d.Known(), items[i])
		}
		r, err := d.StepVerified(v)
		if err != nil {
			t.Fatal(err)
		}
		fate := "fine"
		if crashes < 20 {
			fate = rapid.SampledFrom([]string{"fine", "fine", "restart", "crash", "again"}).Draw(t, "fate")
		}
		switch fate {
		case "crash": // after some of the item's blocks; the item is stepped again
			crashes++
			for _, b := range r.Blocks[:rapid.IntRange(0, len(r.Blocks)).Draw(t, "committed")] {
				s.commitBlock(b)
			}
			d = newDeriver(t, cfg, s.load())
			i--
			continue
		case "again": // read again from an earlier item
			crashes++
			s.commit(r)
			d = newDeriver(t, cfg, s.load())
			i = rapid.IntRange(-1, i).Draw(t, "back to")
		case "restart":
			s.commit(r)
			d = newDeriver(t, cfg, s.load())
		default:
			s.commit(r)
		}
		known = append(known, d.Known())
	}
	return s
}

func describe(blocks []*block.Block) (out []string) {
	for _, b := range blocks {
		out = append(out, fmt.Sprintf("%d %v envelope:%v txs:%q", b.Height(), b.Hash(), b.Header.EnvelopeSignature != nil, b.Data.Txs))
	}
	return out
}

func TestBlocksAreAFunctionOfThePosts(t *testing.T) {
	derived, contested := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		posts := drawPosts(t)
		want := oracle(posts)
		derived += len(want)
		contested += len(posts) - len(want)
		items := drawItems(t, posts, "first")
		plain, other, faulty := plainRun(t, items), plainRun(t, drawItems(t, posts, "other")), faultyRun(t, items)
		for name, s := range map[string]*disk{"one way": plain, "in other batches": other, "with faults": faulty} {
			if !slices.Equal(encodings(s.blocks), encodings(want)) {
				t.Fatalf("%s: got blocks\n%q, want\n%q", name, describe(s.blocks), describe(want))
			}
		}
		if !reflect.DeepEqual(faulty.halves, plain.halves) || faulty.state.EnvelopesOnly != plain.state.EnvelopesOnly || faulty.state.Tip != plain.state.Tip {
			t.Fatalf("got another state with faults: %d halves, %+v; want %d, %+v", len(faulty.halves), faulty.state, len(plain.halves), plain.state)
		}
	})
	if derived == 0 || contested == 0 {
		t.Errorf("got %d blocks and %d other posts over all runs, want some of each", derived, contested)
	}
}
