package ethereum

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"

	"headrace/follow"
	"headrace/l1"
)

// Inspector asks one endpoint about itself, for whoever looks for what is wrong with it. As a Client it follows that
// endpoint alone. Nothing that it asks for is signed, or paid for.
type Inspector struct {
	*Client
	e *endpoint
}

// NewInspector returns an inspector of an endpoint, over WebSocket or HTTP as its address says. Of opt the endpoints are
// not looked at, but for the beacon APIs. It makes no request. Close must be called.
func NewInspector(at Endpoint, opt Options) (*Inspector, error) {
	opt.WS, opt.HTTP = nil, nil
	if strings.HasPrefix(at.URL, "ws") {
		opt.WS = []Endpoint{at}
	} else {
		opt.HTTP = []Endpoint{at}
	}
	c, err := New(opt)
	if err != nil {
		return nil, err
	}
	return &Inspector{c, c.readers[0]}, nil
}

// Header is what a header says, beside its content.
type Header struct {
	Number uint64
	Time   time.Time
	Hash   follow.Hash // of all its fields
	Parent follow.Hash
}

// Newest asks for the head.
func (i *Inspector) Newest(ctx context.Context) (Header, error) {
	h, err := i.e.head(ctx)
	if err != nil {
		return Header{}, err
	}
	return describe(h), nil
}

// At asks for the header of a number.
func (i *Inspector) At(ctx context.Context, number uint64) (Header, error) {
	h, err := i.e.header(ctx, hexutil.EncodeUint64(number))
	switch {
	case err != nil:
		return Header{}, err
	case h == nil:
		return Header{}, fmt.Errorf("%s: L1 block %d: %w", i.e.name, number, l1.ErrNotFound)
	}
	return describe(h), nil
}

func describe(h *header) Header {
	return Header{Number: h.number(), Time: time.Unix(int64(h.Time), 0), Hash: follow.Hash(h.hash), Parent: follow.Hash(h.ParentHash)}
}

// Syncing reports whether the endpoint says that it is behind the network.
func (i *Inspector) Syncing(ctx context.Context) (bool, error) {
	var answer json.RawMessage
	err := i.e.call(ctx, &answer, "eth_syncing")
	return err == nil && string(answer) != "false", err
}

// Balance returns what an account has, in wei.
func (i *Inspector) Balance(ctx context.Context, account l1.Address) (*big.Int, error) {
	var wei hexutil.Big
	err := i.e.call(ctx, &wei, "eth_getBalance", common.Address(account), "latest")
	return wei.ToInt(), err
}

// ErrNothingBefore is what Before returns where there was no inbox.
var ErrNothingBefore = errors.New("the inbox was not there")

// Before returns the inbox's state before a block: what was done with it then. The error matches ErrNothingBefore if it
// was not deployed yet, and ErrNotKnown if the endpoint keeps no states of that time.
func (i *Inspector) Before(ctx context.Context, number uint64) (state l1.CoreState, err error) {
	if number == 0 {
		return state, ErrNothingBefore
	}
	there, err := i.hasCode(ctx, number-1)
	if err == nil && !there {
		err = ErrNothingBefore
	}
	var h Header
	if err == nil {
		h, err = i.At(ctx, number-1)
	}
	if err == nil {
		state, err = i.State(ctx, l1.Hash(h.Hash))
	}
	if err != nil && answered(err) {
		err = fmt.Errorf("%w: %w", ErrNotKnown, err)
	}
	return state, err
}

// Name returns the endpoint's address without what is secret in it.
func (i *Inspector) Name() string { return i.e.name }

// CheckBeacon returns nil if the n-th beacon API of Options answers, and is of the chain of the L1's block with this time.
func (i *Inspector) CheckBeacon(ctx context.Context, n int, blockTime time.Time) error {
	b := i.beacons[n]
	if _, err := b.slot(ctx, uint64(blockTime.Unix())); err != nil {
		return fmt.Errorf("%s: %w", b.health.Status().Address, err)
	}
	var spec struct {
		ID string `json:"DEPOSIT_CHAIN_ID"`
	}
	if err := b.get(ctx, "/eth/v1/config/spec", &spec); err != nil {
		return fmt.Errorf("%s: beacon spec: %w", b.health.Status().Address, err)
	}
	if want := fmt.Sprint(i.opt.ChainID); spec.ID != "" && spec.ID != want {
		return fmt.Errorf("%s: beacon API has chain id %s, want %s: %w", b.health.Status().Address, spec.ID, want, l1.ErrWrongChain)
	}
	return nil
}

// Unauthorized reports whether an endpoint has refused a request for its token: by the status of an answer, or of a
// handshake, which its client tells in words alone.
func Unauthorized(err error) bool {
	refused := func(status int) bool { return status == http.StatusUnauthorized || status == http.StatusForbidden }
	var answer rpc.HTTPError
	var api statusError
	switch {
	case errors.As(err, &answer):
		return refused(answer.StatusCode)
	case errors.As(err, &api):
		return refused(int(api))
	case errors.Is(err, websocket.ErrBadHandshake):
		return strings.Contains(err.Error(), "HTTP status 401") || strings.Contains(err.Error(), "HTTP status 403")
	}
	return false
}
