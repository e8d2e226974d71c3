// Package evgrpc calls an Evolve executor in another process, in whatever language, over gRPC without TLS: the protocol
// of ev-node v1.1.4 (evnodev1/executor.proto). Executors that serve Connect serve gRPC on the same port.
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
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip" // executors compress their answers
	"google.golang.org/grpc/status"
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
	target  string
	timeout time.Duration
	links   *links.Links[evnodev1.ExecutorServiceClient]
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
	host := address
	if network == "unix" {
		host = "localhost"
	}
	dial := func() (*grpc.ClientConn, error) {
		return grpc.NewClient("passthrough:///"+address,
			grpc.WithContextDialer(once(network, address)),
			grpc.WithAuthority(host),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithNoProxy(),
			grpc.WithDisableRetry(), // a call that is repeated unseen would be one more block
			grpc.WithIdleTimeout(0),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(opt.MaxMessageBytes), grpc.MaxCallSendMsgSize(opt.MaxMessageBytes)),
		)
	}
	l, err := links.Open(dial, evnodev1.NewExecutorServiceClient)
	if err != nil {
		return nil, fmt.Errorf("dial executor %s: %w", target, err)
	}
	return &Executor{target: target, timeout: opt.Timeout, links: l}, nil
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

var errEnded = errors.New("the connection has ended")

// once returns what dials until a connection stands, and never again.
func once(network, address string) func(context.Context, string) (net.Conn, error) {
	var stood atomic.Bool
	return func(ctx context.Context, _ string) (net.Conn, error) {
		if stood.Load() {
			return nil, errEnded
		}
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		stood.Store(err == nil)
		return c, err
	}
}

// Close ends the connection and the calls under way.
func (x *Executor) Close() error { return x.links.Close() }

// call makes a call, within its time.
func call[Q, A any](ctx context.Context, x *Executor, method func(evnodev1.ExecutorServiceClient, context.Context, Q, ...grpc.CallOption) (A, error), q Q) (A, error) {
	within, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	l := x.links.Take()
	a, err := method(l.Client, within, q)
	late := errors.Is(within.Err(), context.DeadlineExceeded)
	code := status.Code(err)
	x.links.Give(l, late || code == codes.Unavailable)
	switch {
	case err == nil:
		return a, nil
	case late || code == codes.Unavailable || code == codes.DeadlineExceeded:
		err = fmt.Errorf("%w: %w", evolve.ErrNoAnswer, err)
	case code == codes.Unimplemented:
		err = fmt.Errorf("%w (%w)", err, errors.ErrUnsupported)
	}
	if ended := ctx.Err(); ended != nil {
		err = fmt.Errorf("%w: %w", ended, err)
	}
	return a, fmt.Errorf("executor %s: %w", x.target, err)
}

type client = evnodev1.ExecutorServiceClient

// InitChain implements evolve.Executor.
func (x *Executor) InitChain(ctx context.Context, genesisTime time.Time, initialHeight uint64, chainID string) ([]byte, error) {
	a, err := call(ctx, x, client.InitChain, &evnodev1.InitChainRequest{GenesisTime: timestamppb.New(genesisTime), InitialHeight: initialHeight, ChainId: chainID})
	return a.GetStateRoot(), err
}

// GetTxs implements evolve.Executor.
func (x *Executor) GetTxs(ctx context.Context) ([][]byte, error) {
	a, err := call(ctx, x, client.GetTxs, &evnodev1.GetTxsRequest{})
	if err != nil {
		return nil, err
	}
	return x.unpack(a.GetTxBatch())
}

// ExecuteTxs implements evolve.Executor.
func (x *Executor) ExecuteTxs(ctx context.Context, txs [][]byte, height uint64, at time.Time, rootBefore []byte) (evolve.Result, error) {
	a, err := call(ctx, x, client.ExecuteTxs, &evnodev1.ExecuteTxsRequest{BlockHeight: height, Timestamp: timestamppb.New(at), PrevStateRoot: rootBefore, TxBatch: Pack(txs)})
	return evolve.Result{Root: a.GetUpdatedStateRoot(), MaxBytes: a.GetMaxBytes()}, err
}

// SetFinal implements evolve.Executor.
func (x *Executor) SetFinal(ctx context.Context, height uint64) error {
	_, err := call(ctx, x, client.SetFinal, &evnodev1.SetFinalRequest{BlockHeight: height})
	return err
}

// GetExecutionInfo implements evolve.Executor.
func (x *Executor) GetExecutionInfo(ctx context.Context) (evolve.Info, error) {
	a, err := call(ctx, x, client.GetExecutionInfo, &evnodev1.GetExecutionInfoRequest{})
	return evolve.Info{MaxGas: a.GetMaxGas()}, err
}

// FilterTxs implements evolve.Executor.
func (x *Executor) FilterTxs(ctx context.Context, txs [][]byte, maxBytes, maxGas uint64, forced bool) ([]evolve.Filtered, error) {
	a, err := call(ctx, x, client.FilterTxs, &evnodev1.FilterTxsRequest{MaxBytes: maxBytes, MaxGas: maxGas, HasForceIncludedTransaction: forced, TxBatch: Pack(txs)})
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
