package node

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/exec"
	"headrace/follow"
	"headrace/internal/store"
)

// Block is a block as /v1/blocks serves it. Byte slices are base64.
type Block struct {
	Height         uint64       `json:"height"`
	Hash           string       `json:"hash"`
	ParentHash     Hex          `json:"parent_hash,omitempty"`
	Time           time.Time    `json:"time"` // when it was made, by its header: in UTC, to the nanosecond
	Proposer       Hex          `json:"proposer"`
	DataHash       Hex          `json:"data_hash"`
	AppHash        Hex          `json:"app_hash,omitempty"`   // state root before the block
	StateRoot      Hex          `json:"state_root,omitempty"` // state root after it
	Txs            [][]byte     `json:"txs"`                  // in JSON in base64; with the engine's own at the front, if it has some
	TxHashes       []block.Hash `json:"tx_hashes,omitempty"`  // of the others, in their order; Node.Blocks leaves them out
	Safe           bool         `json:"safe"`
	HeaderDAHeight uint64       `json:"header_da_height,omitempty"` // where its halves are on the DA layer; 0: not there yet, or an L1's
	DataDAHeight   uint64       `json:"data_da_height,omitempty"`
	SignedBytes    *SignedBytes `json:"signed,omitempty"` // if it was asked for
}

// SignedBytes is a block as it is signed, for who verifies it himself: the header's hash is the block's, and it names
// the data's transactions by their commitment.
type SignedBytes struct {
	Signature SignatureKind `json:"signature"`
	Header    []byte        `json:"header"` // as it is posted, block.SignedHeader; both are base64 in JSON
	Data      []byte        `json:"data"`   // block.Data; the signature with which it was posted is not kept
}

// SignatureKind says what of a header is signed.
type SignatureKind string

// The kinds of signatures.
const (
	SignedEnvelope SignatureKind = "envelope" // the header, and the envelope around it
	SignedPlain    SignatureKind = "header"   // the header alone, as in Evolve's older form
	Unsigned       SignatureKind = "none"     // no signature is stored: the header proves nothing by itself
)

func signedBytes(b *block.Block) *SignedBytes {
	s := &SignedBytes{Signature: Unsigned, Header: b.Header.Encode(), Data: b.Data.Encode()}
	switch {
	case len(b.Header.EnvelopeSignature) > 0:
		s.Signature = SignedEnvelope
	case len(b.Header.Signature) > 0:
		s.Signature = SignedPlain
	}
	return s
}

// Hex is bytes that JSON has as hexadecimal digits.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Block returns the block at height, safe or not. The error matches ErrNoBlock if there is none, or none any more.
func (n *Node) Block(height uint64) (Block, error) {
	item, err := n.stored(height)
	return item.Data.hashed(), err
}

// hashed is the block with the hashes of its transactions.
func (d *Delivered) hashed() Block {
	b := d.Block // it is shared
	b.TxHashes = exec.TxHashes(d.engine, b.Txs)
	return b
}

// ErrNoBlock is what asking for a block that is not there matches.
var ErrNoBlock = store.ErrNotFound

// shape is how much of a block a reader wants.
type shape struct {
	bodies bool // all of it; else what an event says
	bare   bool // but for the transactions and their hashes
	signed bool // and the bytes that are signed
}

func (s shape) of(item *follow.Item[Delivered]) any {
	b := item.Data.Block // the item is shared
	switch {
	case s.bare:
		b.Txs = [][]byte{}
	case s.bodies:
		b = item.Data.hashed()
	}
	if s.signed {
		b.SignedBytes = signedBytes(item.Data.Signed)
	}
	if s.bodies {
		return b
	}
	return BlockEvent{
		Height: b.Height, Hash: item.Hash, ParentHash: item.Parent, Time: b.Time, Txs: len(exec.UserTxs(item.Data.engine, b.Txs)), StateRoot: hex.EncodeToString(b.StateRoot), Safe: b.Safe,
		HeaderDAHeight: b.HeaderDAHeight, DataDAHeight: b.DataDAHeight, SignedBytes: b.SignedBytes,
	}
}

var errBlockName = errors.New("the height must be a number, latest, unsafe, safe or finalized, or the hash of a block")

