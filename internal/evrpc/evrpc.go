// Package evrpc answers the tools of an Evolve chain as an ev-node does: StoreService and ConfigService of evnode.v1, over
// Connect, with messages in JSON and in protobuf, over gRPC, and with gRPC's reflection.
//
// Everything is read from the store when it is asked for, so an answer is as of that moment. Nothing can be changed. A
// request is small, and a block that is answered counts in a budget from before it is encoded until its request has ended;
// at most two are read at a time. All methods are safe for concurrent use.
package evrpc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"headrace/block"
	"headrace/da"
	"headrace/exec/evolve/evgrpc/evnodev1"
	"headrace/internal/httpd"
	"headrace/internal/store"
)

// Options of New. Answers may be nil, and then answers are not counted.
type Options struct {
	Genesis      *block.Genesis
	Header, Data da.Namespace
	Store        func() *store.Store // the one that is open now
	Answers      *httpd.Budget
}

// Service is a http.Handler of the paths in Paths.
type Service struct {
	opt     Options
	mux     *http.ServeMux
	readers chan struct{} // a slot for each block that is being read
}

// Paths are what a Service serves, with all below them. All of it is reading, whatever the method of HTTP.
func Paths() []string {
	return []string{
		"/evnode.v1.StoreService/", "/evnode.v1.ConfigService/",
		"/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/",
	}
}

// maxRequest bounds a request's body, and what a stream of reflection sends, in bytes.
const maxRequest = 64 << 10

// New returns a service.
func New(opt Options) *Service {
	s := &Service{opt: opt, mux: http.NewServeMux(), readers: make(chan struct{}, 2)}
	handle(s, evnodev1.StoreService_GetBlock_FullMethodName, s.getBlock)
	handle(s, evnodev1.StoreService_GetState_FullMethodName, s.getState)
	handle(s, evnodev1.StoreService_GetMetadata_FullMethodName, s.getMetadata)
	handle(s, evnodev1.StoreService_GetGenesisDaHeight_FullMethodName, s.getGenesisDAHeight)
	handle(s, evnodev1.ConfigService_GetNamespace_FullMethodName, s.getNamespace)
	handle(s, evnodev1.ConfigService_GetSignerInfo_FullMethodName, s.getSignerInfo)
	names := grpcreflect.NewStaticReflector(evnodev1.StoreService_ServiceDesc.ServiceName, evnodev1.ConfigService_ServiceDesc.ServiceName)
	s.mux.Handle(grpcreflect.NewHandlerV1(names, connect.WithReadMaxBytes(maxRequest)))
	s.mux.Handle(grpcreflect.NewHandlerV1Alpha(names, connect.WithReadMaxBytes(maxRequest)))
	return s
}

func handle[Q, A any](s *Service, path string, f func(context.Context, *Q) (*A, error)) {
	s.mux.Handle(path, connect.NewUnaryHandler(path, func(ctx context.Context, q *connect.Request[Q]) (*connect.Response[A], error) {
		a, err := f(ctx, q.Msg)
		if err != nil {
			return nil, failed(err)
		}
		return connect.NewResponse(a), nil
	}, connect.WithReadMaxBytes(maxRequest), connect.WithCompressMinBytes(math.MaxInt))) // strangers do not have us compress
}

// failed gives an error its code.
func failed(err error) error {
	switch coded := (*connect.Error)(nil); {
	case errors.As(err, &coded):
		return err
	case errors.Is(err, store.ErrNotFound):
		return connect.NewError(connect.CodeNotFound, errors.New("no such block here, yet or any more"))
	case errors.Is(err, httpd.ErrFull):
		return connect.NewError(connect.CodeUnavailable, err)
	}
	return connect.NewError(connect.CodeInternal, err)
}

type holdKey struct{}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hold := s.opt.Answers.Hold(r.Context())
	defer hold.Give()
	r = r.WithContext(context.WithValue(r.Context(), holdKey{}, hold))
	r.Body = http.MaxBytesReader(w, r.Body, maxRequest)
	s.mux.ServeHTTP(w, r)
}

