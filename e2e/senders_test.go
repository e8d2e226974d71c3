package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"

	"headrace/node"
	"headrace/watch"
)

// sendersEnv names the orders of a process of this test that sends and waits: a JSON of a sendOrder.
const sendersEnv = "HEADRACE_E2E_SENDERS"

// sendProcesses is how many there are.
const sendProcesses = 4

// sendOrder is what one process sends.
type sendOrder struct {
	Seed  uint64
	Of    int64 // what it is told on standard input is of so many: see there
	Parts []sendPart
}

// sendPart is what one sender of a process sends: the transactions of [From, To), one after the other. He notes each one
// before he sends it, and the answer before he sends the next, in a file that is synced each time.
type sendPart struct {
	Notes    string // path
	Sender   int
	From, To int64
}

// sendNote is a line of the notes. With neither an answer nor an error the transaction is about to be sent.
type sendNote struct {
	N          int64
	Text, Head string
	Got        *node.Sent `json:",omitempty"`
	Err        string     `json:",omitempty"`
}

func (n *sendNote) over() bool { return n.Got != nil || n.Err != "" }

// runSenders carries out the orders. It is told on standard input where the sequencer answers, and how much of Of may be
// sent by now: of each part as large a part. It tells of each outcome that is noted with a line on standard output. It ends
// when all is sent, or when nobody tells it anything any more.
func runSenders(orders string) error {
	var o sendOrder
	if err := json.Unmarshal([]byte(orders), &o); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	to, open := new(watch.Value[address]), new(watch.Value[int64])
	go func() { // ends with the process
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			var a address
			var n int64
			_, _ = fmt.Sscan(lines.Text(), &n, &a.run, &a.url) // without a URL, nothing answers
			open.Set(n)
			to.Set(a)
		}
		cancel(errors.New("nobody is there any more"))
	}()
	failed := make(chan error, len(o.Parts))
	for _, part := range o.Parts {
		go func() { failed <- part.run(ctx, newSender(to, o.Seed, part.Sender), open, o.Of) }()
	}
	var errs []error
	for range o.Parts {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}

// run sends what an earlier process has not.
func (p *sendPart) run(ctx context.Context, s *sender, open *watch.Value[int64], of int64) error {
	f, err := os.OpenFile(p.Notes, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	next, last, end := p.From, sendNote{}, int64(0)
	if end, err = eachNote(f, func(n *sendNote) { last, next = *n, n.N+1 }); err != nil {
		return err
	}
	if err := f.Truncate(end); err != nil { // a line that is not whole was not noted
		return err
	}
	if _, err := f.Seek(end, io.SeekStart); err != nil {
		return err
	}
	note := func(n sendNote) error {
		line, err := json.Marshal(n)
		if err != nil {
			return err
		}
		if _, err := f.Write(append(line, '\n')); err != nil {
			return err
		}
		return f.Sync()
	}
	if next > p.From && !last.over() {
		if err := note(sendNote{N: last.N, Text: last.Text, Head: last.Head, Err: errKilled.Error()}); err != nil {
			return err
		}
		fmt.Println(last.N)
	}
	for n := next; n < p.To; n++ {
		if _, err := open.Wait(ctx, func(open int64) bool { return (n-p.From)*of < (p.To-p.From)*open }); err != nil {
			return err
		}
		tx := s.choose(n)
		about := sendNote{N: n, Text: tx.text, Head: tx.head}
		if err := note(about); err != nil {
			return err
		}
		s.post(ctx, &tx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if about.Got = &tx.got; tx.err != nil {
			about.Got, about.Err = nil, tx.err.Error()
		}
		if err := note(about); err != nil {
			return err
		}
		fmt.Println(n)
	}
	return nil
}

// eachNote reads notes, and returns where the last whole one ends.
func eachNote(r io.Reader, each func(*sendNote)) (end int64, err error) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
		var n sendNote
		if err := json.Unmarshal(line, &n); err != nil {
			return end, fmt.Errorf("note %q: %w", line, err)
		}
		end += int64(len(line))
		each(&n)
	}
}

// sendProcess is a process that sends, through all its runs.
type sendProcess struct {
	name  string
	order sendOrder
	to    *watch.Value[address] // what it is told
	open  *watch.Value[int64]   // likewise
	left  *atomic.Int64         // of all that is sent; it counts down
	rest  int64                 // of its own

	cmd   *exec.Cmd // of the present run
	log   *bytes.Buffer
	ended func() error // waits, and returns how it ended; may be called again
}

// start starts the next run.
func (p *sendProcess) start(t *testing.T) {
	t.Helper()
	orders, err := json.Marshal(p.order)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	p.cmd, p.log = cmd, new(bytes.Buffer)
	cmd.Env, cmd.Stderr = append(environment(), sendersEnv+"="+string(orders)), p.log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	var pipes sync.WaitGroup
	pipes.Go(func() {
		defer close(over)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.left.Add(-1)
			p.rest--
		}
	})
	pipes.Go(func() {
		for {
			a, moved := p.to.Get()
			n, opened := p.open.Get()
			if _, err := fmt.Fprintln(in, n, a.run, a.url); err != nil {
				return // it has ended
			}
			select {
			case <-moved:
			case <-opened:
			case <-over:
				return
			}
		}
	})
	p.ended = sync.OnceValue(func() error {
		pipes.Wait() // Wait closes the pipes: all must have been read
		err := cmd.Wait()
		if err == nil {
			p.left.Add(-p.rest) // the lines that were lost with earlier runs
			p.rest = 0
		}
		return err
	})
	ended := p.ended
	go func() { _ = ended() }() // ends with the process
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = ended() })
}

// kill kills the present run, and reports whether it was one that had something to send yet.
func (p *sendProcess) kill(t *testing.T) bool {
	t.Helper()
	_ = p.cmd.Process.Kill() // or it has ended already
	err := p.ended()
	if how := p.cmd.ProcessState.String(); err != nil && how != "signal: killed" {
		t.Fatalf("%s ended by itself: %s\n%s", p.name, how, p.log)
	}
	return err != nil
}

// done waits until all is sent.
func (p *sendProcess) done(t *testing.T) {
	t.Helper()
	if err := p.ended(); err != nil {
		t.Fatalf("%s: %v\n%s", p.name, err, p.log)
	}
}

// read adds what is noted to all outcomes. Each transaction was sent once, in its turn, and has one outcome.
func (p *sendProcess) read(t *testing.T, to *outcomes) {
	t.Helper()
	for _, part := range p.order.Parts {
		f, err := os.Open(part.Notes)
		if err != nil {
			t.Fatal(err)
		}
		next, about := part.From, (*sendNote)(nil)
		_, err = eachNote(f, func(n *sendNote) {
			if about == nil {
				if about = n; n.over() || n.N != next {
					t.Errorf("%s: got %+v, want that %d is about to be sent", part.Notes, n, next)
				}
				return
			}
			if !n.over() || n.N != next || n.Text != about.Text || n.Head != about.Head {
				t.Errorf("%s: got %+v, want the outcome of %+v", part.Notes, n, about)
			}
			tx := sentTx{text: n.Text, head: n.Head}
			if n.Got != nil {
				tx.got = *n.Got
			} else {
				tx.err = errors.New(n.Err)
			}
			to.add(t, &tx)
			next, about = next+1, nil
		})
		_ = f.Close()
		if err != nil || next != part.To || about != nil {
			t.Errorf("%s: %v, notes up to %d, want %d", part.Notes, err, next, part.To)
		}
	}
}
