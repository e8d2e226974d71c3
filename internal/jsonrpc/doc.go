// Package jsonrpc is JSON-RPC 2.0 over WebSocket and HTTP, client and server, with the channel subscriptions of
// github.com/filecoin-project/go-jsonrpc, which Celestia's nodes speak:
//
//	> {"jsonrpc":"2.0","id":1,"method":"blob.Subscribe","params":["AAAA..."]}
//	< {"id":1,"jsonrpc":"2.0","result":2}                                      the channel's id, always before its first value
//	< {"jsonrpc":"2.0","method":"xrpc.ch.val","params":[2,{...}]}
//	> {"jsonrpc":"2.0","method":"xrpc.cancel","params":[1]}                    names the request
//	< {"jsonrpc":"2.0","method":"xrpc.ch.close","params":[2]}                  names the channel, gives no reason
//
// Concurrency. A Client always reads its socket: no handler and no decoder runs in the loop that reads. Values of a
// channel wait in a queue bounded in bytes that forgets the oldest; the bytes of answers that wait to be decoded are
// bounded too, and there the loop waits for the decoders, which wait for nobody (I6). Ids are never used twice. A
// call ends when no byte comes for too long, or answers come too slowly, and the connection goes on; silence ends the
// connection, and the next call dials anew. Channels are not opened again by themselves: Subscribe returns, and says
// why (I11).
//
// A Server answers in any order, as soon as a method returns. The values of one channel keep their order; between
// channels there is none. A channel whose reader is so slow that its queue is full is closed after what is queued.
//
// Client.Close and Server.Close end every goroutine that the client or the server has started, and wait for them.
package jsonrpc

import (
	"encoding/json"
	"fmt"
)

// Error is an error answer. Code tells where it comes from, see the constants; Message is all that tells the errors
// of a method apart.
type Error struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Meta    json.RawMessage `json:"meta,omitempty"`
}

// The codes of errors.
const (
	CodeMethod         = 1      // the method returned an error, or the caller may not call it
	CodePanic          = 0      // the method panicked
	CodeParse          = -32700 // the request or a parameter cannot be read
	CodeInvalidRequest = -32600 // the request is empty
	CodeNoMethod       = -32601 // there is no such method, or it opens a channel and this is HTTP
	CodeParams         = -32602 // wrong number of parameters
)

func (e *Error) Error() string {
	if e.Code == CodeMethod {
		return e.Message
	}
	return fmt.Sprintf("%s (code %d)", e.Message, e.Code)
}

const (
	methodCancel = "xrpc.cancel"
	methodValue  = "xrpc.ch.val"
	methodClose  = "xrpc.ch.close"
)
