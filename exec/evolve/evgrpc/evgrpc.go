// Package evgrpc calls an Evolve executor in another process, in whatever language, over gRPC or Connect without TLS: the
// protocol of ev-node v1.1.4 (evnodev1/executor.proto).
//
// Which of the two an executor speaks is found out on each new connection, by a call without an effect, GetExecutionInfo:
// over gRPC, which needs HTTP/2, then over Connect on HTTP/2, then over Connect on HTTP/1.1. What is answered in the form
// of the protocol is the executor's. An answer in any other form is that of something in its place, such as a gateway, and
// says nothing of the call.
//
// A connection is made once. When it has ended, whatever the reason, the next call fails with evolve.ErrNoAnswer, and
// the one after is made on a new connection: the executor may have been restarted, and may have lost its last block.
// Each call ends within Options.Timeout; after one without an answer the next one is on a new connection, too.
package evgrpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"headrace/exec/evolve"
	"headrace/exec/evolve/evgrpc/evnodev1"
	"headrace/exec/internal/links"
)

// Options of Dial. The zero value works.
type Options struct {
	Timeout         time.Duration // of each call; 0: 30 s. Less if the call's context says so
	MaxMessageBytes int           // of one message, sent or received, not compressed; 0: 64 MiB
}

// Executor is an executor in another process.
type Executor struct {
	target string
	opt    Options
	links  *links.Links[*link]
	last   atomic.Pointer[way] // in which it was spoken to last, and which is tried first
}

var _ evolve.Executor = (*Executor)(nil)

// Dial returns the executor at target, "http://host:port" or "unix:///path". It touches no network: the first call does.
func Dial(target string, opt Options) (*Executor, error) {
	network, address, err := Parse(target)
	if err != nil {
		return nil, err
	}
	opt.Timeout = cmp.Or(opt.Timeout, 30*time.Second)
	opt.MaxMessageBytes = cmp.Or(opt.MaxMessageBytes, 64<<20)
	l, err := links.Open(func() (*link, error) { return newLink(network, address), nil })
	if err != nil {
		return nil, fmt.Errorf("dial executor %s: %w", target, err)
	}
	return &Executor{target: target, opt: opt, links: l}, nil
}

// Parse reads an executor's address. Its error does not repeat it.
func Parse(target string) (network, address string, err error) {
	u, err := url.Parse(target)
	switch {
	case err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "":
	case u.Scheme == "http" && u.Hostname() != "" && u.Port() != "" && (u.Path == "" || u.Path == "/"):
		return "tcp", u.Host, nil
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		return "unix", u.Path, nil
	}
	return "", "", errors.New("want http://host:port or unix:///path")
}

// Close ends the connection and the calls under way.
func (x *Executor) Close() error { return x.links.Close() }

