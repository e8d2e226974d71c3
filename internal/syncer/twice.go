package syncer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"headrace/block"
	"headrace/internal/store"
)

// Equivocation is evidence that the proposer has signed two blocks at one height: two sequencers with one key are at
// work, or were, or one has lost what it signed. Who holds both headers can show it to anybody.
type Equivocation struct {
	Height    uint64       `json:"height"`
	SeenAt    time.Time    `json:"seen_at"`
	Preferred SignedHeader `json:"preferred"` // before the canonical source has one: its time is later, or its hash is greater
	Other     SignedHeader `json:"other"`
}

// SignedHeader is a header as evidence: with its hash, and its encoding with the signatures.
type SignedHeader struct {
	Hash   block.Hash `json:"hash"`
	Header []byte     `json:"header"`
}

// keepTwice bounds the pairs that are kept: one a height, and of more the highest.
const keepTwice = 64

// twiceKey names the pairs in the store.
const twiceKey = "signed_twice"

func loadTwice(from *store.Store) (pairs []Equivocation, err error) {
	raw, ok, err := from.Named(twiceKey)
	if err != nil || !ok {
		return nil, err
	}
	if err := json.Unmarshal(raw, &pairs); err != nil {
		return nil, fmt.Errorf("read what was signed twice: %w", err)
	}
	return pairs, nil
}

var errTwice = errors.New("two sequencers with one key are at work, or were, or one has lost what it signed")

// signedTwice keeps two different blocks of one height, both the proposer's, as evidence, and gives the alarm: once for
// a height. It must be called inside the section.
func (s *Syncer) signedTwice(a, b *block.Block) error {
	if s.byDesign != nil && s.byDesign(a, b) {
		return nil
	}
	return s.keepTwice(a, b)
}

// keepTwice is signedTwice of two that were not signed by design.
func (s *Syncer) keepTwice(a, b *block.Block) error {
	height := a.Height()
	if len(a.Header.Signature) == 0 || len(b.Header.Signature) == 0 {
		return nil // a block of a proposal in version 2
	}
	at, known := slices.BinarySearchFunc(s.twice, height, func(e Equivocation, h uint64) int { return cmp.Compare(e.Height, h) })
	full := len(s.twice) >= keepTwice
	if known || full && at == 0 {
		return nil
	}
	if rankOf(&a.Header).compare(rankOf(&b.Header)) < 0 {
		a, b = b, a
	}
	e := Equivocation{Height: height, SeenAt: time.Now().UTC(), Preferred: evidence(a), Other: evidence(b)}
	pairs := slices.Insert(slices.Clone(s.twice), at, e)
	if full {
		pairs = pairs[1:]
	}
	raw, err := json.Marshal(pairs)
	if err != nil {
		return fmt.Errorf("write what was signed twice: %w", err)
	}
	if err := s.commit(&store.Batch{Named: map[string][]byte{twiceKey: raw}}); err != nil {
		return err
	}
	s.twice = pairs
	s.counts.SignedTwice++
	s.saidTwice.Say(s.cfg.Logger, slog.LevelError, "the proposer has signed two blocks at one height", errTwice, "height", height, "hash", e.Preferred.Hash, "other", e.Other.Hash)
	s.publish()
	return nil
}

func evidence(b *block.Block) SignedHeader {
	return SignedHeader{Hash: b.Hash(), Header: b.Header.Encode()}
}

// witness looks whether b, which is the proposer's, is a second block at its height.
func (o *Offers) witness(b *offered) error {
	var others [][]byte
	if rec, err := o.s.cfg.Store.Block(b.height); err == nil && rec.Block.Hash() != b.hash {
		others = append(others, rec.Block.Encode())
	}
	for _, hash := range o.heights[b.height] {
		if hash != b.hash {
			others = append(others, o.byID[hash].raw)
			break
		}
	}
	for _, raw := range others {
		other, err1 := block.DecodeBlock(raw)
		blk, err2 := block.DecodeBlock(b.raw)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if err := o.s.signedTwice(blk, other); err != nil {
			return err
		}
	}
	return nil
}

// maxForced bounds the forced transactions that are remembered, to tell why a sequencer has dropped a block. After a restart
// those of the newest blocks of the L1 are found that have so many, of maxForcedPages blocks at most.
const (
	maxForced      = 1 << 16
	maxForcedPages = 1 << 10
)

// forcedKey names the number of the last page of forced transactions in the store. A page has the hashes of those that one
// block of the L1 has queued, and is committed with the position.
const forcedKey = "forced_txs"

func forcedPage(n uint64) string { return fmt.Sprintf("%s/%d", forcedKey, n) }

