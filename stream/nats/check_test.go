package nats_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/ref"
	"headrace/stream/nats"
)

// planted are streams, each with one damage, and the kinds that Check must find: that one, and nothing that only follows
// from it.
var planted = []struct {
	name string
	fill func(t *testing.T, w *writer)
	want []nats.DamageKind
	says string
}{
	{"whole", func(_ *testing.T, w *writer) {
		big := trunk.block(11)
		big.Body = trunk.body(11, 6000)
		w.publish(trunk.blocks(1, 10)...)
		w.publish(big)
		w.publish(trunk.blocks(12, 30)...)
		other := branchOf("b", trunk, 25, 40)
		w.publish(trunk.reorg(30, 25))
		w.publish(other.blocks(26, 40)...)
	}, nil, ""},
	{"nothing in it", func(*testing.T, *writer) {}, []nats.DamageKind{nats.Empty}, "no block"},
	{"the first block is missing", func(_ *testing.T, w *writer) { w.publish(trunk.blocks(2, 20)...) }, []nats.DamageKind{nats.Beginning}, "begins with block 2, and should with block 1"},
	{"a reorg is the first that is left", func(t *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.reorg(10, 7))
		w.publish(branchOf("b", trunk, 7, 30).blocks(8, 20)...)
		w.cut(11)
	}, []nats.DamageKind{nats.Beginning}, "message 12: the stream begins with block 8, and should with block 1"},
	{"two reorgs are the first that are left", func(t *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.reorg(10, 7), trunk.reorg(7, 5))
		w.publish(branchOf("b", trunk, 5, 30).blocks(6, 20)...)
		w.cut(11)
	}, []nats.DamageKind{nats.Beginning}, "message 13: the stream begins with block 6, and should with block 1"},
	{"a reorg is the first that is left, and a hole comes later", func(t *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.reorg(10, 7))
		other := branchOf("b", trunk, 7, 30)
		w.publish(other.blocks(8, 10)...)
		w.publish(other.blocks(12, 20)...)
		w.cut(11)
	}, []nats.DamageKind{nats.Beginning, nats.Hole}, "message 12: the stream begins with block 8"},
	{"a reorg is the first that is left, and its block is another one", func(t *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.reorg(10, 7))
		w.publish(branchOf("b", trunk, 6, 30).blocks(8, 20)...)
		w.cut(11)
	}, []nats.DamageKind{nats.ReorgFrom, nats.Beginning}, "message 11: it goes back from block 10"},
	{"a reorg is all that is left", func(t *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.reorg(10, 7))
		w.cut(11)
	}, []nats.DamageKind{nats.Empty}, "no block"},
	{"a reorg before the first block", func(_ *testing.T, w *writer) {
		w.publish(branchOf("b", nil, 0, 30).reorg(12, 7))
		w.publish(trunk.blocks(1, 20)...)
	}, []nats.DamageKind{nats.ReorgFrom}, "message 1: it goes back from block 12"},
	{"a hole", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.blocks(14, 20)...)
	}, []nats.DamageKind{nats.Hole}, "message 11: block 14 comes after block 10"},
	{"a message was deleted", func(t *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 20)...)
		if err := w.stream().DeleteMsg(t.Context(), 12); err != nil {
			t.Fatal(err)
		}
	}, []nats.DamageKind{nats.Hole}, "message 13: block 13 comes after block 11"},
	{"a hole at the end", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.block(12))
	}, []nats.DamageKind{nats.Hole}, "block 12 comes after block 10"},
	{"a double", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.blocks(10, 20)...)
	}, []nats.DamageKind{nats.Double}, "message 11: block 10"},
	{"a double of long ago", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.block(5))
		w.publish(trunk.blocks(11, 20)...)
	}, []nats.DamageKind{nats.Double}, "message 11: block 5"},
	{"doubles that go on", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.blocks(8, 20)...)
	}, []nats.DamageKind{nats.Double}, "message 11: block 8"},
	{"a double at the end", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.block(10))
	}, []nats.DamageKind{nats.Double}, "message 11: block 10"},
	{"a wrong parent", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(branchOf("b", nil, 0, 30).blocks(11, 20)...)
	}, []nats.DamageKind{nats.WrongParent}, "message 11: block 11 is a child of"},
	{"a foreign block", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(branchOf("b", nil, 0, 30).block(11))
		w.publish(trunk.blocks(11, 20)...)
	}, []nats.DamageKind{nats.ForeignBlock}, "message 11: block 11"},
	{"a foreign block far away", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(branchOf("b", nil, 0, 30).block(25))
		w.publish(trunk.blocks(11, 20)...)
	}, []nats.DamageKind{nats.ForeignBlock}, "message 11: block 25"},
	{"a block of another proposer", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		m := trunk.block(11)
		m.Body = []byte(strings.Replace(string(m.Body), `"proposer":"aa"`, `"proposer":"bb"`, 1))
		w.publish(m)
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.ForeignBlock}, `has proposer "bb"`},
	{"another branch without a reorg", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(branchOf("b", trunk, 6, 30).blocks(7, 20)...)
	}, []nats.DamageKind{nats.GoesBack}, "message 11: block 7"},
	{"half of a batch", func(t *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		parts := bigBlock(t, 11)
		for _, p := range parts[:2] {
			w.raw(p.Subject(chain), p.Header(), p.Body, false)
		}
		w.publish(trunk.blocks(11, 20)...)
	}, []nats.DamageKind{nats.HalfBlock}, "message 11: the parts of block 11"},
	{"half of a batch, and on", func(t *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		parts := bigBlock(t, 11)
		for _, p := range parts[:2] {
			w.raw(p.Subject(chain), p.Header(), p.Body, false)
		}
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.HalfBlock}, "message 11: the parts of block 11"},
	{"the other half", func(t *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		for _, p := range bigBlock(t, 11)[1:] {
			w.raw(p.Subject(chain), p.Header(), p.Body, false)
		}
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.HalfBlock}, "message 11: part 2 of"},
	{"a part in the middle", func(t *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		parts := bigBlock(t, 11)
		for _, p := range append(parts[:1:1], parts[2:]...) {
			w.raw(p.Subject(chain), p.Header(), p.Body, false)
		}
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.HalfBlock}, "message 11: the parts of block 11"},
	{"half of a batch at the end", func(t *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		p := bigBlock(t, 11)[0]
		w.raw(p.Subject(chain), p.Header(), p.Body, false)
	}, []nats.DamageKind{nats.HalfBlock}, "ends in the middle of block 11"},
	{"a reorg from a block that is not there", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(branchOf("b", trunk, 7, 30).reorg(12, 7))
		w.publish(branchOf("c", trunk, 7, 30).blocks(8, 20)...)
	}, []nats.DamageKind{nats.ReorgFrom}, "message 11: it goes back from block 12"},
	{"a reorg from a block that is not there, and ignored", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(branchOf("b", trunk, 7, 30).reorg(12, 7))
		w.publish(trunk.blocks(11, 20)...)
	}, []nats.DamageKind{nats.ReorgFrom}, "message 11: it goes back from block 12"},
	{"a reorg to a block that is not there", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		m, other := trunk.reorg(10, 7), branchOf("b", trunk, 5, 30)
		m.Block = other.at(7)
		w.publish(m)
		w.publish(other.blocks(8, 20)...)
	}, []nats.DamageKind{nats.ReorgTo}, "message 11: it goes back to block 7"},
	{"a reorg to before the first block", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.reorg(10, 0))
		w.publish(branchOf("b", nil, 0, 30).blocks(1, 20)...)
	}, nil, ""},
	{"a reorg to before the first block, of another chain", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		m := trunk.reorg(10, 0)
		m.Block.Hash = hashOf("b", 1)
		w.publish(m)
		w.publish(branchOf("b", nil, 0, 30).blocks(1, 20)...)
	}, []nats.DamageKind{nats.ReorgTo, nats.WrongParent}, "message 11: it goes back to block 0"},
	{"a reorg of what was final", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 40)...)
		w.publish(trunk.reorg(40, 15))
		w.publish(branchOf("b", trunk, 15, 50).blocks(16, 50)...)
	}, []nats.DamageKind{nats.RevertsFinal}, "goes back to block 15, and block 20 was final"},
	{"a foreign message", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.raw(nats.BlockSubject(chain, 11), natsgo.Header{}, []byte("hello"), false)
		w.publish(trunk.blocks(11, 20)...)
	}, []nats.DamageKind{nats.ForeignMessage}, "message 11:"},
	{"a garbled header", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.changed(trunk.block(11), nats.HeaderParent, "nonsense")
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.Garbled}, "message 11: Hr-Parent is no hash"},
	{"a header that is missing", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.changed(trunk.block(11), nats.HeaderCursor, "")
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.Garbled}, "message 11: its headers"},
	{"a header that disagrees", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.changed(trunk.block(11), nats.HeaderStands, text(trunk.at(12)))
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.Garbled}, "message 11: Hr-Stands"},
	{"a wrong id", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.changed(trunk.block(11), nats.HeaderID, "11-nonsense")
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.WrongID}, `message 11: the id is "11-nonsense@`},
	{"another height in the subject", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		m := trunk.block(11)
		w.raw(nats.BlockSubject(chain, 12), m.Header(), m.Body, false)
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.WrongSubject}, "message 11: it is block 11, and has subject"},
	{"a block at the subject of reorgs", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		m := trunk.block(11)
		w.raw(nats.ReorgSubject(chain), m.Header(), m.Body, false)
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.WrongSubject}, "message 11: it is block 11, and has subject"},
	{"another block's body", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		m := trunk.block(11)
		m.Body = trunk.body(12, 10)
		w.publish(m)
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.WrongBody}, "message 11: the body of block 11 has height"},
	{"a body that is no block", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		m := trunk.block(11)
		m.Body = []byte("hello")
		w.publish(m)
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.WrongBody}, "message 11: the body of block 11 is not JSON"},
	{"another state root", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		m := trunk.block(11)
		m.Root = "abcd"
		w.publish(m)
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.WrongBody}, "state_root"},
	{"an unsafe block", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		m := trunk.block(11)
		m.Body = []byte(strings.Replace(string(m.Body), `"safe":true`, `"safe":false`, 1))
		w.publish(m)
		w.publish(trunk.blocks(12, 20)...)
	}, []nats.DamageKind{nats.UnsafeBlock}, "message 11: block 11 was not safe"},
	{"two damages", func(_ *testing.T, w *writer) {
		w.publish(trunk.blocks(1, 10)...)
		w.publish(trunk.blocks(12, 20)...)
		w.publish(trunk.blocks(20, 30)...)
	}, []nats.DamageKind{nats.Hole, nats.Double}, ""},
}

