package nats

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"headrace/await"
	"headrace/follow"
	"headrace/ref"
)

// DamageKind names what is wrong with a stream.
type DamageKind string

// The kinds of damage.
const (
	Empty          DamageKind = "empty"           // there is no block in it
	Beginning      DamageKind = "beginning"       // it does not begin with the block with which it should
	Hole           DamageKind = "hole"            // blocks are left out
	Double         DamageKind = "double"          // a block comes again, and no reorg has taken it back
	WrongParent    DamageKind = "wrong-parent"    // a block is no child of the one before, and the stream goes on from it
	ForeignBlock   DamageKind = "foreign-block"   // a block from which the stream does not go on, or of another proposer
	GoesBack       DamageKind = "goes-back"       // it goes on further down, and there is no reorg
	HalfBlock      DamageKind = "half-block"      // parts of a block, of which some are missing
	ReorgFrom      DamageKind = "reorg-from"      // a reorg from a block at which the stream does not stand
	ReorgTo        DamageKind = "reorg-to"        // a reorg to a block that is not in it
	RevertsFinal   DamageKind = "reverts-final"   // a reorg takes back what was final
	ForeignMessage DamageKind = "foreign-message" // it has none of the headers of a publisher
	Garbled        DamageKind = "garbled"         // its headers cannot be read, or do not agree
	WrongSubject   DamageKind = "wrong-subject"   // its subject is that of another block, or of another chain
	WrongID        DamageKind = "wrong-id"        // its message id is not that of its block
	WrongBody      DamageKind = "wrong-body"      // its body is not the block that its headers name
	UnsafeBlock    DamageKind = "unsafe-block"    // its block was not safe when it was published
	OtherThanNode  DamageKind = "other-than-node" // the node has another block there
)

// Damage is one thing that is wrong with a stream.
type Damage struct {
	Kind     DamageKind `json:"kind"`
	Sequence uint64     `json:"sequence,omitempty"` // of the message where it shows
	Height   uint64     `json:"height"`             // of the block that it is about
	What     string     `json:"what"`
}

func (d Damage) String() string {
	if d.Sequence == 0 {
		return fmt.Sprintf("%s: %s", d.Kind, d.What)
	}
	return fmt.Sprintf("%s: message %d: %s", d.Kind, d.Sequence, d.What)
}

// Report is what Check has found.
type Report struct {
	Chain    string   `json:"chain"`
	Messages uint64   `json:"messages"`
	Blocks   uint64   `json:"blocks"` // that were published, those that were reverted later and parts as one included
	Reorgs   uint64   `json:"reorgs"`
	First    ref.Ref  `json:"first"`    // block of the chain as it stands
	Last     ref.Ref  `json:"last"`     // likewise
	Compared uint64   `json:"compared"` // blocks with the node's
	Damages  uint64   `json:"damages"`
	Found    []Damage `json:"found"` // the first MaxDamages of them
}

// MaxDamages bounds the list of a report.
const MaxDamages = 1000

// CheckOptions configure Check. The zero value works.
type CheckOptions struct {
	From uint64        // the block with which the stream should begin; default 1
	Node *await.Client // whose chain it should be; nil: it is not compared. Of blocks that the node does not have, nothing is said
	Wait time.Duration // for a node, a server or a stream that is not there; default 5 s

	Damage func(Damage) // is told each damage when it is found; nil: nobody is
}

// Check reads a chain's stream from its beginning to where it stands when Check is called, and reports what is wrong with the
// chain in it. The error says why it could not be read or compared as a whole; the report is of what was read then. A node is
// asked first: nothing is read if it does not answer. Without a chain it is that of OnlyChain.
func Check(ctx context.Context, js jetstream.JetStream, chain string, opt CheckOptions) (Report, error) {
	c := &checker{opt: opt, chain: chain, report: Report{Chain: chain, Found: []Damage{}}}
	c.opt.From = max(c.opt.From, 1)
	c.opt.Wait = cmp.Or(c.opt.Wait, 5*time.Second)
	_, err := c.nodeState(ctx)
	if err == nil && chain == "" {
		c.chain, err = OnlyChain(ctx, js, ReadOptions{Wait: c.opt.Wait})
		c.report.Chain = c.chain
	}
	if err == nil {
		err = c.read(ctx, js)
	}
	if err == nil {
		c.end()
		err = c.compare(ctx, true)
	}
	return c.report, err
}

// tries is how often reading goes on without a message that is new.
const tries = 5

