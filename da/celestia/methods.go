package celestia

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"headrace/da"
	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

// allMethods are all that the handler serves. The type names are celestia-node's, for its error texts.
func (h *Handler) allMethods() map[string]jsonrpc.Method {
	m := map[string]jsonrpc.Method{
		"blob.Submit":             {Params: 2, Level: Write, Bind: h.blobSubmit},
		"blob.Get":                {Params: 3, Level: Read, Bind: h.blobGet},
		"blob.GetAll":             {Params: 2, Level: Read, Bind: h.blobGetAll},
		"blob.GetProof":           {Params: 3, Level: Read, Bind: h.blobGetProof},
		"blob.Included":           {Params: 4, Level: Read, Bind: h.blobIncluded},
		"blob.GetCommitmentProof": {Params: 3, Level: Read, Bind: h.blobGetCommitmentProof},
		"blob.Subscribe":          {Params: 1, Level: Read, Channel: true, Bind: h.blobSubscribe},
	}
	h.headerMethods(m)
	h.shareMethods(m)
	h.nodeMethods(m)
	h.stateMethods(m)
	p2pMethods(m)
	h.blobstreamMethods(m)
	if h.opt.Faults != nil {
		for name, method := range m {
			m[name] = h.delayed(method)
		}
	}
	for name, method := range m {
		m[name] = h.observed(name, method)
	}
	return m
}

// one makes a method of a function with one parameter. name is how celestia-node calls its type.
func one[A any](level Level, name string, call func(context.Context, A) (any, error)) jsonrpc.Method {
	return jsonrpc.Method{Params: 1, Level: level, Bind: func(a *jsonrpc.Args) jsonrpc.Run {
		arg := jsonrpc.Arg[A](a, name)
		return func(ctx context.Context) (any, error) { return call(ctx, arg) }
	}}
}

// two is one for two parameters.
func two[A, B any](level Level, nameA, nameB string, call func(context.Context, A, B) (any, error)) jsonrpc.Method {
	return jsonrpc.Method{Params: 2, Level: level, Bind: func(a *jsonrpc.Args) jsonrpc.Run {
		argA, argB := jsonrpc.Arg[A](a, nameA), jsonrpc.Arg[B](a, nameB)
		return func(ctx context.Context) (any, error) { return call(ctx, argA, argB) }
	}}
}

func argNamespace(a *jsonrpc.Args) da.Namespace {
	return da.Namespace(jsonrpc.Arg[namespace](a, "share.Namespace"))
}

func argHeight(a *jsonrpc.Args) uint64 { return jsonrpc.Arg[uint64](a, "uint64") }

func (h *Handler) blobGetAll(a *jsonrpc.Args) jsonrpc.Run {
	height := argHeight(a)
	namespaces := jsonrpc.Arg[few[namespace]](a, "[]share.Namespace")
	return h.reached(height, func() (any, error) {
		var all []da.Blob
		for i, ns := range namespaces { // in the order asked for; one asked for twice is given twice
			blobs, err := h.chain.Blobs(height, da.Namespace(ns))
			if err != nil {
				return nil, err
			}
			if all = append(all, blobs...); i > 0 && blobsSize(all) > maxGetAll {
				return nil, errTooLarge
			}
		}
		return jsonrpc.Raw(appendBlobs(make([]byte, 0, blobsSize(all)), all)), nil
	}, namespaces...)
}

// maxGetAll bounds the answer to blob.GetAll for several namespaces, of which the same can be named again and again: the
// largest square has 170 MB.
const maxGetAll = 192 << 20

var errTooLarge = fmt.Errorf("blob: the answer would have more than %d MiB", maxGetAll>>20)

var errBlobNotFound = errors.New("blob: not found")

func (h *Handler) blobGet(a *jsonrpc.Args) jsonrpc.Run {
	height, ns, commitment := argHeight(a), argNamespace(a), jsonrpc.Arg[[]byte](a, "blob.Commitment")
	return h.reached(height, func() (any, error) {
		blobs, err := h.chain.Blobs(height, ns)
		if err != nil {
			return nil, err
		}
		for i := range blobs {
			if bytes.Equal(blobs[i].Commitment, commitment) {
				return jsonrpc.Raw(appendBlob(nil, &blobs[i])), nil
			}
		}
		return nil, errBlobNotFound
	}, namespace(ns))
}

