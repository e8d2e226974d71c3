// Package l1 names what a rollup reads from, and writes to, an inbox contract on an Ethereum L1: the inbox's
// messages, one L1 block's messages as a Block, the payload format of proposals, the packing of payloads into blobs,
// what may be asked of an L1, and the errors that its clients translate their own into. Types, pure functions and
// contracts only; the clients are in the folders below.
//
// A Block is a function of the L1 block alone (I3): every client gives the same Block for the same L1 block hash,
// whatever its endpoint, transport or moment. That includes verdicts: content that is no good is marked void, with
// the reason, and is never an error (I9); what a client could not get is always an error, and never void.
//
// Everything here is a value or a pure function of values: safe for concurrent use as long as nobody writes to a
// shared value.
package l1

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"headrace/ref"
)

// Hash is a 32-byte hash: of an L1 block or transaction, of content, or of a rollup block's header. The zero Hash
// stands for "none".
type Hash ref.Hash

func (h Hash) String() string { return "0x" + ref.Hash(h).String() }

// IsZero reports whether h is the zero hash, which stands for "none".
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText writes h as 0x and 64 hexadecimal digits.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads 64 hexadecimal digits, with or without 0x before them.
func (h *Hash) UnmarshalText(text []byte) error { return (*ref.Hash)(h).UnmarshalText(text) }

// Address is an L1 account.
type Address [20]byte

func (a Address) String() string { return "0x" + hex.EncodeToString(a[:]) }

// ParseAddress reads 0x and 40 hexadecimal digits.
func ParseAddress(s string) (a Address, err error) {
	digits, ok := strings.CutPrefix(s, "0x")
	b, err := hex.DecodeString(digits)
	if !ok || err != nil || len(b) != len(a) {
		return a, fmt.Errorf("%q is not an address: 0x and 40 hexadecimal digits", s)
	}
	copy(a[:], b)
	return a, nil
}

// MarshalText writes a as 0x and 40 hexadecimal digits.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Ref names an L1 block. Its JSON has a number, and a hash with 0x.
type Ref ref.Ref

// refJSON is a Ref as Ethereum writes it.
type refJSON struct {
	Number uint64 `json:"number"`
	Hash   Hash   `json:"hash"`
}

// MarshalJSON writes number and hash.
func (r Ref) MarshalJSON() ([]byte, error) { return json.Marshal(refJSON{r.Height, Hash(r.Hash)}) }

// UnmarshalJSON reads number and hash.
func (r *Ref) UnmarshalJSON(text []byte) error {
	j := refJSON{r.Height, Hash(r.Hash)}
	err := json.Unmarshal(text, &j)
	*r = Ref{j.Number, ref.Hash(j.Hash)}
	return err
}

// Block is everything that happened in the inbox in one L1 block, complete, in log order. No messages means that
// nothing did.
type Block struct {
	Number   uint64
	Hash     Hash
	Parent   Hash
	Time     uint64 // seconds since the Unix epoch
	Messages []Message
}

// Ref returns the block's number and hash.
func (b *Block) Ref() Ref { return Ref{b.Number, ref.Hash(b.Hash)} }

// Message is one event of the inbox, at its place. Exactly one of the pointers is set.
type Message struct {
	Tx       Hash
	LogIndex uint // in the L1 block, over all contracts

	Proposal *Proposal
	Forced   *Forced
	Proved   *Proved
}

// Proposal is a proposal of rollup blocks. Its id is consumed even if it is void.
type Proposal struct {
	ID       uint64 // the first is 1
	Proposer Address
	Parent   Hash     // header hash of the rollup block that the first of Blocks builds on
	Sources  []Source // forced ones first, in queue order; the proposer's own is the last

	Blocks  []Encoded // of the proposer's own content in version 1; none if Void
	Compact []byte    // the proposer's own content in version 2, whose blocks are read where Parent is known
	Later   *Later    // the proposer's own content is in a later version, if it is the chain's proposer's; Void is set too: else it makes no block
	Void    string    // why the proposer's own content makes no blocks; empty if it does
}

