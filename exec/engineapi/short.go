package engineapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
	"slices"

	"headrace/exec"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"
)

// The rules by which a sealed header follows from the one before it. They say how a proposal is read, so they are
// consensus of the rollup: all numbers are written out here, and no release of go-ethereum may change what they give. A
// header that does not follow them is no worse, only longer. What is go-ethereum's is Ethereum's consensus: how a header is
// encoded and hashed, and the tree of the transactions. l1/compact has a test that holds the bytes in place.

// The columns that a sealed header is written to.
const (
	shortFlags    = iota // what else is written
	shortRare            // what is seldom written
	shortAttempt         // which prevRandao it has: see attemptOf
	shortRoot            // 32 bytes: the state root
	shortReceipts        // 32 bytes: the receipts' root
	shortGas             // the gas used
	shortBloom           // the bits of the logs' bloom filter: their number, then each from the one before
	shortNumbers         // rare numbers
	shortBytes           // rare bytes
	shortRequests        // execution requests: their number, then each after its length
	shortColumns
)

var shortNames = []string{"seal flags", "seal rare flags", "seal attempt", "state root", "receipts root", "gas used", "bloom", "seal numbers", "seal bytes", "requests"}

// Bits of shortFlags.
const (
	hasRoot     = 1 << iota // it is not the parent's
	hasReceipts             // there are some
	hasGas                  // some was used
	hasBloom                // it is not empty
	hasRequests
	hasRare
)

// Bits of shortRare: of these the value is not what the rule says.
const (
	rareTime     = 1 << iota // a number: not max(seconds of the rollup block, parent + 1)
	rareGasLimit             // a number, how much more or less than the parent's
	rareExtra                // bytes, not the parent's
	rareCoinbase             // 20 bytes, not the parent's
	rareRandom               // 32 bytes: no attempt makes it
	rareTxs                  // 32 bytes: the transactions' root
	rareBaseFee              // bytes
	rareBlobGas              // two numbers: blob gas used, and the excess
)

const (
	// maxAttempts is how many values of prevRandao are tried: more are written out.
	maxAttempts = 64

	// maxFullBloom is how many bits of a bloom filter are written one by one at most: one with more is written whole.
	maxFullBloom = 160

	// minTreeTx and maxTreeTxs are what transactions the rule makes a tree of. Ethereum's are not shorter; the root of
	// others, which belong to no valid block, is written out.
	minTreeTx  = 100 // bytes
	maxTreeTxs = 1 << 17

	// A seal with more than this is written out: payloads are read before it is known whose they are. No valid block has
	// one. A payload of version 1 is no longer, nor are Ethereum's extra data, and requests have types that ascend.
	maxShort    = 4 << 20 // bytes of a seal, or of the requests in it
	maxExtra    = 32      // bytes
	maxRequests = 256
)

// decodeShort is DecodeSeal of a seal that may be written shortly. Others are not decoded: one byte of a list of requests
// makes more than twenty of a slice.
func decodeShort(first []byte) (*Seal, bool) {
	body, ok := bytes.CutPrefix(first, sealPrefix)
	if !ok || len(first) > maxShort {
		return nil, false
	}
	parts, _, err := rlp.SplitList(body)
	if err != nil {
		return nil, false
	}
	if _, _, parts, err = rlp.Split(parts); err != nil { // the header
		return nil, false
	}
	requests, _, err := rlp.SplitList(parts)
	if err != nil {
		return nil, false
	}
	if n, err := rlp.CountValues(requests); err != nil || n > maxRequests {
		return nil, false
	}
	s, err := DecodeSeal(first)
	return s, err == nil
}

// randomOf is the prevRandao of the block that is the attempt'th one to be made on a parent, for a rollup block's
// seconds since the Unix epoch. There is no beacon chain whose randomness it could be.
func randomOf(parent common.Hash, attempt, seconds uint64) common.Hash {
	seed := binary.BigEndian.AppendUint64(parent.Bytes(), attempt)
	seed = binary.BigEndian.AppendUint64(seed, seconds)
	return sha256.Sum256(seed)
}

