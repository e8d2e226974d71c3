package celestia

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"headrace/da"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

func (h *Handler) shareMethods(m map[string]jsonrpc.Method) {
	m["share.GetNamespaceData"] = jsonrpc.Method{Params: 2, Level: Read, Bind: h.shareGetNamespaceData}
	m["share.GetRange"] = jsonrpc.Method{Params: 3, Level: Read, Bind: h.shareGetRange}
	m["share.GetEDS"] = jsonrpc.Method{Params: 1, Level: Read, Bind: h.shareGetEDS}
	m["share.GetShare"] = jsonrpc.Method{Params: 3, Level: Read, Bind: h.shareGetShare}
	m["share.GetSamples"] = jsonrpc.Method{Params: 2, Level: Read, Bind: h.shareGetSamples}
	m["share.GetRow"] = jsonrpc.Method{Params: 2, Level: Read, Bind: h.shareGetRow}
	m["share.SharesAvailable"] = jsonrpc.Method{Params: 1, Level: Read, Bind: h.shareSharesAvailable}
}

func (h *Handler) shareGetNamespaceData(a *jsonrpc.Args) jsonrpc.Run {
	height, ns := argHeight(a), argNamespace(a)
	return h.reached(height, func() (any, error) {
		rows, err := h.namespaceData(height, ns)
		if err != nil {
			return nil, err
		}
		return jsonrpc.Raw(square.AppendRowsJSON(nil, rows)), nil
	}, namespace(ns))
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
	return h.ofSquare(height, func(sq *square.Square) (any, error) {
		if err := rangeError(start, end, sq.Width()); err != nil {
			return nil, err
		}
		found, err := sq.Range(start, end)
		if err != nil {
			return nil, err
		}
		return jsonrpc.Raw(found.AppendJSON(nil)), nil
	})
}

// A share of 512 bytes is 684 in base64, which is quoted and has a comma or a bracket before it.
const (
	shareJSON = 687
	edsBefore = `{"data_square":`
	edsAfter  = `],"codec":"Leopard"}`
	edsPiece  = 8 << 20 // bytes of JSON in a piece, about
)

// shareGetEDS gives the whole extended square, of which the largest has 700 MB of JSON, some rows at a time.
func (h *Handler) shareGetEDS(a *jsonrpc.Args) jsonrpc.Run {
	height := argHeight(a)
	return func(ctx context.Context) (any, error) {
		if err := h.reach(ctx, height, namespace{}); err != nil {
			return nil, err
		}
		e, err := h.chain.Header(height)
		if err != nil {
			return nil, h.text(err, height)
		}
		w := len(e.DAH.RowRoots)
		rows := min(w, max(1, edsPiece/(w*shareJSON)))
		next := 0
		return &jsonrpc.Pieces{
			Size: len(edsBefore) + w*w*shareJSON + len(edsAfter),
			Each: rows * w * (shareJSON + square.ShareSize),
			Next: func() ([]byte, error) {
				h.yield(ctx)
				from := next
				next = min(w, from+rows)
				return h.edsRows(height, from, next)
			},
		}, nil
	}
}

// edsRows writes rows [from, to) of a height's extended square, with what stands before the first and after the last.
func (h *Handler) edsRows(height uint64, from, to int) ([]byte, error) {
	h.extending.Lock()
	defer h.extending.Unlock()
	sq, err := h.chain.Square(height)
	if err != nil {
		return nil, h.text(err, height)
	}
	rows, err := sq.Rows(from, to)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(edsBefore)+len(rows)*len(rows[0])*shareJSON+len(edsAfter))
	separator := byte(',')
	if from == 0 {
		out, separator = append(out, edsBefore...), '['
	}
	for _, row := range rows {
		for _, s := range row {
			out, separator = appendBase64(append(out, separator), s), ','
		}
	}
	if to == len(rows[0]) {
		out = append(out, edsAfter...)
	}
	return out, nil
}

func (h *Handler) shareGetShare(a *jsonrpc.Args) jsonrpc.Run {
	height := argHeight(a)
	row, column := jsonrpc.Arg[int](a, "int"), jsonrpc.Arg[int](a, "int")
	return h.ofSquare(height, func(sq *square.Square) (any, error) {
		if err := sampleError(row, column, sq.Width()); err != nil {
			return nil, err
		}
		return sq.Share(row, column)
	})
}