// Encoded is one rollup block as Evolve writes it. Blocks without transactions have no Data.
type Encoded struct {
	Header []byte // SignedHeader or DAHeaderEnvelope
	Data   []byte // SignedData; nil if there is none
}

// Forced is content that somebody queued for inclusion.
type Forced struct {
	Sender Address
	Source Source

	// Room is what the item takes of Settings.ForcedRoom, in bytes. The inbox's state has it, and no event: it is set in
	// what Reader.Queue returns of an inbox of version 2, and 0 elsewhere.
	Room int
}

// Proved says that the rollup's blocks up to those of proposal ID are proven.
type Proved struct {
	ID   uint64
	Hash Hash // of the last of those blocks
}

// Source is one piece of content: where it is, and what is there. Either DataHash is set or there are Blobs.
type Source struct {
	Forced   bool
	Index    uint64 // place in the queue; 0 if not Forced
	Number   uint64 // L1 block that carries the content
	Time     uint64 // of that block, seconds since the Unix epoch
	DataHash Hash   // of call data
	Blobs    []Hash // versioned hashes
	Offset   uint32 // of the content within the blobs, in bytes

	Txs  [][]byte // of Forced content: transactions to be included; none if Void
	Void string   // why the content is no good; empty if it is good. A forced source that is void asks for nothing
	size int      // bytes held
}

// Size returns the bytes that b holds, roughly, as a measure of memory.
func (b *Block) Size() int {
	n := 128
	for i := range b.Messages {
		n += 128
		if p := b.Messages[i].Proposal; p != nil {
			n += 96 + 48*len(p.Blocks)
			for j := range p.Sources {
				n += p.Sources[j].Size()
			}
		}
		if f := b.Messages[i].Forced; f != nil {
			n += f.Source.Size()
		}
	}
	return n
}

// Size returns the bytes that s holds, roughly.
func (s *Source) Size() int { return 192 + 32*len(s.Blobs) + 24*len(s.Txs) + s.size }

// Own returns the proposer's own source.
func (p *Proposal) Own() *Source { return &p.Sources[len(p.Sources)-1] }

// Resolve decodes the proposer's content, which is payload as it was read from where Own says, or err, which must be
// a verdict (ErrContent). It sets Blocks, Compact or Void, and Later with Void.
func (p *Proposal) Resolve(payload []byte, err error) {
	own := p.Own()
	own.size, p.Later = len(payload), nil
	switch {
	case err != nil:
	case len(payload) > 0 && payload[0] == CompactVersion:
		p.Compact, err = cut(payload)
	default:
		p.Blocks, err = DecodeBlocks(payload)
	}
	if err == nil {
		return
	}
	p.Blocks, p.Compact = nil, nil
	p.Void, own.Void = err.Error(), err.Error()
	if later, ok := DecodeLater(payload); ok {
		p.Later = &later
	} else {
		own.size = 0
	}
}

// Resolve decodes forced content, which is payload as it was read from where s says, or err, which must be a verdict
// (ErrContent). It sets Txs, or Void.
func (s *Source) Resolve(payload []byte, err error) {
	s.size = len(payload)
	if err == nil {
		s.Txs, err = DecodeTxs(payload)
	}
	if err != nil {
		s.Txs, s.Void, s.size = nil, err.Error(), 0
	}
}

// CoreState is the inbox's state after some L1 block.
type CoreState struct {
	NextID        uint64 // of the next proposal
	LastBlock     uint64 // L1 block of the last proposal; 0 before the first
	LastProposal  Hash   // hash of the last proposal; zero before the first
	FinalizedID   uint64 // the last proven proposal; 0 before the first
	FinalizedHash Hash   // of the rollup block after it
	ForcedHead    uint64 // the queue is [ForcedHead, ForcedTail)
	ForcedTail    uint64
}

