package geth

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// process is one run of a binary. Its one goroutine starts it, reads its output and waits for it.
type process struct {
	cmd       *exec.Cmd
	listening chan struct{} // closed by the reader when both ports are open; http and auth are set then
	http      string
	auth      string
	done      chan struct{} // closed when the process is gone; err is set then
	err       error

	mu    sync.Mutex // guards lines
	lines []string   // the last lines of output
}

const tailLines = 40

// start runs the binary; its output is added to the file at logPath.
func start(binary string, args []string, logPath string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	output, stderr, err := os.Pipe()
	if err != nil {
		log.Close()
		return nil, err
	}
	cmd := command(binary, args)
	cmd.Stderr = stderr
	p := &process{cmd: cmd, listening: make(chan struct{}), done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer log.Close()
		defer output.Close()
		// The kernel ties "die with the parent" to the thread that started the child, so that thread is kept until the child's end.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		stderr.Close()
		started <- err
		if err != nil {
			return
		}
		p.read(output, log)
		p.err = cmd.Wait()
		if p.err == nil {
			p.err = fmt.Errorf("exit status 0")
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("run %s: %w", binary, err)
	}
	return p, nil
}

// Each server says where it listens once it does: msg="HTTP server started" endpoint=127.0.0.1:41513 auth=false ...
var endpoint = regexp.MustCompile(`msg="HTTP server started" endpoint=(\S+) auth=(true|false)`)

// read copies the output to log until the process closes it, keeps the last lines, and finds the ports.
func (p *process) read(output io.Reader, log io.Writer) {
	for scan := bufio.NewReader(output); ; {
		line, err := scan.ReadString('\n')
		io.WriteString(log, line)
		p.keep(line)
		if m := endpoint.FindStringSubmatch(line); m != nil && (p.http == "" || p.auth == "") {
			if m[2] == "true" {
				p.auth = m[1]
			} else {
				p.http = m[1]
			}
			if p.http != "" && p.auth != "" {
				close(p.listening)
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *process) keep(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lines) == tailLines {
		p.lines = append(p.lines[:0], p.lines[1:]...)
	}
	p.lines = append(p.lines, line)
}

func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "")
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal sends sig unless the process has ended. Until done is closed the process is not reaped, or is ours to be told of: os.Process
// never signals a process it has waited for.
func (p *process) signal(sig os.Signal) error {
	if p.exited() {
		return nil
	}
	if err := p.cmd.Process.Signal(sig); err != nil && err != os.ErrProcessDone {
		return fmt.Errorf("signal geth: %w", err)
	}
	return nil
}

// interrupt asks the process to end. A paused process would never hear it, so it is resumed first.
func (p *process) interrupt() error {
	if err := p.resume(); err != nil {
		return err
	}
	return p.signal(os.Interrupt)
}

func (p *process) kill() {
	_ = p.signal(syscall.SIGKILL) // fails only for a process that is gone
	<-p.done
}
