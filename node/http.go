package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"headrace/internal/httpd"
	"headrace/internal/page"
)

// Handler returns the node's HTTP endpoints. The node serves them within the limits of Config.HTTP; whoever serves them
// elsewhere must have limits of his own.
//
//	GET  /                    a page for a browser, which asks for what follows
//	GET  /livez               200, or 503 and the reason from a failed write on until the home is open again
//	GET  /readyz              200 when ready, else 503 and the reason
//	GET  /openapi.json        all of this, for tools
//	GET  /v1/status           Status as JSON
//	GET  /v1/genesis          what all nodes of the chain agree on; see block.Genesis
//	GET  /v1/blocks/{block}   a block as JSON: by its height or hash, or a head's
//	GET  /v1/blocks           a range of blocks; see Page
//	POST /v1/txs              offers the body as a transaction to the sequencer, and may wait for it; an error's code says whether it was taken
//	GET  /v1/txs/{hash}       where a transaction is; see Tx
//	POST /v1/sequencer/stop   has a sequencer make no more blocks, also after a restart; see Sequencing
//	POST /v1/sequencer/start  has it make blocks again
//	POST /v1/sequencer/propose  has what is pending posted now
//	POST /v1/unsafe           offers a signed block beside the canonical source
//	GET  /v1/equivocations    where the proposer has signed two blocks at one height, with both headers
//	GET  /v1/kv/{key}         a current value of the key-value engine
//	GET  /v1/wait             answers when something is reached; see Waited
//	GET  /v1/events           server-sent events of blocks and statuses
//	GET  /v1/history          how it stood in the last hour; see History
//	GET  /debug/pprof/        with Config.HTTP.Pprof, the profiles of Go's tools
//	GET  /v1/log              what the log shows; see Logged
//	PUT  /v1/log              changes that, until the node ends
//	POST /evnode.v1.…         with Config.Evolve.RPC, what an ev-node's tools ask for; see package evrpc
//
// What is not served is an error in JSON, too, and so is a parameter that a path below /v1/ does not know.
func (n *Node) Handler() http.Handler { return n.routes() }

func (n *Node) routes() *routes {
	mux := new(routes)
	mux.Handle("GET /{$}", page.Node())
	mux.Handle("GET /page/{file}", page.Node())
	mux.HandleFunc("GET /livez", n.getLive)
	mux.HandleFunc("GET /readyz", n.getReady)
	mux.HandleFunc("GET /openapi.json", getOpenAPI)
	mux.bare("GET /v1/status", n.getStatus)
	mux.bare("GET /v1/genesis", n.getGenesis)
	mux.bare("GET /v1/history", n.getHistory)
	mux.HandleFunc("GET /v1/blocks/{block}", n.getBlock)
	mux.HandleFunc("GET /v1/blocks", n.getBlocks)
	mux.HandleFunc("POST /v1/txs", n.postTx)
	mux.bare("GET /v1/txs/{hash}", n.getTx)
	mux.bare("POST /v1/sequencer/stop", n.handed(n.stopSequencing))
	mux.bare("POST /v1/sequencer/start", n.handed(n.startSequencing))
	mux.bare("POST /v1/sequencer/propose", n.handed(n.proposeNow))
	mux.bare("POST /v1/unsafe", n.offering().ServeHTTP)
	mux.bare("GET /v1/equivocations", n.getTwice)
	mux.bare("GET /v1/kv/{key}", n.getKey)
	mux.bare("GET /v1/log", n.getLog)
	mux.bare("PUT /v1/log", n.putLog)
	n.handleLong(mux)
	n.handleEvolve(mux)
	n.handlePprof(mux)
	for pattern, h := range n.opt.Handlers {
		mux.Handle(pattern, h)
	}
	return mux
}

// routes is a mux that knows what it serves, and says in JSON what it does not.
type routes struct {
	mux      http.ServeMux
	patterns []string
}

// Handle is http.ServeMux.Handle.
func (m *routes) Handle(pattern string, h http.Handler) {
	m.patterns = append(m.patterns, pattern)
	m.mux.Handle(pattern, h)
}

// HandleFunc is http.ServeMux.HandleFunc.
func (m *routes) HandleFunc(pattern string, serve http.HandlerFunc) { m.Handle(pattern, serve) }

// bare is HandleFunc for a path that takes no parameters. Whoever gives one means something by it, and is told.
func (m *routes) bare(pattern string, serve http.HandlerFunc) {
	m.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		q, err := queryOf(r)
		for name := range q {
			err = fmt.Errorf("there is no parameter %s: this path takes none", name)
		}
		if err != nil {
			fail(w, http.StatusBadRequest, err)
			return
		}
		serve(w, r)
	})
}

// queryOf returns the parameters of a request. http.Request leaves out what it cannot read, and of a parameter that is there
// twice one would count, in silence: here both are errors.
func queryOf(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("the parameters cannot be read: %w", err)
	}
	for name, values := range q {
		if len(values) > 1 {
			return nil, fmt.Errorf("the parameter %s is there %d times: say it once, with commas where it takes several", name, len(values))
		}
	}
	return q, nil
}