// Settings are the inbox's constants. An inbox of version 1 has ForcedMax, one of version 2 ForcedRoom: the other is 0.
//
// They say what the inbox takes from whoever proposes, and nothing about what is in it: readers of both versions see the
// same messages, and no node's blocks depend on which one it is.
type Settings struct {
	ForcedDelay uint64 // seconds after which a proposal must take an item from the queue
	ForcedMax   int    // items of the queue that a proposal takes at most
	ForcedRoom  int    // bytes that the items which a proposal takes may have together, by Forced.Room
}

// Version returns the inbox's version.
func (s Settings) Version() int {
	if s.ForcedRoom > 0 {
		return 2
	}
	return 1
}

// Fit returns how many of the queue's items a proposal can take at most, from its head.
func (s Settings) Fit(queue []Forced) int {
	if s.ForcedRoom == 0 {
		return min(len(queue), s.ForcedMax)
	}
	for n, room := 0, 0; n < len(queue); n++ {
		if room += queue[n].Room; room > s.ForcedRoom {
			return n
		}
	}
	return len(queue)
}

// Due returns how many of the queue's items a proposal must take at least if its L1 block has this time (in seconds
// since the Unix epoch).
func (s Settings) Due(queue []Forced, time uint64) int {
	n, most := 0, s.Fit(queue)
	for n < most && queue[n].Source.Time+s.ForcedDelay <= time {
		n++
	}
	return n
}

// Most returns how many items a proposal can take at most, whatever is in them.
func (s Settings) Most() int {
	if s.ForcedRoom == 0 {
		return s.ForcedMax
	}
	return s.ForcedRoom / (ForcedItemBytes + 1)
}

// MostBytes returns how many bytes the items that a proposal takes can have at most.
func (s Settings) MostBytes() int {
	if s.ForcedRoom == 0 {
		return s.ForcedMax * MaxForced
	}
	return s.ForcedRoom
}

// Wait returns after how many proposals, from when an item is due, it is taken at the latest, with so many items before it,
// which take so many bytes by Forced.Room. In version 2 the bytes count: a proposal leaves room only where the next item is
// larger than that, so one that does not take all that is due takes ForcedRoom less the largest item at least. How often
// there is a proposal is the proposer's to say: one in an L1 block at most.
func (s Settings) Wait(items, bytes int) int {
	if s.ForcedRoom == 0 {
		return 1 + items/max(s.ForcedMax, 1)
	}
	return 1 + bytes/(s.ForcedRoom-maxItemRoom+1)
}

// ForcedGas returns what is to be paid for an item of so many bytes, with so many bytes by Forced.Room waiting before it,
// in gas at the L1's base fee: as the inbox's forcedGas does, if its owner asks for fee gas a byte. Up to 2^24 for fee
// and 2^31 for waiting it does not overflow.
func (s Settings) ForcedGas(fee uint64, length, waiting int) uint64 {
	room := uint64(s.ForcedRoom)
	whole, part := uint64(waiting)/room, uint64(waiting)%room
	unit := fee * uint64(ForcedItemBytes+length)
	return unit + unit*whole + (unit*part+room-1)/room
}

// Reader is what may be asked of an L1, beside its blocks. Calls may overlap.
type Reader interface {
	// Finalized and Safe return the blocks that the L1 calls so. ErrNoFinality: there is none yet.
	Finalized(ctx context.Context) (Ref, error)
	Safe(ctx context.Context) (Ref, error)

	// State returns the inbox's state after the block with this hash, canonical or not; the zero hash stands for the
	// head. ErrNotFound: the endpoint does not know that block, or no longer its state.
	State(ctx context.Context, at Hash) (CoreState, error)

	// Queue returns the items of the forced queue after the block with this hash, their content and room included, at
	// most limit of them.
	Queue(ctx context.Context, at Hash, limit int) ([]Forced, error)

	// Gone reports whether a block is not, or no longer, on the chain of the endpoint that proposals go through now, and
	// where that endpoint stands, which may be below the block. One that is behind another has no say: gone is false.
	Gone(ctx context.Context, at Ref) (head Ref, gone bool, err error)

	// Settings returns the inbox's constants.
	Settings(ctx context.Context) (Settings, error)
}

