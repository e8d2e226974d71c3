package execgrpc

import (
	"errors"
	"sync"

	"google.golang.org/grpc"

	"headrace/exec/grpc/execv1"
)

// links are the connections to an engine: the present one, and older ones on which calls are still under way.
type links struct {
	dial func() (*grpc.ClientConn, error)

	mu     sync.Mutex // guards the rest
	now    *link
	old    map[*link]struct{}
	closed bool
}

// link is one connection. Its fields are guarded by the mutex of links.
type link struct {
	conn   *grpc.ClientConn
	client execv1.EngineClient
	calls  int // under way
}

// open makes a new connection the present one. It touches no network.
func (s *links) open() error {
	conn, err := s.dial()
	if err == nil {
		s.now = &link{conn: conn, client: execv1.NewEngineClient(conn)}
	}
	return err
}

func (s *links) present() *grpc.ClientConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.conn
}

// take returns the present connection for a call, which gives it back.
func (s *links) take() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.calls++
	return s.now
}

// give ends a call. One that had no answer makes the connection an old one, which its last call closes.
func (s *links) give(l *link, unanswered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.calls--
	if unanswered && l == s.now && !s.closed && s.open() == nil { // an error is that of Dial, which had none
		if s.old == nil {
			s.old = map[*link]struct{}{}
		}
		s.old[l] = struct{}{}
	}
	if _, old := s.old[l]; old && l.calls == 0 {
		delete(s.old, l)
		_ = l.conn.Close()
	}
}

func (s *links) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	err := s.now.conn.Close()
	for l := range s.old {
		err = errors.Join(err, l.conn.Close())
	}
	clear(s.old)
	return err
}
