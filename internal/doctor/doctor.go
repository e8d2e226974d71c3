// Package doctor looks for what is wrong with a node's home, its endpoints and its engine, before the node runs or beside
// it.
//
// What is looked at is a list of patients, each a list of checks in order. A check ends within its time, whatever it
// waits for; one that fails stops no other, but those that need what it has shown are skipped and say so. Patients are
// looked at side by side. Nothing is signed, posted or paid for, and nothing is written but a temporary file in the home,
// which is removed. The home's lock is not taken. No text holds a token, a passphrase or what is secret in an address.
package doctor

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"headrace/block"
	"headrace/node"
)

// State is what a check found.
type State string

// The states, the worst last but for Skipped: what a skipped check needs has failed.
const (
	OK      State = "ok"
	Skipped State = "skipped"
	Warn    State = "warn"
	Fail    State = "fail"
)

// Line is one check's result.
type Line struct {
	Check  string `json:"check"`
	Of     string `json:"of,omitempty"` // the endpoint, by its address without what is secret in it; "" for what is the home's
	State  State  `json:"state"`
	Text   string `json:"text"`             // what was found
	Remedy string `json:"remedy,omitempty"` // what to do about it, if it is not ok
}

// Report is all that was found, in the order of the checks.
type Report struct {
	Lines []Line `json:"checks"`
	OK    int    `json:"ok"`
	Skip  int    `json:"skipped"`
	Warn  int    `json:"warn"`
	Fail  int    `json:"fail"`
}

// Options say whose health it is. The first group is needed.
type Options struct {
	Home    string
	Config  func() (node.Config, error)
	Genesis func() (*block.Genesis, error)
	Key     func(context.Context, node.Config) (*block.PrivateKey, error) // of a sequencer; ErrNoPassphrase: it was not given here

	// Timeout bounds each check; one that waits for a block may take two block times more. Default: 10 s.
	Timeout time.Duration

	// The rest is what the machine says. Each has a default that asks it.
	Now         func() time.Time
	Free        func(dir string) (bytes uint64, err error)
	Descriptors func() (uint64, error) // that a process may have open
	Sync        func(*os.File) error
}

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Free == nil {
		o.Free = free
	}
	if o.Descriptors == nil {
		o.Descriptors = descriptors
	}
	if o.Sync == nil {
		o.Sync = (*os.File).Sync
	}
	return o
}

// Examine makes all checks. It returns when the last has ended, or ctx has.
func Examine(ctx context.Context, opt Options) Report {
	d := &doctor{opt: opt.withDefaults()}
	home := d.home()
	home.examine(ctx, &d.opt, nil)
	patients := []*patient{home}
	patients = append(patients, d.sources()...)
	patients = append(patients, d.engine())
	var work sync.WaitGroup
	for _, p := range patients[1:] {
		work.Go(func() { p.examine(ctx, &d.opt, home.bad) })
	}
	work.Wait()
	last := d.together()
	last.examine(ctx, &d.opt, home.bad)
	var r Report
	for _, p := range append(patients, last) {
		p.release()
		for _, l := range p.lines {
			r.add(l)
		}
	}
	return r
}

func (r *Report) add(l Line) {
	r.Lines = append(r.Lines, l)
	switch l.State {
	case OK:
		r.OK++
	case Skipped:
		r.Skip++
	case Warn:
		r.Warn++
	case Fail:
		r.Fail++
	}
}

// doctor holds what one check finds out for others.
type doctor struct {
	opt     Options
	config  node.Config
	genesis *block.Genesis
	at      node.Standing     // where the node stands, if the check of the home is ok
	cert    *x509.Certificate // that the node shows; nil: it has none
	da      []*daEndpoint
}

// patient is what is looked at in one go: the home, or one endpoint.
type patient struct {
	of     string
	checks []check
	close  func() // releases what the checks use; nil: nothing

	lines []Line
	bad   map[string]bool // checks that failed or were skipped
}

