package celestia

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"headrace/da"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

// appendBlob appends a blob as celestia-node writes it.
func appendBlob(b []byte, blob *da.Blob) []byte {
	b = appendBase64(append(b, `{"namespace":`...), blob.Namespace[:])
	b = appendBase64(append(b, `,"data":`...), blob.Data)
	b = strconv.AppendUint(append(b, `,"share_version":`...), uint64(blob.ShareVersion), 10)
	b = appendBase64(append(b, `,"commitment":`...), blob.Commitment)
	if blob.Signer != nil {
		b = appendBase64(append(b, `,"signer":`...), blob.Signer)
	}
	b = strconv.AppendInt(append(b, `,"index":`...), int64(blob.Index), 10)
	return append(b, '}')
}

// appendBlobs appends an array, or null for no blobs: an empty array is never seen on the wire.
func appendBlobs(b []byte, blobs []da.Blob) []byte {
	if len(blobs) == 0 {
		return append(b, `null`...)
	}
	for i := range blobs {
		b = appendBlob(append(b, "[,"[min(i, 1)]), &blobs[i])
	}
	return append(b, ']')
}

// blobsSize is about how many bytes blobs take on the wire.
func blobsSize(blobs []da.Blob) int {
	n := 16
	for i := range blobs {
		n += len(blobs[i].Data)*4/3 + 256
	}
	return n
}

func appendBase64(b, v []byte) []byte {
	if v == nil {
		return append(b, `null`...)
	}
	return append(base64.StdEncoding.AppendEncode(append(b, '"'), v), '"')
}

// event is one message of blob.Subscribe. Header is nil from nodes before v0.29.
type event struct {
	height uint64
	blobs  []da.Blob
	header *square.Header
	passed int  // blobs that were passed over, see decodeBlobs
	bad    bool // the blobs are not what they claim to be
}

// appendEvent appends an event as celestia-node writes it; without a header, as it did before v0.29.
func appendEvent(b []byte, height uint64, blobs []da.Blob, header *square.Header) []byte {
	b = appendBlobs(append(b, `{"Blobs":`...), blobs)
	b = strconv.AppendUint(append(b, `,"Height":`...), height, 10)
	if header != nil {
		b = header.AppendPlainJSON(append(b, `,"Header":`...))
	}
	return append(b, '}')
}

func decodeEvent(data []byte) (event, error) {
	var e event
	var bad error
	err := jsonrpc.ScanObject(data, func(key, value []byte) {
		var err error
		switch string(key) {
		case "Blobs":
			e.blobs, e.passed, err = decodeBlobs(value)
		case "Height":
			e.height, err = parseHeight(value)
		case "Header":
			if string(value) != "null" {
				e.header = &square.Header{}
				err = e.header.UnmarshalJSON(value)
			}
		}
		if bad == nil {
			bad = err
		}
	})
	switch {
	case err != nil:
		return event{}, fmt.Errorf("decode event: %w", err)
	case bad != nil:
		return event{}, fmt.Errorf("decode event: %w", bad)
	case e.height == 0:
		return event{}, errors.New("decode event: no height")
	case e.header != nil && e.header.Height != e.height:
		return event{}, fmt.Errorf("decode event: height %d with the header of height %d", e.height, e.header.Height)
	}
	return e, nil
}