// text is a block as headers have it.
func text(r ref.Ref) string { return fmt.Sprintf("%d-%s", r.Height, r.Hash) }

// bigBlock is a block in parts.
func bigBlock(t *testing.T, height uint64) []nats.Message {
	t.Helper()
	m := trunk.block(height)
	m.Body = trunk.body(height, 6000)
	parts, err := m.Split(2000)
	if err != nil || len(parts) < 4 {
		t.Fatalf("got %d parts, %v", len(parts), err)
	}
	return parts
}

// cut takes all messages before a sequence away, as a stream's own limits do.
func (w *writer) cut(before uint64) {
	w.t.Helper()
	if err := w.stream().Purge(w.t.Context(), jetstream.WithPurgeSequence(before)); err != nil {
		w.t.Fatal(err)
	}
}

// changed publishes a message with another header, or without it.
func (w *writer) changed(m nats.Message, name, value string) {
	w.t.Helper()
	h := natsgo.Header(m.Header())
	h[name] = []string{value}
	if value == "" {
		delete(h, name)
	}
	w.raw(m.Subject(chain), h, m.Body, false)
}

// Each damage is found, by name, and nothing beside it.
func TestCheckFindsEachDamage(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	for _, c := range planted {
		w.anew(s)
		c.fill(t, w)
		var told []nats.Damage
		got, err := nats.Check(t.Context(), w.js, chain, nats.CheckOptions{Wait: time.Minute, Damage: func(d nats.Damage) { told = append(told, d) }})
		var kinds []nats.DamageKind
		for _, d := range got.Found {
			kinds = append(kinds, d.Kind)
		}
		if err != nil || !slices.Equal(kinds, c.want) || int(got.Damages) != len(c.want) || !slices.Equal(told, got.Found) && len(c.want) > 0 {
			t.Errorf("%s: got %v, %v, want %v", c.name, got.Found, err, c.want)
			continue
		}
		if len(c.want) > 0 && !strings.Contains(got.Found[0].String(), c.says) {
			t.Errorf("%s: got %q, want %q", c.name, got.Found[0], c.says)
		}
		if last := trunk.at(20); c.name == "a hole" && (got.First != trunk.at(14) && got.First != trunk.at(1) || got.Last != last || got.Blocks != 17 || got.Messages != 17) {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}

// What is counted, and that a stream may begin higher if it should.
func TestCheckReports(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	other := branchOf("b", trunk, 50, 80)
	w.publish(trunk.blocks(40, 60)...)
	w.publish(trunk.reorg(60, 50))
	w.publish(other.blocks(51, 80)...)
	got, err := nats.Check(t.Context(), w.js, chain, nats.CheckOptions{From: 40, Wait: time.Minute})
	if err != nil || got.Damages != 0 || got.Messages != 52 || got.Blocks != 51 || got.Reorgs != 1 || got.First != trunk.at(40) || got.Last != other.at(80) || got.Chain != chain {
		t.Errorf("got %+v, %v", got, err)
	}
	// What was published before its first block is void too.
	for _, to := range []uint64{39, 35} {
		w.anew(s)
		other := branchOf("b", trunk, to, 80)
		w.publish(trunk.blocks(40, 50)...)
		w.publish(trunk.reorg(50, to))
		w.publish(other.blocks(to+1, 80)...)
		got, err := nats.Check(t.Context(), w.js, chain, nats.CheckOptions{From: 40, Wait: time.Minute})
		if err != nil || got.Damages != 0 || got.Reorgs != 1 || got.First != other.at(to+1) || got.Last != other.at(80) {
			t.Errorf("a reorg to block %d: got %+v, %v", to, got, err)
		}
	}
	// A stream may begin with the first block behind a reorg.
	w.anew(s)
	w.publish(trunk.blocks(40, 60)...)
	w.publish(trunk.reorg(60, 50))
	w.publish(other.blocks(51, 80)...)
	w.cut(22)
	got, err = nats.Check(t.Context(), w.js, chain, nats.CheckOptions{From: 51, Wait: time.Minute})
	if err != nil || got.Damages != 0 || got.Messages != 31 || got.Blocks != 30 || got.Reorgs != 1 || got.First != other.at(51) || got.Last != other.at(80) {
		t.Errorf("a reorg is the first: got %+v, %v", got, err)
	}
	patiently(t, "there is no stream hr-0123456789abcdef", func(wait time.Duration) error {
		_, err := nats.Check(t.Context(), w.js, "0123456789abcdef", nats.CheckOptions{Wait: wait})
		return err
	})
}

// With a node it says whether the chain is that node's: where it is not, and up to where both have blocks.
func TestCheckComparesWithANode(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	w := s.newWriter()
	other := branchOf("b", trunk, 150, 190)
	w.publish(trunk.blocks(1, 160)...)
	w.publish(trunk.reorg(160, 150))
	w.publish(other.blocks(151, 180)...)
	for name, c := range map[string]struct {
		node     *fakeNode
		damages  uint64
		compared uint64
	}{
		"the same":                 {&fakeNode{chain: other[:180], final: 170}, 0, 180},
		"the node is further":      {&fakeNode{chain: other, final: 170}, 0, 180},
		"the node is behind":       {&fakeNode{chain: other[:100], final: 90}, 0, 100},
		"the node is on the other": {&fakeNode{chain: trunk, final: 170}, 30, 180},
		"another chain":            {&fakeNode{chain: branchOf("x", nil, 0, 200), final: 170}, 180, 180},
		"the node has pruned it":   {&fakeNode{chain: other, final: 170, oldest: 190}, 0, 0},
		"the node has the last":    {&fakeNode{chain: other, final: 170, oldest: 180}, 0, 1},
		"the node has pruned some": {&fakeNode{chain: other, final: 170, oldest: 100}, 0, 81},
		"the node has pruned one":  {&fakeNode{chain: other, final: 170, oldest: 2}, 0, 179},
		"it has pruned another":    {&fakeNode{chain: branchOf("x", nil, 0, 200), final: 170, oldest: 100}, 81, 81},
	} {
		got, err := nats.Check(t.Context(), w.js, chain, nats.CheckOptions{Node: c.node.client(t), Wait: time.Minute})
		if err != nil || got.Damages != c.damages || got.Compared != c.compared {
			t.Errorf("%s: got %d damages, %d compared, %v, want %d and %d: %v", name, got.Damages, got.Compared, err, c.damages, c.compared, got.Found)
		}
		for _, d := range got.Found {
			if d.Kind != nats.OtherThanNode || d.Height <= 150 && !strings.Contains(name, "another") || d.Sequence == 0 || d.Height != d.Sequence && d.Height <= 150 {
				t.Errorf("%s: got %+v", name, d)
			}
		}
	}
}
