package compact

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"headrace/exec"
	"headrace/l1"
)

// How a body is packed. There is room for more ways. Brotli is none of them: at its highest level it made the loads that
// were tried 0.1 to 2 % shorter, and a reader of it takes memory for tables, whose number the writer chooses, beside the
// body.
const (
	stored    = 0
	zstandard = 1 // RFC 8878: one frame of one segment, without a checksum or a dictionary
)

var packings = []string{"stored", "zstd"}

// level is what bodies are compressed at: the highest. A reader does not depend on it.
const level = zstd.SpeedBestCompression

// frame packs a body in the way that makes it shortest.
func frame(body []byte) ([]byte, error) {
	best, packing := body, byte(stored)
	packed, err := pack(body)
	if err != nil {
		return nil, err
	}
	if len(packed) < len(best) {
		best, packing = packed, zstandard
	}
	out := binary.AppendUvarint([]byte{Version, 0, 0, 0, 0, packing}, uint64(len(body)))
	out = append(out, best...)
	binary.BigEndian.PutUint32(out[1:], uint32(len(out)-head))
	if len(out) > l1.MaxPayload {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", l1.ErrTooBig, len(out), l1.MaxPayload)
	}
	return out, nil
}

func pack(body []byte) ([]byte, error) {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	packed := e.EncodeAll(body, nil)
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return packed, nil
}

// packed is a payload before its body is unpacked.
type packed struct {
	packing byte
	size    int // of the body
	content []byte
	length  int // of the payload
}

// parse reads what a payload says of itself.
func parse(payload []byte) (p packed, err error) {
	switch {
	case len(payload) < head:
		return p, fmt.Errorf("payload of %d bytes", len(payload))
	case payload[0] != Version:
		return p, fmt.Errorf("payload version %d", payload[0])
	}
	length := binary.BigEndian.Uint32(payload[1:])
	if length > l1.MaxPayload-head || uint64(length) > uint64(len(payload)-head) {
		return p, fmt.Errorf("payload claims %d bytes, has %d, limit %d", length, len(payload)-head, l1.MaxPayload-head)
	}
	p.length = head + int(length)
	c := &exec.Columns{Cols: [][]byte{payload[head:p.length]}}
	p.packing = c.TakeByte(0)
	size := c.TakeUint(0)
	switch {
	case c.Err != nil:
		return p, c.Err
	case size > MaxSize:
		return p, fmt.Errorf("body of %d bytes, limit %d", size, MaxSize)
	case int(p.packing) >= len(packings):
		return p, fmt.Errorf("packing %d", p.packing)
	}
	p.size, p.content = int(size), c.Cols[0]
	return p, nil
}

// unframe unpacks a payload's body.
func unframe(payload []byte) ([]byte, error) {
	p, err := parse(payload)
	if err != nil {
		return nil, err
	}
	if p.packing == zstandard {
		return unpack(p.content, p.size)
	}
	if len(p.content) != p.size {
		return nil, fmt.Errorf("body of %d bytes, want %d", len(p.content), p.size)
	}
	return p.content, nil
}

// unpack wants one frame, and nothing else: its blocks are walked through before anything is decoded.
func unpack(b []byte, size int) ([]byte, error) {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	if h.Skippable || !h.SingleSegment || !h.HasFCS || h.HasCheckSum || h.DictionaryID != 0 || h.FrameContentSize != uint64(size) {
		return nil, fmt.Errorf("zstd: not one frame of one segment with %d bytes, without checksum and dictionary", size)
	}
	rest := b[h.HeaderSize:]
	for last := false; !last; {
		if len(rest) < 3 {
			return nil, io.ErrUnexpectedEOF
		}
		head := uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16
		last = head&1 != 0
		n := int(head >> 3)
		if head>>1&3 == 1 { // one byte, so many times
			n = 1
		}
		if len(rest) < 3+n {
			return nil, io.ErrUnexpectedEOF
		}
		rest = rest[3+n:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("zstd: %d bytes follow the frame", len(rest))
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(MaxSize), zstd.WithDecoderMaxWindow(MaxSize), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	defer d.Close()
	body, err := d.DecodeAll(b, make([]byte, 0, size))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	if len(body) != size {
		return nil, fmt.Errorf("zstd: %d bytes, want %d", len(body), size)
	}
	return body, nil
}
