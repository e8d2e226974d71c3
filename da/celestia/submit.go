package celestia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/jsonrpc"
)

// Submit posts blobs, together, and returns their height once they are included; see da.Submitter. A fee that is too
// low is raised up to Options.MaxGasPrice; a sequence mismatch and a full mempool are tried again, with the next
// account; an endpoint that cannot be reached, or before which somebody lets nothing through, is passed over for the
// next one. All these are certain not to have posted anything. Whatever leaves that open ends Submit with
// da.ErrUnknownOutcome.
func (c *Client) Submit(ctx context.Context, blobs []da.Blob) (uint64, error) {
	if len(blobs) == 0 {
		return 0, fmt.Errorf("%w: no blobs", da.ErrRejected)
	}
	backoff := follow.Backoff{Min: 50 * time.Millisecond, Max: 2 * time.Second}
	endpoints := c.ranked()
	for try := 1; ; try++ {
		price := c.price()
		height, err := endpoints[0].submit(ctx, blobs, c.config(price))
		switch {
		case err == nil || ctx.Err() != nil || try == submitTries:
			return height, err
		case errors.Is(err, da.ErrFee):
			if !c.raise(price, err) {
				return 0, err
			}
		case errors.Is(err, da.ErrSequence):
		case errors.Is(err, da.ErrNotPosted), errors.Is(err, da.ErrRateLimited), errors.Is(err, da.ErrUnauthorized):
			if limited := errors.Is(err, da.ErrRateLimited); !limited && try >= len(endpoints) {
				return 0, err // each has been asked
			}
			endpoints = append(endpoints[1:], endpoints[0])
		default:
			return 0, err
		}
		c.said.Say(c.opt.Logger, slog.LevelInfo, "submission not posted, tried again", err)
		if backoff.Sleep(ctx, nil) != nil {
			return 0, err
		}
	}
}

// submitTries bounds the tries of one submission.
const submitTries = 8

// config returns how the next submission is paid for, by the next account in turn.
func (c *Client) config(price float64) txConfig {
	t := txConfig{GasPrice: price, IsGasPriceSet: price > 0, MaxGasPrice: c.opt.MaxGasPrice, TxPriority: c.opt.Priority}
	if n := uint64(len(c.opt.Keys)); n > 0 {
		t.KeyName = c.opt.Keys[(c.turn.Add(1)-1)%n]
	}
	return t
}

func (c *Client) price() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gasPrice
}

var minGasPrice = regexp.MustCompile(`min gas price: ([0-9.]+) ?utia`)

// raise raises the gas price after one that was too low, at least to the minimum that the error names. False: it must
// not be higher.
func (c *Client) raise(was float64, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gasPrice > was {
		return true // another submission has raised it
	}
	next := was * 1.5
	if m := minGasPrice.FindStringSubmatch(err.Error()); m != nil {
		if named, err := strconv.ParseFloat(m[1], 64); err == nil {
			next = max(next, named)
		}
	}
	if limit := c.opt.MaxGasPrice; limit > 0 {
		next = min(next, limit)
	}
	if next <= was {
		return false
	}
	c.gasPrice = next
	return true
}

func (e *endpoint) submit(ctx context.Context, blobs []da.Blob, config txConfig) (uint64, error) {
	most := e.client.SubmitTimeout()
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("not included within %s: %w", most, context.DeadlineExceeded))
	defer cancel()
	params := appendToSubmit(append(make([]byte, 0, blobsSize(blobs)+256), '['), blobs)
	params = append(append(append(params, ','), config.encode()...), ']')
	var height uint64
	decode := func(result []byte) error { return json.Unmarshal(result, &height) }
	e.client.count.submissions.Add(1)
	var err error
	if !e.polling.Load() {
		err = e.post.Call(ctx, "blob.Submit", params, decode)
	}
	if e.polling.Load() || errors.Is(classify(err), errNoSocket) { // then it was not sent
		err = e.http.Call(ctx, "blob.Submit", params, decode)
	}
	if err = submitError(err); err != nil {
		err = fmt.Errorf("%s: blob.Submit: %w", e.name, err)
	}
	if !about(err) {
		e.note(ctx, err)
	}
	return height, err
}

// about reports whether an error is about what was submitted, and not about the endpoint.
func about(err error) bool {
	return slices.ContainsFunc([]error{da.ErrRejected, da.ErrTooBig, da.ErrFee, da.ErrSequence}, func(kind error) bool { return errors.Is(err, kind) })
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
	b, err := json.Marshal(t)
	if err != nil {
		panic("encode " + err.Error()) // not a finite number: options are checked in New
	}
	return b
}

// submitError tells a submission that certainly failed from one whose outcome nobody knows. Once the request was sent,
// only an answer that says so can rule out that it will be included: the node's own, or a status by which whoever stands
// before the node says that it let nothing through. No other status says that, 503 neither: gateways give them for
// requests that the node has.
func submitError(err error) error {
	var answer *jsonrpc.Error
	var status *jsonrpc.StatusError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsonrpc.ErrUnsent):
		return fmt.Errorf("%w: %w", da.ErrNotPosted, classify(err))
	case errors.As(err, &status) && slices.Contains(notPosted, status.Status):
		return fmt.Errorf("%w: %w", da.ErrNotPosted, classify(err))
	case errors.As(err, &answer) && slices.Contains(notUnderstood, answer.Code) && kindOf(answer) == nil:
		return fmt.Errorf("%w: %w", da.ErrRejected, err)
	case errors.As(err, &answer) && kindOf(answer) != nil:
		return classify(err)
	}
	return fmt.Errorf("%w: %w", da.ErrUnknownOutcome, err)
}

// notPosted are the statuses that are certain: a token, a path, a size or a rate, all looked at before anything else.
var notPosted = []int{
	http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusTooManyRequests,
}

// notUnderstood are the codes of a node that did not understand the request: frames 028 to 032. Any other code may be
// a gateway's, which gives its own troubles as JSON-RPC errors, too.
var notUnderstood = []int{jsonrpc.CodeParse, jsonrpc.CodeInvalidRequest, jsonrpc.CodeNoMethod, jsonrpc.CodeParams}
