package publish

import (
	"context"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Dial returns a connection for who reads the stream, which comes back by itself, also at first, until ctx ends. failed is
// told why each time when it does not. Close its Conn.
func (s *Servers) Dial(ctx context.Context, failed func(error)) (jetstream.JetStream, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	conn, err := s.dial(ctx, func() {}, natsgo.ReconnectErrHandler(func(_ *natsgo.Conn, err error) { failed(s.hide(err)) }))
	if err != nil {
		return nil, err
	}
	return jetstream.New(conn)
}

// Hide takes out of an error what is secret in the addresses and beside them.
func (s *Servers) Hide(err error) error { return s.hide(err) }