// decodeBlobs reads an array of blobs, or null. Those of a share version above 1 are pointers to what is elsewhere
// (Fibre): nothing that a rollup posts. They are passed over, as whoever reads shares does, and counted.
func decodeBlobs(data []byte) (out []da.Blob, passed int, err error) {
	err = jsonrpc.ScanArray(data, func(value []byte) error {
		b, err := decodeBlob(value)
		switch {
		case err != nil:
			return err
		case b.ShareVersion > 1:
			passed++
		default:
			out = append(out, b)
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("decode blobs: %w", err)
	}
	return out, passed, nil
}

func decodeBlob(data []byte) (da.Blob, error) {
	var b da.Blob
	var ns []byte
	var bad error
	err := jsonrpc.ScanObject(data, func(key, value []byte) {
		var err error
		switch string(key) {
		case "namespace":
			ns, err = decodeBase64(value)
		case "data":
			b.Data, err = decodeBase64(value)
		case "share_version":
			var v uint64
			v, err = strconv.ParseUint(string(value), 10, 8)
			b.ShareVersion = uint8(v)
		case "commitment":
			b.Commitment, err = decodeBase64(value)
		case "signer":
			b.Signer, err = decodeBase64(value)
		case "index":
			b.Index, err = strconv.Atoi(string(value))
		}
		if bad == nil && err != nil {
			bad = fmt.Errorf("%s: %w", key, err)
		}
	})
	switch {
	case err != nil:
		return b, err
	case bad != nil:
		return b, bad
	case len(ns) != len(b.Namespace):
		return b, fmt.Errorf("invalid namespace length: %d. Must be %d bytes", len(ns), len(b.Namespace))
	}
	b.Namespace = da.Namespace(ns)
	return b, nil
}

// decodeBase64 reads a JSON string of base64, or null. Base64 has nothing to escape in JSON, except that a slash may be.
func decodeBase64(value []byte) ([]byte, error) {
	if string(value) == "null" {
		return nil, nil
	}
	if len(value) < 2 || value[0] != '"' {
		return nil, errors.New("not a string")
	}
	text := value[1 : len(value)-1]
	out := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(out, text)
	if err != nil {
		var s []byte // encoding/json knows all escapes
		if json.Unmarshal(value, &s) == nil {
			return s, nil
		}
		return nil, err
	}
	return out[:n:n], nil
}

// namespace is a namespace in a request, with celestia-node's error text.
type namespace da.Namespace

func (n *namespace) UnmarshalJSON(data []byte) error {
	var b []byte
	if err := json.Unmarshal(data, &b); err != nil {
		return err
	}
	if err := square.ValidNamespace(b); err != nil {
		return err
	}
	*n = namespace(b)
	return nil
}

// submitted is a blob in a request to submit it, with celestia-node's checks and error texts. Commitment and index are not looked at.
type submitted struct{ da.Blob }

func (s *submitted) UnmarshalJSON(data []byte) error {
	blob, err := decodeBlob(data)
	if err != nil {
		return readSubmitted(data)
	}
	blob.Commitment, blob.Index = nil, -1
	s.Blob = blob
	switch {
	case blob.ShareVersion == 2:
		return fmt.Errorf("share version 2 requires data of size 36 bytes (fibre_blob_version + commitment), got %d", len(blob.Data))
	case blob.ShareVersion > 2:
		return fmt.Errorf("share version %d not supported. Please use 0, 1, or 2", blob.ShareVersion)
	}
	if err := square.CheckBlob(&s.Blob); err != nil {
		if inner := errors.Unwrap(err); inner != nil {
			return fmt.Errorf("invalid user namespace: %w", inner)
		}
		return err
	}
	return nil
}

// readSubmitted reads a blob that is wrong, and says what is wrong with it in encoding/json's words.
func readSubmitted(data []byte) error {
	var w struct {
		Namespace    namespace `json:"namespace"`
		Data         []byte    `json:"data"`
		ShareVersion uint8     `json:"share_version"`
		Commitment   []byte    `json:"commitment"`
		Signer       []byte    `json:"signer"`
		Index        int       `json:"index"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	return errors.New("invalid blob")
}

// few is a list in a request that has no reason to be long. It ends at the first element that is wrong: what is decoded
// can take many times the memory of what came.
type few[T any] []T

// fewMost is how many elements are few. A proof has one for each row of a square, 512 at most.
const fewMost = 1024

func (l *few[T]) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '[' {
		return json.Unmarshal(data, (*[]T)(l))
	}
	*l = few[T]{}
	return jsonrpc.ScanArray(data, func(value []byte) error {
		if len(*l) == fewMost {
			return fmt.Errorf("it has more than %d elements", fewMost)
		}
		var v T
		if err := json.Unmarshal(value, &v); err != nil {
			return err
		}
		*l = append(*l, v)
		return nil
	})
}

// submittedList is the first parameter of blob.Submit.
type submittedList []*submitted

func (l *submittedList) UnmarshalJSON(data []byte) error {
	err := jsonrpc.ScanArray(data, func(value []byte) error {
		s := &submitted{}
		*l = append(*l, s)
		return s.UnmarshalJSON(value)
	})
	if len(data) > 0 && data[0] != '[' && err != nil {
		return json.Unmarshal(data, (*[]*submitted)(l))
	}
	return err
}