// attemptOf returns which attempt made a prevRandao; 0: none of the first ones.
func attemptOf(random, parent common.Hash, seconds uint64) uint64 {
	for a := uint64(1); a <= maxAttempts; a++ {
		if randomOf(parent, a, seconds) == random {
			return a
		}
	}
	return 0
}

// sealCodec is the exec.SealCodec of chains with an execution genesis.
type sealCodec struct {
	prague  *uint64
	genesis *types.Header
}

// NewSealCodec returns the codec of the sealed headers of chains with this execution genesis, as an Engine has it. It
// needs no client.
func NewSealCodec(g *core.Genesis) (exec.SealCodec, error) {
	if err := checkGenesis(g); err != nil {
		return nil, err
	}
	return sealCodecOf(g.Config, g.ToBlock().Header()), nil
}

func sealCodecOf(config *params.ChainConfig, genesis *types.Header) exec.SealCodec {
	return &sealCodec{prague: config.PragueTime, genesis: genesis}
}

// Columns is exec.SealCodec's.
func (c *sealCodec) Columns() []string { return shortNames }

// Root is exec.SealCodec's: the sealed header has it.
func (c *sealCodec) Root(first []byte) ([]byte, bool) {
	if first == nil {
		return c.genesis.Root[:], true
	}
	s, ok := decodeShort(first)
	if !ok {
		return nil, false
	}
	return s.Header.Root[:], true
}

// After is exec.SealCodec's. On a parent that is no block of this chain nothing follows: Shorten and Restore fail.
func (c *sealCodec) After(parent []byte, time uint64, txs [][]byte) exec.SealRule {
	r := &sealRule{codec: c, seconds: time / 1e9, txs: txs}
	if parent == nil {
		r.parent, r.hash = c.genesis, c.genesis.Hash()
		return r
	}
	s, ok := decodeShort(parent)
	if !ok || representable(s) != nil || s.Header.BaseFee.BitLen() > 256 {
		return r
	}
	r.parent, r.hash = s.Header, s.Header.Hash()
	return r
}

// sealRule is the exec.SealRule of one block.
type sealRule struct {
	codec   *sealCodec
	parent  *types.Header // nil: nothing follows from it
	hash    common.Hash   // of parent
	seconds uint64
	txs     [][]byte
	tree    *common.Hash // the transactions' root, once it was asked for
}

// time is the execution block's.
func (r *sealRule) time() uint64 { return max(r.seconds, r.parent.Time+1) }

// root is the transactions' root.
func (r *sealRule) root() common.Hash {
	if r.tree == nil {
		root := common.Hash{}
		if treeable(r.txs) {
			root = types.DeriveSha(binaryTxs(r.txs), trie.NewStackTrie(nil))
		}
		r.tree = &root
	}
	return *r.tree
}

func treeable(txs [][]byte) bool {
	for _, tx := range txs {
		if len(tx) < minTreeTx {
			return false
		}
	}
	return len(txs) <= maxTreeTxs
}

// binaryTxs is a types.DerivableList of transactions in their binary form, which is that of the tree's leaves.
type binaryTxs [][]byte

func (t binaryTxs) Len() int                           { return len(t) }
func (t binaryTxs) EncodeIndex(i int, b *bytes.Buffer) { b.Write(t[i]) }

// baseFee is the next block's, by EIP-1559.
func (r *sealRule) baseFee() *big.Int {
	if r.parent.GasLimit < gasTarget {
		return new(big.Int)
	}
	return nextBaseFee(r.parent)
}

// header is the next one if nothing needs to be written: that of a block that changes nothing.
func (r *sealRule) header(time uint64, requests [][]byte) *types.Header {
	h := &types.Header{
		ParentHash: r.hash, UncleHash: types.EmptyUncleHash, Coinbase: r.parent.Coinbase, Root: r.parent.Root, TxHash: r.root(), ReceiptHash: types.EmptyReceiptsHash,
		Difficulty: new(big.Int), Number: new(big.Int).Add(r.parent.Number, common.Big1), GasLimit: r.parent.GasLimit, Time: time, Extra: r.parent.Extra,
		BaseFee: r.baseFee(), WithdrawalsHash: &types.EmptyWithdrawalsHash, BlobGasUsed: new(uint64), ExcessBlobGas: new(uint64), ParentBeaconRoot: new(common.Hash),
	}
	if r.codec.prague != nil && *r.codec.prague <= time {
		hash := types.CalcRequestsHash(requests)
		h.RequestsHash = &hash
	}
	return h
}

