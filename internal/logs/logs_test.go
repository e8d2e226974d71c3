package logs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"

	"headrace/internal/logs"
)

var modules = []string{"node", "follow", "engine"}

func parse(t *testing.T, text string) *logs.Levels {
	t.Helper()
	l, err := logs.Parse(text, modules...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// logger writes lines without their time to b.
func logger(b *bytes.Buffer, l *logs.Levels) *slog.Logger {
	opt := slog.HandlerOptions{Level: slog.Level(math.MinInt), ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}}
	return slog.New(l.Handler(slog.NewTextHandler(b, &opt), "node"))
}

// Each module has its level, else the one of all; who names none is of the one that stands for the rest.
func TestLevels(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "node: info; follow: info; engine: info; other: info",
		"warn":                          "node: warn; follow: warn; engine: warn; other: warn",
		"info,follow=debug,engine=warn": "node: info; follow: debug; engine: warn; other: info",
		" INFO , follow = Debug ":       "node: info; follow: debug; engine: info; other: info",
		"follow=error":                  "node: info; follow: error; engine: info; other: info",
		"node=debug,error":              "node: debug; follow: error; engine: error; other: error",
	} {
		var got []string
		for _, module := range []string{"node", "follow", "engine", "other"} {
			var b bytes.Buffer
			log := logger(&b, parse(t, text))
			if module != "node" {
				log = log.With("one", 1, "module", module)
			}
			for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
				log.Log(t.Context(), level, "line")
			}
			first, _, _ := strings.Cut(strings.TrimPrefix(b.String(), "level="), " ")
			got = append(got, module+": "+strings.ToLower(first))
		}
		if got := strings.Join(got, "; "); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

// What makes no sense is refused by its name, and changes nothing.
func TestRefused(t *testing.T) {
	l := parse(t, "warn,follow=debug")
	for text, want := range map[string]string{
		"loud":                      `"loud" is not known: use debug, info, warn or error`,
		"info,follow=loud":          `"loud" is not known`,
		"info,folow=debug":          `names a module "folow" that is not known: use node, follow, engine`,
		"info,=debug":               `names a module ""`,
		"info,debug":                `says "debug" after another level for the same`,
		"follow=info,follow=debug":  `says "follow=debug" after another level for the same`,
		"info,":                     `"" is not known`,
		",":                         `"" is not known`,
		"info,follow=":              `"" is not known`,
		"info;follow=debug":         "is not known",
		"info,follow=debug=warn":    "is not known",
		"info,follow=debug\nb=warn": "is not known",
	} {
		if err := l.Set(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
		if got := l.String(); got != "warn,follow=debug" {
			t.Fatalf("%q: got levels %q after it was refused", text, got)
		}
	}
	if _, err := logs.Parse("info,follow=debug"); err == nil || !strings.Contains(err.Error(), "there are none here") {
		t.Errorf("got %v, want it refused where there are no modules", err)
	}
}

// The text of levels reads as the same levels.
func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"": "info", "DEBUG": "debug", "follow=debug": "info,follow=debug", "node=info,error,engine=warn+2": "error,engine=warn+2,node=info",
	} {
		got := parse(t, text).String()
		if again := parse(t, got).String(); got != want || again != got {
			t.Errorf("%q: got %q, and again %q, want %q", text, got, again, want)
		}
	}
}

// A change reaches who has had his logger before, while others log.
func TestChange(t *testing.T) {
	var b bytes.Buffer
	l := parse(t, "info")
	log := logger(&b, l).With("module", "follow")
	log.Debug("before")
	if err := l.Set("info,follow=debug"); err != nil {
		t.Fatal(err)
	}
	log.Debug("between", "height", 5)
	if err := l.Set("info"); err != nil {
		t.Fatal(err)
	}
	log.Debug("after")
	if got, want := b.String(), "level=DEBUG msg=between height=5 module=follow\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for range 100 {
				_ = l.Set([]string{"debug", "warn,follow=debug", "error"}[i%3])
				_ = l.String()
				slog.New(l.Handler(slog.DiscardHandler, "node")).With("module", "follow").Info("line")
			}
		})
	}
	work.Wait()
}

// The handler keeps the rules of handlers, with groups and without.
func TestHandler(t *testing.T) {
	var b bytes.Buffer
	opt := slog.HandlerOptions{Level: slog.Level(math.MinInt)}
	err := slogtest.TestHandler(parse(t, "debug").Handler(slog.NewJSONHandler(&b, &opt), "node"), func() []map[string]any { return lines(t, b.String()) })
	if err != nil {
		t.Error(err)
	}
	b.Reset()
	l := parse(t, "error,follow=debug")
	log := logger(&b, l).With("module", "follow", "a", 1).WithGroup("g").With("module", "engine")
	log.Debug("in a group", "b", 2)
	log.WithGroup("h").Debug("in two")
	if got, want := b.String(), "level=DEBUG msg=\"in a group\" a=1 module=follow g.module=engine g.b=2\nlevel=DEBUG msg=\"in two\" a=1 module=follow g.module=engine\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if err := l.Set("error"); err != nil {
		t.Fatal(err)
	}
	if log.Enabled(t.Context(), slog.LevelWarn) {
		t.Error("a group is not of its module any more")
	}
}

// What the next handler does not take is not shown, whatever the levels say.
func TestNextDecidesToo(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(parse(t, "debug").Handler(slog.NewTextHandler(&b, nil), "node"))
	log.Debug("line")
	if b.Len() > 0 {
		t.Errorf("got %q, want nothing", b.String())
	}
}

// FuzzParse: whatever is set is refused, or reads back as it was meant.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"", "info", "info,follow=debug", "follow=warn+3", ",", "=,=", "info,info"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := logs.Parse(text, modules...)
		if err != nil {
			return
		}
		again, err := logs.Parse(l.String(), modules...)
		if err != nil || again.String() != l.String() {
			t.Errorf("%q: got %q, which reads as %v, %v", text, l, again, err)
		}
	})
}

// lines reads lines of JSON.
func lines(t *testing.T, text string) (out []map[string]any) {
	t.Helper()
	for line := range strings.Lines(text) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(fmt.Errorf("%q: %w", line, err))
		}
		out = append(out, m)
	}
	return out
}