// Draft is a proposal to be made.
type Draft struct {
	ID     uint64 // the id that it must get, one above that of the last proposal it builds on
	Parent Hash   // header hash of the rollup block that Blocks[0] builds on
	Forced int    // items of the queue, from its head, whose transactions Blocks include
	Blocks []Encoded

	// Payload holds the blocks, as many as Count says, in the place of Blocks, if it is not nil.
	Payload []byte
	Count   int

	// Fuller, if it is not nil, returns a draft in the place of this one that has more blocks behind the same ones, if there
	// is one by now. A Proposer may ask for it, from within Propose, when it has to send its transaction again. One of those
	// that were sent is included, if any is.
	Fuller func(context.Context) (Draft, bool)
}

// Len returns how many blocks the draft has.
func (d *Draft) Len() int { return len(d.Blocks) + d.Count }

// Encode returns the payload of the draft; none if it holds nothing. ErrTooBig: it has more than limit bytes, or what no
// payload may have.
func (d *Draft) Encode(limit int) ([]byte, error) {
	payload, limit := d.Payload, min(limit, MaxPayload)
	switch {
	case payload == nil && len(d.Blocks) == 0:
		return nil, nil
	case payload == nil:
		payload = EncodeBlocks(d.Blocks)
	}
	if len(payload) > limit || len(d.Blocks) > MaxBlocks {
		return nil, fmt.Errorf("draft of %d bytes and %d blocks, limit %d: %w", len(payload), len(d.Blocks), limit, ErrTooBig)
	}
	return payload, nil
}

// Inclusion says where a proposal was included.
type Inclusion struct {
	ID       uint64
	Block    Ref
	Tx       Hash
	LogIndex uint
}

// Proposer makes proposals. One account makes one proposal at a time: calls wait for each other.
type Proposer interface {
	// Propose returns once the draft is included in a block of the L1 (which a reorg may yet take back: whoever
	// follows the L1 will see). Proposing what is already included is found out and returns that inclusion, so a
	// draft may be tried again after any error, also in another process and by another account. ErrStale: another
	// proposal has this id, or the ones before it are missing; derive first. ErrForcedDue: Forced is too low.
	// ErrUnknownOutcome or a deadline: it may be included yet.
	Propose(ctx context.Context, d Draft) (Inclusion, error)

	// Limit is the size in bytes that the payload of a proposal may have: see Fit.
	Limit() int
}

// Weigher is a Proposer for whom some sizes of a proposal are worth their price more than others.
type Weigher interface {
	// Worth returns how much of a payload of size bytes is worth proposing now: at most size, and more than 0. The rest
	// waits for the next proposal.
	Worth(ctx context.Context, size int) (int, error)
}

// Nudger is a Proposer that can have an L1 make a block which makes them with transactions only.
type Nudger interface {
	// Nudge returns once a transaction that does nothing is included in a block. It costs a fee.
	Nudge(ctx context.Context) error
}

// The kinds of errors of L1 clients; test with errors.Is. Anything else is transient: a retry may help.
var (
	ErrContent        = errors.New("content is no good")                      // a verdict, the same on every node: void, never retried
	ErrNotFound       = errors.New("endpoint does not have it")               // never a verdict about content: wait, or use another endpoint
	ErrNoFinality     = errors.New("no finality yet")                         // the L1 has not finalized anything since its start
	ErrWrongChain     = errors.New("endpoint serves another chain")           // the operator must act
	ErrNoInbox        = errors.New("no inbox contract at the address")        // the operator must act, or the endpoint is behind
	ErrStale          = errors.New("draft does not follow the last proposal") // derive, and make a new one
	ErrForcedDue      = errors.New("forced items are due")                    // include them
	ErrNotProposer    = errors.New("account may not propose")                 // the operator must act
	ErrFunds          = errors.New("insufficient funds")                      // the operator must act
	ErrTooBig         = errors.New("payload is too big for a proposal")       // split it
	ErrFeeCap         = errors.New("the fees are above what may be paid")     // wait until they are lower, or let more be paid
	ErrUnknownOutcome = errors.New("proposal sent, outcome unknown")          // propose the same draft again: inclusion is looked up
)
