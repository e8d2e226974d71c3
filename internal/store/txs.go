package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"headrace/block"
)

// The index of transactions: where in the chain each is, by its hash. It is written in the commit of the block, and
// goes with it. A block's list says what of the index is the block's, so that it can go without its transactions being
// hashed again; one is written for each indexed block, also an empty one. So the list of the highest block shows, when
// a store is opened, that nobody has appended blocks without an index meanwhile.

// IndexTxs has the blocks that are appended from now on indexed by the hashes of their transactions, which hashes
// returns in their order: a zero one of a transaction that is in no place. nil: they are not. Call it before the first
// Commit. An error of hashes is the Commit's.
func (s *Store) IndexTxs(hashes func(*block.Block) ([]block.Hash, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hashes = hashes
}

// TxsFrom returns from which height on, up to the unsafe head, all blocks are in the index; the height after that head:
// none need be.
func (s *Store) TxsFrom() uint64 { return s.whole.Load() }

// Place is where a transaction is in the chain.
type Place struct {
	Height uint64
	Index  uint32 // among the hashes of its block
}

var errEnough = errors.New("enough")

// Places returns the places of a transaction that the index has, the lowest first. It looks at no more than most: some
// of them may be of blocks that are gone, since a version of the program that knows no index has dropped them.
func (s *Store) Places(tx block.Hash, most int) (places []Place, err error) {
	from := txKey(tx, Place{})
	to := binary.BigEndian.AppendUint64(from[:1+len(tx):1+len(tx)], ^uint64(0))
	err = s.db.Each(from, to, func(key, _ []byte) error {
		if most--; most < 0 {
			return errEnough
		}
		p, err := parseTxKey(key)
		if err != nil {
			return s.db.Corrupt(err)
		}
		there, err := s.isAt(tx, p)
		if there {
			places = append(places, p)
		}
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("read places of transaction %s: %w", tx, err)
	}
	return places, nil
}

// HashesAt returns what was indexed of a block's transactions, in their order: a zero hash of one that is in no place. ok
// is false if it was stored without an index. ErrNotFound: ref is not in the chain, or not any more.
func (s *Store) HashesAt(ref block.Ref) (hashes []block.Hash, ok bool, err error) {
	list, ok, err := s.db.Get(listKey(ref.Height))
	if err != nil {
		return nil, false, err
	}
	m, err := s.mark(ref.Height) // after the list: so that one which another block has brought is no answer
	if err != nil {
		return nil, false, err
	}
	if m.hash != ref.Hash {
		return nil, false, fmt.Errorf("block %d %s: %w", ref.Height, ref.Hash, ErrNotFound)
	}
	const n = len(m.hash)
	if !ok || len(list) < n || block.Hash(list[:n]) != ref.Hash { // or a version without an index has left it
		return nil, false, nil
	}
	for i := n; i+n <= len(list); i += n {
		hashes = append(hashes, block.Hash(list[i:i+n]))
	}
	return hashes, true, nil
}

// isAt reports whether the block that is in the chain now has a transaction there.
func (s *Store) isAt(tx block.Hash, p Place) (bool, error) {
	m, err := s.mark(p.Height)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	list, ok, getErr := s.db.Get(listKey(p.Height))
	if err = errors.Join(err, getErr); err != nil || !ok {
		return false, err
	}
	const n = len(m.hash)
	at := n * (1 + int(p.Index))
	return len(list) >= at+n && block.Hash(list[:n]) == m.hash && block.Hash(list[at:at+n]) == tx, nil
}

// loadTxs finds out from which height on the index is whole.
func (s *Store) loadTxs(st *State) error {
	raw, ok, err := s.db.Get(wholeKey)
	if err != nil {
		return err
	}
	if ok && len(raw) != 8 {
		return s.db.Corrupt(fmt.Errorf("key %q has %d bytes", wholeKey, len(raw)))
	}
	s.whole.Store(st.Unsafe.Height + 1)
	if !ok {
		return nil
	}
	s.txsFrom = binary.BigEndian.Uint64(raw)
	list, ok, err := s.db.Get(listKey(st.Unsafe.Height))
	if err == nil && ok && len(list) >= len(st.Unsafe.Hash) && block.Hash(list[:len(st.Unsafe.Hash)]) == st.Unsafe.Hash {
		s.whole.Store(min(s.txsFrom, st.Unsafe.Height+1))
	}
	return err
}

// indexTxs adds the transactions of an appended block to the index.
func (c *change) indexTxs(b *block.Block, hash block.Hash) error {
	if c.s.hashes == nil {
		c.txs = b.Height() + 1
		return nil
	}
	hashes, err := c.s.hashes(b)
	if err != nil {
		return fmt.Errorf("index transactions of block %d: %w", b.Height(), err)
	}
	list := make([]byte, 0, len(hash)*(1+len(hashes)))
	list = append(list, hash[:]...)
	for i, tx := range hashes {
		list = append(list, tx[:]...)
		if tx == (block.Hash{}) {
			continue
		}
		op := c.batch.SetDeferred(txKeyLen, 0)
		putTxKey(op.Key, tx, Place{b.Height(), uint32(i)})
		if err := op.Finish(); err != nil {
			return err
		}
	}
	return c.batch.Set(listKey(b.Height()), list, nil)
}

// dropTxs deletes what the index has of the blocks in [from, to).
func (s *Store) dropTxs(batch *pebble.Batch, from, to uint64) error {
	err := s.db.Each(listKey(from), listKey(to), func(key, list []byte) error {
		height := binary.BigEndian.Uint64(key[1:])
		if len(list)%len(block.Hash{}) != 0 || len(list) == 0 {
			return s.db.Corrupt(fmt.Errorf("list of the transactions of block %d has %d bytes", height, len(list)))
		}
		for i, hashes := uint32(0), list[len(block.Hash{}):]; len(hashes) > 0; i++ {
			op := batch.DeleteDeferred(txKeyLen)
			putTxKey(op.Key, block.Hash(hashes[:len(block.Hash{})]), Place{height, i})
			if err := op.Finish(); err != nil {
				return err
			}
			hashes = hashes[len(block.Hash{}):]
		}
		return batch.Delete(key, nil)
	})
	return err
}

// pruneTxs bounds the transactions whose places are deleted by one commit of Prune, but for those of one block.
const pruneTxs = 1 << 15

// within returns the end of a range of blocks that begins at from and ends at to at the latest, with about as many
// transactions as one commit of Prune takes out of the index.
func (s *Store) within(from, to uint64) (uint64, error) {
	some := 0
	err := s.db.Each(listKey(from), listKey(to), func(key, list []byte) error {
		if some += len(list)/len(block.Hash{}) - 1; some > pruneTxs {
			to = max(from, binary.BigEndian.Uint64(key[1:])) + 1
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return to, err
}
