package derive

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"headrace/block"
)

// position is a place on the DA layer.
type position struct {
	height uint64
	index  int
}

func (p position) before(q position) bool {
	return p.height < q.height || p.height == q.height && p.index < q.index
}

func later(p, q position) position {
	if p.before(q) {
		return q
	}
	return p
}

// half is an authenticated half, as far decoded as pairing and linking need it.
type half struct {
	block.Half
	header     *block.SignedHeader // of a header
	data       *block.DataBlob     // of data
	commitment block.Hash          // of data
	stored     bool                // the store has one with this key
}

func (h *half) place() position { return position{h.DAHeight, h.Index} }

// before orders halves by place; indices that a source made up may be equal, and then the hash decides.
func (h *half) before(o *half) bool {
	if h.place() != o.place() {
		return h.place().before(o.place())
	}
	return compareKeys(h.Key(), o.Key()) < 0
}

// cost is the memory that a half takes, in bytes: its encoding, and an allowance for the rest.
func (h *half) cost() int {
	const allowance = 1 << 10
	return len(h.Raw) + allowance
}

// decodeHalf decodes what a half holds, but for transactions.
func decodeHalf(h block.Half) (*half, error) {
	out := &half{Half: h}
	switch h.Kind {
	case block.HeaderHalf, block.PlainHeaderHalf:
		s, err := block.DecodeSignedHeader(h.Raw)
		if err != nil {
			return nil, err
		}
		if s.Header.Height != h.Height || s.Header.Hash() != h.Hash || kindOf(s) != h.Kind || !wellFormed(&s.Header) {
			return nil, fmt.Errorf("header %d is not what it was stored as", s.Header.Height)
		}
		out.header = s
	case block.DataHalf:
		d, err := block.ReadDataBlob(h.Raw)
		if err != nil {
			return nil, err
		}
		if d.Height() != h.Height || d.Hash() != h.Hash {
			return nil, fmt.Errorf("data %d is not what it was stored as", d.Height())
		}
		out.data, out.commitment = d, d.Commitment()
	default:
		return nil, fmt.Errorf("kind %d is not known", h.Kind)
	}
	return out, nil
}

func compareKeys(a, b block.HalfKey) int {
	return cmp.Or(cmp.Compare(a.Height, b.Height), cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.Hash[:], b.Hash[:]))
}

// level holds the halves of one rollup height.
type level struct{ headers, data []*half }

func (l *level) list(k block.HalfKind) *[]*half {
	if k == block.DataHalf {
		return &l.data
	}
	return &l.headers
}

// pool holds the halves that wait, by key and by height.
type pool struct {
	byKey  map[block.HalfKey]*half
	levels map[uint64]*level
	plain  int // how many are plain headers
	data   int // how many are data
	bytes  int // cost of all
}

func newPool() pool {
	return pool{byKey: make(map[block.HalfKey]*half), levels: make(map[uint64]*level)}
}

var noLevel = new(level) // is never changed

func (p *pool) at(height uint64) *level {
	if l := p.levels[height]; l != nil {
		return l
	}
	return noLevel
}

func (p *pool) get(k block.HalfKey) *half { return p.byKey[k] }

func (p *pool) has(h *half) bool { return p.byKey[h.Key()] == h }

func (p *pool) add(h *half) {
	l := p.levels[h.Height]
	if l == nil {
		l = new(level)
		p.levels[h.Height] = l
	}
	list := l.list(h.Kind)
	*list = append(*list, h)
	p.byKey[h.Key()] = h
	p.count(h, 1)
}

func (p *pool) remove(h *half) {
	l := p.levels[h.Height]
	list := l.list(h.Kind)
	i := slices.Index(*list, h)
	*list = slices.Delete(*list, i, i+1)
	p.forget(h)
}

// forget is the part of a removal that is not about the level.
func (p *pool) forget(h *half) {
	delete(p.byKey, h.Key())
	p.count(h, -1)
}

func (p *pool) count(h *half, n int) {
	p.bytes += n * h.cost()
	switch h.Kind {
	case block.DataHalf:
		p.data += n
	case block.PlainHeaderHalf:
		p.plain += n
	}
}

// removeLevel removes and returns everything at height.
func (p *pool) removeLevel(height uint64) []*half {
	l := p.at(height)
	gone := append(slices.Clone(l.headers), l.data...)
	delete(p.levels, height)
	for _, h := range gone {
		p.forget(h)
	}
	return gone
}

// removePlain removes and returns the plain headers.
func (p *pool) removePlain() (gone []*half) {
	if p.plain == 0 {
		return nil
	}
	for height, l := range p.levels {
		l.headers = slices.DeleteFunc(l.headers, func(h *half) bool {
			if h.Kind == block.PlainHeaderHalf {
				gone = append(gone, h)
				return true
			}
			return false
		})
		if len(l.headers)+len(l.data) == 0 {
			delete(p.levels, height)
		}
	}
	for _, h := range gone {
		p.forget(h)
	}
	return gone
}
