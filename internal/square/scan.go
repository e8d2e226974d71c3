package square

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// UnmarshalJSON reads a header in either of Celestia's two encodings.
func (h *Header) UnmarshalJSON(data []byte) error {
	s := scanner{b: data}
	*h = Header{}
	s.header(h)
	return s.end("header")
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *ExtendedHeader) UnmarshalJSON(data []byte) error {
	s := scanner{b: data}
	*e = ExtendedHeader{}
	s.object(func(key []byte) {
		switch string(key) {
		case "header":
			s.header(&e.Header)
		case "commit":
			s.commit(&e.Commit)
		case "validator_set":
			s.validatorSet(&e.ValidatorSet)
		case "dah":
			s.dah(&e.DAH)
		default:
			s.skip()
		}
	})
	return s.end("extended header")
}

// UnmarshalJSON reads what MarshalJSON writes.
func (d *DAH) UnmarshalJSON(data []byte) error {
	s := scanner{b: data}
	*d = DAH{}
	s.dah(d)
	return s.end("data availability header")
}

// ScanHeader reads an extended header without its commit and its validator set, which are most of its bytes and say nothing about data:
// what a follower needs per height. The roots are read only with dah set.
func ScanHeader(data []byte, dah bool) (Header, DAH, error) {
	var h Header
	var d DAH
	s := scanner{b: data}
	s.object(func(key []byte) {
		switch {
		case string(key) == "header":
			s.header(&h)
		case string(key) == "dah" && dah:
			s.dah(&d)
		default:
			s.skip()
		}
	})
	return h, d, s.end("extended header")
}

func (s *scanner) header(h *Header) {
	arena := make([]byte, 0, 448) // all the hashes of a header: one allocation
	field := func(dst *[]byte) { arena, *dst = s.hex(arena) }
	s.object(func(key []byte) {
		switch string(key) {
		case "version":
			s.object(func(key []byte) {
				switch string(key) {
				case "block":
					h.VersionBlock = s.uint(math.MaxUint64)
				case "app":
					h.VersionApp = s.uint(math.MaxUint64)
				default:
					s.skip()
				}
			})
		case "chain_id":
			h.ChainID = string(s.text())
		case "height":
			h.Height = s.uint(maxHeight)
		case "time":
			h.Time = s.time()
		case "last_block_id":
			arena = s.blockID(arena, &h.LastBlockID)
		case "last_commit_hash":
			field(&h.LastCommitHash)
		case "data_hash":
			field(&h.DataHash)
		case "validators_hash":
			field(&h.ValidatorsHash)
		case "next_validators_hash":
			field(&h.NextValidatorsHash)
		case "consensus_hash":
			field(&h.ConsensusHash)
		case "app_hash":
			field(&h.AppHash)
		case "last_results_hash":
			field(&h.LastResultsHash)
		case "evidence_hash":
			field(&h.EvidenceHash)
		case "proposer_address":
			field(&h.ProposerAddress)
		default:
			s.skip()
		}
	})
}

func (s *scanner) blockID(arena []byte, id *BlockID) []byte {
	s.object(func(key []byte) {
		switch string(key) {
		case "hash":
			arena, id.Hash = s.hex(arena)
		case "parts":
			s.object(func(key []byte) {
				switch string(key) {
				case "total":
					id.Total = uint32(s.uint(math.MaxUint32))
				case "hash":
					arena, id.Parts = s.hex(arena)
				default:
					s.skip()
				}
			})
		default:
			s.skip()
		}
	})
	return arena
}

func (s *scanner) commit(c *Commit) {
	s.object(func(key []byte) {
		switch string(key) {
		case "height":
			c.Height = s.uint(maxHeight)
		case "round":
			c.Round = uint32(s.uint(math.MaxInt32))
		case "block_id":
			s.blockID(nil, &c.BlockID)
		case "signatures":
			c.Signatures = nil
			s.array(func() {
				var sig CommitSig
				s.commitSig(&sig)
				c.Signatures = append(c.Signatures, sig)
			})
		default:
			s.skip()
		}
	})
}

