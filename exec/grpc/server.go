package execgrpc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"headrace/block"
	"headrace/exec"
	"headrace/exec/grpc/execv1"
)

// ServerOptions of Serve. The zero value works.
type ServerOptions struct {
	TLS             *tls.Config   // nil: no encryption
	MaxMessageBytes int           // of one message, sent or received; 0: 64 MiB
	Grace           time.Duration // for calls under way when ctx ends; 0: 5 s
}

// Serve answers calls on lis from the engine e, until ctx ends or lis fails. It closes lis. Calls under way when ctx
// ends may finish within opt.Grace; when Serve returns, none is left.
func Serve(ctx context.Context, lis net.Listener, e exec.Engine, opt ServerOptions) error {
	opt.MaxMessageBytes = cmp.Or(opt.MaxMessageBytes, defaultMessageBytes)
	opt.Grace = cmp.Or(opt.Grace, 5*time.Second)
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(opt.MaxMessageBytes), grpc.MaxSendMsgSize(opt.MaxMessageBytes), grpc.WaitForHandlers(true)}
	if opt.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(opt.TLS)))
	}
	srv := grpc.NewServer(options...)
	Register(srv, e)
	failed := make(chan error, 1) // sent to once, by the goroutine below
	go func() { failed <- srv.Serve(lis) }()
	select {
	case err := <-failed:
		srv.Stop()
		return fmt.Errorf("serve engine on %s: %w", lis.Addr(), err)
	case <-ctx.Done():
	}
	stopGracefully(srv, opt.Grace)
	<-failed
	return ctx.Err()
}

// stopGracefully waits for calls under way, but not longer than grace before it cancels them.
func stopGracefully(srv *grpc.Server, grace time.Duration) {
	stopped := make(chan struct{}) // closed by the goroutine below
	go func() {
		defer close(stopped)
		srv.GracefulStop()
	}()
	timer := time.NewTimer(grace) // a bound on waiting for others
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
		srv.Stop()
		<-stopped
	}
}

// Register serves e on srv, beside whatever else srv serves.
func Register(srv grpc.ServiceRegistrar, e exec.Engine) {
	execv1.RegisterEngineServer(srv, &server{engine: e, turn: make(chan struct{}, 1)})
}

// Listen listens on target, "host:port" or "unix:/path", as Dial takes it. The file of a Unix socket that nobody
// listens on any more is replaced.
func Listen(target string) (net.Listener, error) {
	path, ok := strings.CutPrefix(target, "unix:")
	if !ok {
		return net.Listen("tcp", target)
	}
	path = strings.TrimPrefix(path, "//")
	lis, err := net.Listen("unix", path)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return lis, err
	}
	if conn, derr := net.Dial("unix", path); derr == nil { // somebody does listen
		conn.Close()
		return nil, err
	}
	if rerr := os.Remove(path); rerr != nil {
		return nil, err
	}
	return net.Listen("unix", path)
}

// server gives calls to an engine.
type server struct {
	execv1.UnimplementedEngineServer
	engine exec.Engine
	turn   chan struct{} // holds a token while a call is with the engine
}

// alone runs do while no other call but Head, SubmitTx and Exempt is with the engine, and ends when do does: a caller
// who has given up and repeats the call must not meet its own first one. One that gives up before its turn has had no
// effect.
func (s *server) alone(ctx context.Context, do func(ctx context.Context) error) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	defer func() { <-s.turn }()
	return toStatus(ctx, do(ctx))
}

func (s *server) Execute(ctx context.Context, r *execv1.ExecuteRequest) (*execv1.ExecuteResponse, error) {
	b, err := decodeBlock(r.Block)
	if err != nil {
		return nil, malformed(err)
	}
	var root []byte
	err = s.alone(ctx, func(ctx context.Context) (err error) {
		root, err = s.engine.Execute(ctx, b)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &execv1.ExecuteResponse{StateRoot: root}, nil
}

// malformed is the status of a request that is not what the protocol says. It has no reason in its details, so nobody
// takes it for a verdict on a block's content.
func malformed(err error) error {
	return status.Errorf(codes.InvalidArgument, "malformed request: %v", err)
}

func (s *server) Head(ctx context.Context, _ *execv1.HeadRequest) (*execv1.HeadResponse, error) {
	h, err := s.engine.Head(ctx)
	if err != nil {
		return nil, toStatus(ctx, err)
	}
	r := &execv1.HeadResponse{Height: h.Height, StateRoot: h.Root}
	if !h.Hash.IsZero() {
		r.Hash = h.Hash[:]
	}
	return r, nil
}

func (s *server) Revert(ctx context.Context, r *execv1.RevertRequest) (*execv1.RevertResponse, error) {
	err := s.alone(ctx, func(ctx context.Context) error { return s.engine.Revert(ctx, r.Height) })
	if err != nil {
		return nil, err
	}
	return &execv1.RevertResponse{}, nil
}

func (s *server) Label(ctx context.Context, r *execv1.LabelRequest) (*execv1.LabelResponse, error) {
	l, ok := s.engine.(exec.Labeler)
	if !ok {
		return nil, status.Error(codes.Unimplemented, "the engine takes no labels")
	}
	var refs [2]block.Ref
	for i, m := range []*execv1.Ref{r.Safe, r.Finalized} {
		var err error
		if refs[i], err = decodeRef(m); err != nil {
			return nil, malformed(err)
		}
	}
	if err := s.alone(ctx, func(ctx context.Context) error { return l.Label(ctx, refs[0], refs[1]) }); err != nil {
		return nil, err
	}
	return &execv1.LabelResponse{}, nil
}

var errNoBuilder = fmt.Errorf("the engine builds no blocks: %w", errors.ErrUnsupported)

func (s *server) SubmitTx(ctx context.Context, r *execv1.SubmitTxRequest) (*execv1.SubmitTxResponse, error) {
	b, ok := s.engine.(exec.Builder)
	if !ok {
		return nil, toStatus(ctx, errNoBuilder)
	}
	if err := b.SubmitTx(ctx, r.Tx); err != nil {
		return nil, toStatus(ctx, err)
	}
	return &execv1.SubmitTxResponse{}, nil
}

func (s *server) Build(ctx context.Context, r *execv1.BuildRequest) (*execv1.BuildResponse, error) {
	b, ok := s.engine.(exec.Builder)
	if !ok {
		return nil, toStatus(ctx, errNoBuilder)
	}
	var txs [][]byte
	err := s.alone(ctx, func(ctx context.Context) (err error) {
		txs, err = b.Build(ctx, r.Height, r.Time, int(min(r.MaxBytes, 1<<40)))
		return err
	})
	if err != nil {
		return nil, err
	}
	answer := &execv1.BuildResponse{Txs: txs}
	if p, ok := s.engine.(exec.Pool); ok {
		answer.Dropped = p.Dropped()
	}
	return answer, nil
}

func (s *server) Excuse(ctx context.Context, r *execv1.ExcuseRequest) (*execv1.ExcuseResponse, error) {
	x, ok := s.engine.(exec.Exempter)
	if !ok {
		return &execv1.ExcuseResponse{Why: make([]string, len(r.Txs))}, nil
	}
	why, err := x.Exempt(ctx, r.Height, r.Txs)
	if err != nil {
		return nil, toStatus(ctx, err)
	}
	return &execv1.ExcuseResponse{Why: why}, nil
}