func (s *Service) getBlock(ctx context.Context, q *evnodev1.GetBlockRequest) (*evnodev1.GetBlockResponse, error) {
	rec, err := s.read(ctx, q)
	if err != nil {
		return nil, err
	}
	h, d := &rec.Block.Header, &rec.Block.Data
	return &evnodev1.GetBlockResponse{
		Block: &evnodev1.Block{
			Header: &evnodev1.SignedHeader{
				Header: header(&h.Header), Signature: h.Signature, Signer: &evnodev1.Signer{Address: h.Signer.Address, PubKey: h.Signer.PubKey},
			},
			Data: &evnodev1.Data{
				Metadata: &evnodev1.Metadata{ChainId: d.Metadata.ChainID, Height: d.Metadata.Height, Time: d.Metadata.Time, LastDataHash: d.Metadata.LastDataHash},
				Txs:      d.Txs,
			},
		},
		HeaderDaHeight: rec.Origin.HeaderAt, DataDaHeight: rec.Origin.DataAt,
	}, nil
}

func header(h *block.Header) *evnodev1.Header {
	return &evnodev1.Header{
		Version: version(h.Version), Height: h.Height, Time: h.Time, LastHeaderHash: h.LastHeaderHash, DataHash: h.DataHash, AppHash: h.AppHash,
		ProposerAddress: h.ProposerAddress, ValidatorHash: h.ValidatorHash, ChainId: h.ChainID,
	}
}

func version(v block.Version) *evnodev1.Version {
	return &evnodev1.Version{Block: v.Block, App: v.App}
}

// encoded is how often a block is in memory at most when it is answered: as it is, encoded, and in a buffer that has
// grown to twice what JSON takes for it.
const encoded = 5

// reading waits for a slot to read a block in, which done gives back.
func (s *Service) reading(ctx context.Context) (_ context.Context, done func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, httpd.Patience, httpd.ErrFull)
	select {
	case s.readers <- struct{}{}:
		return ctx, func() { <-s.readers; cancel() }, nil
	case <-ctx.Done():
		cancel()
		return nil, nil, context.Cause(ctx)
	}
}

// read reads the block that is asked for, and counts it.
func (s *Service) read(ctx context.Context, q *evnodev1.GetBlockRequest) (rec store.Record, err error) {
	ctx, done, err := s.reading(ctx)
	if err != nil {
		return rec, err
	}
	defer done()
	if rec, err = s.find(q); err != nil {
		return rec, err
	}
	size := 1 << 10
	for _, tx := range rec.Block.Data.Txs {
		size += len(tx) + 8
	}
	hold, _ := ctx.Value(holdKey{}).(*httpd.Hold)
	return rec, hold.Grow(ctx, int64(encoded*size))
}

// at reads the block at a height, of which little is answered.
func (s *Service) at(ctx context.Context, height uint64) (rec store.Record, err error) {
	_, done, err := s.reading(ctx)
	if err != nil {
		return rec, err
	}
	defer done()
	return s.opt.Store().Block(height)
}

func (s *Service) find(q *evnodev1.GetBlockRequest) (store.Record, error) {
	at := s.opt.Store()
	switch id := q.GetIdentifier().(type) {
	case *evnodev1.GetBlockRequest_Height:
		if id.Height == 0 {
			return at.Block(at.State().Unsafe.Height)
		}
		return at.Block(id.Height)
	case *evnodev1.GetBlockRequest_Hash:
		if len(id.Hash) != len(block.Hash{}) {
			return store.Record{}, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("a hash has %d bytes, and not %d", len(block.Hash{}), len(id.Hash)))
		}
		return at.BlockByHash(block.Hash(id.Hash))
	}
	return store.Record{}, connect.NewError(connect.CodeInvalidArgument, errors.New("name a block by its height, 0 for the last one, or its hash"))
}

