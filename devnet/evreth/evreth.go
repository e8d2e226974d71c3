// Package evreth makes a geth look like ev-reth, the execution client of Evolve's EVM chains, so that a node can be
// driven through that client's interface where there is none of it.
//
// A Proxy stands before a geth. It takes payload attributes with transactions and a gas limit, in the form in which
// ev-reth does, and refuses any other; its payloads hold those of the transactions that can be executed, in their order.
// It has them built by geth's testing_buildBlockV1, so three things are geth's: a block is a second later than its parent
// at least, its gas limit is the one that geth was started with, and its base fee is Ethereum's. The id of a payload does
// not depend on its transactions, and asking again for one that was not fetched does not build another.
package evreth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/ethereum/go-ethereum/beacon/engine"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/devnet/geth"
)

// A Proxy serves what a geth does, and what ev-reth does beside that: by Engine the Engine API, by HTTP the public
// JSON-RPC. It is safe for use from many goroutines.
type Proxy struct {
	node *geth.Node

	// Change, if set, changes each payload before it is given out. It is set before the first request.
	Change func(*engine.ExecutionPayloadEnvelope)

	mu     sync.Mutex // guards the rest
	keep   bool
	built  map[engine.PayloadID]*engine.ExecutionPayloadEnvelope // not fetched yet
	listed [][]byte
}

// New returns a proxy before a geth.
func New(node *geth.Node) *Proxy {
	return &Proxy{node: node, built: map[engine.PayloadID]*engine.ExecutionPayloadEnvelope{}}
}

// Keep says whether a payload is given out again and again, whatever is asked for on its parent.
func (p *Proxy) Keep(keep bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep = keep
	if !keep {
		clear(p.built)
	}
}

// List adds transactions to the next list of what waits in the pool: the pool knows no better than to offer them.
func (p *Proxy) List(txs ...[]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listed = append(p.listed, txs...)
}

type request struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

// refusal is an error with the code that it is answered with.
type refusal struct {
	code int
	text string
}

func (r refusal) Error() string { return r.text }

const (
	codeParams     = -32602
	codeServer     = -32000
	codeAttributes = -38003
	codeNoPayload  = -38001
)

// Engine is the handler of the Engine API.
func (p *Proxy) Engine() http.Handler {
	return p.handler(p.node.Engine, func(ctx context.Context, header http.Header, r request) (any, bool, error) {
		switch {
		case strings.HasPrefix(r.Method, "engine_forkchoiceUpdated") && len(r.Params) == 2 && string(r.Params[1]) != "null":
			answer, err := p.begin(ctx, header, r)
			return answer, true, err
		case strings.HasPrefix(r.Method, "engine_getPayloadV") && len(r.Params) == 1:
			answer, err := p.fetch(r.Params[0])
			return answer, true, err
		}
		return nil, false, nil
	})
}

// HTTP is the handler of the public JSON-RPC.
func (p *Proxy) HTTP() http.Handler {
	return p.handler(p.node.HTTP, func(ctx context.Context, _ http.Header, r request) (any, bool, error) {
		if r.Method != "txpoolExt_getTxs" {
			return nil, false, nil
		}
		answer, err := p.pool(ctx)
		return answer, true, err
	})
}

// handler answers a request by own if that knows it, and else as target does.
func (p *Proxy) handler(target func() string, own func(context.Context, http.Header, request) (any, bool, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var q request
		if json.Unmarshal(body, &q) == nil {
			if result, known, err := own(r.Context(), r.Header, q); known {
				w.Header().Set("Content-Type", "application/json")
				answer := map[string]any{"jsonrpc": "2.0", "id": q.ID, "result": result}
				if err != nil {
					answer = map[string]any{"jsonrpc": "2.0", "id": q.ID, "error": asError(err)}
				}
				_ = json.NewEncoder(w).Encode(answer) // the client may have gone
				return
			}
		}
		status, answer, err := post(r.Context(), target(), r.Header, body)
		if err != nil {
			panic(http.ErrAbortHandler) // as a client that is down
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(answer) // the client may have gone
	})
}

func asError(err error) map[string]any {
	code := codeServer
	var r refusal
	if errors.As(err, &r) {
		code = r.code
	}
	return map[string]any{"code": code, "message": err.Error()}
}