// named returns what reads the block with a name: a height, a hash, or a head.
func (o *opened) named(name string) (func() (store.Record, error), error) {
	at := func(height uint64) (func() (store.Record, error), error) {
		return func() (store.Record, error) { return o.store.Block(height) }, nil
	}
	switch st := o.store.State(); name {
	case "unsafe", "latest":
		return at(st.Unsafe.Height)
	case "safe":
		return at(st.Safe.Height)
	case "finalized":
		return at(st.Finalized.Height)
	}
	if height, err := strconv.ParseUint(name, 10, 64); err == nil {
		return at(height)
	}
	var hash block.Hash
	if hash.UnmarshalText([]byte(name)) != nil {
		return nil, errBlockName
	}
	return func() (store.Record, error) { return o.store.BlockByHash(hash) }, nil
}

// parseShape reads the parameters of GET /v1/blocks/{block}.
func parseShape(r *http.Request) (s shape, err error) {
	s.bodies = true
	q, err := queryOf(r)
	for name := range q {
		if name != "signed" {
			return s, fmt.Errorf("there is no parameter %s: use signed", name)
		}
		s.signed, err = parseFlag(name, q.Get(name))
	}
	return s, err
}

func (n *Node) getBlock(w http.ResponseWriter, r *http.Request) {
	o := n.at.Load()
	read, err := o.named(r.PathValue("block"))
	var show shape
	if err == nil {
		show, err = parseShape(r)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	switch err := n.replyLarge(w, r, func() (any, error) {
		rec, err := read()
		if err != nil {
			return nil, err
		}
		item := o.delivered(rec)
		return show.of(&item), nil
	}); {
	case errors.Is(err, ErrNoBlock):
		fail(w, http.StatusNotFound, errors.New("no such block here, yet or any more"))
	case err != nil:
		failLarge(w, err)
	}
}

// Page is the answer of GET /v1/blocks: the blocks of [from, to), as far as they fit into one answer.
type Page struct {
	Blocks []Block   `json:"blocks"` // ascending, each the child of the one before, unless a DA height was asked for; some, if there are any
	Next   uint64    `json:"next"`   // from which height to go on
	Head   block.Ref `json:"head"`   // up to which there are blocks
}

// A page has no more blocks, and, unless it has only one, no more bytes.
const (
	pageBlocks = 256
	pageBytes  = 4 << 20
)

// pageRequest is what one request for a page asks for.
type pageRequest struct {
	from, to uint64
	da       uint64 // instead: with the second half at this height of the DA layer; 0: by height
	head     await.Label
	shape
}

func parsePage(q url.Values) (p pageRequest, err error) {
	p = pageRequest{to: block.MaxHeight + 1, head: await.Safe, shape: shape{bodies: true}}
	for name := range q {
		switch value := q.Get(name); name {
		case "from":
			p.from, err = parseHeight(name, value)
		case "to":
			p.to, err = parseHeight(name, value)
		case "da_height":
			p.da, err = parseHeight(name, value)
		case "head":
			p.head, err = parseLabel(value)
		case "signed":
			p.signed, err = parseFlag(name, value)
		case "txs":
			p.bare, err = parseFlag(name, value)
			p.bare = !p.bare
		default:
			err = fmt.Errorf("there is no parameter %s: use from, to, da_height, head, signed or txs", name)
		}
		if err != nil {
			return p, err
		}
	}
	switch {
	case p.da == 0 && q.Has("da_height"):
		return p, errors.New("da_height 0 has no blocks: the heights of the layer begin at 1")
	case p.da > 0 && q.Has("to"):
		return p, errors.New("da_height says up to which block: leave to out")
	case p.da > 0:
	case !q.Has("from"):
		return p, errors.New("say from which height, as in /v1/blocks?from=1&to=100: to is the height after the last one")
	case p.to < p.from:
		return p, fmt.Errorf("to %d is below from %d", p.to, p.from)
	}
	p.from = max(p.from, 1)
	return p, nil
}

func parseHeight(name, s string) (uint64, error) {
	height, err := strconv.ParseUint(s, 10, 64)
	if err != nil || height > block.MaxHeight {
		return 0, fmt.Errorf("%s %q is not a height", name, s)
	}
	return height, nil
}

func parseFlag(name, s string) (bool, error) {
	flag, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%s %q is neither true nor false", name, s)
	}
	return flag, nil
}

