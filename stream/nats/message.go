// Package nats is a chain as a stream of NATS JetStream: every block once and in order, with its history, whichever node
// published it. This package has what both sides agree on, and the readers' side. It does not import package node: who
// reads needs no node in his process. The publisher is package headrace/stream/nats/publish, a server in the process is
// headrace/stream/nats/server.
//
// # The stream
//
// There is one stream for each chain, named hr-CHAIN, of the subjects
//
//	hr.CHAIN.block.HEIGHT   a block, or a part of one
//	hr.CHAIN.reorg          blocks that were published are void
//
// CHAIN is the first 16 hexadecimal digits of the hash of the chain's genesis. The stream's metadata says up to which
// head it has blocks, safe or finalized (MetaHead), and of which chain it is (MetaGenesis). Unsafe blocks are never in it.
//
// # Messages
//
// The body of a block is the JSON of GET /v1/blocks/{height}, that of a reorg the JSON of a reorg event of GET /v1/events.
// The headers say all that is needed to follow the chain without reading a body. A REF is HEIGHT-HASH, the hash in 64
// hexadecimal digits.
//
//	Hr-Block    REF of the block; of a reorg: of the last block that still holds
//	Hr-Parent   of a block: the hash of the block before it; absent before the chain's first block
//	Hr-From     of a reorg: REF of the block at which the stream stood; it is void, and so are all above Hr-Block
//	Hr-Stands   REF of the block at which the stream stands after this message. For a block it is the block, for a reorg
//	            Hr-Block. After a part that is not the last one it is the block before: the block is not whole yet
//	Hr-Source   REF of the publisher's position on the DA layer or the L1, when it looked up what it published
//	Hr-Origin   of a block: the height of the DA layer, or of the L1, at which the block became safe; absent if not known
//	Hr-Root     of a block: the state root after it, in hexadecimal digits; absent if there is none
//	Hr-Cursor   HEIGHT-HASH-FINAL of Hr-Block: the id of the same event in GET /v1/events, to go on there with after=
//	Hr-Part     K/N: the body is the Kth of N parts of the block's body; absent if the message has all of it
//
// A block that is larger than a message may be is published in parts, in one atomic batch of at most 1,000 messages, all
// with the block's subject and headers. Its body is what the bodies of the parts are together. A reader that begins in the
// middle of parts skips to the next message that is whole or a first part. Parts that are followed by anything else than
// the next part were never a block.
//
// # What holds
//
// With S the block at which the stream stands: what comes next is a block whose parent is S, one higher, or a reorg from S
// to a lower block. An empty stream may begin with any block. A publisher adds a message only directly behind the message
// that it has read (the expected last sequence), so any number of them makes one chain.
//
// Sequences of the stream are no positions. A stream can be cut back, restored from a copy, purged, or deleted and made
// anew: then it is filled again from where it stands, and the same block may have another sequence. A reader's position is
// the (height, hash) that it has stored with what it made of the block; it finds its place by the subject of the height.
//
// The message id (Nats-Msg-Id) is the REF of a block, r-REF-REF of a reorg (from, to), and REF-K of the Kth part. Where the
// server takes that for a message of before, and the stream does not have it as its last one, "@SEQUENCE" follows, the
// expected last sequence. Ids serve the server alone: a reader goes by Hr-Block.
//
// Read brings a stream to a reader's own store, and Check looks for what is wrong with one: nothing that they start outlives
// them, and any number may run at once. All else is a value or a pure function.
package nats

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"headrace/ref"
)

// The names of the headers. They are written and compared as they are, whatever the case rules of HTTP.
const (
	HeaderBlock  = "Hr-Block"
	HeaderParent = "Hr-Parent"
	HeaderFrom   = "Hr-From"
	HeaderStands = "Hr-Stands"
	HeaderSource = "Hr-Source"
	HeaderOrigin = "Hr-Origin"
	HeaderRoot   = "Hr-Root"
	HeaderCursor = "Hr-Cursor"
	HeaderPart   = "Hr-Part"

	HeaderID = "Nats-Msg-Id" // of the server
)