// Shorten is exec.SealRule's. Whatever it has written it reads again: only what comes back whole is written.
func (r *sealRule) Shorten(to *exec.Columns, first []byte) bool {
	if r.parent == nil {
		return false
	}
	s, ok := decodeShort(first)
	if !ok || representable(s) != nil {
		return false
	}
	w := exec.NewColumns(shortColumns)
	r.write(w, s)
	again, err := r.Restore(&exec.Columns{Cols: slices.Clone(w.Cols)})
	if err != nil || !bytes.Equal(again, first) {
		return false
	}
	base := len(to.Cols) - shortColumns
	for i, col := range w.Cols {
		to.Put(base+i, col...)
	}
	return true
}

func (r *sealRule) write(w *exec.Columns, s *Seal) {
	h := s.Header
	want := r.header(h.Time, s.Requests)
	flags, rare := byte(0), byte(0)
	note := func(set *byte, bit byte, differs bool) bool {
		if differs {
			*set |= bit
		}
		return differs
	}
	if note(&flags, hasRoot, h.Root != want.Root) {
		w.Put(shortRoot, h.Root[:]...)
	}
	if note(&flags, hasReceipts, h.ReceiptHash != want.ReceiptHash) {
		w.Put(shortReceipts, h.ReceiptHash[:]...)
	}
	if note(&flags, hasGas, h.GasUsed != 0) {
		w.PutUint(shortGas, h.GasUsed)
	}
	if note(&flags, hasBloom, h.Bloom != want.Bloom) {
		writeBloom(w, &h.Bloom)
	}
	if note(&flags, hasRequests, len(s.Requests) > 0) {
		w.PutUint(shortRequests, uint64(len(s.Requests)))
		for _, request := range s.Requests {
			w.PutBytes(shortRequests, request)
		}
	}
	if note(&rare, rareTime, h.Time != r.time()) {
		w.PutUint(shortNumbers, h.Time)
	}
	if note(&rare, rareGasLimit, h.GasLimit != want.GasLimit) {
		w.PutUint(shortNumbers, zigzag(h.GasLimit-want.GasLimit))
	}
	if note(&rare, rareExtra, !bytes.Equal(h.Extra, want.Extra)) {
		w.PutBytes(shortBytes, h.Extra)
	}
	if note(&rare, rareCoinbase, h.Coinbase != want.Coinbase) {
		w.Put(shortBytes, h.Coinbase[:]...)
	}
	if attempt := attemptOf(h.MixDigest, r.hash, r.seconds); note(&rare, rareRandom, attempt == 0) {
		w.Put(shortBytes, h.MixDigest[:]...)
	} else {
		w.PutUint(shortAttempt, attempt)
	}
	if note(&rare, rareTxs, h.TxHash != want.TxHash) {
		w.Put(shortBytes, h.TxHash[:]...)
	}
	if note(&rare, rareBaseFee, h.BaseFee.Cmp(want.BaseFee) != 0) {
		w.PutBytes(shortBytes, h.BaseFee.Bytes())
	}
	if note(&rare, rareBlobGas, *h.BlobGasUsed != 0 || *h.ExcessBlobGas != 0) {
		w.PutUint(shortNumbers, *h.BlobGasUsed)
		w.PutUint(shortNumbers, *h.ExcessBlobGas)
	}
	if note(&flags, hasRare, rare != 0) {
		w.Put(shortRare, rare)
	}
	w.Put(shortFlags, flags)
}