func (m *routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, pattern := m.mux.Handler(r); pattern == "" {
		w = &unserved{ResponseWriter: w}
	}
	m.mux.ServeHTTP(w, r)
}

// unserved says in JSON what a mux says in text: that there is no such path, or that it does not take the method.
type unserved struct {
	http.ResponseWriter
	said bool
}

func (u *unserved) WriteHeader(code int) {
	switch u.said = code >= http.StatusBadRequest; {
	case !u.said: // a redirect to the path as it should be written
		u.ResponseWriter.WriteHeader(code)
	case code == http.StatusMethodNotAllowed:
		fail(u.ResponseWriter, code, fmt.Errorf("this path takes %s alone", u.Header().Get("Allow")))
	default:
		fail(u.ResponseWriter, code, errors.New("nothing is served at this path: /openapi.json says what is"))
	}
}

func (u *unserved) Write(p []byte) (int, error) {
	if u.said {
		return len(p), nil
	}
	return u.ResponseWriter.Write(p)
}

func reply(w http.ResponseWriter, code int, v any) {
	body, err := encode(v)
	if err != nil { // of our own values there is none that JSON cannot hold
		code, body = http.StatusInternalServerError, []byte("{}\n")
	}
	send(w, code, body)
}

// send writes an answer. If the client has gone, nobody is left to tell.
func send(w http.ResponseWriter, code int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

func encode(v any) ([]byte, error) {
	var plain, b bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false) // it is in no page, and an address in it can be pasted
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	b.Grow(plain.Len() + plain.Len()/32 + 1<<10) // at once: a large one that grows leaves many times its size behind
	err := json.Indent(&b, plain.Bytes(), "", "  ")
	return b.Bytes(), err
}

// replyLarge answers with what load returns, which may be large: it is in memory once, and counted until it is read.
func (n *Node) replyLarge(w http.ResponseWriter, r *http.Request, load func() (any, error)) error {
	return n.sendLarge(w, r, func() ([]byte, error) {
		v, err := load()
		if err != nil {
			return nil, err
		}
		return encode(v)
	})
}

// sendLarge is replyLarge of what is JSON already.
func (n *Node) sendLarge(w http.ResponseWriter, r *http.Request, build func() ([]byte, error)) error {
	body, hold, err := n.answers().Build(r.Context(), httpd.Patience, build)
	defer hold.Give()
	if err == nil {
		send(w, http.StatusOK, body)
	}
	return err
}

// failLarge answers what kept replyLarge from answering.
func failLarge(w http.ResponseWriter, err error) {
	if errors.Is(err, httpd.ErrFull) {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, err)
		return
	}
	fail(w, http.StatusInternalServerError, err)
}

func fail(w http.ResponseWriter, code int, err error) {
	reply(w, code, map[string]string{"error": err.Error()})
}

// statusText is the latest status as JSON, encoded once for all who ask for it.
type statusText struct {
	mu      sync.Mutex
	version <-chan struct{} // of the status, as watch.Value.Get returned it
	answer  []byte          // of /v1/status
	event   []byte          // of /v1/events
}

// of returns the texts of a status; version is what came with it.
func (t *statusText) of(s Status, version <-chan struct{}) (answer, event []byte, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if version != t.version {
		answer, err = encode(s)
		if err == nil {
			event, err = appendEvent(nil, "status", s)
		}
		if err != nil {
			return nil, nil, err
		}
		t.version, t.answer, t.event = version, answer, event
	}
	return t.answer, t.event, nil
}

func (n *Node) getStatus(w http.ResponseWriter, _ *http.Request) {
	answer, _, err := n.text.of(n.status.Get())
	if err != nil {
		fail(w, http.StatusInternalServerError, err)
		return
	}
	send(w, http.StatusOK, answer)
}

func (n *Node) getLive(w http.ResponseWriter, _ *http.Request) {
	if err := n.notLive(); err != nil {
		http.Error(w, "not live: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

func (n *Node) getReady(w http.ResponseWriter, _ *http.Request) {
	s := n.status.Load()
	if !s.Ready {
		http.Error(w, "not ready: "+s.Reason+"\n"+s.Stage.String()+": "+meansOf(s.Mode, s.Stage)+"; "+s.Remedy, http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

func (n *Node) getKey(w http.ResponseWriter, r *http.Request) {
	engine := n.at.Load().kv
	if engine == nil {
		fail(w, http.StatusNotFound, errors.New("this node's engine is not the key-value one"))
		return
	}
	key := r.PathValue("key")
	switch err := n.replyLarge(w, r, func() (any, error) {
		value, ok, err := engine.Get([]byte(key))
		if err == nil && !ok {
			err = errNoKey
		}
		return map[string]string{"key": key, "value": string(value)}, err
	}); {
	case errors.Is(err, errNoKey):
		fail(w, http.StatusNotFound, err)
	case err != nil:
		failLarge(w, err)
	}
}

var errNoKey = errors.New("no such key")
