package jsonrpc

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"headrace/internal/httpd"
)

// Level is what a caller is allowed to do. Each level includes those below it.
type Level int

const (
	Public Level = iota // who shows no token
	Read
	Write
	Admin
)

var levels = [...]string{"public", "read", "write", "admin"}

func (l Level) String() string {
	if l < Public || l > Admin {
		return fmt.Sprintf("Level(%d)", int(l))
	}
	return levels[l]
}

// ParseLevel reads what String writes.
func ParseLevel(s string) (Level, error) {
	for i, name := range levels {
		if s == name {
			return Level(i), nil
		}
	}
	return 0, fmt.Errorf("level %q is none of %s", s, strings.Join(levels[:], ", "))
}

// Method serves one method. Bind reads the parameters, with Arg; the function it returns is the call. An error it
// returns is answered with code 1 and its text, a panic with code 0; a result is written as JSON, or as it is if it
// is Raw; a *Stream opens a channel. A result that may be large is better a func() (any, error), which returns it and
// is called when there is room for it; it must not wait. One too large for memory is a *Pieces.
type Method struct {
	Params  int
	Level   Level
	Channel bool // its result is a *Stream: not over HTTP
	Bind    func(a *Args) Run
}

// Run is a call, ready to be made. Its context ends when the caller cancels it or goes away.
type Run func(ctx context.Context) (any, error)

// Stream is the result of a method that opens a channel. Run sends values until it returns, which closes the channel,
// or ctx ends. A value is encoded when it is written; a func() (Raw, error) is called then, and must not wait: see
// Delayed. send does not wait: it returns false when Queue values are waiting, and the channel then is to be closed,
// for its reader is too slow.
type Stream struct {
	Queue int // 16
	Run   func(ctx context.Context, send func(value any) bool)
}

// Delayed is a value of a Stream that is not to be written before a time.
type Delayed struct {
	Until time.Time
	Value func() (Raw, error)
}

// Args are the parameters of a call, read one after the other by Arg.
type Args struct {
	params []param
	next   int
	err    error
}

// param is one parameter as it came. The name is in an error text of go-jsonrpc's.
type param struct{ data []byte }

func (p *param) UnmarshalJSON(raw []byte) error {
	p.data = append([]byte(nil), raw...)
	return nil
}

// Arg reads the next parameter. name is how its type is called in an error text. After an error it returns zero values.
func Arg[T any](a *Args, name string) T {
	var v T
	if a.err != nil || a.next >= len(a.params) {
		return v
	}
	data := a.params[a.next].data
	a.next++
	var err error
	if u, ok := any(&v).(json.Unmarshaler); ok {
		err = u.UnmarshalJSON(data) // is valid JSON already: blobs of many MiB are not gone through again
	} else {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		a.err = fmt.Errorf("(param: *%s): %w", name, err)
	}
	return v
}

// Fail makes the parameters unreadable, for what a method finds wrong in them.
func (a *Args) Fail(name string, err error) {
	if a.err == nil {
		a.err = fmt.Errorf("(param: *%s): %w", name, err)
	}
}

// ServerOptions are the limits of a Server. The zero value is good.
type ServerOptions struct {
	MaxBody      int64         // bytes of a POST: 16 MiB
	ReadLimit    int64         // bytes of a WebSocket message: 64 MiB; celestia-node has no limit
	MaxCalls     int           // calls of one connection at a time; more are not read: 1024
	PingInterval time.Duration // 5 s
	WriteTimeout time.Duration // of one message: none, as in celestia-node, so that a reader can sleep as long as it likes

	ContentType string // of answers: application/json
	NoBatches   bool   // a list of requests is one that cannot be read

	// Authorize returns what the sender of a request may do, or an error, which is answered with 401. nil: anything.
	Authorize func(r *http.Request) (Level, error)

	// Turn, if not nil, is called before a message of more than HeavyBytes is read: it waits for its turn, and returns
	// what is to be called once its parameters have been read, before the method is called.
	Turn func(ctx context.Context) (done func())

	// Wire, if not nil, is asked for each WebSocket connection what happens to it on its way: for faults on demand.
	Wire func(r *http.Request) Wire

	Logger *slog.Logger // none
}

