package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"headrace/block"
	"headrace/internal/syncer"
	"headrace/l1"
)

// The reasons why an offered block is not taken.
var (
	ErrGate   = syncer.ErrGate   // the node does not have all that is canonical: offer it again when Status.Unsafe.Open
	ErrStale  = syncer.ErrStale  // the canonical chain has a block at its height
	ErrForged = syncer.ErrForged // the chain's proposer has not signed all of it
	ErrUnfit  = syncer.ErrUnfit  // it does not fit its parent, or the engine finds it invalid
)

// maxUnsafe bounds the body of POST /v1/unsafe, in bytes: a block and its base64.
const maxUnsafe = 8 << 20

// Offer takes a block, as the chain's proposer has signed it, that came beside the canonical source, in any order;
// data is nil for a block without transactions. It becomes the unsafe head at once, or, when buffered is true, once
// its parent is there; the canonical block at its height promotes or replaces it. ErrGate, ErrStale, ErrForged and
// ErrUnfit say why it is refused; with any other error it is kept and tried again. Only a full node of a chain whose
// canonical source is an L1 inbox takes any; others answer ErrGate.
func (n *Node) Offer(ctx context.Context, header *block.SignedHeader, data *block.SignedData) (buffered bool, err error) {
	if n.up.offers == nil {
		return false, fmt.Errorf("%w: this chain's canonical source is a DA layer", ErrGate)
	}
	return n.up.offers.Offer(ctx, header, data)
}

// postUnsafe answers 200 when the block is connected and 202 when it waits for its parent; 400 when it does not
// decode, 403 when it is not the proposer's, 409 when none are taken now, 410 when the canonical chain is past its
// height, 422 when it can be no block on its parent.
func (n *Node) postUnsafe(w http.ResponseWriter, r *http.Request) {
	var body l1.Encoded // header and data as in a proposal; no data for a block without transactions
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxUnsafe)).Decode(&body); err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("decode body: %w", err))
		return
	}
	header, data, err := block.DecodeSigned(body.Header, body.Data)
	if err != nil {
		fail(w, http.StatusBadRequest, fmt.Errorf("decode header and data: %w", err))
		return
	}
	switch buffered, err := n.Offer(r.Context(), header, data); {
	case errors.Is(err, ErrGate):
		fail(w, http.StatusConflict, err)
	case errors.Is(err, ErrStale):
		fail(w, http.StatusGone, err)
	case errors.Is(err, ErrForged):
		fail(w, http.StatusForbidden, err)
	case errors.Is(err, ErrUnfit):
		fail(w, http.StatusUnprocessableEntity, err)
	case err != nil:
		fail(w, http.StatusServiceUnavailable, err)
	case buffered:
		reply(w, http.StatusAccepted, map[string]bool{"buffered": true})
	default:
		reply(w, http.StatusOK, map[string]bool{"buffered": false})
	}
}
