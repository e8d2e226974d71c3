package engineapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/ethereum/go-ethereum/rpc"
)

var (
	// ErrConfig: this node or its execution client is set up wrongly. Trying again helps only after someone has changed that.
	ErrConfig = errors.New("engine is misconfigured")
	// ErrUnavailable: the execution client did not answer, or is busy with something else. Trying again helps.
	ErrUnavailable = errors.New("execution client is unavailable")
)

// Codes of the Engine API's and JSON-RPC's errors.
const (
	codeMethodNotFound   = -32601
	codeUnknownPayload   = -38001
	codeBadForkchoice    = -38002
	codeUnsupportedFork  = -38005
	codeTooDeepReorg     = -38006
	codeServerError      = -32000
	codeBadAttributes    = -38003
	codeInvalidParams    = -32602
	codeRequestTooLarge  = -38004
	codeInvalidRPCObject = -32600
)

// explain turns what a request came back with into our sentinels. It is the only place that does.
func explain(method string, err error) error {
	if err == nil {
		return nil
	}
	var status rpc.HTTPError
	if errors.As(err, &status) {
		switch status.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return fmt.Errorf("%w: %s: the client refuses our token: is the JWT secret the client's, and do both clocks agree within a minute? (%w)", ErrConfig, method, err)
		case http.StatusNotFound, http.StatusMethodNotAllowed:
			return fmt.Errorf("%w: %s: no Engine API at this address (%w)", ErrConfig, method, err)
		}
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, method, err)
	}
	var answer rpc.Error
	if !errors.As(err, &answer) {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, method, err)
	}
	switch answer.ErrorCode() {
	case codeMethodNotFound:
		return fmt.Errorf("%w: %s: the client has no such method: is this its Engine API port, and is the client recent enough? (%w)", ErrConfig, method, err)
	case codeUnsupportedFork:
		return fmt.Errorf("%w: %s: the client's fork schedule is not that of the execution genesis given to this node (%w)", ErrConfig, method, err)
	}
	return &answered{method: method, code: answer.ErrorCode(), err: err}
}

// answered is an error that the client gave as an answer, of a kind that the caller must judge.
type answered struct {
	method string
	code   int
	err    error
}

func (e *answered) Error() string {
	detail := ""
	var data rpc.DataError
	if errors.As(e.err, &data) && data.ErrorData() != nil {
		detail = fmt.Sprintf(" %v", data.ErrorData())
	}
	return fmt.Sprintf("%s: client answers %d: %v%s", e.method, e.code, e.err, detail)
}

func (e *answered) Unwrap() error { return e.err }

func hasCode(err error, code int) bool {
	var a *answered
	return errors.As(err, &a) && a.code == code
}
