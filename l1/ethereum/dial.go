package ethereum

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
	"github.com/gorilla/websocket"

	"headrace/internal/httpc"
)

// dialRPC connects to an endpoint, and gives up when ctx ends. By itself a WebSocket's handshake sees ctx's deadline only: an endpoint that takes the
// connection and then says nothing would hold up whoever wants to stop.
//
// What comes in over a WebSocket is told to note; nil: to nobody.
func dialRPC(ctx context.Context, address string, access *httpc.Access, note func(n int), options ...rpc.ClientOption) (*rpc.Client, error) {
	dialer := websocket.Dialer{ // as the rpc package's own, but for the first
		NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialHandshake(ctx, network, address)
			if err == nil && note != nil {
				conn = heard{conn, note}
			}
			return conn, err
		},
		ReadBufferSize: 1024, WriteBufferSize: 1024, Proxy: http.ProxyFromEnvironment,
	}
	options = append(options, rpc.WithWebsocketDialer(dialer))
	if u, err := url.Parse(address); err == nil && strings.HasPrefix(u.Scheme, "ws") { // over HTTP the client that is given sees to it
		options = append(options, rpc.WithHTTPAuth(access.Authorize))
	}
	return rpc.DialOptions(ctx, address, options...)
}

// dialHandshake dials a connection that ends with ctx until the handshake is done.
func dialHandshake(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &handshake{conn, context.AfterFunc(ctx, func() { _ = conn.Close() })}, nil
}

// handshake is a connection that is told of the end of the handshake by the removal of its deadline, which is the last thing that the WebSocket's dialer does.
type handshake struct {
	net.Conn
	done func() bool
}

func (h *handshake) SetDeadline(t time.Time) error {
	if t.IsZero() {
		h.done()
	}
	return h.Conn.SetDeadline(t)
}
