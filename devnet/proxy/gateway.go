package proxy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync"
)

// Gateway is an HTTP reverse proxy in front of one node which answers in the node's place when it is told to: what an
// ingress, a load balancer or a provider's gateway does. It is a http.Handler. Upgrades to WebSockets pass, too.
type Gateway struct {
	target *url.URL
	opt    GatewayOptions
	pass   *httputil.ReverseProxy
	work   sync.WaitGroup // requests that go on at the node after they were answered here
}

// GatewayOptions are the properties of a Gateway. With the zero value it passes everything on.
type GatewayOptions struct {
	// MaxBody is the size in bytes that a request's body may have: a larger one is answered 413, with nginx' page.
	// 0: any.
	MaxBody int64

	// Transport is how the node is asked; default http.DefaultTransport.
	Transport http.RoundTripper

	// Fault says what is done to a request. The zero Fault passes it on. It may be called by many goroutines at once.
	Fault func(r *http.Request, body []byte) Fault
}

// Fault is an answer that is not the node's.
type Fault struct {
	Status int    // of the answer; a redirect, 301 to 308, has nowhere to go that serves anything
	Broken bool   // the answer is cut in the middle, whatever Status says
	GRPC   string // a status of gRPC: the answer has that alone, as those of a gateway that knows gRPC
	Error  string // JSON of an error object: the answer is one of JSON-RPC, with status 200 if Status is 0
	Node   Node   // how far the node got
}

// Node says how far the node got with a request that a gateway answers.
type Node int

const (
	Untouched Node = iota // it has not seen the request
	Sent                  // it has the request, and goes on with it after the gateway has answered
	Answered              // it has answered
)

// NewGateway returns a gateway in front of the node at an http address. Close must be called.
func NewGateway(target string, opt GatewayOptions) (*Gateway, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("parse target of gateway: %w", err)
	}
	if opt.Transport == nil {
		opt.Transport = http.DefaultTransport
	}
	pass := &httputil.ReverseProxy{
		Transport:    opt.Transport,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(u) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { page(w, http.StatusBadGateway) },
	}
	return &Gateway{target: u, opt: opt, pass: pass}, nil
}

// Close waits for the requests that the node still has.
func (g *Gateway) Close() error {
	g.work.Wait()
	return nil
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if most := g.opt.MaxBody; most > 0 && int64(len(body)) > most {
		page(w, http.StatusRequestEntityTooLarge)
		return
	}
	var f Fault
	if g.opt.Fault != nil {
		f = g.opt.Fault(r, body)
	}
	if f == (Fault{}) {
		g.pass.ServeHTTP(w, r)
		return
	}
	answer := []byte(`{"jsonrpc":"2.0","id":1,"result":`)
	switch f.Node {
	case Sent:
		err = g.send(r, body)
	case Answered:
		answer, err = g.ask(r.Context(), r, body)
	}
	switch {
	case err != nil:
		page(w, http.StatusBadGateway)
	case f.Broken:
		cut(w, answer)
	case f.Error != "":
		object(w, f, body)
	case f.GRPC != "":
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", f.GRPC)
		w.WriteHeader(http.StatusOK)
	default:
		page(w, f.Status)
	}
}

// send gives the node a request, and returns when it is sent. The rest goes on without its client.
func (g *Gateway) send(r *http.Request, body []byte) error {
	wrote := make(chan error, 2) // of the trace, and of the end
	ctx := httptrace.WithClientTrace(context.WithoutCancel(r.Context()), &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) { wrote <- info.Err },
	})
	g.work.Go(func() {
		_, err := g.ask(ctx, r, body)
		select {
		case wrote <- err:
		default: // it is known already
		}
	})
	return <-wrote
}

// ask gives the node a request and returns its answer.
func (g *Gateway) ask(ctx context.Context, r *http.Request, body []byte) ([]byte, error) {
	u := *g.target
	u.Path, u.RawQuery = r.URL.Path, r.URL.RawQuery
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	resp, err := g.opt.Transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// cut sends half an answer, and ends the connection.
func cut(w http.ResponseWriter, answer []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)+1))
	_, _ = w.Write(answer[:len(answer)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// object answers a request of JSON-RPC with an error object.
func object(w http.ResponseWriter, f Fault, body []byte) {
	var asked struct{ ID json.RawMessage }
	_ = json.Unmarshal(body, &asked)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(cmp.Or(f.Status, http.StatusOK))
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"error":%s}`, asked.ID, f.Error)
}

// page answers with a page as nginx has it.
func page(w http.ResponseWriter, status int) {
	if status >= 300 && status < 400 {
		w.Header().Set("Location", "/moved")
	}
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", title, title)
}