// read adds all messages that are there now.
func (c *checker) read(ctx context.Context, js jetstream.JetStream) error {
	var s *lookup
	opt := ReadOptions{Wait: c.opt.Wait}.orDefaults()
	err := wait(ctx, js, opt, func(ctx context.Context) (err error) {
		s, err = openLookup(ctx, js, c.chain, opt.Attempt)
		return err
	})
	if err != nil {
		return err
	}
	c.head = s.head
	var pause follow.Backoff
	last, failed := uint64(0), 0
	for last < s.end {
		before := last
		err := c.readFrom(ctx, s, &last)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if end := (endError{}); errors.As(err, &end) || errors.Is(err, ErrDenied) || err == nil {
			return err
		}
		if _, changed := s.unchanged(ctx, last); changed != nil {
			return fmt.Errorf("while it was read: %w", changed)
		}
		if failed++; last > before {
			failed = 0
			pause.Reset()
		}
		if failed == tries {
			return err
		}
		_ = pause.Sleep(ctx, nil)
	}
	return nil
}

// readFrom reads behind last, which it moves on, to the end that s has seen.
func (c *checker) readFrom(ctx context.Context, s *lookup, last *uint64) error {
	cons, denied, forget, err := s.consumer(ctx, *last+1)
	if err != nil {
		return err
	}
	defer forget()
	if cons.CachedInfo().NumPending == 0 {
		return nil // what was at the end is deleted
	}
	most := max(8<<20, int(s.js.Conn().MaxPayload())+MaxHeaders+64<<10)
	msgs, err := cons.Messages(jetstream.PullMaxMessagesWithBytesLimit(512, most), jetstream.PullExpiry(30*time.Second), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("read the stream: %w", err)
	}
	defer msgs.Stop()
	defer context.AfterFunc(ctx, msgs.Stop)()
	for {
		msg, err := msgs.Next()
		if err != nil {
			return fmt.Errorf("read the stream: %w", denied(err))
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read the stream: %w", err)
		}
		*last = meta.Sequence.Stream
		c.add(*last, msg.Subject(), msg.Headers(), msg.Data())
		if len(c.chained) >= 2*kept {
			if err := c.compare(ctx, false); err != nil {
				return endError{err}
			}
			c.trim()
		}
		if *last >= s.end || meta.NumPending == 0 {
			return nil
		}
	}
}

// checker follows the chain in a stream's messages. It is used by one goroutine.
type checker struct {
	opt    CheckOptions
	chain  string
	head   await.Label
	report Report

	parts    Joiner
	partsSeq uint64   // of the first one
	stands   ref.Ref  // of the chain so far; the zero Ref: nothing came
	begun    bool     // there is a block in it, or some are damaged that would be
	chained  []linked // that chain, ascending, to stands; the oldest are forgotten
	below    *ref.Ref // the block before the first of chained; nil: not known
	half     ref.Ref  // the last block of which parts were missing
	unread   uint64   // messages since stands that were blocks, and are damaged themselves
	doubt    *doubt   // a message that does not follow; what comes next shows what it is
	final    uint64   // the greatest height that was final
	proposer string   // of the first block
	compared uint64   // up to which height, or above it no block is known
}

// linked is a block of the chain in a stream.
type linked struct {
	ref.Ref
	seq uint64
}

// doubt is a message that does not follow the one before.
type doubt struct {
	message  Message
	seq      uint64
	goesOn   Damage // what it is if the stream goes on from it
	ignored  Damage // what it is if the stream goes on as if it were not there
	attached uint64 // unread messages before it
}

// kept is how many blocks of the chain are remembered.
const kept = 1 << 16

func (c *checker) damage(kind DamageKind, seq, height uint64, format string, args ...any) {
	c.note(Damage{kind, seq, height, fmt.Sprintf(format, args...)})
}

func (c *checker) note(d Damage) {
	c.report.Damages++
	if len(c.report.Found) < MaxDamages {
		c.report.Found = append(c.report.Found, d)
	}
	if c.opt.Damage != nil {
		c.opt.Damage(d)
	}
}