func (o ServerOptions) withDefaults() ServerOptions {
	o.MaxBody = cmp.Or(o.MaxBody, 16<<20)
	o.ReadLimit = cmp.Or(o.ReadLimit, 64<<20)
	o.MaxCalls = cmp.Or(o.MaxCalls, 1024)
	o.PingInterval = cmp.Or(o.PingInterval, 5*time.Second)
	o.ContentType = cmp.Or(o.ContentType, "application/json")
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return o
}

// HeavyBytes is from how many bytes on reading a message is work that waits for its turn.
const HeavyBytes = 64 << 10

// turn waits for the turn of a message of n bytes. What it returns may be called again.
func (s *Server) turn(ctx context.Context, n int) (done func()) {
	if s.opt.Turn == nil || n <= HeavyBytes {
		return func() {}
	}
	return sync.OnceFunc(s.opt.Turn(ctx))
}

// Wire is what happens to the messages of one connection on their way.
type Wire interface {
	// Write is called before each message that the server writes, in the order of writing, and may wait, until ctx
	// ends with the connection. size is 0 for a ping. With an error the connection ends, without a word.
	Write(ctx context.Context, size int) error

	// Alive reports whether a ping of the client is to be answered.
	Alive() bool
}

type wireKey struct{}

// WireOf returns the wire of the connection that a call came by; nil over HTTP, and without ServerOptions.Wire.
func WireOf(ctx context.Context) Wire {
	w, _ := ctx.Value(wireKey{}).(Wire)
	return w
}

// Server answers requests over HTTP and WebSocket on one path. It is an http.Handler.
type Server struct {
	opt     ServerOptions
	methods map[string]Method

	answers, pieces, bodies *httpd.Budget // nil: no bounds

	ctx  context.Context // of all connections; ended by Close. An http.Handler has no Run to hold it
	stop context.CancelCauseFunc
	end  context.Context // of all streams; ended first
	mute context.CancelFunc

	mu     sync.Mutex // guards closed and the Add of work
	closed bool
	work   sync.WaitGroup // connections
}

// ErrServerClosed is why calls end that Close ends.
var ErrServerClosed = errors.New("server is closed")

// NewServer returns a server of methods. The map must not be changed.
func NewServer(methods map[string]Method, opt ServerOptions) *Server {
	s := &Server{opt: opt.withDefaults(), methods: methods}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	s.end, s.mute = context.WithCancel(s.ctx)
	return s
}

// Bound bounds what is in memory at a time of answers, and of messages that come over WebSockets. It is for who
// serves, before anything comes; a request's body is bounded by who serves too.
func (s *Server) Bound(answers, bodies *httpd.Budget) {
	s.answers, s.bodies, s.pieces = answers, bodies, httpd.NewBudget(pieceBudget)
}

// Close closes all channels, then all connections, and waits for them. Like a node that stops, it sends xrpc.ch.close
// and then no close frame.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.mute()
	grace := time.AfterFunc(200*time.Millisecond, func() { s.stop(ErrServerClosed) }) // for the last messages; a real node takes as long
	defer grace.Stop()
	s.work.Wait()
	s.stop(ErrServerClosed)
	return nil
}

// ServeHTTP serves a POST, or a WebSocket until it ends.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		http.Error(w, ErrServerClosed.Error(), http.StatusServiceUnavailable)
		return
	}
	s.work.Add(1)
	s.mu.Unlock()
	defer s.work.Done()

	level := Admin
	if s.opt.Authorize != nil {
		var err error
		if level, err = s.opt.Authorize(r); err != nil {
			s.opt.Logger.Warn("unauthorized", "from", r.RemoteAddr, "err", err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
	}
	if strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") {
		s.serveSocket(w, r, level)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.end, func() { cancel(ErrServerClosed) })()
	w.Header().Set("Content-Type", s.opt.ContentType)
	s.servePost(ctx, w, r.Body, level)
}

// request is a request as go-jsonrpc reads it.
type request struct {
	ID     any
	Method string
	Params []byte // part of the message, and valid JSON
	read   func() // called once the parameters have been read; may be nil
}

// UnmarshalJSON reads a request, which must be valid JSON. Its parameters can be many MiB, so they are neither copied
// nor gone through.
func (r *request) UnmarshalJSON(data []byte) error {
	f, err := scanFrame(data)
	if err != nil {
		return err
	}
	r.Params = f.params
	switch {
	case len(f.id) > 1<<10 && f.id[0] == '[': // no id, and millions of values, perhaps: its kind is all that is said of it
		r.ID = []any{}
	case len(f.id) > 1<<10 && f.id[0] == '{':
		r.ID = map[string]any{}
	case f.id != nil:
		if err := json.Unmarshal(f.id, &r.ID); err != nil {
			return err
		}
	}
	if f.quoted != nil {
		return json.Unmarshal(f.quoted, &r.Method)
	}
	return nil
}

