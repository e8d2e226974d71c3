package node

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"headrace/internal/httpd"
	"headrace/internal/logs"
)

// LogLevels say which lines of a log are shown. A logger whose handler they made, by Handler, goes by them, and PUT
// /v1/log of the node that has them in its Options changes them.
type LogLevels = logs.Levels

// modules are the parts of a node that can have a level of their own. What is logged by none of them is the node's.
var modules = []string{"node", "follow", "da", "l1", "syncer", "sequencer", "gossip", "engine", "store", "http"}

// of is the logger of a module.
func of(log *slog.Logger, module string) *slog.Logger { return log.With(logs.Module, module) }

// Levels returns the levels that a log begins with.
func (c *LogConfig) Levels() (*LogLevels, error) {
	l, err := logs.Parse(c.Level, modules...)
	if err != nil {
		return nil, fmt.Errorf("log.level %w", err)
	}
	return l, nil
}

// NewLogger returns a logger that shows what the levels say of what next takes. Both are for the Options of one node.
func NewLogger(levels *LogLevels, next slog.Handler) *slog.Logger {
	return slog.New(levels.Handler(next, modules[0]))
}

// Logged is what /v1/log serves.
type Logged struct {
	Level   string   `json:"level"`   // as log.level has it
	Modules []string `json:"modules"` // that may have another one
}

var errNoLevels = errors.New("this node's log is its program's: its levels are not to be changed here")

func (n *Node) getLog(w http.ResponseWriter, _ *http.Request) {
	l := n.opt.Levels
	if l == nil {
		fail(w, http.StatusNotImplemented, errNoLevels)
		return
	}
	reply(w, http.StatusOK, Logged{l.String(), l.Modules()})
}

// maxLevels bounds the body of PUT /v1/log, in bytes.
const maxLevels = 4 << 10

// putLog changes the levels. What a stranger may not do is refused before his body is read.
func (n *Node) putLog(w http.ResponseWriter, r *http.Request) {
	switch {
	case n.public:
		fail(w, http.StatusForbidden, errors.New("other hosts reach this node, and it has no token to know its operator by: set http.token or http.token_file"))
		return
	case n.opt.Levels == nil:
		fail(w, http.StatusNotImplemented, errNoLevels)
		return
	}
	var asked struct {
		Level *string `json:"level"`
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxLevels))
	dec.DisallowUnknownFields()
	err := dec.Decode(&asked)
	if err == nil && dec.More() {
		err = errors.New("there is more behind it")
	}
	if err != nil {
		fail(w, httpd.BodyStatus(err), fmt.Errorf("the body is to be like {\"level\": \"info,follow=debug\"}: %w", err))
		return
	}
	if asked.Level == nil || *asked.Level == "" {
		fail(w, http.StatusBadRequest, errors.New("level is missing: say one such as info, or info,follow=debug"))
		return
	}
	if err := n.setLevels(r.Context(), *asked.Level); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	n.getLog(w, r)
}

// setLevels changes the levels. The log tells of it if it shows what is of level info before or after.
func (n *Node) setLevels(ctx context.Context, text string) error {
	l := n.opt.Levels
	next, err := logs.Parse(text, l.Modules()...)
	if err != nil {
		return fmt.Errorf("level %w", err)
	}
	before := l.String()
	tell := func() { n.log.Info("the log has other levels", "level", next, "before", before) }
	shown := n.log.Enabled(ctx, slog.LevelInfo)
	if shown {
		tell()
	}
	if err := l.Set(text); err != nil {
		return fmt.Errorf("level %w", err)
	}
	if !shown {
		tell()
	}
	return nil
}

// blockLog makes one line of many blocks.
type blockLog struct {
	log   *slog.Logger
	each  time.Duration
	heads func() (unsafe, safe uint64)

	mu       sync.Mutex // guards the rest
	clock    *time.Timer
	began    time.Time // of the present span; zero: there has been no block since the last one was over
	blocks   int       // in it that are new
	txs      int
	from, to uint64 // heights of them
	told     bool   // something is to be said of the span
	closed   bool
}

// blockLog returns what is told of each block if log.blocks has it so; nil: each has its line.
func (o *opened) blockLog() (func(Applied), error) {
	each, err := o.opt.Config.Log.blocks()
	switch {
	case err != nil || each == 0:
		return nil, err
	case each == noBlocks:
		return func(Applied) {}, nil
	}
	b := &blockLog{log: of(o.log, "syncer"), each: each, heads: func() (unsafe, safe uint64) {
		s := o.up.syncer.Status().Load()
		return s.Unsafe.Height, s.Safe.Height
	}}
	o.own(closer(b.close))
	return b.add, nil
}

// add counts a block. The first one begins a span.
func (b *blockLog) add(a Applied) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if b.began.IsZero() {
		b.began = time.Now()
		b.clock = time.AfterFunc(b.each, b.over) // a stream of blocks has no end by which it could be told
	}
	b.told = true
	if a.Promoted { // it was counted when it came
		return
	}
	if b.blocks++; b.blocks == 1 {
		b.from, b.to = a.Ref.Height, a.Ref.Height
	}
	b.from, b.to = min(b.from, a.Ref.Height), max(b.to, a.Ref.Height)
	b.txs += a.Txs
}

// over ends a span. The next one begins at once, so that all time is counted, unless this one had nothing.
func (b *blockLog) over() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if !b.told {
		b.began = time.Time{}
		return
	}
	b.tell()
	b.began = time.Now()
	b.clock.Reset(b.each)
}

// tell logs what came in a span. It must be called with mu held.
func (b *blockLog) tell() {
	unsafe, safe := b.heads()
	args := []any{"blocks", b.blocks}
	if b.blocks > 0 {
		args = append(args, "from", b.from, "to", b.to, "txs", b.txs)
	}
	took := cmp.Or(time.Since(b.began), time.Nanosecond)
	b.log.Info("blocks", append(args, "unsafe", unsafe, "safe", safe, "rate", fmt.Sprintf("%.1f/s", float64(b.blocks)/took.Seconds()))...)
	b.blocks, b.txs, b.told = 0, 0, false
}

// close tells of the last span, and ends.
func (b *blockLog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed = true; b.clock != nil {
		b.clock.Stop()
	}
	if b.told {
		b.tell()
	}
}