func (n *Node) getBlocks(w http.ResponseWriter, r *http.Request) {
	q, err := queryOf(r)
	var p pageRequest
	if err == nil {
		p, err = parsePage(q)
	}
	if err == nil && p.da > 0 && n.opt.isReplica() {
		err = fmt.Errorf("this node is a replica, which does not know up to where the %s has been read: ask the node that it follows, or by from and to", n.opt.layer())
	}
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	b := n.blocks(p.head)
	switch err := n.sendLarge(w, r, func() ([]byte, error) {
		if p.da > 0 {
			var err error
			if at := n.status.Load().Source.Position.Height; p.da > at {
				return nil, fmt.Errorf("%w %d: the node is at %d", errNotApplied, p.da, at)
			}
			if p.from, p.to, err = b.completeAt(r.Context().Err, p.da, p.from); err != nil {
				return nil, err
			}
		}
		return b.page(r.Context().Err, p)
	}); {
	case errors.Is(err, ErrPruned):
		fail(w, http.StatusGone, err)
	case errors.Is(err, errNotApplied):
		fail(w, http.StatusNotFound, err)
	case err != nil:
		failLarge(w, err)
	}
}

var errNotApplied = errors.New("it is not known yet what is at DA height")

// outOfOrder is by how many blocks they may be posted out of order, for completeAt to find them all.
const outOfOrder = 16

// completeAt returns the range [from, to) of safe blocks in which those are whose second half is at a height of the DA
// layer, from the block at least on: as many as a page has at most. Blocks are posted in order, or nearly so: that is how
// they are found.
func (b *blocks) completeAt(gone func() error, da, least uint64) (from, to uint64, err error) {
	heads := b.status.Load().Heads
	highest := min(heads.of(b.head).Height, heads.Safe.Height)
	at := func(height uint64) uint64 {
		if err == nil {
			err = gone()
		}
		if err != nil {
			return 0
		}
		item, failure := b.item(heads, height)
		switch {
		case errors.Is(failure, follow.ErrNotYet): // it is gone meanwhile
			return block.MaxHeight
		case failure != nil && !errors.Is(failure, ErrPruned):
			err = failure
		}
		return completedAt(&item)
	}
	first := 1 + uint64(sort.Search(int(highest), func(i int) bool { return at(uint64(i)+1) >= da }))
	from, to = 0, max(first, least)
	for height := max(first, least+outOfOrder, outOfOrder+1) - outOfOrder; height <= highest && height < to+outOfOrder; height++ {
		if height < least || at(height) != da {
			continue
		}
		if from == 0 {
			from = height
		}
		if to = height + 1; to-from >= pageBlocks {
			break
		}
	}
	if err == nil && from == 0 && least <= 1 && first > 1 { // what is not there may have been
		err = b.pruned(first - 1)
	}
	if from == 0 {
		from = to
	}
	return from, to, err
}

// completedAt returns the height of the DA layer that has a block's second half; 0: none has.
func completedAt(item *follow.Item[Delivered]) uint64 {
	return max(item.Data.HeaderDAHeight, item.Data.DataDAHeight)
}

// page writes a Page down, one block at a time, until it is full, the reader has gone, or the next block is not there or
// not the child of the one before: then the chain has been reorganised meanwhile.
func (b *blocks) page(gone func() error, p pageRequest) ([]byte, error) {
	heads, out := b.status.Load().Heads, []byte(`{"blocks":[`)
	var last block.Hash
	some := false
	next := p.from
	for ; next < p.to && next-p.from < pageBlocks && gone() == nil; next++ {
		item, err := b.item(heads, next)
		if errors.Is(err, follow.ErrNotYet) || next > p.from && item.Parent != last {
			break
		}
		if err != nil {
			return nil, err
		}
		if p.da > 0 && completedAt(&item) != p.da { // it was posted out of order
			last = item.Hash
			continue
		}
		text, err := json.Marshal(p.of(&item))
		if err != nil {
			return nil, err
		}
		if some {
			if len(out)+len(text) > pageBytes {
				break
			}
			out = append(out, ',')
		}
		out, last, some = append(out, text...), item.Hash, true
	}
	head, err := json.Marshal(heads.of(b.head))
	return fmt.Appendf(out, `],"next":%d,"head":%s}`+"\n", next, head), err
}
