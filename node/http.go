package node

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"headrace/exec"
	"headrace/internal/store"
)

// maxTx bounds the body of POST /v1/txs, in bytes.
const maxTx = 1 << 20

// serve answers HTTP until ctx ends.
func (n *Node) serve(ctx context.Context) error {
	server := &http.Server{Handler: n.Handler(), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	ctx, cancel := context.WithCancel(ctx)
	var closer sync.WaitGroup
	closer.Go(func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 300*time.Millisecond)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	err := server.Serve(n.listener)
	cancel()
	closer.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = ctx.Err()
	}
	return err
}

// Handler returns the node's HTTP endpoints:
//
//	GET  /livez               200 while the process runs
//	GET  /readyz              200 when ready, else 503 and the reason
//	GET  /v1/status           Status as JSON
//	GET  /v1/blocks/{height}  a block as JSON
//	POST /v1/txs              offers the body as a transaction to the sequencer
//	POST /v1/unsafe           offers a signed block beside the canonical source, which is an L1
//	GET  /v1/kv/{key}         a current value of the key-value engine
//	GET  /v1/wait             answers when something is reached; see Waited
//	GET  /v1/events           server-sent events of blocks and statuses
func (n *Node) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", n.getReady)
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, n.status.Load()) })
	mux.HandleFunc("GET /v1/blocks/{height}", n.getBlock)
	mux.HandleFunc("POST /v1/txs", n.postTx)
	mux.HandleFunc("POST /v1/unsafe", n.postUnsafe)
	mux.HandleFunc("GET /v1/kv/{key}", n.getKey)
	n.handleLong(mux)
	return mux
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // the client has gone; nobody is left to tell
}

func fail(w http.ResponseWriter, code int, err error) {
	reply(w, code, map[string]string{"error": err.Error()})
}

func (n *Node) getReady(w http.ResponseWriter, _ *http.Request) {
	s := n.status.Load()
	if !s.Ready {
		http.Error(w, "not ready: "+s.Reason, http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

// Block is a block as /v1/blocks serves it. Byte slices are base64.
type Block struct {
	Height         uint64   `json:"height"`
	Hash           string   `json:"hash"`
	ParentHash     Hex      `json:"parent_hash,omitempty"`
	Time           uint64   `json:"time"` // nanoseconds since the Unix epoch
	Proposer       Hex      `json:"proposer"`
	DataHash       Hex      `json:"data_hash"`
	AppHash        Hex      `json:"app_hash,omitempty"`   // state root before the block
	StateRoot      Hex      `json:"state_root,omitempty"` // state root after it
	Txs            [][]byte `json:"txs"`                  // in JSON in base64
	Safe           bool     `json:"safe"`
	HeaderDAHeight uint64   `json:"header_da_height,omitempty"`
	DataDAHeight   uint64   `json:"data_da_height,omitempty"`
}

// Hex is bytes that JSON has as hexadecimal digits.
type Hex []byte

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// Block returns the block at height, safe or not. The error matches ErrNoBlock if there is none, or none any more.
func (n *Node) Block(height uint64) (Block, error) {
	item, err := n.stored(height)
	return item.Data.Block, err
}

// ErrNoBlock is what asking for a block that is not there matches.
var ErrNoBlock = store.ErrNotFound

func (n *Node) getBlock(w http.ResponseWriter, r *http.Request) {
	var height uint64
	switch name := r.PathValue("height"); name {
	case "unsafe", "latest":
		height = n.store.State().Unsafe.Height
	case "safe":
		height = n.store.State().Safe.Height
	default:
		var err error
		if height, err = strconv.ParseUint(name, 10, 64); err != nil {
			fail(w, http.StatusBadRequest, errors.New("the height must be a number, latest, unsafe or safe"))
			return
		}
	}
	b, err := n.Block(height)
	switch {
	case errors.Is(err, ErrNoBlock):
		fail(w, http.StatusNotFound, errors.New("no such block here, yet or any more"))
	case err != nil:
		fail(w, http.StatusInternalServerError, err)
	default:
		reply(w, http.StatusOK, b)
	}
}

func (n *Node) postTx(w http.ResponseWriter, r *http.Request) {
	tx, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTx))
	if err != nil {
		fail(w, http.StatusRequestEntityTooLarge, err)
		return
	}
	switch err := n.SubmitTx(r.Context(), tx); {
	case errors.Is(err, errNotSequencer):
		fail(w, http.StatusConflict, err)
	case errors.Is(err, exec.ErrInvalid):
		fail(w, http.StatusBadRequest, err)
	case errors.Is(err, exec.ErrFull):
		fail(w, http.StatusServiceUnavailable, err)
	case err != nil:
		fail(w, http.StatusInternalServerError, err)
	default:
		reply(w, http.StatusAccepted, map[string]bool{"accepted": true})
	}
}

func (n *Node) getKey(w http.ResponseWriter, r *http.Request) {
	if n.kv == nil {
		fail(w, http.StatusNotFound, errors.New("this node's engine is not the key-value one"))
		return
	}
	value, ok, err := n.kv.Get([]byte(r.PathValue("key")))
	switch {
	case err != nil:
		fail(w, http.StatusInternalServerError, err)
	case !ok:
		fail(w, http.StatusNotFound, errors.New("no such key"))
	default:
		reply(w, http.StatusOK, map[string]string{"key": r.PathValue("key"), "value": string(value)})
	}
}
