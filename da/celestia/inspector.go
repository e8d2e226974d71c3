package celestia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"headrace/da"
	"headrace/follow"
	"headrace/internal/jsonrpc"
)

// Inspector asks one endpoint about itself, for whoever looks for what is wrong with it. As a Client it follows that
// endpoint alone. Nothing that an Inspector asks for is paid for.
type Inspector struct {
	*Client
	e *endpoint
}

// NewInspector returns an inspector of an endpoint. It makes no request. Close must be called.
func NewInspector(at Endpoint, opt Options) (*Inspector, error) {
	c, err := New([]Endpoint{at}, opt)
	if err != nil {
		return nil, err
	}
	return &Inspector{c, c.endpoints[0]}, nil
}

// Header is what a header says, beside its content.
type Header struct {
	ChainID string
	Height  uint64
	Time    time.Time
	Hash    follow.Hash // of all its fields
	Parent  follow.Hash // the hash of the header before, as this one has it
}

// Newest asks for the header of the network's head.
func (i *Inspector) Newest(ctx context.Context) (Header, error) {
	return i.header(ctx, "header.NetworkHead", noParams)
}

// Local asks for the newest header that the endpoint has itself.
func (i *Inspector) Local(ctx context.Context) (Header, error) {
	return i.header(ctx, "header.LocalHead", noParams)
}

// Oldest asks for the oldest header that the endpoint keeps.
func (i *Inspector) Oldest(ctx context.Context) (Header, error) {
	return i.header(ctx, "header.Tail", noParams)
}

// At asks for the header of a height.
func (i *Inspector) At(ctx context.Context, height uint64) (Header, error) {
	return i.header(ctx, "header.GetByHeight", jsonrpc.Array(height))
}

func (i *Inspector) header(ctx context.Context, method string, params jsonrpc.Raw) (Header, error) {
	h, err := i.e.header(ctx, nil, method, params, false)
	if err != nil {
		return Header{}, err
	}
	out := Header{ChainID: h.ChainID, Height: h.Height, Time: h.Time, Hash: h.hash}
	copy(out.Parent[:], h.LastBlockID.Hash)
	return out, nil
}

// MayPost returns nil if the token suffices to post blobs, which it finds out by posting none: a node looks at the token
// first, and then refuses an empty list.
func (i *Inspector) MayPost(ctx context.Context) error {
	err := i.e.call(ctx, "blob.Submit", jsonrpc.Raw(`[[],{}]`), nil)
	if errors.Is(err, da.ErrRejected) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s: blob.Submit: the endpoint took a list of no blobs, which no celestia-node does", i.e.name)
	}
	return err
}

// Balance returns what the account that pays by default has, in utia.
func (i *Inspector) Balance(ctx context.Context) (amount uint64, err error) {
	err = i.e.call(ctx, "state.Balance", noParams, func(result []byte) error {
		var coin struct{ Amount string }
		if err := json.Unmarshal(result, &coin); err != nil {
			return err
		}
		amount, err = strconv.ParseUint(coin.Amount, 10, 64)
		return err
	})
	return amount, err
}

// Name returns the endpoint's address without what is secret in it.
func (i *Inspector) Name() string { return i.e.name }