// check is one thing that is looked at.
type check struct {
	name  string
	needs []string                           // checks, of the same patient or of the home, that must not have failed
	more  func() time.Duration               // what it may take beside Options.Timeout; nil: nothing
	run   func(ctx context.Context) *finding // nil: there is nothing to say
}

// finding is what a check found.
type finding struct {
	state        State
	text, remedy string
	open         bool // it is skipped, and stops no other
}

func ok(format string, args ...any) *finding {
	return &finding{state: OK, text: fmt.Sprintf(format, args...)}
}

func warn(remedy, format string, args ...any) *finding {
	return &finding{state: Warn, text: fmt.Sprintf(format, args...), remedy: remedy}
}

func fail(remedy, format string, args ...any) *finding {
	return &finding{state: Fail, text: fmt.Sprintf(format, args...), remedy: remedy}
}

func skip(format string, args ...any) *finding {
	return &finding{state: Skipped, text: fmt.Sprintf(format, args...)}
}

// examine makes the checks of a patient. before are those of the home that failed; nil: it is the home.
func (p *patient) examine(ctx context.Context, opt *Options, before map[string]bool) {
	p.bad = map[string]bool{}
	for _, c := range p.checks {
		f := p.blocked(&c, before)
		if f == nil {
			f = perform(ctx, opt, &c)
		}
		if f == nil {
			continue
		}
		p.bad[c.name] = f.state == Fail || f.state == Skipped && !f.open
		p.lines = append(p.lines, Line{Check: c.name, Of: p.of, State: f.state, Text: oneLine(f.text), Remedy: oneLine(f.remedy)})
	}
}

// blocked returns why a check cannot be made, or nil.
func (p *patient) blocked(c *check, before map[string]bool) *finding {
	for _, name := range c.needs {
		if p.bad[name] || before[name] {
			return skip("it needs %s, which is not ok", name)
		}
	}
	return nil
}

// grace is how long a check may take to tell, in its own words, that its time is up.
const grace = 2 * time.Second

// perform makes one check within its time. One that does not heed that is left behind.
func perform(ctx context.Context, opt *Options, c *check) *finding {
	limit := opt.Timeout
	if c.more != nil {
		limit += c.more()
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	done := make(chan *finding, 1) // sent to by the check, once
	go func() { done <- c.run(within) }()
	select {
	case f := <-done:
		return f
	case <-within.Done():
	}
	late := time.NewTimer(grace) // of what is outside, and of what cannot be interrupted
	defer late.Stop()
	select {
	case f := <-done:
		return f
	case <-late.C:
		return fail("look at what it waits for; --timeout gives it more time", "it did not end within %s", limit)
	}
}

func (p *patient) release() {
	if p.close != nil {
		p.close()
	}
}

// oneLine is a text without line breaks, such as those between joined errors.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// Write writes the report for a reader.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	for _, l := range r.Lines {
		fmt.Fprintf(&b, "%-7s  %-10s  ", l.State, l.Check)
		if l.Of != "" {
			fmt.Fprintf(&b, "%s: ", l.Of)
		}
		fmt.Fprintf(&b, "%s\n", l.Text)
		if l.Remedy != "" {
			fmt.Fprintf(&b, "%-7s  %-10s  -> %s\n", "", "", l.Remedy)
		}
	}
	fmt.Fprintf(&b, "%s\n", r.Summary())
	_, err := io.WriteString(w, b.String())
	return err
}

// Summary says in a line how it went, and which checks are not ok.
func (r *Report) Summary() string {
	text := fmt.Sprintf("%d ok, %d warn, %d fail, %d skipped", r.OK, r.Warn, r.Fail, r.Skip)
	var bad []string
	for _, l := range r.Lines {
		if l.State == Warn || l.State == Fail {
			bad = append(bad, l.Check)
		}
	}
	if len(bad) > 0 {
		text += ": " + strings.Join(bad, ", ")
	}
	return text
}