// call makes a call, within its time.
func call[Q, A any](ctx context.Context, x *Executor, method string, q *Q) (*A, error) {
	within, cancel := context.WithTimeout(ctx, x.opt.Timeout)
	defer cancel()
	taken := x.links.Take()
	a, err := made[Q, A](within, x, taken.Client, method, q)
	x.links.Give(taken, errors.Is(err, evolve.ErrNoAnswer))
	if err == nil {
		return a, nil
	}
	if ended := ctx.Err(); ended != nil {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return a, fmt.Errorf("executor %s: %w", x.target, err)
}

// made makes a call over a link.
func made[Q, A any](ctx context.Context, x *Executor, l *link, method string, q *Q) (*A, error) {
	w, err := x.find(ctx, l)
	if err != nil {
		return new(A), fmt.Errorf("%w: %w", evolve.ErrNoAnswer, err)
	}
	a, err := ask[Q, A](ctx, x, l, w, method, q)
	if err != nil {
		return new(A), x.judge(ctx, l, w, method, err)
	}
	return a, nil
}

// ask makes a call in one way.
func ask[Q, A any](ctx context.Context, x *Executor, l *link, w *way, method string, q *Q) (*A, error) {
	options := []connect.ClientOption{connect.WithReadMaxBytes(x.opt.MaxMessageBytes), connect.WithSendMaxBytes(x.opt.MaxMessageBytes)}
	if w.grpc {
		options = append(options, connect.WithGRPC())
	}
	a, err := connect.NewClient[Q, A](client{l, w}, "http://"+l.host+method, options...).CallUnary(ctx, connect.NewRequest(q))
	if err != nil {
		return nil, err
	}
	return a.Msg, nil
}

// isThere asks for what has no effect, and every executor has.
func (x *Executor) isThere(ctx context.Context, l *link, w *way) error {
	_, err := ask[evnodev1.GetExecutionInfoRequest, evnodev1.GetExecutionInfoResponse](ctx, x, l, w,
		evnodev1.ExecutorService_GetExecutionInfo_FullMethodName, &evnodev1.GetExecutionInfoRequest{})
	return err
}

// find finds out how a link's executor is spoken to, unless that is known. An error of the executor's own shows that too.
func (x *Executor) find(ctx context.Context, l *link) (*way, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.way != nil {
		return l.way, nil
	}
	var failed error
	for _, w := range x.order() {
		err := x.try(ctx, l, w)
		switch {
		case err == nil || isWord(err) && connect.CodeOf(err) != connect.CodeUnimplemented:
			l.way = w
			x.last.Store(w)
			return w, nil
		case isDial(err) || ctx.Err() != nil:
			return nil, err
		case failed == nil:
			failed = fmt.Errorf("by %s: %w", w.name, err)
		default:
			failed = fmt.Errorf("%w; by %s: %w", failed, w.name, err)
		}
	}
	return nil, failed
}

// order returns the ways, the last one that worked first.
func (x *Executor) order() (order []*way) {
	last := x.last.Load()
	if last != nil {
		order = append(order, last)
	}
	for i := range ways {
		if &ways[i] != last {
			order = append(order, &ways[i])
		}
	}
	return order
}

// try tries a way. One that has not worked before may meet a server that waits for something else: it has a part of the
// time alone.
func (x *Executor) try(ctx context.Context, l *link, w *way) error {
	if w != x.last.Load() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, x.opt.Timeout/4)
		defer cancel()
	}
	return x.isThere(ctx, l, w)
}

// isDial reports whether nobody listens.
func isDial(err error) bool {
	op := (*net.OpError)(nil)
	return errors.As(err, &op) && op.Op == "dial"
}

// silent are codes that say nothing of the call: of a time that is over, a connection that is lost, and of what may stand
// before an executor.
var silent = []connect.Code{
	connect.CodeCanceled, connect.CodeDeadlineExceeded, connect.CodeUnavailable, connect.CodeResourceExhausted,
	connect.CodePermissionDenied, connect.CodeUnauthenticated,
}

// isWord reports whether an error is an executor's word on a call.
func isWord(err error) bool {
	return connect.IsWireError(err) && !slices.Contains(silent, connect.CodeOf(err))
}

// judge returns what the error of a call means. That a method is missing is believed of an executor that answers at the
// same time: a gateway says it of what it has no route for.
func (x *Executor) judge(ctx context.Context, l *link, w *way, method string, err error) error {
	code := connect.CodeOf(err)
	switch {
	case code == connect.CodeResourceExhausted && !connect.IsWireError(err) && method != evnodev1.ExecutorService_ExecuteTxs_FullMethodName:
		return err // an answer that is too large: nothing depends on it
	case !isWord(err) || ctx.Err() != nil:
		return fmt.Errorf("%w: %w", evolve.ErrNoAnswer, err)
	case code != connect.CodeUnimplemented:
		return err
	case x.isThere(ctx, l, w) != nil:
		return fmt.Errorf("%w: no executor answers, or one without GetExecutionInfo: %w", evolve.ErrNoAnswer, err)
	}
	return fmt.Errorf("%w (%w)", err, errors.ErrUnsupported)
}

// InitChain implements evolve.Executor.
func (x *Executor) InitChain(ctx context.Context, genesisTime time.Time, initialHeight uint64, chainID string) ([]byte, error) {
	a, err := call[evnodev1.InitChainRequest, evnodev1.InitChainResponse](ctx, x, evnodev1.ExecutorService_InitChain_FullMethodName, &evnodev1.InitChainRequest{GenesisTime: timestamppb.New(genesisTime), InitialHeight: initialHeight, ChainId: chainID})
	return a.GetStateRoot(), err
}