// once is a client without connections that outlast a call: the geth behind it comes and goes.
var once = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func post(ctx context.Context, url string, header http.Header, body []byte) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if auth := header.Get("Authorization"); auth != "" {
		r.Header.Set("Authorization", auth)
	}
	resp, err := once.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// call makes a call of the public JSON-RPC of the geth.
func (p *Proxy) call(ctx context.Context, result any, method string, args ...any) error {
	c, err := rpc.DialOptions(ctx, p.node.HTTP(), rpc.WithHTTPClient(once))
	if err != nil {
		return err
	}
	defer c.Close()
	return c.CallContext(ctx, result, method, args...)
}

// attributes are ev-reth's. A field that is a pointer must be there.
type attributes struct {
	Timestamp    *json.Number         `json:"timestamp"`
	Random       *common.Hash         `json:"prevRandao"`
	FeeRecipient *common.Address      `json:"suggestedFeeRecipient"`
	Withdrawals  *[]*types.Withdrawal `json:"withdrawals"`
	BeaconRoot   *common.Hash         `json:"parentBeaconBlockRoot"`
	Transactions *[]hexutil.Bytes     `json:"transactions"`
	GasLimit     *json.RawMessage     `json:"gasLimit"`
}

// read reads attributes, and refuses any other form.
func read(raw []byte) (a attributes, gasLimit uint64, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return a, 0, refusal{codeParams, "invalid payload attributes: " + err.Error()}
	}
	if a.Timestamp == nil || a.Random == nil || a.FeeRecipient == nil || a.Withdrawals == nil || a.BeaconRoot == nil || a.Transactions == nil || a.GasLimit == nil {
		return a, 0, refusal{codeParams, "invalid payload attributes: a field is missing"}
	}
	if gasLimit, err = strconv.ParseUint(string(*a.GasLimit), 10, 64); err != nil {
		return a, 0, refusal{codeParams, "invalid payload attributes: gasLimit is no plain number: " + string(*a.GasLimit)}
	}
	if len(*a.Withdrawals) > 0 {
		return a, 0, refusal{codeAttributes, "invalid payload attributes: withdrawals"}
	}
	for _, tx := range *a.Transactions {
		if len(tx) == 0 {
			return a, 0, refusal{codeParams, "invalid payload attributes: an empty transaction"}
		}
	}
	return a, gasLimit, nil
}

// begin makes a fork choice and builds a payload on it.
func (p *Proxy) begin(ctx context.Context, header http.Header, r request) (any, error) {
	a, gasLimit, err := read(r.Params[1])
	if err != nil {
		return nil, err
	}
	r.Params[1] = json.RawMessage("null")
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": r.ID, "method": r.Method, "params": r.Params})
	if err != nil {
		return nil, err
	}
	status, raw, err := post(ctx, p.node.Engine(), header, body)
	if err != nil {
		panic(http.ErrAbortHandler) // as a client that is down
	}
	var answer struct {
		Result *engine.ForkChoiceResponse
		Error  *struct {
			Code    int
			Message string
		}
	}
	switch err := json.Unmarshal(raw, &answer); {
	case err != nil:
		return nil, fmt.Errorf("geth answers with status %d", status)
	case answer.Error != nil:
		return nil, refusal{answer.Error.Code, answer.Error.Message}
	case answer.Result.PayloadStatus.Status != engine.VALID:
		return answer.Result, nil
	}
	var choice engine.ForkchoiceStateV1
	if err := json.Unmarshal(r.Params[0], &choice); err != nil {
		return nil, refusal{codeParams, err.Error()}
	}
	var head *types.Header
	if err := p.call(ctx, &head, "eth_getBlockByNumber", "latest", false); err != nil {
		return nil, err
	}
	switch {
	case head.Hash() != choice.HeadBlockHash:
		return answer.Result, nil // it does not go back, and builds nothing there
	case head.GasLimit != gasLimit:
		return nil, refusal{codeAttributes, fmt.Sprintf("invalid payload attributes: gas limit %d on a parent with %d, which geth cannot make", gasLimit, head.GasLimit)}
	}
	id, err := p.build(ctx, head, a)
	if err != nil {
		return nil, err
	}
	answer.Result.PayloadID = &id
	return answer.Result, nil
}

