package nats_test

import (
	"bytes"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"

	"headrace/ref"
	"headrace/stream/nats"
)

const anyChain = "0123456789abcdef"

func at(height uint64, salt byte) ref.Ref {
	return ref.Ref{Height: height, Hash: ref.Hash{1, salt, byte(height)}}
}

// examples are messages of each kind.
func examples() map[string]nats.Message {
	source := at(900, 9)
	return map[string]nats.Message{
		"block":       {Block: at(7, 0), Parent: at(6, 0).Hash, Source: source, Origin: 890, Root: "ab01", Final: 5, Body: []byte("{}")},
		"first block": {Block: at(1, 0), Source: source, Final: 1, Body: []byte("{}")},
		"part":        {Block: at(7, 0), Parent: at(6, 0).Hash, Source: source, Final: 7, Part: 2, Parts: 3, Body: []byte("half")},
		"last part":   {Block: at(7, 0), Parent: at(6, 0).Hash, Source: source, Final: 7, Part: 3, Parts: 3, Body: []byte("half")},
		"reorg":       {Block: at(4, 0), From: at(7, 0), Source: source, Final: 3, Body: []byte("{}")},
	}
}

// A message is read as it was written.
func TestMessages(t *testing.T) {
	for name, m := range examples() {
		got, err := nats.Parse(anyChain, m.Subject(anyChain), m.Header(), m.Body)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s: got %+v (%v), want %+v", name, got, err, m)
		}
		size := 0
		for k, v := range m.Header() {
			size += len(k) + len(v[0]) + 4
		}
		if size > nats.MaxHeaders-300 { // the server's own beside them
			t.Errorf("%s: its headers have %d bytes, of %d", name, size, nats.MaxHeaders)
		}
	}
	e := examples()
	part, last, reorg := e["part"], e["last part"], e["reorg"]
	if part.Stands() != at(6, 0) || last.Stands() != at(7, 0) || reorg.Stands() != at(4, 0) {
		t.Errorf("got a stream that stands at %v after a part, %v after the last one and %v after a reorg", part.Stands(), last.Stands(), reorg.Stands())
	}
	if got, want := reorg.ID(), "r-7-"+at(7, 0).Hash.String()+"-4-"+at(4, 0).Hash.String(); got != want {
		t.Errorf("got the id %s of a reorg, want %s", got, want)
	}
	if got, want := reorg.Cursor(), "4-"+at(4, 0).Hash.String()+"-3"; got != want {
		t.Errorf("got the cursor %s of a reorg, want %s", got, want)
	}
}

// A message of which any header is another one, is missing or is there twice, or that has another subject, is read as it
// says or refused, never taken for another message without a word.
func TestDamagedMessages(t *testing.T) {
	for name, m := range examples() {
		refused := func(what, subject string, h map[string][]string) {
			t.Helper()
			if got, err := nats.Parse(anyChain, subject, h, m.Body); !errors.Is(err, nats.ErrNotOurs) {
				t.Errorf("%s with %s: got %+v (%v), want an error", name, what, got, err)
			}
		}
		for key := range m.Header() {
			if key == nats.HeaderID {
				continue
			}
			h := m.Header()
			h[key] = []string{h[key][0], h[key][0]}
			refused("two of "+key, m.Subject(anyChain), h)
			h[key] = []string{strings.Repeat("x", 9)}
			if key != nats.HeaderRoot {
				refused("nonsense as "+key, m.Subject(anyChain), h)
			}
			if delete(h, key); key != nats.HeaderOrigin && key != nats.HeaderRoot && key != nats.HeaderParent && key != nats.HeaderPart {
				refused("no "+key, m.Subject(anyChain), h)
			}
		}
		for _, subject := range []string{"", "hr." + anyChain + ".block.8", "hr." + anyChain + ".block.07", "hr.fedcba9876543210.block.7", "hr." + anyChain + ".block", "hr." + anyChain + ".reorg.7"} {
			refused("the subject "+subject, subject, m.Header())
		}
		for _, part := range []string{"0/3", "4/3", "1/1", "1/1001", "-1/3", "01/3", "1/3/3", "18446744073709551617/18446744073709551618"} {
			h := m.Header()
			h[nats.HeaderPart] = []string{part}
			refused("the part "+part, m.Subject(anyChain), h)
		}
	}
}

// What may follow where a stream stands.
func TestFollows(t *testing.T) {
	block := nats.Message{Block: at(7, 0), Parent: at(6, 0).Hash}
	reorg := nats.Message{Block: at(4, 0), From: at(6, 0)}
	for _, c := range []struct {
		what string
		m    nats.Message
		at   ref.Ref
		want bool
	}{
		{"the next block", block, at(6, 0), true},
		{"a block on another parent", block, at(6, 1), false},
		{"a block once more", block, at(7, 0), false},
		{"a block behind a hole", block, at(5, 0), false},
		{"any block at the beginning", block, ref.Ref{}, true},
		{"a reorg at the beginning", reorg, ref.Ref{}, false},
		{"a reorg from here", reorg, at(6, 0), true},
		{"a reorg from elsewhere", reorg, at(6, 1), false},
		{"a reorg upwards", nats.Message{Block: at(8, 0), From: at(6, 0)}, at(6, 0), false},
	} {
		if got := c.m.Follows(c.at); got != c.want {
			t.Errorf("%s: got %v, want %v", c.what, got, c.want)
		}
	}
}