func (h *Handler) blobGetProof(a *jsonrpc.Args) jsonrpc.Run {
	height, ns, commitment := argHeight(a), argNamespace(a), jsonrpc.Arg[[]byte](a, "blob.Commitment")
	return h.ofSquare(height, func(sq *square.Square) (any, error) {
		proof, err := sq.BlobProof(ns, commitment)
		if errors.Is(err, da.ErrNotFound) {
			return nil, errBlobNotFound
		}
		return proof, err
	})
}

func (h *Handler) blobIncluded(a *jsonrpc.Args) jsonrpc.Run {
	height, ns := argHeight(a), argNamespace(a)
	proof := jsonrpc.Arg[*few[*square.Proof]](a, "*blob.Proof")
	commitment := jsonrpc.Arg[[]byte](a, "blob.Commitment")
	included := h.ofSquare(height, func(sq *square.Square) (any, error) {
		actual, err := sq.BlobProof(ns, commitment)
		switch {
		case errors.Is(err, da.ErrNotFound):
			return false, nil
		case err != nil:
			return nil, err
		case !equalProofs(*proof, actual):
			return nil, errors.New("blob: invalid proof")
		}
		return true, nil
	})
	return func(ctx context.Context) (any, error) {
		if proof == nil {
			return nil, errors.New("blob: proof cannot be nil")
		}
		return included(ctx)
	}
}

func equalProofs(given, actual []*square.Proof) bool {
	if len(given) != len(actual) {
		return false
	}
	for i, g := range given {
		a := actual[i]
		if g == nil || g.Start() != a.Start() || g.End() != a.End() || len(g.Nodes()) != len(a.Nodes()) || !bytes.Equal(g.LeafHash(), a.LeafHash()) {
			return false
		}
		for j := range g.Nodes() {
			if !bytes.Equal(g.Nodes()[j], a.Nodes()[j]) {
				return false
			}
		}
	}
	return true
}

func (h *Handler) blobGetCommitmentProof(a *jsonrpc.Args) jsonrpc.Run {
	height, ns, commitment := argHeight(a), argNamespace(a), jsonrpc.Arg[[]byte](a, "blob.Commitment")
	proof := h.ofSquare(height, func(sq *square.Square) (any, error) {
		proof, err := sq.CommitmentProof(ns, commitment)
		if errors.Is(err, da.ErrNotFound) {
			return nil, errBlobNotFound
		}
		return proof, err
	})
	return func(ctx context.Context) (any, error) {
		if height == 0 {
			return nil, errors.New("height cannot be equal to 0")
		}
		return proof(ctx)
	}
}

// blobSubscribe sends an event for every height from the next one on, blobs or not.
func (h *Handler) blobSubscribe(a *jsonrpc.Args) jsonrpc.Run {
	ns := argNamespace(a)
	return func(ctx context.Context) (any, error) {
		return h.stream(ctx, ns, h.opt.Queue, func(height uint64) (jsonrpc.Raw, error) {
			blobs, err := h.chain.Blobs(height, ns)
			if err != nil {
				return nil, err
			}
			if h.opt.OldAPI {
				return appendEvent(make([]byte, 0, blobsSize(blobs)), height, blobs, nil), nil
			}
			e, err := h.chain.Header(height)
			if err != nil {
				return nil, err
			}
			return appendEvent(make([]byte, 0, 1200+blobsSize(blobs)), height, blobs, &e.Header), nil
		}), nil
	}
}

// stream sends what value makes of each height from the next one on. It is made when it is written: what waits is
// heights. With a full queue the channel is closed before the next event, as celestia-node does.
func (h *Handler) stream(ctx context.Context, ns da.Namespace, queue int, value func(height uint64) (jsonrpc.Raw, error)) *jsonrpc.Stream {
	head, changed := h.chain.Head().Get() // now, and not when the stream runs: the answer says that it has begun
	faulty := h.newFaultyStream(ctx, ns)
	return &jsonrpc.Stream{Queue: queue, Run: func(ctx context.Context, send func(any) bool) {
		last := head
		for {
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
			head, changed = h.chain.Head().Get()
			if h.chain.Head().Err() != nil {
				return
			}
			from := last.Height + 1
			if head.Height <= last.Height { // the head has gone back
				if head == last {
					continue
				}
				from = head.Height
			}
			for height := from; height <= head.Height; height++ {
				for _, height := range faulty.heights(height) {
					if !send(faulty.late(h.search(height, ns), func() (jsonrpc.Raw, error) { return value(height) })) {
						return
					}
				}
				if faulty.ended {
					return
				}
			}
			last = head
		}
	}}
}