// Restore is exec.SealRule's.
func (r *sealRule) Restore(from *exec.Columns) ([]byte, error) {
	if r.parent == nil {
		return nil, fmt.Errorf("%w: nothing follows from the block before", exec.ErrColumns)
	}
	c := &exec.Columns{Cols: from.Cols[len(from.Cols)-shortColumns:], Err: from.Err} // it moves what from has
	flags, rare := c.TakeByte(shortFlags), byte(0)
	if flags&hasRare != 0 {
		rare = c.TakeByte(shortRare)
	}
	s := &Seal{Requests: [][]byte{}}
	if flags&hasRequests != 0 {
		n, size := c.TakeUint(shortRequests), 0
		if n > maxRequests {
			c.Fail("%d execution requests", n)
		}
		for ; n > 0 && c.Err == nil; n-- {
			request := c.TakeBytes(shortRequests)
			if size += len(request); size > maxShort {
				c.Fail("execution requests of more than %d bytes", maxShort)
			}
			s.Requests = append(s.Requests, request)
		}
	}
	time := r.time()
	if rare&rareTime != 0 {
		time = c.TakeUint(shortNumbers)
	}
	if c.Err != nil {
		return nil, c.Err
	}
	s.Header = r.header(time, s.Requests)
	r.read(c, s.Header, flags, rare)
	if n := len(s.Header.Extra); n > maxExtra {
		c.Fail("extra data of %d bytes", n)
	}
	if c.Err != nil {
		return nil, c.Err
	}
	return s.Encode()
}

// read puts into h what was written of it.
func (r *sealRule) read(c *exec.Columns, h *types.Header, flags, rare byte) {
	if flags&hasRoot != 0 {
		copy(h.Root[:], c.Take(shortRoot, 32))
	}
	if flags&hasReceipts != 0 {
		copy(h.ReceiptHash[:], c.Take(shortReceipts, 32))
	}
	if flags&hasGas != 0 {
		h.GasUsed = c.TakeUint(shortGas)
	}
	if flags&hasBloom != 0 {
		readBloom(c, &h.Bloom)
	}
	if rare&rareGasLimit != 0 {
		h.GasLimit += unzigzag(c.TakeUint(shortNumbers))
	}
	if rare&rareExtra != 0 {
		h.Extra = c.TakeBytes(shortBytes)
	}
	if rare&rareCoinbase != 0 {
		copy(h.Coinbase[:], c.Take(shortBytes, 20))
	}
	if rare&rareRandom != 0 {
		copy(h.MixDigest[:], c.Take(shortBytes, 32))
	} else {
		h.MixDigest = randomOf(r.hash, c.TakeUint(shortAttempt), r.seconds)
	}
	if rare&rareTxs != 0 {
		copy(h.TxHash[:], c.Take(shortBytes, 32))
	}
	if rare&rareBaseFee != 0 {
		fee := c.TakeBytes(shortBytes)
		if len(fee) > 32 {
			c.Fail("a base fee of %d bytes", len(fee))
		}
		h.BaseFee = new(big.Int).SetBytes(fee)
	}
	if rare&rareBlobGas != 0 {
		*h.BlobGasUsed, *h.ExcessBlobGas = c.TakeUint(shortNumbers), c.TakeUint(shortNumbers)
	}
}

// writeBloom writes the bits that are set, in ascending order.
func writeBloom(w *exec.Columns, b *types.Bloom) {
	n := 0
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	if n > maxFullBloom {
		w.PutUint(shortBloom, 0)
		w.Put(shortBloom, b[:]...)
		return
	}
	w.PutUint(shortBloom, uint64(n))
	last := -1
	for i, x := range b {
		for ; x != 0; x &= x - 1 {
			at := 8*i + bits.TrailingZeros8(x)
			w.PutUint(shortBloom, uint64(at-last-1))
			last = at
		}
	}
}

func readBloom(c *exec.Columns, b *types.Bloom) {
	n := c.TakeUint(shortBloom)
	if n == 0 {
		copy(b[:], c.Take(shortBloom, types.BloomByteLength))
		return
	}
	for at := uint64(0); n > 0 && c.Err == nil; n-- {
		at += c.TakeUint(shortBloom)
		if at >= types.BloomBitLength {
			c.Fail("bit %d of a bloom filter", at)
			return
		}
		b[at/8] |= 1 << (at % 8)
		at++
	}
}

// zigzag makes a small number of a small difference, also of one below zero.
func zigzag(d uint64) uint64   { return d<<1 ^ uint64(int64(d)>>63) }
func unzigzag(z uint64) uint64 { return z>>1 ^ -(z & 1) }

var _ exec.SealCodec = (*sealCodec)(nil)
