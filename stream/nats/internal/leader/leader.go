// Package leader asks the leader of a stream of NATS JetStream for its messages. What the client library asks may be
// answered by a replica: of one that is behind, whoever goes by the last message would believe that the stream was cut back.
package leader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Message is a message as a stream keeps it.
type Message struct {
	Subject string        `json:"subject"`
	Seq     uint64        `json:"seq"`
	Data    []byte        `json:"data"`
	Raw     []byte        `json:"hdrs"`
	Header  natsgo.Header `json:"-"` // of Raw
}

// Errors of Get, which its error matches (errors.Is). With ErrHeader all but the headers is there.
var (
	ErrNotFound = errors.New("the stream has no such message")
	ErrHeader   = errors.New("its headers cannot be read")
)

// Subject is where Get asks.
func Subject(prefix, stream string) string { return prefix + "STREAM.MSG.GET." + stream }

// Get asks for one message of a stream, by the fields of a request of the server's API STREAM.MSG.GET: seq, last_by_subj,
// or next_by_subj with seq. prefix is that of the API, such as jetstream.DefaultAPIPrefix. A server without a leader never
// answers: give ctx a deadline.
func Get(ctx context.Context, nc *natsgo.Conn, prefix, stream string, request map[string]any) (m Message, err error) {
	ask, err := json.Marshal(request)
	if err != nil {
		return m, err
	}
	reply, err := nc.RequestWithContext(ctx, Subject(prefix, stream), ask)
	if err != nil {
		return m, err
	}
	var said struct {
		Error   *jetstream.APIError `json:"error"`
		Message *Message            `json:"message"`
	}
	switch err := json.Unmarshal(reply.Data, &said); {
	case err != nil:
		return m, fmt.Errorf("read the server's answer: %w", err)
	case said.Error != nil && said.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return m, ErrNotFound
	case said.Error != nil:
		return m, said.Error
	case said.Message == nil:
		return m, errors.New("the answer has no message")
	}
	m = *said.Message
	if len(m.Raw) > 0 {
		if m.Header, err = natsgo.DecodeHeadersMsg(m.Raw); err != nil {
			m.Header = nil
			return m, fmt.Errorf("%w: %w", ErrHeader, err)
		}
	}
	return m, nil
}
