// Package e2e_test runs Headrace as its users do, as separate processes that talk over sockets and keep their homes
// on disk, and kills them.
//
// The command is built once. Every process is killed and waited for when its test ends, whatever the outcome.
package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"headrace/watch"
)

// binary is the command under test.
var binary string

func TestMain(m *testing.M) {
	if orders := os.Getenv(attackEnv); orders != "" { // this process is the attacker
		if err := runAttack(orders); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if orders := os.Getenv(executorEnv); orders != "" { // this process is an executor
		fmt.Fprintln(os.Stderr, runExecutor(orders))
		os.Exit(1)
	}
	if orders := os.Getenv(sendersEnv); orders != "" { // this process sends and waits
		if err := runSenders(orders); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "headrace-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "headrace")
	build := exec.Command("go", "build", "-o", binary, "headrace/cmd/headrace")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build headrace:", err)
		return 1
	}
	if code := m.Run(); code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// noteSources looks at all of the module's sources, for go test: it notes which files a test looks at, and then knows
// that a result it kept is stale when one of them has changed. From what this package imports it cannot tell.
func noteSources(t testing.TB) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case d.IsDir() && len(d.Name()) > 2 && d.Name()[0] == '.':
			return fs.SkipDir
		case strings.HasSuffix(path, ".go"), d.Name() == "go.mod":
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// environment is that of this test without Headrace's own variables.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "HEADRACE_") {
			env = append(env, v)
		}
	}
	return env
}

// headrace runs the command to its end, which must be a success, and returns its standard output.
func headrace(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = environment()
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("headrace %s: %v\n%s", strings.Join(args, " "), err, log.String())
	}
	return out.String()
}

// progress is what a process has told so far. Logs are read as they come, so waiting for it needs no polling.
type progress struct {
	URL    string // the first line on standard output
	Blocks int    // how many it has logged
	Safe   uint64 // the highest one it has logged as safe
	Tail   string // the end of its log
}

// process is one run of a server.
type process struct {
	cmd   *exec.Cmd
	told  *watch.Value[progress] // ends when the process has
	pipes sync.WaitGroup
	ended func() error // waits, and returns how the process ended; may be called again
}

// spawn starts a server. It is killed when the test ends.
func spawn(t testing.TB, args ...string) *process {
	t.Helper()
	return spawnProgram(t, binary, nil, args...)
}

// spawnProgram is spawn for any program, with more in its environment.
func spawnProgram(t testing.TB, program string, env []string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...), told: watch.New(progress{})}
	p.cmd.Env = append(environment(), env...)
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pipes.Go(func() { p.readOut(stdout) })
	p.pipes.Go(func() { p.readLog(stderr) })
	p.ended = sync.OnceValue(func() error {
		p.pipes.Wait() // Wait closes the pipes: all must have been read
		err := p.cmd.Wait()
		if err == nil {
			err = io.EOF
		}
		p.told.Close(err)
		return err
	})
	go func() { _ = p.ended() }() // ends with the process
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as a power cut would, for it: with SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // or it has ended already
	_ = p.ended()
}

// interrupt asks the process to stop, and checks that it does so cleanly.
func (p *process) interrupt(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Errorf("interrupt: %v\n%s", err, p.told.Load().Tail)
		return
	}
	if err := p.ended(); err != io.EOF {
		t.Errorf("got %v after an interrupt, want exit status 0\n%s", err, p.told.Load().Tail)
	}
}

func (p *process) readOut(r io.Reader) {
	out := bufio.NewReader(r)
	if first, err := out.ReadString('\n'); err == nil {
		p.told.Update(func(s progress) progress { s.URL = strings.TrimSpace(first); return s })
	}
	_, _ = io.Copy(io.Discard, out)
}

// tailBytes is how much of a log is kept to explain a failure.
const tailBytes = 8 << 10

func (p *process) readLog(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var entry struct {
			Msg    string
			Height uint64
			Safe   bool
		}
		line := lines.Text()
		_ = json.Unmarshal([]byte(line), &entry) // a panic is no JSON; it is kept as it is
		p.told.Update(func(s progress) progress {
			if entry.Msg == "block" {
				s.Blocks++
			}
			if entry.Msg == "block" && entry.Safe {
				s.Safe = max(s.Safe, entry.Height)
			}
			s.Tail += line + "\n"
			s.Tail = s.Tail[max(0, len(s.Tail)-tailBytes):]
			return s
		})
	}
}
