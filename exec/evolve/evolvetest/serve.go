package evolvetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip"

	"headrace/exec/evolve"
	"headrace/exec/evolve/evgrpc"
	"headrace/exec/evolve/evgrpc/evnodev1"
)

// Form is how an executor is served.
type Form string

// The forms that executors have.
const (
	GRPC     Form = "grpc"     // gRPC alone, by gRPC's own library
	Both     Form = "both"     // gRPC and Connect, over HTTP/2 and HTTP/1.1, by Connect's library: as in ev-node
	Connect  Form = "connect"  // Connect alone, over HTTP/1.1
	Connect2 Form = "connect2" // Connect alone, over HTTP/2
)

// Forms are all of them.
var Forms = []Form{GRPC, Both, Connect, Connect2}

// Serve answers calls on lis from x until ctx ends, compressed, as executors do. It closes lis.
func Serve(ctx context.Context, lis net.Listener, x evolve.Executor, as Form) error {
	if as == GRPC {
		return serveGRPC(ctx, lis, x)
	}
	s := &http.Server{Handler: Handler(x), Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(as != Connect2)
	s.Protocols.SetUnencryptedHTTP2(as != Connect)
	if as != Both {
		s.Handler = withoutGRPC(s.Handler)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return s.Close() // the other one may not have closed all connections yet
}

// withoutGRPC refuses what is gRPC, as a server of Connect does that has not it.
func withoutGRPC(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			w.WriteHeader(http.StatusUnsupportedMediaType)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Handler serves x over gRPC and Connect.
func Handler(x evolve.Executor) http.Handler {
	s, mux := &server{x: x}, http.NewServeMux()
	handle(mux, evnodev1.ExecutorService_InitChain_FullMethodName, s.InitChain)
	handle(mux, evnodev1.ExecutorService_GetTxs_FullMethodName, s.GetTxs)
	handle(mux, evnodev1.ExecutorService_ExecuteTxs_FullMethodName, s.ExecuteTxs)
	handle(mux, evnodev1.ExecutorService_SetFinal_FullMethodName, s.SetFinal)
	handle(mux, evnodev1.ExecutorService_GetExecutionInfo_FullMethodName, s.GetExecutionInfo)
	handle(mux, evnodev1.ExecutorService_FilterTxs_FullMethodName, s.FilterTxs)
	return mux
}

func handle[Q, A any](mux *http.ServeMux, method string, f func(context.Context, *Q) (*A, error)) {
	mux.Handle(method, connect.NewUnaryHandler(method, func(ctx context.Context, q *connect.Request[Q]) (*connect.Response[A], error) {
		a, err := f(ctx, q.Msg)
		switch {
		case errors.Is(err, errors.ErrUnsupported):
			return nil, connect.NewError(connect.CodeUnimplemented, err)
		case err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, connect.NewError(connect.CodeInternal, fmt.Errorf("executor: %w", err))
		}
		return connect.NewResponse(a), nil
	}, connect.WithCompressMinBytes(1<<10)))
}

func serveGRPC(ctx context.Context, lis net.Listener, x evolve.Executor) error {
	compress := func(ctx context.Context, q any, _ *grpc.UnaryServerInfo, f grpc.UnaryHandler) (any, error) {
		if err := grpc.SetSendCompressor(ctx, "gzip"); err != nil {
			return nil, err
		}
		return f(ctx, q)
	}
	s := grpc.NewServer(grpc.WaitForHandlers(true), grpc.UnaryInterceptor(compress))
	evnodev1.RegisterExecutorServiceServer(s, &server{x: x})
	stop := context.AfterFunc(ctx, s.Stop)
	defer stop()
	return s.Serve(lis)
}

type server struct {
	evnodev1.UnimplementedExecutorServiceServer
	x evolve.Executor
}

func (s *server) InitChain(ctx context.Context, q *evnodev1.InitChainRequest) (*evnodev1.InitChainResponse, error) {
	root, err := s.x.InitChain(ctx, q.GetGenesisTime().AsTime(), q.GetInitialHeight(), q.GetChainId())
	return &evnodev1.InitChainResponse{StateRoot: root}, err
}

func (s *server) GetTxs(ctx context.Context, _ *evnodev1.GetTxsRequest) (*evnodev1.GetTxsResponse, error) {
	txs, err := s.x.GetTxs(ctx)
	return &evnodev1.GetTxsResponse{TxBatch: evgrpc.Pack(txs)}, err
}

func (s *server) ExecuteTxs(ctx context.Context, q *evnodev1.ExecuteTxsRequest) (*evnodev1.ExecuteTxsResponse, error) {
	txs, err := evgrpc.Unpack(q.GetTxBatch())
	if err != nil {
		return nil, err
	}
	r, err := s.x.ExecuteTxs(ctx, txs, q.GetBlockHeight(), q.GetTimestamp().AsTime(), q.GetPrevStateRoot())
	return &evnodev1.ExecuteTxsResponse{UpdatedStateRoot: r.Root, MaxBytes: r.MaxBytes}, err
}

func (s *server) SetFinal(ctx context.Context, q *evnodev1.SetFinalRequest) (*evnodev1.SetFinalResponse, error) {
	return &evnodev1.SetFinalResponse{}, s.x.SetFinal(ctx, q.GetBlockHeight())
}

func (s *server) GetExecutionInfo(ctx context.Context, _ *evnodev1.GetExecutionInfoRequest) (*evnodev1.GetExecutionInfoResponse, error) {
	i, err := s.x.GetExecutionInfo(ctx)
	return &evnodev1.GetExecutionInfoResponse{MaxGas: i.MaxGas}, err
}

func (s *server) FilterTxs(ctx context.Context, q *evnodev1.FilterTxsRequest) (*evnodev1.FilterTxsResponse, error) {
	txs, err := evgrpc.Unpack(q.GetTxBatch())
	if err != nil {
		return nil, err
	}
	answer, err := s.x.FilterTxs(ctx, txs, q.GetMaxBytes(), q.GetMaxGas(), q.GetHasForceIncludedTransaction())
	r := &evnodev1.FilterTxsResponse{}
	for _, f := range answer {
		r.Statuses = append(r.Statuses, evnodev1.FilterStatus(f))
	}
	return r, err
}