func (s *scanner) commitSig(sig *CommitSig) {
	s.object(func(key []byte) {
		switch string(key) {
		case "block_id_flag":
			sig.Flag = uint8(s.uint(math.MaxUint8))
		case "validator_address":
			_, sig.Validator = s.hex(nil)
		case "timestamp":
			sig.Timestamp = s.time()
		case "signature":
			sig.Signature = s.base64()
		default:
			s.skip()
		}
	})
}

func (s *scanner) validatorSet(v *ValidatorSet) {
	s.object(func(key []byte) {
		switch string(key) {
		case "validators":
			v.Validators = nil
			s.array(func() {
				var val Validator
				s.validator(&val)
				v.Validators = append(v.Validators, val)
			})
		case "proposer":
			if s.null() {
				return
			}
			v.Proposer = new(Validator)
			s.validator(v.Proposer)
		default:
			s.skip()
		}
	})
}

func (s *scanner) validator(v *Validator) {
	s.object(func(key []byte) {
		switch string(key) {
		case "address":
			_, v.Address = s.hex(nil)
		case "pub_key":
			s.object(func(key []byte) {
				switch string(key) {
				case "type":
					v.PubKeyType = string(s.text())
				case "value":
					v.PubKey = s.base64()
				default:
					s.skip()
				}
			})
		case "voting_power":
			v.VotingPower = s.int()
		case "proposer_priority":
			v.ProposerPriority = s.int()
		default:
			s.skip()
		}
	})
}

func (s *scanner) dah(d *DAH) {
	s.object(func(key []byte) {
		switch string(key) {
		case "row_roots":
			d.RowRoots = s.roots()
		case "column_roots":
			d.ColumnRoots = s.roots()
		default:
			s.skip()
		}
	})
}

func (s *scanner) roots() [][]byte {
	if s.null() {
		return nil
	}
	roots := make([][]byte, 0, 4)
	s.array(func() { roots = append(roots, s.base64()) })
	return roots
}

// scanner reads JSON from a slice without building values of it. After an error it stands at the end, so that every loop ends, and keeps
// the first error. It nests only as deep as the functions above do; skip keeps a count and no stack. Skipped values need not be valid JSON.
type scanner struct {
	b   []byte
	i   int
	err error
}

var errEnd = errors.New("unexpected end")

func (s *scanner) fail(err error) {
	if s.err == nil {
		s.err = fmt.Errorf("at byte %d: %w", s.i, err)
	}
	s.i = len(s.b)
}

// end returns the first error, or one for bytes that follow the value.
func (s *scanner) end(what string) error {
	if s.peek(); s.err == nil && s.i < len(s.b) {
		s.fail(errors.New("more after the value"))
	}
	if s.err != nil {
		return fmt.Errorf("read %s: %w", what, s.err)
	}
	return nil
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.i < len(s.b); s.i++ {
		if c := s.b[s.i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// accept consumes c if it is next.
func (s *scanner) accept(c byte) bool {
	if s.peek() != c || s.i >= len(s.b) {
		return false
	}
	s.i++
	return true
}

func (s *scanner) expect(c byte) bool {
	if s.accept(c) {
		return true
	}
	s.fail(fmt.Errorf("expected %q", c))
	return false
}

func (s *scanner) null() bool {
	if s.peek() == 'n' && s.i+4 <= len(s.b) && string(s.b[s.i:s.i+4]) == "null" {
		s.i += 4
		return true
	}
	return false
}

// object calls member at each value with its key; member consumes the value. A null counts as an object without members.
func (s *scanner) object(member func(key []byte)) {
	if s.null() || !s.expect('{') || s.accept('}') {
		return
	}
	for {
		key := s.text()
		if !s.expect(':') {
			return
		}
		member(key)
		if s.accept(',') {
			continue
		}
		s.expect('}')
		return
	}
}

// array calls element at each value; element consumes it. A null counts as an empty array.
func (s *scanner) array(element func()) {
	if s.null() || !s.expect('[') || s.accept(']') {
		return
	}
	for {
		element()
		if s.accept(',') {
			continue
		}
		s.expect(']')
		return
	}
}

// text returns the bytes of a string, which lie in the input unless it has escapes.
func (s *scanner) text() []byte {
	if !s.expect('"') {
		return nil
	}
	for start := s.i; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[start : s.i-1]
		case c == '\\' || c >= 0x80: // rare: leave escapes and the mending of broken UTF-8 to encoding/json
			return s.escaped(start)
		case c < 0x20:
			s.fail(errors.New("control character in string"))
			return nil
		}
	}
	s.fail(errEnd)
	return nil
}

func (s *scanner) escaped(start int) []byte {
	for ; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case '\\':
			s.i++
		case '"':
			s.i++
			var text string
			if err := json.Unmarshal(s.b[start-1:s.i], &text); err != nil {
				s.fail(err)
			}
			return []byte(text)
		}
	}
	s.fail(errEnd)
	return nil
}

