package evolvetest

import (
	"context"
	"net"

	"google.golang.org/grpc"

	"headrace/exec/evolve"
	"headrace/exec/evolve/evgrpc"
	"headrace/exec/evolve/evgrpc/evnodev1"
)

// Serve answers calls on lis from x until ctx ends, compressed, as executors do. It closes lis.
func Serve(ctx context.Context, lis net.Listener, x evolve.Executor) error {
	s := grpc.NewServer(grpc.WaitForHandlers(true))
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
	if err := grpc.SetSendCompressor(ctx, "gzip"); err != nil {
		return nil, err
	}
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
