// Package links keeps the connection to an engine, and makes a new one after a call that was not answered: the old one
// may be dead, and what is under way on it goes on. All methods are safe for concurrent use.
package links

import (
	"errors"
	"io"
	"sync"
)

// Links are the connections to an engine: the present one, and older ones on which calls are still under way. C is the
// client that calls are made by, whose Close ends its connection.
type Links[C io.Closer] struct {
	dial func() (C, error)

	mu     sync.Mutex // guards the rest
	now    *Link[C]
	old    map[*Link[C]]struct{}
	closed bool
}

// Link is one connection, taken for a call.
type Link[C io.Closer] struct {
	Client C

	calls int // under way; guarded by the mutex of Links
}

// Open makes the first connection. Dial touches no network.
func Open[C io.Closer](dial func() (C, error)) (*Links[C], error) {
	s := &Links[C]{dial: dial}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// open makes a new connection the present one. mu is held.
func (s *Links[C]) open() error {
	client, err := s.dial()
	if err == nil {
		s.now = &Link[C]{Client: client}
	}
	return err
}

// Present returns the present connection.
func (s *Links[C]) Present() C {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Client
}

// Take returns the present connection for a call, which gives it back.
func (s *Links[C]) Take() *Link[C] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.calls++
	return s.now
}

// Give ends a call. One that had no answer makes the connection an old one, which its last call closes.
func (s *Links[C]) Give(l *Link[C], unanswered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.calls--
	if unanswered && l == s.now && !s.closed && s.open() == nil { // an error is that of Open, which had none
		if s.old == nil {
			s.old = map[*Link[C]]struct{}{}
		}
		s.old[l] = struct{}{}
	}
	if _, old := s.old[l]; old && l.calls == 0 {
		delete(s.old, l)
		_ = l.Client.Close()
	}
}

// Close closes all of them, which ends the calls under way.
func (s *Links[C]) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	err := s.now.Client.Close()
	for l := range s.old {
		err = errors.Join(err, l.Client.Close())
	}
	clear(s.old)
	return err
}
