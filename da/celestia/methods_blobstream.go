package celestia

import (
	"context"
	"errors"
	"fmt"

	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

// maxTuples is how many heights one root over data roots may be of.
const maxTuples = 10_000

// blobstreamMethods are the roots over the data roots of a range of heights, its end exclusive, and their proofs: what
// the Blobstream contract on another chain checks.
func (h *Handler) blobstreamMethods(m map[string]jsonrpc.Method) {
	m["blobstream.GetDataRootTupleRoot"] = two(Read, "uint64", "uint64", func(ctx context.Context, start, end uint64) (any, error) {
		tuples, err := h.tuples(ctx, start, end)
		if err != nil {
			return nil, err
		}
		return fmt.Sprintf("%X", tuples.Root()), nil
	})
	m["blobstream.GetDataRootTupleInclusionProof"] = jsonrpc.Method{Params: 3, Level: Read, Bind: func(a *jsonrpc.Args) jsonrpc.Run {
		height, start, end := argHeight(a), argHeight(a), argHeight(a)
		return func(ctx context.Context) (any, error) {
			tuples, err := h.tuples(ctx, start, end)
			if err != nil {
				return nil, err
			}
			if height < start || height >= end {
				return nil, fmt.Errorf("height %d should be in the end exclusive interval first_block %d last_block %d", height, start, end)
			}
			p := tuples.Prove(height)
			return struct {
				Total    int64    `json:"total"`
				Index    int64    `json:"index"`
				LeafHash []byte   `json:"leaf_hash"`
				Aunts    [][]byte `json:"aunts,omitempty"`
			}(p), nil
		}
	}}
}

func (h *Handler) tuples(ctx context.Context, start, end uint64) (square.Tuples, error) {
	head := h.chain.Head().Load().Height
	switch {
	case start == 0:
		return square.Tuples{}, errZero
	case start >= end:
		return square.Tuples{}, errors.New("end block is smaller or equal to the start block")
	case end-start > maxTuples:
		return square.Tuples{}, fmt.Errorf("the query exceeds the limit of allowed blocks %d", maxTuples)
	case end > head+1:
		return square.Tuples{}, fmt.Errorf("end block %d is higher than local chain height %d. Wait for the node until it syncs up to %d", end, head, end)
	}
	t := square.Tuples{First: start}
	for height := start; height < end; height++ {
		if err := context.Cause(ctx); err != nil {
			return square.Tuples{}, err
		}
		e, err := h.chain.Header(height)
		if err != nil {
			return square.Tuples{}, h.text(err, height)
		}
		t.Add(e.Header.DataHash)
	}
	return t, nil
}