// GetTxs implements evolve.Executor.
func (x *Executor) GetTxs(ctx context.Context) ([][]byte, error) {
	a, err := call[evnodev1.GetTxsRequest, evnodev1.GetTxsResponse](ctx, x, evnodev1.ExecutorService_GetTxs_FullMethodName, &evnodev1.GetTxsRequest{})
	if err != nil {
		return nil, err
	}
	return x.unpack(a.GetTxBatch())
}

// ExecuteTxs implements evolve.Executor.
func (x *Executor) ExecuteTxs(ctx context.Context, txs [][]byte, height uint64, at time.Time, rootBefore []byte) (evolve.Result, error) {
	a, err := call[evnodev1.ExecuteTxsRequest, evnodev1.ExecuteTxsResponse](ctx, x, evnodev1.ExecutorService_ExecuteTxs_FullMethodName, &evnodev1.ExecuteTxsRequest{BlockHeight: height, Timestamp: timestamppb.New(at), PrevStateRoot: rootBefore, TxBatch: Pack(txs)})
	return evolve.Result{Root: a.GetUpdatedStateRoot(), MaxBytes: a.GetMaxBytes()}, err
}

// SetFinal implements evolve.Executor.
func (x *Executor) SetFinal(ctx context.Context, height uint64) error {
	_, err := call[evnodev1.SetFinalRequest, evnodev1.SetFinalResponse](ctx, x, evnodev1.ExecutorService_SetFinal_FullMethodName, &evnodev1.SetFinalRequest{BlockHeight: height})
	return err
}

// GetExecutionInfo implements evolve.Executor.
func (x *Executor) GetExecutionInfo(ctx context.Context) (evolve.Info, error) {
	a, err := call[evnodev1.GetExecutionInfoRequest, evnodev1.GetExecutionInfoResponse](ctx, x, evnodev1.ExecutorService_GetExecutionInfo_FullMethodName, &evnodev1.GetExecutionInfoRequest{})
	return evolve.Info{MaxGas: a.GetMaxGas()}, err
}

// FilterTxs implements evolve.Executor.
func (x *Executor) FilterTxs(ctx context.Context, txs [][]byte, maxBytes, maxGas uint64, forced bool) ([]evolve.Filtered, error) {
	a, err := call[evnodev1.FilterTxsRequest, evnodev1.FilterTxsResponse](ctx, x, evnodev1.ExecutorService_FilterTxs_FullMethodName, &evnodev1.FilterTxsRequest{MaxBytes: maxBytes, MaxGas: maxGas, HasForceIncludedTransaction: forced, TxBatch: Pack(txs)})
	if err != nil {
		return nil, err
	}
	answer := make([]evolve.Filtered, 0, len(a.GetStatuses()))
	for _, s := range a.GetStatuses() {
		f, known := filtered[s]
		if !known {
			return nil, fmt.Errorf("executor %s: filter transactions: %d is no status", x.target, s)
		}
		answer = append(answer, f)
	}
	return answer, nil
}

var filtered = map[evnodev1.FilterStatus]evolve.Filtered{
	evnodev1.FilterStatus_FILTER_STATUS_OK:       evolve.Taken,
	evnodev1.FilterStatus_FILTER_STATUS_REMOVE:   evolve.Removed,
	evnodev1.FilterStatus_FILTER_STATUS_POSTPONE: evolve.Postponed,
}

// Pack puts transactions into a message.
func Pack(txs [][]byte) *evnodev1.TxBatch {
	b := &evnodev1.TxBatch{}
	for _, tx := range txs {
		b.Data = append(b.Data, tx...)
		b.TxSizes = append(b.TxSizes, uint32(len(tx)))
	}
	return b
}

// Unpack returns the transactions in a message; they share its memory.
func Unpack(b *evnodev1.TxBatch) (txs [][]byte, err error) {
	data := b.GetData()
	for i, n := range b.GetTxSizes() {
		if uint64(n) > uint64(len(data)) {
			return nil, fmt.Errorf("transaction %d has %d bytes, and %d are left", i, n, len(data))
		}
		txs, data = append(txs, data[:n:n]), data[n:]
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%d bytes are of no transaction", len(data))
	}
	return txs, nil
}

func (x *Executor) unpack(b *evnodev1.TxBatch) ([][]byte, error) {
	txs, err := Unpack(b)
	if err != nil {
		return nil, fmt.Errorf("executor %s: read transactions: %w", x.target, err)
	}
	return txs, nil
}
