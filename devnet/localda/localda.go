// Package localda is a DA layer that answers as Evolve's local-da does, the one that ev-node is developed with: for
// tests of what is told by a layer without headers.
//
// It is made of what is known of that program, and not of its source. It has a height for each submission, its head is
// a height beside a header that says 0, and there are no roots, no commits and no proofs. blob.GetProof and
// blob.Included, which local-da has too, are missing here: nobody could believe them. What it holds is in memory, so a
// new Layer is what is left of a local-da that was restarted. A Layer is safe for concurrent use.
package localda

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"headrace/da"
	"headrace/internal/jsonrpc"
	"headrace/watch"
)

// Options are what is not known of a local-da, or differs. The zero value is one with WebSockets.
type Options struct {
	NoSocket bool // it answers HTTP alone
	NotFound bool // it says "blob: not found" of a namespace without blobs, instead of null
}

// Layer is a local-da. It is an http.Handler. Close must be called.
type Layer struct {
	opt    Options
	rpc    *jsonrpc.Server
	height *watch.Value[uint64] // of the newest submission

	mu    sync.Mutex // guards the rest
	blobs [][]blob   // of heights 1, 2, …
}

// blob is one as it is in JSON.
type blob struct {
	Namespace    []byte `json:"namespace"`
	Data         []byte `json:"data"`
	ShareVersion int    `json:"share_version"`
	Commitment   []byte `json:"commitment"`
	Index        int    `json:"index"`
}

// New returns a layer without a height.
func New(opt Options) *Layer {
	l := &Layer{opt: opt, height: watch.New(uint64(0))}
	head := jsonrpc.Method{Bind: func(*jsonrpc.Args) jsonrpc.Run { return l.head }}
	l.rpc = jsonrpc.NewServer(map[string]jsonrpc.Method{
		"header.NetworkHead": head,
		"header.LocalHead":   head,
		"blob.Submit":        {Params: 2, Bind: l.submit},
		"blob.Get":           {Params: 3, Bind: l.get},
		"blob.GetAll":        {Params: 2, Bind: l.getAll},
		"blob.Subscribe":     {Params: 1, Channel: true, Bind: l.subscribe},
	}, jsonrpc.ServerOptions{})
	return l
}

// Close ends what is under way.
func (l *Layer) Close() error { return l.rpc.Close() }

// ServeHTTP serves a POST, or a WebSocket until it ends.
func (l *Layer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.opt.NoSocket && r.Method != http.MethodPost {
		http.Error(w, "POST", http.StatusMethodNotAllowed)
		return
	}
	l.rpc.ServeHTTP(w, r)
}

// Height is the newest height, to look at and to wait on.
func (l *Layer) Height() *watch.Value[uint64] { return l.height }

// Swap puts the blobs at a height into the place of those at another, and the other way round: each has other content
// then, and all of it is genuine.
func (l *Layer) Swap(a, b uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blobs[a-1], l.blobs[b-1] = l.blobs[b-1], l.blobs[a-1]
}

// Post is a submission by whoever it is.
func (l *Layer) Post(ns da.Namespace, data ...[]byte) (height uint64) {
	var posted []blob
	for _, d := range data {
		posted = append(posted, blob{Namespace: ns[:], Data: d})
	}
	return l.post(posted)
}

func (l *Layer) post(posted []blob) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range posted {
		sum := sha256.Sum256(posted[i].Data)
		posted[i].Commitment, posted[i].Index = sum[:], 0
	}
	l.blobs = append(l.blobs, posted)
	height := uint64(len(l.blobs))
	l.height.Set(height)
	return height
}

// at returns the blobs of a namespace at a height.
func (l *Layer) at(height uint64, ns []byte) ([]blob, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if height == 0 || height > uint64(len(l.blobs)) {
		return nil, fmt.Errorf("height %d is not there", height)
	}
	var found []blob
	for _, b := range l.blobs[height-1] {
		if bytes.Equal(b.Namespace, ns) {
			found = append(found, b)
		}
	}
	return found, nil
}

// head is the answer of the header methods: the height is at the top level alone, as a string.
func (l *Layer) head(context.Context) (any, error) {
	return jsonrpc.Raw(fmt.Sprintf(`{"header":{"version":{"block":"0","app":"0"},"chain_id":"","height":0,"time":"0001-01-01T00:00:00Z"},"height":"%d","validators":null}`, l.height.Load())), nil
}

func (l *Layer) submit(a *jsonrpc.Args) jsonrpc.Run {
	posted, _ := jsonrpc.Arg[[]blob](a, "[]*blob.Blob"), jsonrpc.Arg[json.RawMessage](a, "*blob.SubmitOptions")
	return func(context.Context) (any, error) {
		if len(posted) == 0 {
			return nil, errors.New("no blobs")
		}
		return l.post(posted), nil
	}
}

var errNotFound = errors.New("blob: not found")

func (l *Layer) get(a *jsonrpc.Args) jsonrpc.Run {
	height, ns, commitment := jsonrpc.Arg[uint64](a, "uint64"), jsonrpc.Arg[[]byte](a, "share.Namespace"), jsonrpc.Arg[[]byte](a, "blob.Commitment")
	return func(context.Context) (any, error) {
		found, err := l.at(height, ns)
		for _, b := range found {
			if bytes.Equal(b.Commitment, commitment) {
				return b, nil
			}
		}
		if err == nil {
			err = errNotFound
		}
		return nil, err
	}
}

func (l *Layer) getAll(a *jsonrpc.Args) jsonrpc.Run {
	height, namespaces := jsonrpc.Arg[uint64](a, "uint64"), jsonrpc.Arg[[][]byte](a, "[]share.Namespace")
	return func(context.Context) (any, error) {
		var all []blob
		for _, ns := range namespaces {
			found, err := l.at(height, ns)
			if err == nil && found == nil && l.opt.NotFound {
				err = errNotFound
			}
			if err != nil {
				return nil, err
			}
			all = append(all, found...)
		}
		return all, nil
	}
}

// subscribe sends an event, without a header, for each height from the next one on.
func (l *Layer) subscribe(a *jsonrpc.Args) jsonrpc.Run {
	ns := jsonrpc.Arg[[]byte](a, "share.Namespace")
	return func(context.Context) (any, error) {
		last := l.height.Load()
		return &jsonrpc.Stream{Run: func(ctx context.Context, send func(any) bool) {
			for {
				height, err := l.height.Wait(ctx, func(h uint64) bool { return h > last })
				if err != nil {
					return
				}
				for last++; last <= height; last++ {
					blobs, _ := l.at(last, ns)
					if !send(struct {
						Blobs  []blob
						Height uint64
					}{blobs, last}) {
						return
					}
				}
				last = height
			}
		}}, nil
	}
}
