// Package logs says which lines of a log are shown: from which level on, for each module of a program.
//
// A module is known by the attribute Module of its logger. Levels are a text such as "info,follow=debug,engine=warn": a
// level for all, and others for modules. They can be changed while lines are logged. A change holds for each line that
// begins after it, whoever logs it and since whenever he has had his logger. Levels are safe for concurrent use.
package logs

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
)

// Module is the key of the attribute that names a logger's module.
const Module = "module"

// Levels are what is shown. Make them with Parse.
type Levels struct {
	modules []string
	now     atomic.Pointer[table]
}

// table is a text that was read.
type table struct {
	rest slog.Level
	of   map[string]slog.Level
}

// Parse reads levels for a program with these modules. "" is info for all.
func Parse(text string, modules ...string) (*Levels, error) {
	l := &Levels{modules: slices.Clone(modules)}
	return l, l.Set(text)
}

// Set changes the levels. After an error they are as before.
func (l *Levels) Set(text string) error {
	t := table{of: map[string]slog.Level{}}
	rest := false
	for part := range strings.SplitSeq(text, ",") {
		module, name, named := strings.Cut(strings.TrimSpace(part), "=")
		if !named {
			module, name = "", module
		}
		if name == "" && text == "" {
			continue
		}
		var level slog.Level
		if err := level.UnmarshalText([]byte(strings.TrimSpace(name))); err != nil {
			return fmt.Errorf("%q is not known: use debug, info, warn or error", name)
		}
		module = strings.TrimSpace(module)
		_, twice := t.of[module]
		switch {
		case named && !slices.Contains(l.modules, module):
			return fmt.Errorf("names a module %q that is not known: %s", module, l.known())
		case twice, !named && rest:
			return fmt.Errorf("says %q after another level for the same: keep one", strings.TrimSpace(part))
		case named:
			t.of[module] = level
		default:
			t.rest, rest = level, true
		}
	}
	l.now.Store(&t)
	return nil
}

func (l *Levels) known() string {
	if len(l.modules) == 0 {
		return "there are none here"
	}
	return "use " + strings.Join(l.modules, ", ")
}

// String returns the levels as Set reads them: that of all, and then the others by the names of their modules.
func (l *Levels) String() string {
	t := l.now.Load()
	text := strings.ToLower(t.rest.String())
	for _, module := range slices.Sorted(maps.Keys(t.of)) {
		text += "," + module + "=" + strings.ToLower(t.of[module].String())
	}
	return text
}

// Modules returns the names that a level may be given for.
func (l *Levels) Modules() []string { return slices.Clone(l.modules) }

func (l *Levels) shows(module string, level slog.Level) bool {
	t := l.now.Load()
	if own, ok := t.of[module]; ok {
		return level >= own
	}
	return level >= t.rest
}

// Handler returns a handler that hands on what is shown, of what next takes. A line without the attribute Module is of
// the module rest. The attribute comes last in its line.
func (l *Levels) Handler(next slog.Handler, rest string) slog.Handler {
	return &handler{levels: l, next: next, module: rest}
}

// handler shows the lines of one module.
type handler struct {
	levels *Levels
	next   slog.Handler
	module string
	named  bool // by the attribute, which next has not had
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.levels.shows(h.module, level) && h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if h.named {
		r = r.Clone()
		r.AddAttrs(slog.String(Module, h.module))
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	rest := slices.DeleteFunc(slices.Clone(attrs), func(a slog.Attr) bool {
		if a.Key != Module {
			return false
		}
		with.module, with.named = a.Value.String(), true
		return true
	})
	if len(rest) > 0 {
		with.next = h.next.WithAttrs(rest)
	}
	return &with
}

// WithGroup implements slog.Handler. In a group an attribute is the group's.
func (h *handler) WithGroup(name string) slog.Handler {
	next := h.next
	if h.named {
		next = next.WithAttrs([]slog.Attr{slog.String(Module, h.module)})
	}
	return &grouped{h.levels, next.WithGroup(name), h.module}
}

// grouped is a handler whose module stands fast.
type grouped struct {
	levels *Levels
	slog.Handler
	module string
}

// Enabled implements slog.Handler.
func (g *grouped) Enabled(ctx context.Context, level slog.Level) bool {
	return g.levels.shows(g.module, level) && g.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (g *grouped) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &grouped{g.levels, g.Handler.WithAttrs(attrs), g.module}
}

// WithGroup implements slog.Handler.
func (g *grouped) WithGroup(name string) slog.Handler {
	return &grouped{g.levels, g.Handler.WithGroup(name), g.module}
}
