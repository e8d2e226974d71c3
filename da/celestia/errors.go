package celestia

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"headrace/da"
	"headrace/internal/jsonrpc"
)

// texts maps the errors of celestia-node's methods to ours. They all have code 1: only the text tells them apart. The first row that
// matches counts. frame is the captured frame that shows the text, "calls.txt" the record in testdata; "source" where it
// was read in celestia-node's or celestia-app's source.
var texts = []struct {
	frame  string
	prefix string // the text begins with it
	within string // and contains this
	kind   error
}{
	{"013, 043", "header: given height is from the future", "", da.ErrFuture},
	{"source", "header: syncing in progress", "", da.ErrSyncing},
	{"107", "requested header (", "is below Tail", da.ErrPruned},
	{"108", "height ", "header: not found", da.ErrPruned},
	{"049", "blob: not found", "", da.ErrNotFound},
	{"023", "hash ", "header: not found", da.ErrNotFound},
	{"003, 005, 007, 077", "missing permission to invoke", "", da.ErrUnauthorized},
	{"104", "all getters failed", "", errUnavailable},
	{"106", "share: data not available", "", errUnavailable},
	{"029", "state: no blobs provided", "", da.ErrRejected},
	{"034", "failed to get tx author address", "", da.ErrRejected},
	{"083", "failed to create msg pay-for-blobs", "", da.ErrRejected},
	{"source", "", "account sequence mismatch", da.ErrSequence},
	{"source", "broadcast tx error", "code: 32", da.ErrSequence},
	{"033", "broadcast tx error", "insufficient fee", da.ErrFee},
	{"source", "", "insufficient minimum gas price", da.ErrFee},
	{"calls.txt", "state: estimated gas price exceeds max gas price", "", da.ErrFee},
	{"099", "broadcast tx error", "code: 21", da.ErrTooBig},
	{"source", "broadcast tx error", "code: 20", da.ErrRateLimited}, // the mempool is full
	{"source", "broadcast tx error", "", da.ErrRejected},            // any other refusal before it was spread
	{"source", "tx with hash", "", da.ErrUnknownOutcome},
	{"source", "", "mempool is full", da.ErrRateLimited},
}

// errUnavailable: the endpoint knows the height and has lost its data, or cannot get it. Another one may have it.
var errUnavailable = errors.New("endpoint has lost the data of this height")

// classify gives an error of an endpoint the kinds of package da. The text stays.
func classify(err error) error {
	var status *jsonrpc.StatusError
	var answer *jsonrpc.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status):
		switch status.Status {
		case http.StatusUnauthorized, http.StatusForbidden: // frames 006, 078
			return fmt.Errorf("%w: %w", da.ErrUnauthorized, err)
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			return fmt.Errorf("%w: %w", da.ErrRateLimited, err)
		case http.StatusRequestEntityTooLarge: // a proxy's: nginx takes 1 MiB by default
			return fmt.Errorf("%w: %w", da.ErrTooBig, err)
		}
		if errors.Is(err, jsonrpc.ErrUnsent) { // an upgrade, refused by who answers HTTP
			return fmt.Errorf("%w: %w", errNoSocket, err)
		}
	case errors.As(err, &answer):
		if answer.Code == jsonrpc.CodeNoMethod && strings.Contains(answer.Message, "no out channel support") { // frame 024: a proxy made a POST of it
			return fmt.Errorf("%w: %w", errNoSocket, err)
		}
		if kind := kindOf(answer); kind != nil {
			return fmt.Errorf("%w: %w", kind, err)
		}
	}
	return err
}

func kindOf(e *jsonrpc.Error) error {
	if e.Code == jsonrpc.CodeParse && strings.HasPrefix(e.Message, "request bigger than maximum") { // frame 100
		return da.ErrTooBig
	}
	if e.Code != jsonrpc.CodeMethod {
		return nil
	}
	for _, t := range texts {
		if strings.HasPrefix(e.Message, t.prefix) && strings.Contains(e.Message, t.within) {
			return t.kind
		}
	}
	return nil
}
