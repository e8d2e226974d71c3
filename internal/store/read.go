package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"headrace/block"
)

// Block returns the block at height. ErrNotFound: there is none, or it is pruned.
func (s *Store) Block(height uint64) (Record, error) {
	r, err := s.record(height)
	if errors.Is(err, errTorn) { // a commit replaced it between two reads; with the lock there is none
		s.mu.Lock()
		defer s.mu.Unlock()
		r, err = s.record(height)
	}
	if errors.Is(err, errTorn) {
		err = s.db.Corrupt(err)
	}
	if err != nil {
		return Record{}, fmt.Errorf("read block %d: %w", height, err)
	}
	return r, nil
}

var errTorn = errors.New("the block and its mark do not belong together")

func (s *Store) record(height uint64) (Record, error) {
	m, err := s.mark(height)
	if err != nil {
		return Record{}, err
	}
	body, ok, err := s.db.Get(bodyKey(height))
	if err != nil {
		return Record{}, err
	}
	if !ok || len(body) < len(m.hash) || block.Hash(body[:len(m.hash)]) != m.hash {
		return Record{}, errTorn
	}
	b, err := block.DecodeBlock(body[len(m.hash):])
	if err != nil {
		return Record{}, s.db.Corrupt(err)
	}
	return Record{Block: b, Root: m.root, Origin: m.origin}, nil
}

func (s *Store) mark(height uint64) (mark, error) {
	raw, ok, err := s.db.Get(originKey(height))
	if err != nil {
		return mark{}, err
	}
	if !ok {
		return mark{}, ErrNotFound
	}
	m, err := decodeMark(raw)
	if err != nil {
		return mark{}, s.db.Corrupt(err)
	}
	return m, nil
}

// BlockByHash returns the block with the header hash h. ErrNotFound: there is none, or it is pruned or reverted.
func (s *Store) BlockByHash(h block.Hash) (Record, error) {
	raw, ok, err := s.db.Get(hashKey(h))
	if err == nil && !ok {
		err = ErrNotFound
	}
	if err == nil && len(raw) != 8 {
		err = s.db.Corrupt(fmt.Errorf("height has %d bytes", len(raw)))
	}
	if err != nil {
		return Record{}, fmt.Errorf("read block %s: %w", h, err)
	}
	r, err := s.Block(binary.BigEndian.Uint64(raw))
	if err == nil && r.Block.Hash() != h { // reverted since
		err = fmt.Errorf("read block %s: %w", h, ErrNotFound)
	}
	return r, err
}

// Ref returns the hash of the block at height without reading the block; at InitialHeight-1 that is the zero hash.
func (s *Store) Ref(height uint64) (block.Ref, error) {
	if height+1 == s.fixed.initial {
		return block.Ref{Height: height}, nil
	}
	m, err := s.mark(height)
	if err != nil {
		return block.Ref{}, fmt.Errorf("read hash of block %d: %w", height, err)
	}
	return block.Ref{Height: height, Hash: m.hash}, nil
}

// Halves returns the pending halves by DA height, headers before data, then by index.
func (s *Store) Halves() ([]block.Half, error) {
	var halves []block.Half
	err := s.db.Each([]byte{'p'}, []byte{'p' + 1}, func(key, value []byte) error {
		k, err := parseHalfKey(key)
		if err == nil {
			var h block.Half
			h, err = decodeHalf(k, slices.Clone(value))
			halves = append(halves, h)
		}
		if err != nil {
			return s.db.Corrupt(err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read pending halves: %w", err)
	}
	slices.SortStableFunc(halves, func(a, b block.Half) int {
		return cmp.Or(cmp.Compare(a.DAHeight, b.DAHeight), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Index, b.Index))
	})
	return halves, nil
}

// Item returns the source item at height, if it is kept.
func (s *Store) Item(height uint64) (Item, bool, error) {
	raw, ok, err := s.db.Get(itemKey(height))
	if err != nil || !ok {
		return Item{}, false, err
	}
	it, err := decodeItem(height, raw)
	if err != nil {
		return Item{}, false, fmt.Errorf("read item %d: %w", height, s.db.Corrupt(err))
	}
	return it, true, nil
}

// Named returns the named value, if it is set.
func (s *Store) Named(name string) (value []byte, ok bool, err error) {
	return s.db.Get(namedKey(name))
}