// txConfig is how a submission is to be paid for.
type txConfig struct {
	GasPrice      float64 `json:"gas_price,omitempty"`
	IsGasPriceSet bool    `json:"is_gas_price_set,omitempty"`
	MaxGasPrice   float64 `json:"max_gas_price,omitempty"`
	Gas           uint64  `json:"gas,omitempty"`
	TxPriority    int     `json:"tx_priority,omitempty"`
	KeyName       string  `json:"key_name,omitempty"`
	Signer        string  `json:"signer_address,omitempty"`
	FeeGranter    string  `json:"fee_granter_address,omitempty"`
}

func (h *Handler) blobSubmit(a *jsonrpc.Args) jsonrpc.Run {
	given := jsonrpc.Arg[submittedList](a, "[]*blob.Blob")
	config := jsonrpc.Arg[*txConfig](a, "state.TxConfig")
	return func(ctx context.Context) (any, error) {
		if len(given) == 0 {
			return nil, errors.New("state: no blobs provided")
		}
		blobs := make([]da.Blob, len(given))
		for i, b := range given {
			blobs[i] = b.Blob
		}
		if err := h.pay(blobs, *config); err != nil { // a config of null panics here, as it does in celestia-node
			return nil, err
		}
		height, err := h.chain.Submit(ctx, blobs)
		switch {
		case errors.Is(err, da.ErrTooBig):
			return nil, fmt.Errorf("broadcast tx error: hash %X error:  code: 21", txHash(blobs))
		case errors.Is(err, da.ErrRateLimited):
			return nil, fmt.Errorf("broadcast tx error: hash %X error: mempool is full: code: 20", txHash(blobs))
		case errors.Is(err, da.ErrRejected):
			return nil, fmt.Errorf("broadcast tx error: hash %X error: %w code: 1", txHash(blobs), err)
		case errors.Is(err, da.ErrUnknownOutcome):
			return nil, fmt.Errorf("tx with hash %X not found; it was likely rejected", txHash(blobs))
		case err != nil:
			return nil, err
		}
		return height, nil
	}
}

// pay checks what a node checks before it broadcasts: the account, and the fee.
func (h *Handler) pay(blobs []da.Blob, c txConfig) error {
	if !h.hasKey(c.KeyName) {
		return fmt.Errorf("failed to get tx author address: getting account key: %s.info: key not found [celestiaorg/cosmos-sdk@v0.52.3/crypto/keyring/keyring.go:521]", c.KeyName)
	}
	if err := knownSigner(c.Signer); err != nil {
		return fmt.Errorf("failed to get tx author address: %w", err)
	}
	for i := range blobs {
		if s := blobs[i].Signer; s != nil && !bytes.Equal(s, square.Account[:]) {
			return fmt.Errorf("failed to create msg pay-for-blobs: blob signer %x does not match MsgPayForBlobs signer %X: invalid blob signer [cosmossdk.io/errors@v1.0.2/errors.go:155]", s, square.Account)
		}
	}
	if !c.IsGasPriceSet && c.MaxGasPrice > 0 && c.MaxGasPrice < h.opt.MinGasPrice { // the estimate is the least that is taken
		return errors.New("state: estimated gas price exceeds max gas price in tx config")
	}
	if h.opt.Poor {
		return fmt.Errorf("broadcast tx error: hash %X error: spendable balance 0utia is smaller than %.0futia: insufficient funds code: 5", txHash(blobs), math.Ceil(h.opt.MinGasPrice*float64(estimateGas(blobs))))
	}
	gas := estimateGas(blobs)
	if c.Gas > 0 && c.Gas < gas {
		return fmt.Errorf("broadcast tx error: hash %X error: out of gas in location: Has; gasWanted: %d, gasUsed: %d: out of gas code: 11", txHash(blobs), c.Gas, gas)
	}
	if c.IsGasPriceSet && c.GasPrice < h.opt.MinGasPrice {
		gas := float64(max(c.Gas, gas))
		fee, required := math.Ceil(c.GasPrice*gas), math.Ceil(h.opt.MinGasPrice*gas)
		return fmt.Errorf("broadcast tx error: hash %X error: insufficient minimum gas price for this node; got: %.0futia, required: %.0futia (min gas price: %g utia/gas): insufficient fee code: 13",
			txHash(blobs), fee, required, h.opt.MinGasPrice)
	}
	return nil
}