func (s *Service) getState(ctx context.Context, _ *emptypb.Empty) (*evnodev1.GetStateResponse, error) {
	st, g := s.opt.Store().State(), s.opt.Genesis
	state := &evnodev1.State{
		Version: &evnodev1.Version{}, ChainId: g.ChainID, InitialHeight: g.InitialHeight, LastBlockHeight: st.Unsafe.Height,
		LastBlockTime: timestamppb.New(g.StartTime), DaHeight: st.Position.Height, AppHash: st.Root, LastHeaderHash: st.Unsafe.Hash.Field(),
		NextProposerAddress: g.ProposerAddress,
	}
	if st.Unsafe.Height < g.InitialHeight { // there is no block
		return &evnodev1.GetStateResponse{State: state}, nil
	}
	rec, err := s.at(ctx, st.Unsafe.Height)
	if err == nil && rec.Block.Hash() != st.Unsafe.Hash { // reverted since
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	h := &rec.Block.Header.Header
	state.Version, state.LastBlockTime = version(h.Version), at1970(h.Time)
	return &evnodev1.GetStateResponse{State: state}, nil
}

// at1970 is a time in nanoseconds since the Unix epoch.
func at1970(t uint64) *timestamppb.Timestamp {
	return &timestamppb.Timestamp{Seconds: int64(t / uint64(time.Second)), Nanos: int32(t % uint64(time.Second))}
}

// getMetadata answers what an ev-node keeps by name and a node of ours knows, too: numbers, little-endian.
//
//	d           the height of the last block that is on the DA layer
//	gdh         the DA height of the first block
//	rhb/H/h     the DA height of the header of block H
//	rhb/H/d     the DA height of its data
func (s *Service) getMetadata(ctx context.Context, q *evnodev1.GetMetadataRequest) (*evnodev1.GetMetadataResponse, error) {
	v, err := s.named(ctx, q.GetKey())
	if err == nil && v == 0 {
		err = connect.NewError(connect.CodeNotFound, errors.New("no such value here, or not yet"))
	}
	if err != nil {
		return nil, err
	}
	return &evnodev1.GetMetadataResponse{Value: binary.LittleEndian.AppendUint64(nil, v)}, nil
}

// named returns a value by its name; 0 if it is not known.
func (s *Service) named(ctx context.Context, key string) (uint64, error) {
	switch key {
	case "d":
		if safe := s.opt.Store().State().Safe.Height; safe >= s.opt.Genesis.InitialHeight {
			return safe, nil
		}
		return 0, nil
	case "gdh":
		return s.first(ctx)
	}
	rest, ok := strings.CutPrefix(key, "rhb/")
	number, half, _ := strings.Cut(rest, "/")
	height, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || half != "h" && half != "d" {
		return 0, nil
	}
	rec, err := s.at(ctx, height)
	if err != nil {
		return 0, err
	}
	if half == "h" {
		return rec.Origin.HeaderAt, nil
	}
	return rec.Origin.DataAt, nil
}

// first returns the DA height of the first block; 0 if it is not known.
func (s *Service) first(ctx context.Context) (uint64, error) {
	rec, err := s.at(ctx, s.opt.Genesis.InitialHeight)
	if errors.Is(err, store.ErrNotFound) {
		return s.opt.Genesis.DAStartHeight, nil
	}
	at := rec.Origin.HeaderAt
	if rec.Origin.DataAt != 0 {
		at = min(at, rec.Origin.DataAt)
	}
	return at, err
}

func (s *Service) getGenesisDAHeight(ctx context.Context, _ *emptypb.Empty) (*evnodev1.GetGenesisDaHeightResponse, error) {
	height, err := s.first(ctx)
	if err == nil && height == 0 {
		err = connect.NewError(connect.CodeNotFound, errors.New("the DA height of the first block is not known yet"))
	}
	return &evnodev1.GetGenesisDaHeightResponse{Height: height}, err
}

func (s *Service) getNamespace(context.Context, *emptypb.Empty) (*evnodev1.GetNamespaceResponse, error) {
	return &evnodev1.GetNamespaceResponse{HeaderNamespace: "0x" + s.opt.Header.String(), DataNamespace: "0x" + s.opt.Data.String()}, nil
}

func (s *Service) getSignerInfo(context.Context, *emptypb.Empty) (*evnodev1.GetSignerInfoResponse, error) {
	return &evnodev1.GetSignerInfoResponse{Address: s.opt.Genesis.ProposerAddress}, nil
}