// forcedTxs remembers the forced transactions of an L1, by their hashes.
type forcedTxs struct {
	known map[block.Hash]bool
	order []block.Hash
	pages uint64 // how many have been committed, ever
	sizes []int  // of those that are kept, in hashes, the oldest first
}

func loadForced(from interface {
	Named(name string) ([]byte, bool, error)
}) (f forcedTxs, err error) {
	raw, ok, err := from.Named(forcedKey)
	if err != nil || !ok {
		return f, err
	}
	if len(raw) != 8 {
		return f, fmt.Errorf("read the forced transactions: their number has %d bytes", len(raw))
	}
	f.pages = binary.BigEndian.Uint64(raw)
	var pages [][]byte
	total := 0
	for n := f.pages; n > 0 && f.pages-n < maxForcedPages && total < maxForced; n-- {
		page, ok, err := from.Named(forcedPage(n))
		if err != nil {
			return f, fmt.Errorf("read the forced transactions: %w", err)
		}
		if !ok {
			break
		}
		size := len(page) / len(block.Hash{})
		if size == 0 || size > maxForced || len(page)%len(block.Hash{}) != 0 {
			return f, fmt.Errorf("read the forced transactions: page %d has %d bytes", n, len(page))
		}
		pages, total = append(pages, page), total+size
	}
	for _, page := range slices.Backward(pages) {
		f.sizes = append(f.sizes, len(page)/len(block.Hash{}))
		for h := range slices.Chunk(page, len(block.Hash{})) {
			f.remember(block.Hash(h))
		}
	}
	return f, nil
}

// add remembers the transactions of one item, and returns the page with them behind what it has already.
func (f *forcedTxs) add(txs [][]byte, page []byte) []byte {
	for _, tx := range txs {
		h := block.Hash(sha256.Sum256(tx))
		f.remember(h)
		page = append(page, h[:]...)
	}
	return page
}

func (f *forcedTxs) remember(h block.Hash) {
	if f.known[h] {
		return
	}
	if f.known == nil {
		f.known = map[block.Hash]bool{}
	}
	f.known[h], f.order = true, append(f.order, h)
	if len(f.order) > maxForced {
		delete(f.known, f.order[0])
		f.order = f.order[1:]
	}
}

// next returns a page as it is to be committed: each hash once, and no more than are remembered. named is what the commit
// has for that; nothing, of an empty page.
func (f *forcedTxs) next(hashes []byte) (page []byte, named map[string][]byte) {
	const each = len(block.Hash{})
	seen := map[block.Hash]bool{}
	for h := range slices.Chunk(hashes, each) {
		if !seen[block.Hash(h)] {
			seen[block.Hash(h)], page = true, append(page, h...)
		}
	}
	if len(page) == 0 {
		return nil, nil
	}
	page = page[max(len(page)-maxForced*each, 0):]
	n := f.pages + 1
	named = map[string][]byte{forcedKey: binary.BigEndian.AppendUint64(nil, n), forcedPage(n): page}
	for i := range f.old(len(page) / each) {
		named[forcedPage(n-uint64(len(f.sizes)-i))] = nil
	}
	return page, named
}

// old returns how many of the oldest pages nobody needs once there is another one of so many hashes.
func (f *forcedTxs) old(size int) (pages int) {
	total := size
	for _, n := range f.sizes {
		total += n
	}
	for pages < len(f.sizes) && (total-f.sizes[pages] >= maxForced || len(f.sizes)-pages >= maxForcedPages) {
		total -= f.sizes[pages]
		pages++
	}
	return pages
}

// committed notes a page that next has returned.
func (f *forcedTxs) committed(page []byte) {
	if size := len(page) / len(block.Hash{}); size > 0 {
		f.sizes = append(f.sizes[f.old(size):], size)
		f.pages++
	}
}

func (f *forcedTxs) any(txs [][]byte) bool {
	return slices.ContainsFunc(txs, func(tx []byte) bool { return f.known[block.Hash(sha256.Sum256(tx))] })
}

// droppedByDesign reports whether one of two blocks may have been dropped by the sequencer of a chain on an L1, which
// signs a second one where forced transactions are due that did not fit. The first of those has some; the ones above it
// are on another parent than those that they replace.
func (k *L1Sink) droppedByDesign(a, b *block.Block) bool {
	if !bytes.Equal(a.Header.Header.LastHeaderHash, b.Header.Header.LastHeaderHash) {
		return true
	}
	if rankOf(&a.Header).compare(rankOf(&b.Header)) < 0 {
		a = b
	}
	return k.forced.any(a.Data.Txs)
}
