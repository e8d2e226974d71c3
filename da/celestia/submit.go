package celestia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"headrace/da"
	"headrace/internal/jsonrpc"
)

// Submit posts blobs, together, and returns their height once they are included; see da.Submitter.
func (c *Client) Submit(ctx context.Context, blobs []da.Blob) (uint64, error) {
	if len(blobs) == 0 {
		return 0, fmt.Errorf("%w: no blobs", da.ErrRejected)
	}
	return c.endpoints[0].submit(ctx, blobs, txConfig{})
}

func (e *endpoint) submit(ctx context.Context, blobs []da.Blob, config txConfig) (uint64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.client.opt.SubmitTimeout, fmt.Errorf("not included within %s: %w", e.client.opt.SubmitTimeout, context.DeadlineExceeded))
	defer cancel()
	params := appendToSubmit(append(make([]byte, 0, blobsSize(blobs)+256), '['), blobs)
	params = append(append(append(params, ','), config.encode()...), ']')
	var height uint64
	e.client.count.submissions.Add(1)
	err := e.post.Call(ctx, "blob.Submit", params, func(result []byte) error { return json.Unmarshal(result, &height) })
	if err = submitError(err); err != nil {
		err = fmt.Errorf("%s: blob.Submit: %w", e.name, err)
	}
	e.note(ctx, err)
	return height, err
}

// appendToSubmit appends blobs as a request carries them: commitment and index are the node's to find.
func appendToSubmit(b []byte, blobs []da.Blob) []byte {
	b = append(b, '[')
	for i := range blobs {
		if i > 0 {
			b = append(b, ',')
		}
		blob := blobs[i]
		blob.Commitment, blob.Index = nil, -1
		b = appendBlob(b, &blob)
	}
	return append(b, ']')
}

// encode writes the options that are set. Never null: that is a fatal error to a node.
func (t txConfig) encode() []byte {
	m := map[string]any{}
	if t.IsGasPriceSet {
		m["gas_price"], m["is_gas_price_set"] = t.GasPrice, true
	}
	if t.MaxGasPrice > 0 {
		m["max_gas_price"] = t.MaxGasPrice
	}
	if t.TxPriority > 0 {
		m["tx_priority"] = t.TxPriority
	}
	if t.KeyName != "" {
		m["key_name"] = t.KeyName
	}
	if t.Signer != "" {
		m["signer_address"] = t.Signer
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic("encode " + err.Error()) // not a finite number: options are checked in New
	}
	return b
}

// submitError tells a submission that certainly failed from one whose outcome nobody knows: once the request was sent, only an answer that
// says so can rule out that it will be included.
func submitError(err error) error {
	var answer *jsonrpc.Error
	var status *jsonrpc.StatusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer) && answer.Code != jsonrpc.CodeMethod && answer.Code != jsonrpc.CodePanic && kindOf(answer) == nil:
		return fmt.Errorf("%w: %w", da.ErrRejected, err) // frames 027-032: the request was not understood
	case errors.As(err, &answer):
		if kindOf(answer) == nil {
			return fmt.Errorf("%w: %w", da.ErrUnknownOutcome, err)
		}
		return classify(err)
	case errors.Is(err, jsonrpc.ErrUnsent), errors.As(err, &status):
		return classify(err)
	}
	return fmt.Errorf("%w: %w", da.ErrUnknownOutcome, err)
}