// The keys of the stream's metadata.
const (
	MetaFormat  = "headrace.format"   // Format
	MetaHead    = "headrace.head"     // safe or finalized: up to which head it has blocks
	MetaGenesis = "headrace.genesis"  // the hash of the chain's genesis, 64 hexadecimal digits
	MetaChainID = "headrace.chain_id" // for people; it decides nothing
)

// Format is the version of all that the package comment says.
const Format = "1"

// Bounds of what a stream holds.
const (
	MaxParts   = 1000     // messages of one atomic batch, a limit of the server
	MaxBody    = 64 << 20 // bytes of a block's body
	MaxHeaders = 2 << 10  // bytes of the headers of one message, with those of the server: so much is left free
)

// Chain is the name of a chain in subjects and in the stream's name.
func Chain(genesis ref.Hash) string { return genesis.String()[:16] }

// StreamName is the name of a chain's stream.
func StreamName(chain string) string { return "hr-" + chain }

// Subjects are all subjects of a chain's stream.
func Subjects(chain string) []string {
	return []string{"hr." + chain + ".block.*", ReorgSubject(chain)}
}

// BlockSubject is the subject of the block at a height, and of its parts.
func BlockSubject(chain string, height uint64) string {
	return "hr." + chain + ".block." + strconv.FormatUint(height, 10)
}

// ReorgSubject is the subject of reorgs.
func ReorgSubject(chain string) string { return "hr." + chain + ".reorg" }

// Metadata is what the metadata of a chain's stream says.
func Metadata(genesis ref.Hash, chainID, head string) map[string]string {
	return map[string]string{MetaFormat: Format, MetaHead: head, MetaGenesis: genesis.String(), MetaChainID: chainID}
}

// Message is one message of a stream: a block, a part of one, or a reorg.
type Message struct {
	Block  ref.Ref  // of a reorg: the last block that still holds
	Parent ref.Hash // of a block; zero: there is none before it
	From   ref.Ref  // of a reorg: where the stream stood. The zero Ref: this is a block
	Source ref.Ref  // the publisher's position on the DA layer or the L1
	Origin uint64   // of a block: the height there at which it became safe; 0: not known
	Root   string   // of a block: the state root after it, in hexadecimal digits; may be empty
	Final  uint64   // the height that was final at the publisher, no higher than the block's
	Part   int      // 1 to Parts; 0: the message is whole
	Parts  int
	Body   []byte
}

// IsReorg reports whether it is a reorg; else it is a block or a part of one.
func (m *Message) IsReorg() bool { return m.From != ref.Ref{} }

// Whole reports whether there are no other parts.
func (m *Message) Whole() bool { return m.Parts == 0 }

// Stands returns the block at which a stream stands after m.
func (m *Message) Stands() ref.Ref {
	if m.Part < m.Parts {
		return ref.Ref{Height: m.Block.Height - 1, Hash: m.Parent}
	}
	return m.Block
}

// Follows reports whether m may come after a message with which the stream stood there: at is the zero Ref before the
// first one. A part follows as its block does; Joiner says whether the parts are whole.
func (m *Message) Follows(at ref.Ref) bool {
	switch {
	case at == ref.Ref{}:
		return !m.IsReorg()
	case m.IsReorg():
		return m.From == at && m.Block.Height < at.Height
	}
	return m.Block.Height == at.Height+1 && m.Parent == at.Hash
}

// Subject returns the subject of m in the stream of a chain.
func (m *Message) Subject(chain string) string {
	if m.IsReorg() {
		return ReorgSubject(chain)
	}
	return BlockSubject(chain, m.Block.Height)
}

// ID returns the message id.
func (m *Message) ID() string {
	switch {
	case m.IsReorg():
		return "r-" + text(m.From) + "-" + text(m.Block)
	case m.Part > 0:
		return text(m.Block) + "-" + strconv.Itoa(m.Part)
	}
	return text(m.Block)
}