// knownSigner checks the address of an account that is to sign. "" is the default one.
func knownSigner(address string) error {
	switch err := square.CheckAddress(address); {
	case address == "" || address == square.AccountAddress:
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("key with address %s not found: key not found", address)
}

func (h *Handler) hasKey(name string) bool {
	return name == "" || name == "my_celes_key" || slices.Contains(h.opt.Keys, name)
}

// estimateGas is celestia-app's estimate: for the transaction, for each blob, and for each byte of the shares they
// take.
func estimateGas(blobs []da.Blob) uint64 {
	const perTx, perBlob, perShare = 75_000, 700, 8 * 512
	gas := uint64(perTx)
	for i := range blobs {
		gas += perBlob + perShare*uint64((len(blobs[i].Data)+481)/482)
	}
	return gas
}

// txHash stands for the hash of a transaction that there is none of.
func txHash(blobs []da.Blob) [32]byte {
	hash := sha256.New()
	for i := range blobs {
		hash.Write(blobs[i].Data)
	}
	return [32]byte(hash.Sum(nil))
}

var errZero = errors.New("height is equal to 0")

// reach returns once a height can be read, and what it has in namespaces has been looked for. The next height is waited
// for; what is further away is an error, as is what is no more.
func (h *Handler) reach(ctx context.Context, height uint64, namespaces ...namespace) error {
	if err := h.reachHeader(ctx, height); err != nil {
		return err
	}
	var search time.Duration
	for _, ns := range namespaces {
		search = max(search, h.search(height, da.Namespace(ns)))
	}
	return pause(ctx, search)
}

// search is how long the chain looks for the data of a namespace at a height: one that has lost some may.
func (h *Handler) search(height uint64, ns da.Namespace) time.Duration {
	if c, ok := h.chain.(interface {
		Search(uint64, da.Namespace) time.Duration
	}); ok {
		return c.Search(height, ns)
	}
	return 0
}

func (h *Handler) reachHeader(ctx context.Context, height uint64) error {
	if height == 0 {
		return errZero
	}
	head := h.chain.Head().Load().Height
	if height > head {
		if _, err := h.chain.Header(height); errors.Is(err, da.ErrSyncing) {
			return h.text(err, height)
		}
	}
	switch {
	case height > head+1:
		return h.text(da.ErrFuture, height)
	case height == head+1:
		if err := h.chain.WaitHeight(ctx, height); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("awaiting header %d with head %d: %w", height, head, context.Cause(ctx))
			}
			return err
		}
	case height < h.chain.Tail():
		return h.text(da.ErrPruned, height)
	}
	return nil
}

// reached makes an answer once a height can be read, and what it has in namespaces has been looked for. The chain's
// errors in it are given in celestia-node's words.
func (h *Handler) reached(height uint64, answer func() (any, error), namespaces ...namespace) jsonrpc.Run {
	return func(ctx context.Context) (any, error) {
		if err := h.reach(ctx, height, namespaces...); err != nil {
			return nil, err
		}
		return func() (any, error) {
			v, err := answer()
			if err != nil {
				return nil, h.text(err, height)
			}
			return v, nil
		}, nil
	}
}

// ofSquare makes an answer of the square of a height. There are only as many squares in memory as answers are being built.
func (h *Handler) ofSquare(height uint64, answer func(*square.Square) (any, error)) jsonrpc.Run {
	return h.reached(height, func() (any, error) {
		sq, err := h.chain.Square(height)
		if err != nil {
			return nil, err
		}
		return answer(sq)
	}, namespace{})
}

// text returns an error of the chain in celestia-node's words.
func (h *Handler) text(err error, height uint64) error {
	head := h.chain.Head().Load().Height
	switch {
	case errors.Is(err, da.ErrFuture):
		return fmt.Errorf("header: given height is from the future: networkHeight: %d, requestedHeight: %d", head, height)
	case errors.Is(err, da.ErrSyncing):
		return fmt.Errorf("header: syncing in progress: localHeadHeight: %d, requestedHeight: %d", head, height)
	case errors.Is(err, da.ErrPruned):
		return fmt.Errorf("requested header (%d) is below Tail (%d)", height, h.chain.Tail())
	case errors.Is(err, square.ErrUnavailable):
		return errors.New("all getters failed: data not found\ncontext deadline exceeded\nfetching blocks: context deadline exceeded")
	}
	return err
}
