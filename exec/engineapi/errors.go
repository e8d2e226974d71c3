package engineapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"headrace/exec"

	"github.com/ethereum/go-ethereum/rpc"
)

var (
	// ErrConfig: this node or its execution client is set up wrongly. Trying again helps only after someone has
	// changed that.
	ErrConfig = errors.New("engine is misconfigured")
	// ErrUnavailable: the execution client did not answer, or is not ready. Trying again helps.
	ErrUnavailable = errors.New("execution client is unavailable")

	errNoMethod = fmt.Errorf("%w: the client has no such method: is this its Engine API port, and is the client recent enough?", ErrConfig)
)

// Codes of JSON-RPC's and the Engine API's errors.
const (
	codeNoMethod        = -32601
	codeUnsupportedFork = -38005
)

// explain makes our sentinels of what a request came back with. Only this function and explainTx do.
func explain(method string, err error) error {
	if err == nil {
		return nil
	}
	if status, ok := errors.AsType[rpc.HTTPError](err); ok {
		switch status.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return fmt.Errorf("%w: %s: the client refuses our token: is the JWT secret the client's, and do both clocks agree within a minute? (%w)", ErrConfig, method, err)
		case http.StatusNotFound, http.StatusMethodNotAllowed:
			return fmt.Errorf("%w: %s: no Engine API at this address (%w)", ErrConfig, method, err)
		case http.StatusRequestEntityTooLarge:
			return fmt.Errorf("%w: %s: the request is too large for what stands before the client: let it take 32 MiB (nginx: client_max_body_size), or connect to the client without it (%w)", ErrConfig, method, err)
		}
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, method, err)
	}
	answer, ok := errors.AsType[rpc.Error](err)
	if !ok {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, method, err)
	}
	switch answer.ErrorCode() {
	case codeNoMethod:
		return fmt.Errorf("%w (%s: %w)", errNoMethod, method, err)
	case codeUnsupportedFork:
		return fmt.Errorf("%w: %s: the client's fork schedule is not that of the execution genesis given to this node (%w)", ErrConfig, method, err)
	}
	detail := ""
	if data, ok := errors.AsType[rpc.DataError](err); ok && data.ErrorData() != nil {
		detail = fmt.Sprintf(" %v", data.ErrorData())
	}
	return fmt.Errorf("%s: client answers %d: %w%s", method, answer.ErrorCode(), err, detail)
}

// Execution clients tell why they refuse a transaction in words only; these are go-ethereum's, which others have
// taken over in part.
var (
	txKnown   = []string{"already known"}
	txInvalid = []string{
		"invalid sender", "negative value", "exceeds block gas limit", "KZG verification error",
		"nonce too low", "nonce has max value", "intrinsic gas too low", "insufficient gas for floor data gas cost", "gas uint64 overflow", "transaction gas limit too high",
		"max priority fee per gas higher than max fee per gas", "max priority fee per gas higher than 2^256-1", "max fee per gas higher than 2^256-1",
		"transaction type not supported", "EIP-7702 transaction with empty auth list", "EIP-7702 transaction cannot be used to create contract",
		"blob transaction of type create", "blob transaction missing blob hashes", "blob transaction has too many blobs",
		"invalid transaction v, r, s values", "invalid chain id for signer", "transaction type does not supported EIP-155 protected signatures",
		"typed transaction too short", "rlp: ", "only replay-protected (EIP-155) transactions allowed",
	}
	txTooBig = []string{"oversized data"}
	txFull   = []string{
		"txpool is full", "account limit exceeded", "transaction underpriced", "in-flight transaction limit reached for delegated accounts", "address already reserved",
	}
)

// explainTx makes SubmitTx's errors of what sending a transaction came back with.
func explainTx(err error) error {
	answer, ok := errors.AsType[rpc.Error](err)
	if !ok {
		return err
	}
	says := func(list []string) bool {
		return slices.ContainsFunc(list, func(text string) bool { return strings.Contains(answer.Error(), text) })
	}
	switch {
	case says(txKnown):
		return nil
	case says(txTooBig):
		return fmt.Errorf("%w: %w: %w", exec.ErrInvalid, exec.ErrTooBig, err)
	case says(txInvalid):
		return fmt.Errorf("%w: %w", exec.ErrInvalid, err)
	case says(txFull):
		return fmt.Errorf("%w: %w", exec.ErrFull, err)
	}
	return err
}