// Parts make the block again, whatever stands before, between and behind them that is no part of it.
func TestParts(t *testing.T) {
	m := examples()["block"]
	m.Body = bytes.Repeat([]byte("0123456789"), 100)
	parts, err := m.Split(300)
	if err != nil || len(parts) != 4 {
		t.Fatalf("got %d parts (%v), want 4", len(parts), err)
	}
	for i, p := range parts {
		read, err := nats.Parse(anyChain, p.Subject(anyChain), p.Header(), p.Body)
		if err != nil || read.Part != i+1 || read.Parts != 4 || len(p.Body) > 300 {
			t.Errorf("part %d is read as %d of %d (%v) with %d bytes", i+1, read.Part, read.Parts, err, len(p.Body))
		}
	}
	other := nats.Message{Block: at(7, 1), Parent: at(6, 0).Hash, Source: m.Source, Body: []byte("other")}
	for _, c := range []struct {
		what    string
		in      []nats.Message
		want    []nats.Message
		dropped int
	}{
		{"the parts", parts, []nats.Message{m}, 0},
		{"the middle first", append(append([]nats.Message{}, parts[2:]...), parts...), []nats.Message{m}, 2},
		{"a batch that was cut off", append(append([]nats.Message{}, parts[:2]...), parts...), []nats.Message{m}, 1},
		{"another block between", []nats.Message{parts[0], other, parts[1], parts[2], parts[3]}, []nats.Message{other}, 4},
		{"a part twice", []nats.Message{parts[0], parts[1], parts[1], parts[2], parts[3]}, nil, 3},
		{"a part missing", []nats.Message{parts[0], parts[2], parts[3], other}, []nats.Message{other}, 2},
	} {
		var j nats.Joiner
		var got []nats.Message
		dropped := 0
		for _, p := range c.in {
			whole, ok, d := j.Add(p)
			if ok {
				got = append(got, whole)
			}
			if d {
				dropped++
			}
		}
		if !reflect.DeepEqual(got, c.want) || dropped != c.dropped {
			t.Errorf("%s: got %d messages and %d times something dropped, want %d and %d", c.what, len(got), dropped, len(c.want), c.dropped)
		}
	}
	for _, limit := range []int{0, -5} {
		if _, err := m.Split(limit); err == nil {
			t.Errorf("a body is split into parts of %d bytes", limit)
		}
	}
	if m.Body = make([]byte, nats.MaxParts*10+1); true {
		if _, err := m.Split(10); err == nil {
			t.Errorf("a body is split into more than %d parts", nats.MaxParts)
		}
	}
}

// FuzzParse: whatever anybody publishes is refused, or is written again as it was.
func FuzzParse(f *testing.F) {
	for _, m := range examples() {
		h := m.Header()
		get := func(name string) string { return strings.Join(h[name], "") }
		f.Add(m.Subject(anyChain), get(nats.HeaderBlock), get(nats.HeaderParent), get(nats.HeaderFrom), get(nats.HeaderStands), get(nats.HeaderSource), get(nats.HeaderOrigin), get(nats.HeaderCursor), get(nats.HeaderPart))
	}
	f.Fuzz(func(t *testing.T, subject, block, parent, from, stands, source, origin, cursor, part string) {
		h := map[string][]string{}
		for name, v := range map[string]string{
			nats.HeaderBlock: block, nats.HeaderParent: parent, nats.HeaderFrom: from, nats.HeaderStands: stands, nats.HeaderSource: source,
			nats.HeaderOrigin: origin, nats.HeaderCursor: cursor, nats.HeaderPart: part,
		} {
			if v != "" {
				h[name] = []string{v}
			}
		}
		m, err := nats.Parse(anyChain, subject, h, nil)
		if err != nil {
			return
		}
		again := m.Header()
		if delete(again, nats.HeaderID); m.Subject(anyChain) != subject {
			t.Errorf("it is read from %q and written to %q", subject, m.Subject(anyChain))
		}
		if m.IsReorg() { // what a reorg does not have is not read
			delete(h, nats.HeaderParent)
			delete(h, nats.HeaderOrigin)
		}
		if m.Parent.IsZero() {
			delete(h, nats.HeaderParent)
		}
		if m.Origin == 0 {
			delete(h, nats.HeaderOrigin)
		}
		if !maps.EqualFunc(again, h, func(a, b []string) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("%v is written again as %v", h, again)
		}
	})
}