// add takes the next message.
func (c *checker) add(seq uint64, subject string, header map[string][]string, body []byte) {
	c.report.Messages++
	m, err := Parse(c.chain, subject, header, body)
	if err != nil {
		c.unreadable(seq, subject, header, err)
		return
	}
	if id := first(header[HeaderID]); id != m.ID() && !strings.HasPrefix(id, m.ID()+"@") {
		c.damage(WrongID, seq, m.Block.Height, "the id is %.200q, and should be %q", id, m.ID())
	}
	pending, half := c.parts.Pending()
	at := c.partsSeq
	if !half {
		at = seq
	}
	whole, ok, dropped := c.parts.Add(m)
	switch {
	case dropped && half:
		c.damage(HalfBlock, at, pending.Height, "the parts of block %d that come here are not all of it", pending.Height)
		c.unread++
	case dropped && !ok && m.Part != 1 && c.half != m.Block: // else it is said already
		c.damage(HalfBlock, seq, m.Block.Height, "part %d of %d of block %d comes without the one before", m.Part, m.Parts, m.Block.Height)
		c.unread++
	}
	if dropped {
		c.half = pending
		if !half {
			c.half = m.Block
		}
	}
	if m.Part == 1 {
		c.partsSeq = seq
	}
	if !ok {
		return
	}
	if m.Part > 0 {
		seq = c.partsSeq
	}
	c.whole(seq, whole)
}

