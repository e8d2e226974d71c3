// Package program obtains and runs programs of others: execution clients, and the chains that people develop against.
//
// Once makes something in the user's cache directory the first time that anyone asks, whichever process that is. A Process has one
// goroutine, which starts it, reads its output and waits for it; Kill returns when it is gone, with all that it has started. On Linux
// it dies with its parent. Both are safe for use from many goroutines.
package program

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// Options say what a Process runs. Path and Log are required.
type Options struct {
	Path string
	Args []string
	Env  []string          // added to the environment
	Dir  string            // the working directory; default: ours
	Log  string            // the file that the output is added to
	Line func(line string) // called for each line of output, by one goroutine; must be quick
}

// Process is one run of a program.
type Process struct {
	name string
	cmd  *exec.Cmd
	line func(string)
	done chan struct{} // closed when the process is gone; err is set then
	err  error

	mu    sync.Mutex // guards lines
	lines []string   // the last lines of output
}

const tailLines = 40

// Start runs a program.
func Start(opt Options) (*Process, error) {
	log, err := os.OpenFile(opt.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	output, out, err := os.Pipe()
	if err != nil {
		log.Close()
		return nil, err
	}
	cmd := exec.Command(opt.Path, opt.Args...)
	cmd.Env, cmd.Dir = append(os.Environ(), opt.Env...), opt.Dir
	cmd.Stdout, cmd.Stderr = out, out
	tie(cmd)
	p := &Process{name: opt.Path, cmd: cmd, line: opt.Line, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer log.Close()
		defer output.Close()
		// The kernel ties "die with the parent" to the thread that started the child, so that thread is kept until the child's end.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		out.Close()
		started <- err
		if err != nil {
			return
		}
		p.read(output, log)
		p.err = cmd.Wait()
		if p.err == nil {
			p.err = errors.New("exit status 0")
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("run %s: %w", opt.Path, err)
	}
	return p, nil
}

// read copies the output to log until the process closes it, and keeps the last lines.
func (p *Process) read(output io.Reader, log io.Writer) {
	for scan := bufio.NewReader(output); ; {
		line, err := scan.ReadString('\n')
		io.WriteString(log, line)
		p.keep(line)
		if p.line != nil {
			p.line(line)
		}
		if err != nil {
			return
		}
	}
}

func (p *Process) keep(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) == tailLines {
		p.lines = append(p.lines[:0], p.lines[1:]...)
	}
	p.lines = append(p.lines, line)
}

// Tail returns the last lines of the output.
func (p *Process) Tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "")
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process has ended: never nil. It is for after Done.
func (p *Process) Err() error { return p.err }

// Exited reports whether the process has ended.
func (p *Process) Exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Signal sends sig unless the process has ended. Until Done is closed the process is not reaped, or is ours to be told of: os.Process
// never signals a process it has waited for.
func (p *Process) Signal(sig os.Signal) error {
	if p.Exited() {
		return nil
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// Interrupt asks the process to end. A paused process would never hear it, so it is resumed first.
func (p *Process) Interrupt() error {
	if err := p.resume(); err != nil {
		return err
	}
	return p.Signal(os.Interrupt)
}

// Pause stops the process with SIGSTOP: its sockets stay open and silent. Resume lets it go on. Both do nothing after its end.
func (p *Process) Pause() error { return p.pause() }

// Resume lets a paused process go on.
func (p *Process) Resume() error { return p.resume() }

// Kill ends the process, and what it has started, with SIGKILL, and waits for it.
func (p *Process) Kill() {
	if !p.Exited() {
		killGroup(p.cmd.Process.Pid)
	}
	_ = p.Signal(syscall.SIGKILL) // fails only for a process that is gone
	<-p.done
}