// parseRequest reads a message.
func parseRequest(data []byte) (*request, error) {
	if !json.Valid(data) {
		return nil, errFrame
	}
	r := &request{}
	return r, r.UnmarshalJSON(data)
}

// splitParams takes a list of parameters apart, and says how many there are; more than most are counted alone. Its
// errors are encoding/json's.
func splitParams(data []byte, most int) (out []param, n int, err error) {
	if len(data) == 0 {
		return nil, 0, nil
	}
	if err := ScanArray(data, func(value []byte) error {
		if n++; n <= most {
			out = append(out, param{value})
		}
		return nil
	}); err != nil {
		return nil, 0, json.Unmarshal(data, &out)
	}
	return out, n, nil
}

func checkID(id any) error {
	switch id.(type) {
	case string, float64, nil:
		return nil
	}
	return fmt.Errorf("failed to parse ID: invalid id type: %T", id)
}

func parseError(text string) *Error { return &Error{Code: CodeParse, Message: text} }

func (s *Server) servePost(ctx context.Context, w http.ResponseWriter, body io.Reader, level Level) {
	fail := func(e *Error) {
		w.WriteHeader(status(e))
		_, _ = w.Write(appendError(nil, nil, e))
	}
	data, err := io.ReadAll(io.LimitReader(body, s.opt.MaxBody+1))
	switch {
	case errors.Is(err, httpd.ErrFull), errors.Is(err, httpd.ErrSlow):
		http.Error(w, err.Error(), httpd.BodyStatus(err))
		return
	case err != nil:
		fail(parseError("reading request: " + err.Error()))
		return
	case int64(len(data)) > s.opt.MaxBody:
		fail(parseError(fmt.Sprintf("request bigger than maximum %d allowed", s.opt.MaxBody)))
		return
	}
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		fail(&Error{Code: CodeInvalidRequest, Message: "Invalid request"})
		return
	}
	if !s.opt.NoBatches && data[0] == '[' && data[len(data)-1] == ']' {
		s.serveBatch(ctx, w, data, level)
		return
	}
	done := s.turn(ctx, len(data))
	defer done()
	req, err := parseRequest(data)
	if err != nil {
		fail(parseError("Parse error"))
		return
	}
	req.read = done
	if a := s.answer(ctx, req, level); a.status != 0 {
		w.WriteHeader(a.status)
		s.finish(req, s.write(ctx, w, a))
	}
}

// finish ends the connection of an answer that was not written whole: its reader must not take it for one.
func (s *Server) finish(req *request, err error) {
	if err != nil {
		s.opt.Logger.Debug("answer not written", "method", req.Method, "err", err)
		panic(http.ErrAbortHandler) // what net/http has for it
	}
}

// serveBatch answers the requests of a batch one after the other. The status is 200 whatever they say. All are read
// before the first is answered, and none is kept: there can be millions.
func (s *Server) serveBatch(ctx context.Context, w http.ResponseWriter, data []byte, level Level) {
	done := s.turn(ctx, len(data))
	defer done()
	var req request
	each := func(visit func()) error {
		return ScanArray(data, func(value []byte) error {
			req = request{}
			err := req.UnmarshalJSON(value)
			if err == nil {
				visit()
			}
			return err
		})
	}
	n := 0
	if !json.Valid(data) || each(func() { n++ }) != nil {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write(appendError(nil, nil, parseError("Parse error")))
		return
	}
	if n == 0 {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(appendError(nil, nil, &Error{Code: CodeInvalidRequest, Message: "Invalid request"}))
		return
	}
	next := "["
	done() // from here on each has its own
	_ = each(func() {
		done := s.turn(ctx, len(req.Params))
		defer done()
		req.read = done
		a := s.answer(ctx, &req, level)
		if a.status == 0 {
			return
		}
		_, _ = io.WriteString(w, next)
		s.finish(&req, s.write(ctx, w, a))
		next = ","
	})
	if next == "," {
		_, _ = io.WriteString(w, "]")
	}
}