// Cursor returns the id of the same event in GET /v1/events.
func (m *Message) Cursor() string {
	return text(m.Block) + "-" + strconv.FormatUint(min(m.Final, m.Block.Height), 10)
}

// Header returns the headers of m, with the message id. It can be used as a nats.Header.
func (m *Message) Header() map[string][]string {
	h := map[string][]string{}
	set := func(name, value string) { h[name] = []string{value} }
	set(HeaderID, m.ID())
	set(HeaderBlock, text(m.Block))
	set(HeaderStands, text(m.Stands()))
	set(HeaderSource, text(m.Source))
	set(HeaderCursor, m.Cursor())
	if m.IsReorg() {
		set(HeaderFrom, text(m.From))
		return h
	}
	if !m.Parent.IsZero() {
		set(HeaderParent, m.Parent.String())
	}
	if m.Origin > 0 {
		set(HeaderOrigin, strconv.FormatUint(m.Origin, 10))
	}
	if m.Root != "" {
		set(HeaderRoot, m.Root)
	}
	if m.Part > 0 {
		set(HeaderPart, strconv.Itoa(m.Part)+"/"+strconv.Itoa(m.Parts))
	}
	return h
}

// ErrNotOurs is what the error of Parse matches for every message that no publisher of this package has written.
var ErrNotOurs = errors.New("this is no message of a headrace stream")

// Parse reads a message of the stream of a chain. What anybody may have published there is looked at: the headers must
// agree with each other and with the subject. The body is not read. The message has it as it is given, not a copy.
func Parse(chain, subject string, header map[string][]string, body []byte) (m Message, err error) {
	bad := func(what string) (Message, error) { return Message{}, fmt.Errorf("%w: %s", ErrNotOurs, what) }
	get := func(name string) string {
		if v := header[name]; len(v) == 1 {
			return v[0]
		}
		return ""
	}
	for _, name := range []string{HeaderBlock, HeaderParent, HeaderFrom, HeaderStands, HeaderSource, HeaderOrigin, HeaderRoot, HeaderCursor, HeaderPart} {
		if v, ok := header[name]; ok && len(v) != 1 {
			return bad(name + " is there more than once")
		}
	}
	var final string
	var ok [4]bool
	m.Block, ok[0] = parseRef(get(HeaderBlock))
	m.Source, ok[1] = parseRef(get(HeaderSource))
	stands, standsOK := parseRef(get(HeaderStands))
	if final, ok[2] = strings.CutPrefix(get(HeaderCursor), text(m.Block)+"-"); ok[2] {
		m.Final, ok[2] = parseNumber(final)
	}
	ok[3] = standsOK
	if ok != [4]bool{true, true, true, true} || m.Final > m.Block.Height {
		return bad("its headers " + HeaderBlock + ", " + HeaderStands + ", " + HeaderSource + " and " + HeaderCursor + " are not all there and readable")
	}
	m.Body = body
	if from, ok := header[HeaderFrom]; ok {
		if subject != ReorgSubject(chain) {
			return bad("a reorg has another subject")
		}
		if m.From, ok = parseRef(from[0]); !ok || m.From.Height <= m.Block.Height {
			return bad("a reorg does not go back")
		}
		if stands != m.Block || header[HeaderPart] != nil {
			return bad("its headers do not agree")
		}
		return m, nil
	}
	if subject != BlockSubject(chain, m.Block.Height) {
		return bad("a block has another subject")
	}
	if parent, ok := header[HeaderParent]; ok && (m.Parent.UnmarshalText([]byte(parent[0])) != nil || m.Parent.String() != parent[0]) {
		return bad(HeaderParent + " is no hash")
	}
	if origin := get(HeaderOrigin); origin != "" {
		var ok bool
		if m.Origin, ok = parseNumber(origin); !ok {
			return bad(HeaderOrigin + " is no height")
		}
	}
	m.Root = get(HeaderRoot)
	if part, ok := header[HeaderPart]; ok {
		if !m.parsePart(part[0]) {
			return bad(HeaderPart + " is not K/N")
		}
	}
	if stands != m.Stands() {
		return bad(HeaderStands + " is not where the stream stands after it")
	}
	return m, nil
}

