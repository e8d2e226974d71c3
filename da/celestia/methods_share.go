package celestia

import (
	"context"
	"errors"
	"fmt"

	"headrace/da"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

func (h *Handler) shareMethods(m map[string]jsonrpc.Method) {
	m["share.GetNamespaceData"] = jsonrpc.Method{Params: 2, Level: Read, Bind: h.shareGetNamespaceData}
	m["share.GetRange"] = jsonrpc.Method{Params: 3, Level: Read, Bind: h.shareGetRange}
	m["share.GetEDS"] = jsonrpc.Method{Params: 1, Level: Read, Bind: h.shareGetEDS}
	m["share.GetShare"] = jsonrpc.Method{Params: 3, Level: Read, Bind: h.shareGetShare}
	m["share.SharesAvailable"] = jsonrpc.Method{Params: 1, Level: Read, Bind: h.shareSharesAvailable}
}

func (h *Handler) shareGetNamespaceData(a *jsonrpc.Args) jsonrpc.Run {
	height, ns := argHeight(a), argNamespace(a)
	return func(ctx context.Context) (any, error) {
		if err := h.reach(ctx, height); err != nil {
			return nil, err
		}
		return func() (any, error) {
			rows, err := h.namespaceData(height, ns)
			if err != nil {
				return nil, h.text(err, height)
			}
			return rows, nil
		}, nil
	}
}

// namespaceData asks the chain itself if it can answer, for one that answers for namespaces differently.
func (h *Handler) namespaceData(height uint64, ns da.Namespace) ([]square.NamespaceRow, error) {
	if c, ok := h.chain.(interface {
		NamespaceData(uint64, da.Namespace) ([]square.NamespaceRow, error)
	}); ok {
		return c.NamespaceData(height, ns)
	}
	sq, err := h.chain.Square(height)
	if err != nil {
		return nil, err
	}
	return sq.NamespaceData(ns)
}

// shareGetRange counts shares in the original square, not in the extended one.
func (h *Handler) shareGetRange(a *jsonrpc.Args) jsonrpc.Run {
	height := argHeight(a)
	start, end := jsonrpc.Arg[int](a, "int"), jsonrpc.Arg[int](a, "int")
	return func(ctx context.Context) (any, error) {
		sq, err := h.square(ctx, height)
		if err != nil {
			return nil, err
		}
		if k := sq.Width(); start >= k*k || start < 0 {
			return nil, fmt.Errorf("all getters failed: getting range from accessor:range validation: invalid start index of the range:%d. ODS shares amount %d\n"+
				"verifying range id: invalid start index: from %d >= size: %d\n"+
				"NewEmptyRangeNamespaceDataBlock: verifying range id: invalid start index: from %d >= size: %d", start, k*k, start, k, start, k)
		}
		return func() (any, error) { return sq.Range(start, end) }, nil
	}
}

func (h *Handler) shareGetEDS(a *jsonrpc.Args) jsonrpc.Run {
	height := argHeight(a)
	return func(ctx context.Context) (any, error) {
		sq, err := h.square(ctx, height)
		if err != nil {
			return nil, err
		}
		return func() (any, error) {
			shares, err := sq.EDS()
			if err != nil {
				return nil, err
			}
			out := append(make([]byte, 0, 32+len(shares)*700), `{"data_square":`...)
			for i, s := range shares {
				out = appendBase64(append(out, "[,"[min(i, 1)]), s)
			}
			return jsonrpc.Raw(append(out, `],"codec":"Leopard"}`...)), nil
		}, nil
	}
}

func (h *Handler) shareGetShare(a *jsonrpc.Args) jsonrpc.Run {
	height := argHeight(a)
	row, column := jsonrpc.Arg[int](a, "int"), jsonrpc.Arg[int](a, "int")
	return func(ctx context.Context) (any, error) {
		sq, err := h.square(ctx, height)
		if err != nil {
			return nil, err
		}
		share, err := sq.Share(row, column)
		if err != nil {
			return nil, err
		}
		return share, nil
	}
}

func (h *Handler) shareSharesAvailable(a *jsonrpc.Args) jsonrpc.Run {
	height := argHeight(a)
	return func(ctx context.Context) (any, error) {
		if err := h.reach(ctx, height); err != nil {
			return nil, err
		}
		_, err := h.chain.Square(height)
		if errors.Is(err, square.ErrUnavailable) {
			return nil, errors.New("share: data not available")
		}
		return nil, err
	}
}