// answer answers one request over HTTP: with nothing if it is a notification that went well. The answer is held until
// it is written.
func (s *Server) answer(ctx context.Context, req *request, level Level) reply {
	if err := checkID(req.ID); err != nil {
		return refusal(nil, parseError(err.Error()))
	}
	result, e := s.call(ctx, req, level, false)
	switch {
	case e != nil && (e.Code != CodeMethod || req.ID != nil):
		return refusal(req.ID, e)
	case req.ID == nil:
		return reply{}
	}
	return s.encodeAnswer(ctx, httpd.Patience, req, result)
}

// encodeAnswer writes a result, or its beginning, when there is room for it.
func (s *Server) encodeAnswer(ctx context.Context, wait time.Duration, req *request, result any) reply {
	if p, ok := result.(*Pieces); ok {
		a, err := s.begin(ctx, req.ID, p)
		if err != nil {
			return refusal(req.ID, &Error{Code: CodeMethod, Message: err.Error()})
		}
		return a
	}
	var e *Error
	out, hold, err := s.answers.Build(ctx, wait, func() (out []byte, err error) {
		out, e = encode(req, result)
		return out, nil
	})
	if err != nil {
		e = &Error{Code: CodeMethod, Message: err.Error()}
	}
	if e != nil {
		hold.Give()
		return refusal(req.ID, e)
	}
	return reply{status: http.StatusOK, bytes: out, hold: hold}
}

// encode writes a result. Code that panics while it does is answered as a method that panics.
func encode(req *request, result any) (out []byte, e *Error) {
	defer func() {
		if p := recover(); p != nil {
			out, e = nil, &Error{Code: CodePanic, Message: fmt.Sprintf("panic encoding response for '%s': %v", req.Method, p)}
		}
	}()
	if f, ok := result.(func() (any, error)); ok {
		var err error
		if result, err = f(); err != nil {
			return nil, &Error{Code: CodeMethod, Message: err.Error()}
		}
	}
	return appendResult(nil, req.ID, result), nil
}

// status is the HTTP status that goes with an error.
func status(e *Error) int {
	switch e.Code {
	case CodeMethod:
		return http.StatusOK
	case CodeInvalidRequest:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// call makes a call. Its checks are in the order of go-jsonrpc's: the method, its parameters, and only then the
// permission.
func (s *Server) call(ctx context.Context, req *request, level Level, channels bool) (any, *Error) {
	m, ok := s.methods[req.Method]
	switch {
	case !ok:
		return nil, &Error{Code: CodeNoMethod, Message: fmt.Sprintf("method '%s' not found", req.Method)}
	case m.Channel && !channels:
		return nil, &Error{Code: CodeNoMethod, Message: fmt.Sprintf("method '%s' not supported in this mode (no out channel support)", req.Method)}
	}
	var a Args
	var err error
	var n int
	if a.params, n, err = splitParams(req.Params, m.Params); err != nil {
		return nil, parseError("unmarshaling param array: " + err.Error())
	}
	if n != m.Params {
		return nil, &Error{Code: CodeParams, Message: fmt.Sprintf("wrong param count (method '%s'): %d != %d", req.Method, n, m.Params)}
	}
	run := m.Bind(&a)
	req.Params, a.params = nil, nil // what was made of them is in run: the message itself, of many MiB perhaps, is not kept for as long as the call lasts
	if req.read != nil {
		req.read()
	}
	if a.err != nil {
		return nil, parseError(fmt.Sprintf("unmarshaling params for '%s' %v", req.Method, a.err))
	}
	if level < m.Level {
		name := req.Method[strings.LastIndexByte(req.Method, '.')+1:]
		return nil, &Error{Code: CodeMethod, Message: fmt.Sprintf("missing permission to invoke '%s' (need '%s')", name, m.Level)}
	}
	result, panicked, err := protect(ctx, run)
	switch {
	case panicked != nil:
		s.opt.Logger.Error("method panicked", "method", req.Method, "err", panicked)
		return nil, &Error{Code: CodePanic, Message: fmt.Sprintf("fatal error calling '%s': panic in rpc method '%s': %v", req.Method, req.Method, panicked)}
	case err != nil:
		return nil, &Error{Code: CodeMethod, Message: err.Error()}
	}
	return result, nil
}

func protect(ctx context.Context, run Run) (result, panicked any, err error) {
	defer func() { panicked = recover() }()
	result, err = run(ctx)
	return result, nil, err
}