// parsePart reads K/N.
func (m *Message) parsePart(s string) bool {
	k, n, ok := strings.Cut(s, "/")
	part, ok1 := parseNumber(k)
	parts, ok2 := parseNumber(n)
	m.Part, m.Parts = int(min(part, MaxParts+1)), int(min(parts, MaxParts+1))
	return ok && ok1 && ok2 && part >= 1 && part <= parts && parts >= 2 && parts <= MaxParts && m.Block.Height > 0
}

// Split returns m as the parts of which none has a body of more than limit bytes: m alone if it fits.
func (m Message) Split(limit int) ([]Message, error) {
	if len(m.Body) <= limit || m.IsReorg() {
		return []Message{m}, nil
	}
	if limit <= 0 || len(m.Body) > MaxBody || (len(m.Body)+limit-1)/limit > MaxParts {
		return nil, fmt.Errorf("block %d has %d bytes: the server's limit of a message leaves %d, and no block has more than %d messages or %d bytes",
			m.Block.Height, len(m.Body), max(limit, 0), MaxParts, MaxBody)
	}
	parts := make([]Message, (len(m.Body)+limit-1)/limit)
	for i := range parts {
		parts[i] = m
		parts[i].Part, parts[i].Parts = i+1, len(parts)
		parts[i].Body = m.Body[i*limit : min((i+1)*limit, len(m.Body))]
	}
	return parts, nil
}

// Joiner puts the parts of blocks together. Its zero value is ready. It is used by one goroutine, and holds no more than
// MaxBody bytes.
type Joiner struct {
	have Message // the parts so far, of which Part is the last; Part is 0: none
}

// Add takes the next message of the stream. It returns the whole message once there is one, and dropped if parts that came
// before were no block, or m is a part whose first ones are missing: m is skipped then, if it is no first part.
func (j *Joiner) Add(m Message) (whole Message, ok, dropped bool) {
	have := j.have
	next := have.Part > 0 && !m.IsReorg() && m.Block == have.Block && m.Parent == have.Parent && m.Parts == have.Parts && m.Part == have.Part+1
	if next && len(have.Body)+len(m.Body) <= MaxBody {
		have.Body, have.Part = append(have.Body, m.Body...), m.Part
		have.Source, have.Final = m.Source, m.Final
		if j.have = have; m.Part < m.Parts {
			return Message{}, false, false
		}
		j.have = Message{}
		have.Part, have.Parts = 0, 0
		return have, true, false
	}
	dropped = have.Part > 0
	j.have = Message{}
	switch {
	case m.Whole():
		return m, true, dropped
	case m.Part == 1 && len(m.Body) <= MaxBody:
		m.Body = append([]byte(nil), m.Body...) // it grows
		j.have = m
		return Message{}, false, dropped
	}
	return Message{}, false, true
}

// Pending returns the block of which there are first parts, but not all.
func (j *Joiner) Pending() (ref.Ref, bool) { return j.have.Block, j.have.Part > 0 }

func text(r ref.Ref) string { return strconv.FormatUint(r.Height, 10) + "-" + r.Hash.String() }

// ParseRef reads HEIGHT-HASH.
func ParseRef(s string) (ref.Ref, error) {
	if r, ok := parseRef(s); ok {
		return r, nil
	}
	return ref.Ref{}, fmt.Errorf("%.100q is not HEIGHT-HASH", s)
}

func parseRef(s string) (r ref.Ref, ok bool) {
	height, hash, ok := strings.Cut(s, "-")
	if !ok || r.Hash.UnmarshalText([]byte(hash)) != nil || r.Hash.String() != hash {
		return ref.Ref{}, false
	}
	r.Height, ok = parseNumber(height)
	return r, ok
}

// parseNumber reads a height as it is written here: in one way.
func parseNumber(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= ref.MaxHeight && strconv.FormatUint(n, 10) == s
}
