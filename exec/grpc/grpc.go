// Package execgrpc drives an execution engine in another process, written in any language, over gRPC on TCP or a Unix
// socket; and serves an engine written in Go. The protocol is execv1/exec.proto, with the engine's contract in its
// comments.
//
// Order: the server gives the engine one Execute, Revert, Build or Label at a time, and the next only when the engine
// has returned from the one before, also when its caller has given up waiting; so a call that is repeated after its
// answer was lost never overlaps the first one. Durability and idempotence are the engine's own. Concurrency:
// everything may overlap.
//
// Each call ends within Options.Timeout. A lost connection is made again by itself; calls meanwhile fail at once, and
// the caller repeats. After a call without an answer the next one is made on a new connection, since the old one may be
// dead; what is under way on that goes on. Nothing is pinged: a gRPC server ends connections that ping it more often
// than each five minutes, unless it is told otherwise.
package execgrpc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"headrace/block"
	"headrace/exec"
	"headrace/exec/grpc/execv1"
	"headrace/exec/internal/links"
)

// Options of Dial. The zero value works.
type Options struct {
	TLS             *tls.Config   // nil: no encryption, for engines on the same machine
	Timeout         time.Duration // of each call; 0: 30 s. Less if the call's context says so
	MaxMessageBytes int           // of one message, sent or received; 0: 64 MiB
}

const defaultMessageBytes = 64 << 20

// Engine is an engine in another process. It implements exec.Engine, exec.Builder, exec.Labeler and exec.Exempter; of
// an engine without a builder's side, SubmitTx and Build fail with errors.ErrUnsupported.
type Engine struct {
	target  string
	timeout time.Duration
	links   *links.Links[client]
	dropped atomic.Uint64 // as the last Build said
}

var (
	_ exec.Engine   = (*Engine)(nil)
	_ exec.Builder  = (*Engine)(nil)
	_ exec.Labeler  = (*Engine)(nil)
	_ exec.Exempter = (*Engine)(nil)
	_ exec.Pool     = (*Engine)(nil)
)

// Dial returns the engine at target, "host:port" or "unix:/path". It does not wait for the engine: the first call
// connects, or Ready does.
func Dial(target string, opt Options) (*Engine, error) {
	opt.Timeout = cmp.Or(opt.Timeout, 30*time.Second)
	opt.MaxMessageBytes = cmp.Or(opt.MaxMessageBytes, defaultMessageBytes)
	creds := insecure.NewCredentials()
	if opt.TLS != nil {
		creds = credentials.NewTLS(opt.TLS)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithNoProxy(),
		grpc.WithUnaryInterceptor(byAnEngine),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(opt.MaxMessageBytes), grpc.MaxCallSendMsgSize(opt.MaxMessageBytes)),
		// An engine that was restarted is found again soon: the backoff stays short.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
	to, err := links.Open(func() (client, error) {
		conn, err := grpc.NewClient(target, options...)
		return client{execv1.NewEngineClient(conn), conn}, err
	})
	if err != nil {
		return nil, fmt.Errorf("dial engine %s: %w", target, err)
	}
	return &Engine{target: target, timeout: opt.Timeout, links: to}, nil
}

// client calls an engine over a connection of its own.
type client struct {
	execv1.EngineClient
	*grpc.ClientConn
}

// Ready connects if need be and returns when the connection stands, or when ctx ends.
func (e *Engine) Ready(ctx context.Context) error {
	for {
		conn := e.links.Present()
		state := conn.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Shutdown:
			return fmt.Errorf("connect to engine %s: %w", e.target, net.ErrClosed)
		case connectivity.Idle:
			conn.Connect()
		}
		if !conn.WaitForStateChange(ctx, state) {
			return fmt.Errorf("connect to engine %s: %w", e.target, ctx.Err())
		}
	}
}

// Close ends the connection and the calls under way.
func (e *Engine) Close() error { return e.links.Close() }

// within returns a call's context with the call's deadline, and what it is made by. done must be called at its end.
func (e *Engine) within(ctx context.Context) (_ context.Context, client execv1.EngineClient, done func()) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	l := e.links.Take()
	return ctx, l.Client, func() {
		e.links.Give(l, errors.Is(ctx.Err(), context.DeadlineExceeded))
		cancel()
	}
}

