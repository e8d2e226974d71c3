// Package edge logs what fails again and again: when it begins, and then seldom.
//
// A retry each second says the same thing each second. Here its text is logged at once when it is new, and then at most
// once after 1, after 10 and after 60 minutes, and once in each hour after that, with how often it came and since when.
// Two texts that differ in digits alone, as heights, times and ports do, are the same. What has not come for ten minutes
// is new again: not what comes and goes. What is remembered is bounded. A Log is safe for concurrent use.
package edge

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

const (
	quiet = 10 * time.Minute // without it, and it is over
	most  = 32               // texts that are remembered
)

// again is after how long since it began a text is logged again: each time, and then each last one.
var again = [...]time.Duration{time.Minute, 10 * time.Minute, time.Hour}

// Log logs failures that repeat. The zero Log is ready to use.
type Log struct {
	mu   sync.Mutex // guards the rest
	told map[string]*episode
}

// episode is one text that comes again and again.
type episode struct {
	since, last, next time.Time
	times             int
}

// Warn logs a failure at level warn, unless it was lately: msg, with args and then err.
func (l *Log) Warn(log *slog.Logger, msg string, err error, args ...any) {
	l.Say(log, slog.LevelWarn, msg, err, args...)
}

// Say is Warn at any level.
func (l *Log) Say(log *slog.Logger, level slog.Level, msg string, err error, args ...any) {
	l.Tell(log, level, msg, err.Error(), append(args, "err", Line(err))...)
}

// Tell is Say of what is no error: about says what it is about, and is not logged by itself.
func (l *Log) Tell(log *slog.Logger, level slog.Level, msg, about string, args ...any) {
	e, due := l.note(shape(msg+": "+about), time.Now())
	if !due {
		return
	}
	if e.times > 1 {
		args = append(args, "times", e.times, "since", e.since.UTC().Format(time.RFC3339))
	}
	log.Log(context.Background(), level, msg, args...)
}

// Line returns the text of an error as one line, as errors.Join makes several.
func Line(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// note counts a text, and reports whether it is to be logged now.
func (l *Log) note(text string, now time.Time) (episode, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.told[text]
	if !ok || now.Sub(e.last) >= quiet {
		e = &episode{since: now, next: now}
		l.keep(text, e)
	}
	e.times++
	e.last = now
	due := !now.Before(e.next)
	if due {
		e.next = e.since.Add(following(now.Sub(e.since)))
	}
	return *e, due
}

// following returns when a text that has come for so long is due again.
func following(age time.Duration) time.Duration {
	for _, d := range again {
		if age < d {
			return d
		}
	}
	hour := again[len(again)-1]
	return age.Truncate(hour) + hour
}

// keep remembers an episode, and forgets the one that came last the longest ago if there are too many.
func (l *Log) keep(text string, e *episode) {
	if l.told == nil {
		l.told = map[string]*episode{}
	}
	if delete(l.told, text); len(l.told) >= most {
		var oldest string
		for t, o := range l.told {
			if oldest == "" || o.last.Before(l.told[oldest].last) {
				oldest = t
			}
		}
		delete(l.told, oldest)
	}
	l.told[text] = e
}

// shape returns a text without its signs, and with each number, in decimal or hexadecimal, and several in turn as one #.
func shape(text string) string {
	var b strings.Builder
	number := false // the word before was one
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !isDigit(r) && !isLetter(r) }) {
		was := number
		if number = strings.ContainsFunc(word, isDigit); number && was {
			continue
		}
		if number {
			word = "#"
		}
		b.WriteString(word)
		b.WriteByte(' ')
	}
	return b.String()
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r > 127 }
