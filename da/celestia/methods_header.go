package celestia

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"headrace/da"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

// maxRange is how many headers one request may ask for.
const maxRange = 64

func (h *Handler) headerMethods(m map[string]jsonrpc.Method) {
	head := func(*jsonrpc.Args) jsonrpc.Run {
		return func(context.Context) (any, error) { return h.header(h.chain.Head().Load().Height) }
	}
	m["header.LocalHead"] = jsonrpc.Method{Level: Read, Bind: head}
	m["header.NetworkHead"] = jsonrpc.Method{Level: Read, Bind: head}
	m["header.Tail"] = jsonrpc.Method{Level: Read, Bind: func(*jsonrpc.Args) jsonrpc.Run {
		return func(context.Context) (any, error) { return h.header(h.chain.Tail()) }
	}}
	m["header.GetByHeight"] = one(Read, "uint64", h.headerGetByHeight)
	m["header.WaitForHeight"] = one(Read, "uint64", h.headerWaitForHeight)
	m["header.GetByHash"] = one(Read, "header.Hash", h.headerGetByHash)
	m["header.GetRangeByHeight"] = two(Read, "*header.ExtendedHeader", "uint64", h.headerGetRange)
	m["header.SyncState"] = fixed(Read, func() any {
		return jsonrpc.Raw(fmt.Sprintf(`{"id":0,"height":%d,"from_height":0,"to_height":0,"from_hash":"","to_hash":"","start":"0001-01-01T00:00:00Z","end":"0001-01-01T00:00:00Z"}`,
			h.chain.Head().Load().Height))
	})
	m["header.SyncWait"] = fixed(Read, func() any { return nil })
	m["header.Subscribe"] = jsonrpc.Method{Level: Read, Channel: true, Bind: func(*jsonrpc.Args) jsonrpc.Run {
		return func(ctx context.Context) (any, error) {
			return h.stream(ctx, da.Namespace{}, h.opt.Queue, h.rawHeader), nil
		}
	}}
}

// header returns an extended header ready to be written.
func (h *Handler) header(height uint64) (any, error) {
	raw, err := h.rawHeader(height)
	if err != nil {
		return nil, err
	}
	return raw, nil
}

func (h *Handler) rawHeader(height uint64) (jsonrpc.Raw, error) {
	e, err := h.chain.Header(height)
	if err != nil {
		return nil, h.text(err, height)
	}
	return e.AppendJSON(make([]byte, 0, 3072+256*len(e.DAH.RowRoots))), nil
}

func (h *Handler) headerGetByHeight(ctx context.Context, height uint64) (any, error) {
	if err := h.reach(ctx, height); err != nil {
		return nil, err
	}
	return h.header(height)
}

// headerWaitForHeight waits however far away a height is.
func (h *Handler) headerWaitForHeight(ctx context.Context, height uint64) (any, error) {
	switch {
	case height == 0:
		return nil, errors.New("header/store: height must be bigger than zero")
	case height < h.chain.Tail():
		return nil, fmt.Errorf("height %d: header: not found", height)
	}
	if err := h.chain.WaitHeight(ctx, height); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("awaiting header %d with head %d: %w", height, h.chain.Head().Load().Height, ctx.Err())
		}
		return nil, err
	}
	return h.header(height)
}

func (h *Handler) headerGetByHash(_ context.Context, hash headerHash) (any, error) {
	if e := h.byHash(string(hash)); e != nil {
		return jsonrpc.Raw(e.AppendJSON(nil)), nil
	}
	return nil, fmt.Errorf("hash %s: header: not found", strings.ToUpper(hex.EncodeToString([]byte(hash))))
}

// byHash returns the header with a hash, in hexadecimal; nil if there is none.
func (h *Handler) byHash(text string) *square.ExtendedHeader {
	hash, err := hex.DecodeString(text)
	if err != nil || len(hash) != 32 {
		return nil
	}
	height, err := h.chain.HeightOf([32]byte(hash))
	if err != nil {
		return nil
	}
	e, err := h.chain.Header(height)
	if err != nil || e.Header.Hash() != [32]byte(hash) { // it is below the tail by now, or a fault has put another in its place
		return nil
	}
	return e
}

// headerHash is a hash in a request: hexadecimal digits.
type headerHash string

func (h *headerHash) UnmarshalJSON(data []byte) error {
	var text *string
	if err := json.Unmarshal(data, &text); err != nil || text == nil {
		return fmt.Errorf("invalid hex string: %s", data)
	}
	*h = headerHash(*text)
	_, err := hex.DecodeString(*text)
	return err
}

// fromHeader is the first parameter of header.GetRangeByHeight; only its height is looked at.
type fromHeader struct{ square.Header }

func (f *fromHeader) UnmarshalJSON(data []byte) error {
	var err error
	f.Header, _, err = square.ScanHeader(data, false)
	return err
}

// headerGetRange returns the headers above a header and below a height.
func (h *Handler) headerGetRange(ctx context.Context, from *fromHeader, to uint64) (any, error) {
	if from == nil {
		return nil, errors.New("header/service: 'from' header is nil")
	}
	first := from.Height + 1
	switch {
	case to < first:
		return nil, errors.New("header/p2p: `from` must be less than `to`")
	case to == first:
		return nil, errors.New("empty header range")
	case to-first > maxRange:
		return nil, errors.New("header/p2p: header limit per 1 request exceeded")
	}
	if err := h.reach(ctx, to-1); err != nil {
		return nil, err
	}
	out := make([]byte, 0, (to-first)*3072)
	for height := first; height < to; height++ {
		e, err := h.chain.Header(height)
		if err != nil {
			return nil, h.text(err, height)
		}
		out = e.AppendJSON(append(out, "[,"[min(height-first, 1)]))
	}
	return jsonrpc.Raw(append(out, ']')), nil
}