// rangeError returns what a node says of a range of shares that is not in a square of width k; nil for one that is.
func rangeError(start, end, k int) error {
	const failed, block = "all getters failed: getting range from accessor:range validation: ", "NewEmptyRangeNamespaceDataBlock: "
	shares := k * k
	startAt := fmt.Sprintf("verifying range id: invalid start index: from %d >= size: %d", start, k)
	endAt := fmt.Sprintf("verifying range id: invalid end index: to %d > size: %d", end, k)
	switch {
	case start < 0:
		return fmt.Errorf("share: invalid range [%d, %d)\n%s\n%s%s", start, end, startAt, block, startAt)
	case start >= shares:
		return fmt.Errorf("%sinvalid start index of the range:%d. ODS shares amount %d\n%s\n%s%s", failed, start, shares, startAt, block, startAt)
	case start >= end:
		return fmt.Errorf("share: invalid range [%d, %d)", start, end)
	case end > shares:
		return fmt.Errorf("%sinvalid end coordinates of the range:%d. ODS shares amount %d\n%s\n%s%s", failed, end, shares, endAt, block, endAt)
	}
	return nil
}

// outside returns what a node says of an index that is not in an extended square; "" for one that is.
func outside(name string, index, k int) string {
	switch {
	case index < 0:
		return fmt.Sprintf("%s: %d < 0", name, index)
	case index >= 2*k:
		return fmt.Sprintf("%s: %d >= %d", name, index, 2*k)
	}
	return ""
}

const outOfBounds = "index out of bounds: invalid shwap ID, "

func sampleError(row, column, k int) error {
	what := ""
	if o := outside("RowIndex", row, k); o != "" {
		what = "verifying SampleID: verifying RowID: " + outOfBounds + o
	} else if o = outside("ShareIndex", column, k); o != "" {
		what = "verifying SampleID: " + outOfBounds + o
	} else {
		return nil
	}
	return fmt.Errorf("all getters failed: get sample from accessor:sample validation: %s\nfailed to create a sampleID from the coordinates: %s\nNewEmptySampleBlock: %s", what, what, what)
}

func rowError(row, k int) error {
	o := outside("RowIndex", row, k)
	if o == "" {
		return nil
	}
	what := "verifying RowID: " + outOfBounds + o
	return fmt.Errorf("all getters failed: getting axis half from accessor: axis half validation: %s\n%s\nNewEmptyRowBlock: %s", what, what, what)
}

// sample is a share of the extended square with the proof that its row has it.
type sample struct {
	Share []byte        `json:"share"`
	Proof *square.Proof `json:"proof"`
	Axis  int           `json:"proof_type"` // 0: of a row
}

// coords are the place of a share in an extended square.
type coords struct {
	Row, Col int
	at       int // where in the list they are asked for
}

func (h *Handler) shareGetSamples(a *jsonrpc.Args) jsonrpc.Run {
	height := argHeight(a)
	places := jsonrpc.Arg[few[coords]](a, "[]shwap.SampleCoords")
	return h.ofSquare(height, func(sq *square.Square) (any, error) {
		for i, p := range places {
			if err := sampleError(p.Row, p.Col, sq.Width()); err != nil {
				return nil, err
			}
			places[i].at = i
		}
		slices.SortFunc(places, func(a, b coords) int { return a.Row - b.Row }) // each row is made once
		out := make([]sample, len(places))
		var proven func(column int) ([]byte, *square.Proof, error)
		for i, p := range places {
			var err error
			if i == 0 || p.Row != places[i-1].Row {
				if proven, err = sq.Sampler(p.Row); err != nil {
					return nil, err
				}
			}
			if out[p.at].Share, out[p.at].Proof, err = proven(p.Col); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// shareGetRow gives the left half of a row: the other one can be computed.
func (h *Handler) shareGetRow(a *jsonrpc.Args) jsonrpc.Run {
	height, row := argHeight(a), jsonrpc.Arg[int](a, "int")
	return h.ofSquare(height, func(sq *square.Square) (any, error) {
		if err := rowError(row, sq.Width()); err != nil {
			return nil, err
		}
		shares, err := sq.Row(row)
		if err != nil {
			return nil, err
		}
		return struct {
			Shares [][]byte `json:"shares"`
			Side   string   `json:"side"`
		}{shares[:sq.Width()], "LEFT"}, nil
	})
}

func (h *Handler) shareSharesAvailable(a *jsonrpc.Args) jsonrpc.Run {
	height := argHeight(a)
	return h.reached(height, func() (any, error) {
		_, err := h.chain.Square(height)
		if errors.Is(err, square.ErrUnavailable) {
			return nil, errors.New("share: data not available")
		}
		return nil, err
	}, namespace{})
}