// fail is the error of a call made with ctx. The end of our own waiting is the context's error.
func (e *Engine) fail(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("engine %s: %w: %s", e.target, ended, status.Convert(err).Message())
	}
	return fmt.Errorf("engine %s: %w", e.target, fromStatus(err))
}

// Execute implements exec.Engine.
func (e *Engine) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	ctx, client, done := e.within(ctx)
	defer done()
	r, err := client.Execute(ctx, &execv1.ExecuteRequest{Block: encodeBlock(b)})
	if err != nil {
		return nil, e.fail(ctx, err)
	}
	return none(r.StateRoot), nil
}

// Head implements exec.Engine.
func (e *Engine) Head(ctx context.Context) (exec.Head, error) {
	ctx, client, done := e.within(ctx)
	defer done()
	r, err := client.Head(ctx, &execv1.HeadRequest{})
	if err != nil {
		return exec.Head{}, e.fail(ctx, err)
	}
	hash, err := decodeHash(r.Hash)
	if err != nil {
		return exec.Head{}, fmt.Errorf("engine %s: head: %w", e.target, err)
	}
	return exec.Head{Height: r.Height, Hash: hash, Root: none(r.StateRoot)}, nil
}

// Revert implements exec.Engine.
func (e *Engine) Revert(ctx context.Context, height uint64) error {
	ctx, client, done := e.within(ctx)
	defer done()
	if _, err := client.Revert(ctx, &execv1.RevertRequest{Height: height}); err != nil {
		return e.fail(ctx, err)
	}
	return nil
}

// Label implements exec.Labeler. An engine that does not want labels is left without.
func (e *Engine) Label(ctx context.Context, safe, finalized block.Ref) error {
	ctx, client, done := e.within(ctx)
	defer done()
	_, err := client.Label(ctx, &execv1.LabelRequest{Safe: encodeRef(safe), Finalized: encodeRef(finalized)})
	if err != nil && status.Code(err) != codes.Unimplemented {
		return e.fail(ctx, err)
	}
	return nil
}

// SubmitTx implements exec.Builder.
func (e *Engine) SubmitTx(ctx context.Context, tx []byte) error {
	ctx, client, done := e.within(ctx)
	defer done()
	if _, err := client.SubmitTx(ctx, &execv1.SubmitTxRequest{Tx: tx}); err != nil {
		return e.fail(ctx, err)
	}
	return nil
}

// Build implements exec.Builder.
func (e *Engine) Build(ctx context.Context, height, time uint64, maxBytes int) ([][]byte, error) {
	ctx, client, done := e.within(ctx)
	defer done()
	r, err := client.Build(ctx, &execv1.BuildRequest{Height: height, Time: time, MaxBytes: uint64(max(maxBytes, 0))})
	if err != nil {
		return nil, e.fail(ctx, err)
	}
	e.dropped.Store(r.Dropped)
	size := 0 // without exec.TxOverhead: engines of the time before it counted so
	for _, tx := range r.Txs {
		size += len(tx)
	}
	if size > maxBytes {
		return nil, fmt.Errorf("engine %s: build block %d: got %d bytes, more than %d: %w", e.target, height, size, maxBytes, errProtocol)
	}
	return r.Txs, nil
}

// Limit implements exec.Pool: the engine learns it from Build.
func (e *Engine) Limit(int) {}

// Dropped implements exec.Pool.
func (e *Engine) Dropped() uint64 { return e.dropped.Load() }

// Exempt implements exec.Exempter. What is no answer is an error, and never "no exemption": the other nodes' engines
// may know of one.
func (e *Engine) Exempt(ctx context.Context, height uint64, item [][]byte) (why []string, err error) {
	ctx, client, done := e.within(ctx)
	defer done()
	r, err := client.Excuse(ctx, &execv1.ExcuseRequest{Height: height, Txs: item})
	if err != nil {
		return nil, e.fail(ctx, err)
	}
	if len(r.Why) != len(item) {
		return nil, fmt.Errorf("engine %s: %d reasons for %d transactions: %w", e.target, len(r.Why), len(item), errProtocol)
	}
	return r.Why, nil
}

// errProtocol marks an answer that the protocol does not allow.
var errProtocol = errors.New("the engine broke the protocol")
