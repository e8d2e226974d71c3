package local

import (
	"fmt"
	"slices"
	"sync"

	"headrace/da"
	"headrace/internal/square"
)

// history keeps a chain's blocks. Its methods may overlap, but for append.
type history interface {
	// append adds the next height; body is nil for an empty block. On return the block can be read, and a crash of the process keeps it.
	append(height uint64, rec *record, body *content) error

	// first returns the height that the chain began with.
	first() uint64

	// bounds returns the lowest and the highest height; zeros if there is no block.
	bounds() (tail, head uint64)

	// record also knows the height before the tail, which the tail's header needs.
	record(height uint64) (*record, error)
	heightOf(hash [32]byte) (uint64, error) // da.ErrNotFound if there is none
	dah(height uint64) (square.DAH, error)
	blobs(height uint64, ns da.Namespace) ([]da.Blob, error)
	submissions(height uint64) ([][]da.Blob, error)

	prune(below uint64) error
	close() error
}

// content is a block that is not empty.
type content struct {
	dah   square.DAH
	blobs []posted // by submission, and in each by the submitter's order
}

type posted struct {
	da.Blob
	submission int
}

// newContent pairs the submitted blobs, in their order, with their places in the square. Within a namespace a square keeps that order.
func newContent(sq *square.Square, subs []*submission) *content {
	places := map[da.Namespace][]square.Placed{}
	for _, p := range sq.Blobs() {
		places[p.Namespace] = append(places[p.Namespace], p)
	}
	c := &content{dah: sq.DAH()}
	for i, s := range subs {
		for j := range s.blobs {
			ns := s.blobs[j].Namespace
			c.blobs = append(c.blobs, posted{places[ns][0].Blob, i})
			places[ns] = places[ns][1:]
		}
	}
	return c
}

func (c *content) in(ns da.Namespace) []da.Blob {
	var out []da.Blob
	for i := range c.blobs {
		if c.blobs[i].Namespace == ns {
			out = append(out, c.blobs[i].Blob)
		}
	}
	slices.SortFunc(out, func(a, b da.Blob) int { return a.Index - b.Index })
	return out
}

func (c *content) submissions() [][]da.Blob {
	var out [][]da.Blob
	for i := range c.blobs {
		if c.blobs[i].submission == len(out) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], c.blobs[i].Blob)
	}
	return out
}

// size is the bytes that a block's content holds.
func (c *content) size() int {
	n := 2 * len(c.dah.RowRoots) * (square.RootSize + 24)
	for i := range c.blobs {
		n += len(c.blobs[i].Data) + 192
	}
	return n
}

func openHistory(o Options) (history, error) {
	if o.Dir != "" {
		return openDisk(o)
	}
	return &memory{start: o.StartHeight, bodies: map[uint64]*content{}}, nil
}

// memory is a history in memory.
type memory struct {
	mu     sync.RWMutex
	start  uint64
	base   uint64              // height of the first record of the first chunk
	chunks [][]record          // of chunkLen each, the last one growing; never moved, so that pointers into them stay good
	bodies map[uint64]*content // of heights that are not empty
	tail   uint64
	head   uint64
}

const chunkLen = 1024

func (m *memory) append(height uint64, rec *record, body *content) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.head == 0 {
		m.base, m.tail = height, height
	}
	if n := len(m.chunks); n == 0 || len(m.chunks[n-1]) == chunkLen {
		m.chunks = append(m.chunks, make([]record, 0, chunkLen))
	}
	last := &m.chunks[len(m.chunks)-1]
	*last = append(*last, *rec)
	if body != nil {
		m.bodies[height] = body
	}
	m.head = height
	return nil
}

// heightOf compares the hashes of all heights, the newest first: a millisecond for some 100,000, where an index would take
// memory for each.
func (m *memory) heightOf(hash [32]byte) (uint64, error) {
	m.mu.RLock()
	chunks, base := slices.Clone(m.chunks), m.base
	m.mu.RUnlock()
	for i, chunk := range slices.Backward(chunks) {
		for j := len(chunk) - 1; j >= 0; j-- {
			if chunk[j].hash == hash {
				return base + uint64(i*chunkLen+j), nil
			}
		}
	}
	return 0, da.ErrNotFound
}

func (m *memory) first() uint64 { return m.start }

func (m *memory) bounds() (tail, head uint64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.tail, m.head
}

func (m *memory) record(height uint64) (*record, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.head == 0 || height < m.base || height > m.head {
		return nil, fmt.Errorf("height %d: %w", height, da.ErrNotFound)
	}
	i := height - m.base
	return &m.chunks[i/chunkLen][i%chunkLen], nil
}

func (m *memory) body(height uint64) *content {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.bodies[height]
}

func (m *memory) dah(height uint64) (square.DAH, error) {
	if b := m.body(height); b != nil {
		return b.dah, nil
	}
	return square.EmptyDAH(), nil
}

func (m *memory) blobs(height uint64, ns da.Namespace) ([]da.Blob, error) {
	if b := m.body(height); b != nil {
		return b.in(ns), nil
	}
	return nil, nil
}

func (m *memory) submissions(height uint64) ([][]da.Blob, error) {
	if b := m.body(height); b != nil {
		return b.submissions(), nil
	}
	return nil, nil
}

func (m *memory) prune(below uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if below <= m.tail {
		return nil
	}
	m.tail = below
	for h := range m.bodies {
		if h < below {
			delete(m.bodies, h)
		}
	}
	for len(m.chunks) > 0 && m.base+chunkLen < below { // the record before the tail stays
		m.chunks = slices.Delete(m.chunks, 0, 1)
		m.base += chunkLen
	}
	return nil
}

func (m *memory) close() error { return nil }
