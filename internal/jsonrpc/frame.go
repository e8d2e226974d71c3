package jsonrpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

// frame is a message's envelope. Its members are parts of the message, as they stand there: whoever uses one decodes it, and so checks it.
type frame struct {
	id     []byte // nil if there is none
	quoted []byte // the method, with its quotes
	method []byte // and without
	params []byte
	result []byte // "null" is a result
	err    []byte
}

var (
	errFrame = errors.New("not a JSON object")
	errArray = errors.New("not a JSON array")
)

// scanFrame finds the members of a message in one pass, without copying and without recursion: depth costs nothing. It checks no more
// than it needs to find its way.
func scanFrame(data []byte) (frame, error) {
	var f frame
	err := ScanObject(data, func(key, value []byte) {
		switch string(key) {
		case "id":
			if string(value) != "null" {
				f.id = value
			}
		case "method":
			f.quoted, f.method = value, bytes.Trim(value, `"`)
		case "params":
			f.params = value
		case "result":
			f.result = value
		case "error":
			f.err = value
		}
	})
	return f, err
}

// ScanObject calls member for each member of an object, with the key without its quotes and the value as it stands. It is for answers, which
// can be long: it neither copies nor recurses, and checks no more than it needs to find its way. null has no members.
func ScanObject(data []byte, member func(key, value []byte)) error {
	i := skipSpace(data, 0)
	if string(data[i:]) == "null" {
		return nil
	}
	if i == len(data) || data[i] != '{' {
		return errFrame
	}
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == '}' {
		return nil
	}
	for {
		start := i
		if i = skipString(data, i); i < 0 {
			return errFrame
		}
		key := data[start+1 : i-1]
		if i = skipSpace(data, i); i == len(data) || data[i] != ':' {
			return errFrame
		}
		start = skipSpace(data, i+1)
		if i = skipValue(data, start); i < 0 {
			return errFrame
		}
		member(key, bytes.TrimSpace(data[start:i]))
		if i = skipSpace(data, i); i == len(data) {
			return errFrame
		}
		switch data[i] {
		case '}':
			return nil
		case ',':
			i = skipSpace(data, i+1)
		default:
			return errFrame
		}
	}
}

// ScanArray calls element for each element of an array, until one returns an error, which it returns. null has no elements. As ScanObject it
// neither copies nor recurses.
func ScanArray(data []byte, element func(value []byte) error) error {
	i := skipSpace(data, 0)
	if string(data[i:]) == "null" {
		return nil
	}
	if i == len(data) || data[i] != '[' {
		return errArray
	}
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == ']' {
		return nil
	}
	for {
		start := i
		if i = skipValue(data, start); i <= start {
			return errArray
		}
		if err := element(bytes.TrimSpace(data[start:i])); err != nil {
			return err
		}
		if i = skipSpace(data, i); i == len(data) {
			return errArray
		}
		switch data[i] {
		case ']':
			return nil
		case ',':
			i = skipSpace(data, i+1)
		default:
			return errArray
		}
	}
}

// scanPair splits an array after its first element: the rest is the second. Both are needed, more are not looked for.
func scanPair(data []byte) (first, second []byte, ok bool) {
	i := skipSpace(data, 0)
	if i == len(data) || data[i] != '[' {
		return nil, nil, false
	}
	start := skipSpace(data, i+1)
	end := skipValue(data, start)
	if end < 0 || end == start {
		return nil, nil, false
	}
	first = bytes.TrimSpace(data[start:end])
	i = skipSpace(data, end)
	if i < len(data) && data[i] == ']' {
		return first, nil, true
	}
	if i == len(data) || data[i] != ',' {
		return nil, nil, false
	}
	start = skipSpace(data, i+1)
	if end = skipValue(data, start); end < 0 {
		return nil, nil, false
	}
	return first, bytes.TrimSpace(data[start:end]), true
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\n' || data[i] == '\t' || data[i] == '\r') {
		i++
	}
	return i
}

// skipString returns where the string that begins at i has ended, or -1.
func skipString(data []byte, i int) int {
	if i >= len(data) || data[i] != '"' {
		return -1
	}
	for i++; i < len(data); {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return -1
		}
		i += n + 1
		slashes := 0
		for j := i - 2; j >= 0 && data[j] == '\\'; j-- {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
	return -1
}

// skipValue returns where the value that begins at i has ended, or -1.
func skipValue(data []byte, i int) int {
	for depth := 0; i < len(data); {
		switch c := data[i]; c {
		case '"':
			if i = skipString(data, i); i < 0 {
				return -1
			}
			if depth == 0 {
				return i
			}
		case '{', '[':
			depth++
			i++
		case '}', ']':
			if depth == 0 { // the end of what is around a bare value
				return i
			}
			depth--
			i++
			if depth == 0 {
				return i
			}
		case ',':
			if depth == 0 {
				return i
			}
			i++
		default:
			i++
		}
	}
	return -1
}

// uintOf reads an id of ours.
func uintOf(b []byte) (uint64, bool) {
	v, err := strconv.ParseUint(string(b), 10, 64)
	return v, err == nil
}

// errorOf reads the error member of an answer.
func errorOf(b []byte) *Error {
	e := &Error{}
	if err := json.Unmarshal(b, e); err != nil {
		return &Error{Code: CodeParse, Message: "error answer that cannot be read: " + err.Error()}
	}
	return e
}

// Array writes a parameter list. The values must be ones that encoding/json can write; json.RawMessage and Raw values are taken as they are.
func Array(values ...any) Raw {
	b := []byte{'['}
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, v)
	}
	return append(b, ']')
}

// Raw is JSON that is ready: it is written as it is, without a check.
type Raw []byte

// MarshalJSON returns r.
func (r Raw) MarshalJSON() ([]byte, error) { return r, nil }

// appendJSON appends a value of our own types; one that cannot be written is a bug, and panics.
func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case Raw:
		return append(b, v...)
	case json.RawMessage:
		return append(b, v...)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	}
	out, err := json.Marshal(v)
	if err != nil {
		panic("encode " + err.Error())
	}
	return append(b, out...)
}

// appendRequest writes a request of ours.
func appendRequest(b []byte, id uint64, method string, params Raw) []byte {
	b = strconv.AppendUint(append(b, `{"jsonrpc":"2.0","id":`...), id, 10)
	b = append(append(append(b, `,"method":"`...), method...), `","params":`...)
	return append(append(b, params...), '}')
}

// appendNotification writes what go-jsonrpc writes for a message without an id.
func appendNotification(b []byte, method string, params ...any) []byte {
	b = append(append(append(b, `{"jsonrpc":"2.0","method":"`...), method...), `","params":[`...)
	for i, p := range params {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendJSON(b, p)
	}
	return append(b, ']', '}', '\n')
}

// appendResult and appendError write an answer as go-jsonrpc does: keys in alphabetical order, and a newline.
func appendResult(b []byte, id any, result any) []byte {
	return append(appendJSON(appendBeforeResult(b, id), result), endOfResult...)
}

func appendBeforeResult(b []byte, id any) []byte {
	return append(appendJSON(append(b, `{"id":`...), id), `,"jsonrpc":"2.0","result":`...)
}

func appendError(b []byte, id any, e *Error) []byte {
	b = appendJSON(append(b, `{"error":`...), e)
	b = appendJSON(append(b, `,"id":`...), id)
	return append(b, ",\"jsonrpc\":\"2.0\"}\n"...)
}