func appendEscaped(b []byte, text string) []byte {
	j, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can always be encoded
	}
	return append(b, j...)
}

// uint reads a number, quoted or not.
func (s *scanner) uint(limit uint64) uint64 {
	quoted := s.accept('"')
	if !quoted {
		s.peek()
	}
	v, start := uint64(0), s.i
	for ; s.i < len(s.b); s.i++ {
		d := uint64(s.b[s.i]) - '0'
		if d > 9 {
			break
		}
		if v > (limit-d)/10 {
			s.fail(errors.New("number too large"))
			return 0
		}
		v = v*10 + d
	}
	if s.i == start || s.i > start+1 && s.b[start] == '0' {
		s.fail(errors.New("expected a number"))
		return 0
	}
	if quoted && (s.i >= len(s.b) || s.b[s.i] != '"') {
		s.fail(errors.New("expected a number"))
		return 0
	}
	if quoted {
		s.i++
	}
	return v
}

func (s *scanner) int() int64 {
	quoted := s.accept('"')
	s.peek()
	negative := s.i < len(s.b) && s.b[s.i] == '-'
	if negative {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '"' {
		s.fail(errors.New("expected a number"))
		return 0
	}
	v := int64(s.uint(math.MaxInt64))
	if quoted {
		s.expect('"')
	}
	if negative {
		return -v
	}
	return v
}

func (s *scanner) time() time.Time {
	t, err := time.Parse(time.RFC3339Nano, string(s.text()))
	if err != nil && s.err == nil {
		s.fail(err)
	}
	return t.UTC()
}

func (s *scanner) bool() bool {
	s.peek()
	for _, word := range []string{"true", "false"} {
		if strings.HasPrefix(string(s.b[s.i:min(s.i+5, len(s.b))]), word) {
			s.i += len(word)
			return word == "true"
		}
	}
	s.fail(errors.New("expected true or false"))
	return false
}

// hex decodes a string of hexadecimal digits behind arena's bytes.
func (s *scanner) hex(arena []byte) (longer, v []byte) {
	n := len(arena)
	longer, err := decodeHex(arena, s.text())
	if err != nil {
		s.fail(err)
		return arena, nil
	}
	return longer, slices.Clip(longer[n:])
}

func (s *scanner) base64() []byte {
	if s.null() {
		return nil
	}
	text := s.text()
	v := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(v, text)
	if err != nil {
		s.fail(err)
	}
	return v[:n]
}

// skip passes over one value.
func (s *scanner) skip() {
	for depth := 0; ; {
		switch c := s.peek(); c {
		case 0:
			s.fail(errEnd)
			return
		case '"':
			s.skipString()
		case '{', '[':
			depth++
			s.i++
		case '}', ']':
			depth--
			s.i++
		case ',', ':':
			if depth == 0 {
				s.fail(errors.New("expected a value"))
				return
			}
			s.i++
			continue
		default:
			for s.i < len(s.b) && !isDelimiter(s.b[s.i]) {
				s.i++
			}
		}
		if depth <= 0 {
			if depth < 0 {
				s.fail(errors.New("expected a value"))
			}
			return
		}
	}
}

func (s *scanner) skipString() {
	for s.i++; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case '\\':
			s.i++
		case '"':
			s.i++
			return
		}
	}
	s.fail(errEnd)
}

func isDelimiter(c byte) bool {
	switch c {
	case ',', ':', '}', ']', '{', '[', '"', ' ', '\n', '\t', '\r', 0:
		return true
	}
	return false
}