func first(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// unreadable notes a message that no publisher has written as it is.
func (c *checker) unreadable(seq uint64, subject string, header map[string][]string, why error) {
	reason := strings.TrimPrefix(why.Error(), ErrNotOurs.Error()+": ")
	named, ok := parseRef(first(header[HeaderBlock]))
	ours := slices.ContainsFunc([]string{HeaderBlock, HeaderParent, HeaderFrom, HeaderStands, HeaderSource, HeaderCursor, HeaderPart}, func(name string) bool { return header[name] != nil })
	switch {
	case !ours:
		c.damage(ForeignMessage, seq, 0, "it has subject %.100q, and no header of a publisher", subject)
		return
	case ok && header[HeaderFrom] == nil && subject != BlockSubject(c.chain, named.Height), header[HeaderFrom] != nil && subject != ReorgSubject(c.chain):
		c.damage(WrongSubject, seq, named.Height, "it is block %d, and has subject %.100q", named.Height, subject)
	default:
		c.damage(Garbled, seq, named.Height, "%s", reason)
	}
	c.unread++
}

// whole takes the next block or reorg.
func (c *checker) whole(seq uint64, m Message) {
	if m.IsReorg() {
		c.report.Reorgs++
	} else {
		c.report.Blocks++
		c.body(seq, &m)
	}
	switch d := c.doubt; {
	case d == nil:
	case d.message.Block == c.stands && !d.message.IsReorg(), m.Follows(c.stands) && !m.Follows(d.message.Block):
		c.doubt = nil
		c.note(d.ignored)
	default:
		c.settle(d)
	}
	if !c.begun && !m.IsReorg() {
		c.begun = true
		if m.Block.Height != c.opt.From && c.unread == 0 {
			c.damage(Beginning, seq, m.Block.Height, "the stream begins with block %d, and should with block %d", m.Block.Height, c.opt.From)
		}
	}
	if m.Follows(c.stands) && (!m.IsReorg() || c.may(m.Block)) {
		c.accept(seq, m)
		return
	}
	c.doubt = c.doubted(seq, m)
	m.Body = nil
	c.doubt.message, c.doubt.seq, c.doubt.attached = m, seq, c.unread
}

// settle takes a message for a part of the chain that did not follow.
func (c *checker) settle(d *doubt) {
	c.doubt = nil
	if c.stands == (ref.Ref{}) { // it is a reorg, from where the stream stood before it was cut
		c.begun = c.begun || c.unread > 0
		c.accept(d.seq, d.message)
		return
	}
	missing := d.message.Block.Height - c.stands.Height - 1
	if d.goesOn.Kind != Hole || missing > d.attached { // else what is missing has come, and was damaged itself
		c.note(d.goesOn)
	}
	c.accept(d.seq, d.message)
}

// doubted says what a message is that does not follow.
func (c *checker) doubted(seq uint64, m Message) *doubt {
	height := m.Block.Height
	is := func(kind DamageKind, format string, args ...any) Damage {
		return Damage{kind, seq, height, fmt.Sprintf(format, args...)}
	}
	if m.IsReorg() {
		d := is(ReorgTo, "it goes back to block %d %s, which is not in the stream", height, m.Block.Hash)
		switch {
		case c.stands == ref.Ref{}:
			d = is(ReorgFrom, "it goes back from block %d %s, and none is before it", m.From.Height, m.From.Hash)
		case m.From != c.stands:
			d = is(ReorgFrom, "it goes back from block %d %s, and the stream stands at block %d %s", m.From.Height, m.From.Hash, c.stands.Height, c.stands.Hash)
		}
		return &doubt{goesOn: d, ignored: d}
	}
	foreign := is(ForeignBlock, "block %d %s, child of %s, comes after block %d %s, and the stream does not go on from it", height, m.Block.Hash, m.Parent, c.stands.Height, c.stands.Hash)
	switch {
	case c.has(m.Block):
		d := is(Double, "block %d %s is there already", height, m.Block.Hash)
		return &doubt{goesOn: d, ignored: d}
	case height > c.stands.Height+1:
		return &doubt{goesOn: is(Hole, "block %d comes after block %d", height, c.stands.Height), ignored: foreign}
	case height == c.stands.Height+1:
		return &doubt{goesOn: is(WrongParent, "block %d is a child of %s, and comes after block %d %s", height, m.Parent, c.stands.Height, c.stands.Hash), ignored: foreign}
	}
	return &doubt{goesOn: is(GoesBack, "block %d %s comes after block %d, and no reorg before it", height, m.Block.Hash, c.stands.Height), ignored: foreign}
}

// has reports whether a block is in the chain.
func (c *checker) has(b ref.Ref) bool {
	if len(c.chained) == 0 {
		return false
	}
	lowest := c.chained[0].Height
	return b.Height >= lowest && b.Height-lowest < uint64(len(c.chained)) && c.chained[b.Height-lowest].Ref == b
}

// may reports whether a reorg may go back to a block: one of the chain, or one from before the stream's first. Of those
// only the last is known: the stream has begun above the others, or does not have them any more.
func (c *checker) may(to ref.Ref) bool {
	if len(c.chained) == 0 || to.Height >= c.chained[0].Height {
		return c.has(to)
	}
	return c.below == nil || to.Height < c.below.Height || to == *c.below
}

// accept has the chain go on with a message.
func (c *checker) accept(seq uint64, m Message) {
	c.unread = 0
	if m.IsReorg() && m.Block.Height < c.final {
		c.damage(RevertsFinal, seq, m.Block.Height, "it goes back to block %d, and block %d was final", m.Block.Height, c.final)
	}
	c.final = max(c.final, m.Final)
	c.stands = m.Block
	// What is above, or does not lead here, is no part of the chain any more.
	if n := len(c.chained); n > 0 {
		lowest := c.chained[0].Height
		switch keep := m.Block.Height - lowest; {
		case m.Block.Height < lowest || keep > uint64(n):
			c.chained = c.chained[:0]
		case m.IsReorg() && c.has(m.Block):
			c.chained = c.chained[:keep+1]
		default:
			c.chained = c.chained[:keep]
		}
	}
	if len(c.chained) == 0 {
		c.below = nil
		if !m.IsReorg() {
			c.below = &ref.Ref{Height: m.Block.Height - 1, Hash: m.Parent}
		}
	}
	if !m.IsReorg() || !c.has(m.Block) {
		c.chained = append(c.chained, linked{m.Block, seq})
	}
	switch first := &c.report.First; {
	case m.IsReorg() && m.Block.Height < first.Height:
		*first = ref.Ref{} // the next block is it
	case !m.IsReorg() && (*first == ref.Ref{} || m.Block.Height <= first.Height):
		*first = m.Block
	}
	c.report.Last = m.Block
}

// body looks whether a block's body is the block that its headers name.
func (c *checker) body(seq uint64, m *Message) {
	var b struct {
		Height    uint64
		Hash      string
		Parent    string `json:"parent_hash"`
		Proposer  string
		StateRoot string `json:"state_root"`
		Safe      bool
	}
	height := m.Block.Height
	if err := json.Unmarshal(m.Body, &b); err != nil {
		c.damage(WrongBody, seq, height, "the body of block %d is not JSON as GET /v1/blocks/%d has it", height, height)
		return
	}
	if strings.Trim(b.Parent, "0") == "" {
		b.Parent = ""
	}
	parent := ""
	if !m.Parent.IsZero() {
		parent = hex.EncodeToString(m.Parent[:])
	}
	for _, part := range []struct{ name, is, should string }{
		{"height", fmt.Sprint(b.Height), fmt.Sprint(height)}, {"hash", b.Hash, m.Block.Hash.String()}, {"parent_hash", b.Parent, parent}, {"state_root", b.StateRoot, m.Root},
	} {
		if part.is != part.should {
			c.damage(WrongBody, seq, height, "the body of block %d has %s %.100q, and the headers %.100q", height, part.name, part.is, part.should)
			return
		}
	}
	if !b.Safe {
		c.damage(UnsafeBlock, seq, height, "block %d was not safe when it was published", height)
	}
	if c.proposer == "" {
		c.proposer = b.Proposer
	}
	if b.Proposer != c.proposer {
		c.damage(ForeignBlock, seq, height, "block %d has proposer %.100q, and those before it %.100q", height, b.Proposer, c.proposer)
	}
}

// end is called when all messages are added.
func (c *checker) end() {
	if block, ok := c.parts.Pending(); ok {
		c.damage(HalfBlock, c.partsSeq, block.Height, "the stream ends in the middle of block %d", block.Height)
	}
	if c.doubt != nil {
		c.settle(c.doubt)
	}
	if c.report.Blocks == 0 && c.report.Damages == 0 {
		c.damage(Empty, 0, 0, "there is no block in it")
	}
}

// trim forgets the oldest blocks.
func (c *checker) trim() {
	if len(c.chained) > kept {
		below := c.chained[len(c.chained)-kept-1].Ref
		c.below = &below
		c.chained = append(c.chained[:0], c.chained[len(c.chained)-kept:]...)
	}
}

// compare looks whether the node has the blocks of the chain that are not compared yet: all, or those that cannot be
// reverted any more, or are about to be forgotten.
func (c *checker) compare(ctx context.Context, all bool) error {
	if c.opt.Node == nil || len(c.chained) == 0 {
		return nil
	}
	state, err := c.nodeState(ctx)
	if err != nil {
		return err
	}
	lowest := c.chained[0].Height
	from := max(c.compared+1, lowest)
	to := min(c.stands.Height, state.Progress().Head(c.head).Height) // inclusive
	if !all {
		to = min(to, lowest+uint64(len(c.chained)-kept))
	}
	for ; from <= to && err == nil; from += page {
		err = c.comparePage(ctx, from, min(to, from+page-1))
	}
	c.compared = max(c.compared, to)
	return err
}

// nodeState asks the node where it stands.
func (c *checker) nodeState(ctx context.Context) (await.State, error) {
	if c.opt.Node == nil {
		return await.State{}, nil
	}
	within, cancel := context.WithTimeoutCause(ctx, c.opt.Wait, fmt.Errorf("no answer for %s", c.opt.Wait))
	defer cancel()
	state, err := c.opt.Node.Value(within, "node "+c.opt.Node.String(), func(await.State) bool { return true })
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return state, err
}

// page is how many blocks are compared in one go, and pageTime how long the node may take for them.
const (
	page     = 1024
	pageTime = time.Minute
)

var errEnough = errors.New("enough")

// comparePage compares the blocks of a range with the node's. Those that the node has pruned, the lowest ones, are not
// compared.
func (c *checker) comparePage(ctx context.Context, from, to uint64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, pageTime, fmt.Errorf("%d blocks do not come within %s", to-from+1, pageTime))
	defer cancel()
	lowest := c.chained[0].Height
	for {
		err := c.events(ctx, from, func(b *await.Block) error {
			ours := c.chained[b.Height-lowest]
			if c.report.Compared++; b.Hash != ours.Hash {
				c.damage(OtherThanNode, ours.seq, ours.Height, "block %d is %s, and the node's is %s", ours.Height, ours.Hash, b.Hash)
			}
			if from = b.Height + 1; from > to {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, await.ErrRefused) {
			return err
		}
		if from, err = c.unpruned(ctx, from, to); err != nil || from > to {
			return err
		}
	}
}

// unpruned returns the lowest height in (pruned, to] that the node has a block of; above to if it has none.
func (c *checker) unpruned(ctx context.Context, pruned, to uint64) (uint64, error) {
	for at, have := to, to+1; ; at = pruned + (have-pruned)/2 {
		err := c.events(ctx, at, func(*await.Block) error { return errEnough })
		switch {
		case err == nil:
			have = at
		case errors.Is(err, await.ErrRefused):
			pruned = at
		default:
			return 0, err
		}
		if pruned+1 >= have {
			return have, nil
		}
	}
}

// events takes the node's blocks from a height on, until take returns errEnough.
func (c *checker) events(ctx context.Context, from uint64, take func(b *await.Block) error) error {
	err := c.opt.Node.Events(ctx, await.Stream{Head: c.head, From: from}, func(e await.Event) error {
		if e.Block == nil {
			return errors.New("the node's chain changed while it was compared")
		}
		return take(e.Block)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}
