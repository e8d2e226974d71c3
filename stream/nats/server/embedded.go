package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"headrace/internal/edge"
)

// Embedded is a server that runs beside other things of a program, which may be made before it is started: it is a
// nats.InProcessConnProvider, whose connections fail until then.
type Embedded struct {
	opt  Options
	said edge.Log
	now  atomic.Pointer[Server]
	why  atomic.Pointer[error] // there is none now
}

// NewEmbedded returns a server that Run starts. Options.Secret is needed.
func NewEmbedded(opt Options) *Embedded {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	return &Embedded{opt: opt}
}

// probe is how often it is looked whether streams are still kept, of which the server tells nobody in the process, and how
// long after its end, or a start in vain, the next start comes.
const probe = time.Second

// Run serves until ctx ends, and then returns nil, at once also while the server is starting. It returns an error if the
// server cannot be started at first. One that keeps no streams any more, as on a full disk, is started anew, until that
// succeeds.
func (e *Embedded) Run(ctx context.Context) error {
	s, err := Start(ctx, e.opt)
	if err != nil && ctx.Err() == nil {
		return err
	}
	if err == nil && s.Addr() != nil {
		e.opt.Logger.Info("stream", "listens", s.Addr())
		e.opt.Listen = s.Addr().String() // also after a new start
	}
	look := time.NewTicker(probe)
	defer look.Stop()
	for ctx.Err() == nil {
		if err == nil {
			e.now.Store(s)
			err = failure(ctx, s, look.C)
			e.now.Store(nil)
			s.Close()
			if err == nil {
				return nil
			}
		}
		err = fmt.Errorf("the embedded server is started anew, as it failed: %w", err)
		e.why.Store(&err)
		e.said.Warn(e.opt.Logger, "NATS server", err)
		select {
		case <-look.C:
		case <-ctx.Done():
			return nil
		}
		s, err = Start(ctx, e.opt)
	}
	if err == nil {
		s.Close()
	}
	return nil
}

// failure waits until the server keeps no streams any more, and returns why; nil: ctx has ended.
func failure(ctx context.Context, s *Server, look <-chan time.Time) error {
	for {
		if err := s.Failed(); err != nil {
			return err
		}
		select {
		case <-look:
		case <-ctx.Done():
			return nil
		}
	}
}

// Addr is where it listens; nil: it does not, or not now.
func (e *Embedded) Addr() net.Addr {
	if s := e.now.Load(); s != nil {
		return s.Addr()
	}
	return nil
}

// InProcessConn implements nats.InProcessConnProvider.
func (e *Embedded) InProcessConn() (net.Conn, error) {
	if s := e.now.Load(); s != nil {
		return s.InProcessConn()
	}
	if why := e.why.Load(); why != nil {
		return nil, *why
	}
	return nil, errors.New("the embedded server is not started yet")
}
