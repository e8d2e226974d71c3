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

// object calls member at each value with its key. Member consumes the value, or leaves it where it is: then it is
// skipped. A null counts as an object without members.
func (s *scanner) object(member func(key []byte)) {
	if s.null() || !s.expect('{') || s.accept('}') {
		return
	}
	for {
		key := s.text()
		if !s.expect(':') {
			return
		}
		s.peek()
		at := s.i
		if member(key); s.i == at {
			s.skip()
		}
		if s.accept(',') {
			continue
		}
		s.expect('}')
		return
	}
}

// array calls element at each value, of which there may be limit; element consumes it. A null counts as an empty array. The limit keeps an
// array of next to nothing from growing into much memory (I6).
func (s *scanner) array(limit int, element func()) {
	if s.null() || !s.expect('[') || s.accept(']') {
		return
	}
	for n := 0; ; n++ {
		if n == limit {
			s.fail(fmt.Errorf("more than %d elements", limit))
			return
		}
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