// build makes the payload that is asked for, unless there is one with its id.
func (p *Proxy) build(ctx context.Context, head *types.Header, a attributes) (id engine.PayloadID, err error) {
	timestamp, err := strconv.ParseUint(a.Timestamp.String(), 10, 64)
	if err != nil {
		return id, refusal{codeParams, "invalid payload attributes: timestamp"}
	}
	standard := engine.PayloadAttributes{Timestamp: timestamp, Random: *a.Random, SuggestedFeeRecipient: *a.FeeRecipient, Withdrawals: *a.Withdrawals, BeaconRoot: a.BeaconRoot}
	named, err := json.Marshal(standard)
	if err != nil {
		return id, err
	}
	sum := sha256.Sum256(append(head.Hash().Bytes(), named...))
	copy(id[:], sum[:])
	id[0] = byte(engine.PayloadV3)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.built[id] != nil {
		return id, nil
	}
	envelope, err := p.execute(ctx, head.Hash(), standard, *a.Transactions)
	if err != nil {
		return id, err
	}
	if p.Change != nil {
		p.Change(envelope)
	}
	p.built[id] = envelope
	return id, nil
}

// execute builds a block of those of txs that can be executed.
func (p *Proxy) execute(ctx context.Context, parent common.Hash, a engine.PayloadAttributes, txs []hexutil.Bytes) (*engine.ExecutionPayloadEnvelope, error) {
	decoded := []hexutil.Bytes{} // not nil, which geth takes for its pool
	signer := types.LatestSigner(p.node.Genesis().Config)
	for _, raw := range txs {
		tx := new(types.Transaction)
		if tx.UnmarshalBinary(raw) != nil {
			continue
		}
		if _, err := types.Sender(signer, tx); err != nil {
			return nil, fmt.Errorf("build payload: recover sender of %s: %w", tx.Hash(), err)
		}
		decoded = append(decoded, raw)
	}
	build := func(txs []hexutil.Bytes) (e *engine.ExecutionPayloadEnvelope, err error) {
		return e, p.call(ctx, &e, "testing_buildBlockV1", parent, a, txs, hexutil.Bytes{})
	}
	all, err := build(decoded)
	if err == nil {
		return all, nil
	}
	good := []hexutil.Bytes{}
	e, err := build(good)
	if err != nil {
		return nil, fmt.Errorf("build payload: %w", err)
	}
	for _, tx := range decoded {
		if with, err := build(append(slices.Clone(good), tx)); err == nil {
			e, good = with, append(good, tx)
		}
	}
	return e, nil
}

// fetch gives a payload out.
func (p *Proxy) fetch(param []byte) (any, error) {
	var id engine.PayloadID
	if err := json.Unmarshal(param, &id); err != nil {
		return nil, refusal{codeParams, err.Error()}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.built[id]
	if e == nil {
		return nil, refusal{codeNoPayload, "Unknown payload"}
	}
	if !p.keep {
		delete(p.built, id)
	}
	return e, nil
}

// pool returns what waits in the geth's pool and can be executed next, by nonce and sender.
func (p *Proxy) pool(ctx context.Context) ([]hexutil.Bytes, error) {
	var content struct {
		Pending map[common.Address]map[string]*types.Transaction
	}
	if err := p.call(ctx, &content, "txpool_content"); err != nil {
		return nil, err
	}
	p.mu.Lock()
	txs := []hexutil.Bytes{}
	for _, tx := range p.listed {
		txs = append(txs, tx)
	}
	p.listed = nil
	p.mu.Unlock()
	var rounds [][]hexutil.Bytes
	for _, from := range slices.SortedFunc(maps.Keys(content.Pending), common.Address.Cmp) {
		own := slices.Collect(maps.Values(content.Pending[from]))
		slices.SortFunc(own, func(a, b *types.Transaction) int { return int(a.Nonce()) - int(b.Nonce()) })
		for i, tx := range own {
			raw, err := tx.MarshalBinary()
			if err != nil {
				return nil, err
			}
			if i == len(rounds) {
				rounds = append(rounds, nil)
			}
			rounds[i] = append(rounds[i], raw)
		}
	}
	for _, round := range rounds {
		txs = append(txs, round...)
	}
	return txs, nil
}
