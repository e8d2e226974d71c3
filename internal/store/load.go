package store

import (
	"encoding/json"
	"errors"
	"fmt"

	"headrace/block"
	"headrace/internal/disk"
)

// format is the version of keys.go and codec.go. A store with a higher one is refused.
const format = 1

// meta is what never changes in a store's life.
type meta struct {
	id      Identity
	initial uint64
	start   block.Ref
}

// metaJSON is meta on disk: readable, so that any later version can at least say whose store it is.
type metaJSON struct {
	Format        uint64 `json:"format"`
	ChainID       string `json:"chain_id"`
	Genesis       string `json:"genesis"`
	Source        string `json:"source"`
	InitialHeight uint64 `json:"initial_height"`
	StartHeight   uint64 `json:"start_height"`
	StartHash     string `json:"start_hash"`
}

func (m *meta) encode() ([]byte, error) {
	return json.Marshal(metaJSON{
		Format: format, ChainID: m.id.ChainID, Genesis: m.id.Genesis.String(), Source: m.id.Source,
		InitialHeight: m.initial, StartHeight: m.start.Height, StartHash: m.start.Hash.String(),
	})
}

func decodeMeta(dir string, raw []byte) (meta, error) {
	var j metaJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return meta{}, disk.Corrupt(dir, fmt.Errorf("meta: %w", err))
	}
	if j.Format > format {
		return meta{}, disk.NewerFormat(dir, j.Format, format)
	}
	m := meta{id: Identity{ChainID: j.ChainID, Source: j.Source}, initial: j.InitialHeight, start: block.Ref{Height: j.StartHeight}}
	if err := errors.Join(m.id.Genesis.UnmarshalText([]byte(j.Genesis)), m.start.Hash.UnmarshalText([]byte(j.StartHash))); err != nil {
		return meta{}, disk.Corrupt(dir, fmt.Errorf("meta: %w", err))
	}
	return m, nil
}

// load reads what a store holds in memory, and makes the store first if there is none.
func (s *Store) load(id Identity, opt Options) error {
	raw, ok, err := s.db.Get(metaKey)
	if err != nil {
		return err
	}
	if !ok {
		return s.create(id, opt)
	}
	if s.fixed, err = decodeMeta(s.db.Dir(), raw); err != nil {
		return err
	}
	if err := s.fixed.check(s.db.Dir(), id); err != nil {
		return err
	}
	st, err := s.readState()
	if err != nil {
		return err
	}
	if err := s.checkState(&st); err != nil {
		return disk.Corrupt(s.db.Dir(), err)
	}
	if err := s.loadTxs(&st); err != nil {
		return err
	}
	s.state.Store(&st)
	return nil
}

// create writes the first state. A crash before it is on disk leaves an empty database, which is made a store the
// next time.
func (s *Store) create(id Identity, opt Options) error {
	err := s.db.Each([]byte{0}, []byte{0xff}, func(key, _ []byte) error {
		return disk.Corrupt(s.db.Dir(), fmt.Errorf("meta is missing, yet there is a key %q", key[:1]))
	})
	if err != nil {
		return err
	}
	s.fixed = meta{id: id, initial: max(opt.InitialHeight, 1), start: opt.Start}
	before := block.Ref{Height: s.fixed.initial - 1}
	st := State{
		Position: opt.Start, Proven: opt.Start,
		Unsafe: before, Safe: before, Finalized: before, Oldest: s.fixed.initial,
	}
	raw, err := s.fixed.encode()
	if err != nil {
		return fmt.Errorf("encode meta: %w", err)
	}
	b := s.db.NewBatch()
	defer b.Close()
	err = errors.Join(b.Set(metaKey, raw, nil), b.Set(sourceKey, encodeSource(&st, s.items), nil), b.Set(chainKey, encodeChain(&st), nil))
	if err == nil {
		err = s.db.Commit(b, true)
	}
	if err != nil {
		return fmt.Errorf("create store: %w", err)
	}
	s.whole.Store(s.fixed.initial)
	s.state.Store(&st)
	return nil
}

// check compares whose store in dir it is with whose it should be.
func (m *meta) check(dir string, id Identity) error {
	other := func(what string, has, want any) error {
		return fmt.Errorf("open %s: store %w: its %s is %v, not %v: use another home, or the genesis it was made with", dir, ErrOtherChain, what, has, want)
	}
	has := m.id
	switch {
	case has.ChainID != id.ChainID:
		return other("chain id", fmt.Sprintf("%q", has.ChainID), fmt.Sprintf("%q", id.ChainID))
	case has.Genesis != id.Genesis:
		return other("genesis", has.Genesis, id.Genesis)
	case has.Source != id.Source:
		return &OtherSourceError{Has: has.Source, Want: id.Source, err: other("source", fmt.Sprintf("%q", has.Source), fmt.Sprintf("%q", id.Source))}
	}
	return nil
}

// OtherSourceError is an ErrOtherChain of a store of the same chain that was read from another source.
type OtherSourceError struct {
	Has, Want string // as Identity.Source has it
	err       error
}

func (e *OtherSourceError) Error() string { return e.err.Error() }
func (e *OtherSourceError) Unwrap() error { return e.err }

func (s *Store) readState() (st State, err error) {
	read := func(key []byte, decode func([]byte) error) {
		raw, ok, gerr := s.db.Get(key)
		if gerr == nil && !ok {
			gerr = disk.Corrupt(s.db.Dir(), fmt.Errorf("key %q is missing", key))
		}
		if gerr == nil {
			if derr := decode(raw); derr != nil {
				gerr = disk.Corrupt(s.db.Dir(), fmt.Errorf("key %q: %w", key, derr))
			}
		}
		err = errors.Join(err, gerr)
	}
	read(sourceKey, func(b []byte) error { return decodeSource(b, &st, &s.items) })
	read(chainKey, func(b []byte) error { return decodeChain(b, &st) })
	if err != nil {
		return State{}, err
	}
	if raw, ok, err := s.db.Get(inboxKey); err != nil || !ok {
		return st, err
	} else if st.Inbox, err = decodeInbox(raw); err != nil {
		return st, disk.Corrupt(s.db.Dir(), fmt.Errorf("key %q: %w", inboxKey, err))
	}
	return st, nil
}

// checkState compares the state with the blocks it speaks of.
func (s *Store) checkState(st *State) error {
	if st.Finalized.Height > st.Safe.Height || st.Safe.Height > st.Unsafe.Height || st.Finalized.Height+1 < s.fixed.initial {
		return fmt.Errorf("heights do not fit: finalized %d, safe %d, unsafe %d, first %d", st.Finalized.Height, st.Safe.Height, st.Unsafe.Height, s.fixed.initial)
	}
	if _, err := s.mark(st.Oldest); err != nil && st.Oldest <= st.Unsafe.Height {
		return fmt.Errorf("block %d, the oldest: %w", st.Oldest, err)
	}
	for _, r := range []block.Ref{st.Unsafe, st.Safe, st.Finalized} {
		if r.Height+1 == s.fixed.initial {
			continue
		}
		m, err := s.mark(r.Height)
		if err != nil {
			return fmt.Errorf("block %d: %w", r.Height, err)
		}
		if m.hash != r.Hash {
			return fmt.Errorf("block %d is %s, and the state says %s", r.Height, m.hash, r.Hash)
		}
	}
	return nil
}
