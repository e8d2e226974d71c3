package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"headrace/devnet/proxy"
	"headrace/internal/disk"
	"headrace/node"
	"headrace/watch"
)

// noLeaks runs the tests and then looks for goroutines that one of them has left behind.
type noLeaks struct{ *testing.M }

func (m noLeaks) Run() int {
	code := m.M.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestMain(m *testing.M) {
	trustTestServers()
	testscript.Main(noLeaks{m}, map[string]func(){
		"headrace": func() {
			keyOptions.WorkFactor = 4 // a key file costs a second otherwise
			main()
		},
		// slow-stop is a program that has been told to stop and takes for ever.
		"slow-stop": func() {
			ctx, _ := untilSignal(context.Background())
			fmt.Println("running")
			<-ctx.Done()
			fmt.Fprintln(os.Stderr, "stopping")
			select {}
		},
	})
}

// TestScripts runs testdata/*.txt. Beside testscript's own commands they have:
//
//	exits STATUS PROGRAM ARGS...  run PROGRAM, check its exit status, and that a failure is told in one line on standard error
//	serve NAME PROGRAM ARGS...    run PROGRAM until it has printed a line, which becomes $NAME
//	await NAME REGEXP [VARIABLE]  wait until the server NAME has logged what REGEXP matches, set VARIABLE to its first group
//	logged NAME REGEXP            check that the server NAME has logged what REGEXP matches; with ! before it, that it has not
//	posted NAME                   wait until the node NAME has no block that the DA layer has not
//	interrupt NAME                interrupt the server NAME: it must exit with status 0, before any request's bound is up
//	crash NAME                    kill the server NAME
//	signal NAME [SIGNAL...]       interrupt the server NAME, or send it HUP, TERM or USR1, at once if several, and go on
//	ended NAME                    wait until the server NAME has ended with status 0
//	killed NAME                   interrupt the server NAME until it has been ended by that
//	blackhole VARIABLE            set VARIABLE to an address where connections are taken and never answered
//	listening NAME VARIABLE       set VARIABLE to the host and port of the server NAME
//	post URL BODY [FILE]          send an HTTP POST, with the token in FILE, print the answer
//	get URL                       send an HTTP GET, print the answer
//	damage DIR                    overwrite the middle of each file in DIR
//	newer DIR                     make the database in DIR look as if a newer version of the program had written it
//	shows URL REGEXP...           run status --watch of a node until a status matches each REGEXP
//	rejects VARIABLE              serve an engine that finds each block above 3 invalid, and set VARIABLE to its address
//	link VARIABLE HOST:PORT       run a link to an address, and set VARIABLE to where it begins
//	freeze VARIABLE               let nothing through that link any more
//	disk DIR                      put a small disk of its own under DIR
//	fill DIR                      leave no room on the disk of DIR
//	find REGEXP VARIABLE          set VARIABLE to the first group of what REGEXP matches in the last standard output
func TestScripts(t *testing.T) { runScripts(t, "testdata", func(*testscript.Env) {}) }

// takeSignals takes those that are ignored, as under nohup, or in a script's background: what is started here would inherit
// that. It does so for good: one that is given back is ignored again.
var takeSignals = sync.OnceFunc(func() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s) // read by nobody
		}
	}
})

func runScripts(t *testing.T, dir string, setup func(*testscript.Env)) {
	takeSignals()
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Values[servers{}], env.Values[links{}] = map[string]*server{}, map[string]*proxy.Proxy{}
			setup(env)
			return nil
		},
		Condition: conditions,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "serve": serve, "await": awaitLog, "logged": logged, "interrupt": interrupt, "crash": crash, "signal": signalServer, "ended": endedServer, "killed": killedServer,
			"listening": listening, "blackhole": blackhole, "post": request, "get": request, "damage": damage, "newer": newer, "find": findOutput, "posted": posted, "l1": devL1,
			"shows": shows, "rejects": rejects, "link": openLink, "freeze": freeze, "disk": smallDisk, "fill": fill,
		},
	})
}

// must ends the script unless it called a command as it is meant.
func must(ts *testscript.TestScript, neg bool, ok bool, usage string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

// hung is how long a program of a script may take: whatever waits for it then ends too.
const hung = 2 * time.Minute

// command is a program in the script's directory and environment, killed when it hangs or the script ends.
func command(ts *testscript.TestScript, args []string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	ts.Defer(cancel)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	names := append([]string{"PATH", "HOME", "TMPDIR", "GOCOVERDIR", "HEADRACE_DA_ADRESS"}, reserved...)
	for _, s := range settings() {
		names = append(names, s.env())
	}
	cmd.Env = []string{}
	for _, name := range names {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	return cmd
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) >= 2, "exits STATUS PROGRAM ARGS...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := command(ts, args[1:])
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = ts.Stdout(), io.MultiWriter(ts.Stderr(), &log)
	err = cmd.Run()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		ts.Fatalf("%v", err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("got exit status %d, want %d:\n%s", got, want, log.String())
	}
	told := regexp.MustCompile(`(?m)^headrace( [a-z-]+)*: .*$`).FindAllString(log.String(), -1)
	if rest := regexp.MustCompile(`(?m)^(time=|headrace).*\n`).ReplaceAllString(log.String(), ""); want != 0 && (len(told) != 1 || rest != "") {
		ts.Fatalf("got %q on standard error, want one line, and logs", log.String())
	}
}

type servers struct{} // key of the script's servers

// server is a process that runs beside the script.
type server struct {
	cmd   *exec.Cmd
	log   *watch.Value[string] // all of standard error so far; closed when the process has ended
	pipes sync.WaitGroup
	ended sync.Once
	err   error // of Wait, after wait
}

// wait returns how the process ended. It may be called again.
func (s *server) wait() error {
	s.ended.Do(func() {
		s.pipes.Wait() // Wait closes the pipes: all must have been read
		s.err = s.cmd.Wait()
	})
	return s.err
}

func named(ts *testscript.TestScript, name string) *server {
	s := ts.Value(servers{}).(map[string]*server)[name]
	if s == nil {
		ts.Fatalf("there is no server %s", name)
	}
	return s
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) >= 2, "serve NAME PROGRAM ARGS...")
	s, stdout := launch(ts, args[0], args[1:])
	out := bufio.NewReader(stdout)
	first, err := out.ReadString('\n')
	s.pipes.Go(func() { _, _ = io.Copy(io.Discard, out) })
	if err != nil {
		_ = s.wait()
		ts.Fatalf("%s ended without a line on standard output:\n%s", args[0], s.log.Load())
	}
	ts.Setenv(args[0], strings.TrimSpace(first))
}

// launch starts a program that is killed when the script ends. The caller reads its standard output.
func launch(ts *testscript.TestScript, name string, program []string) (*server, io.Reader) {
	s := &server{cmd: command(ts, program), log: watch.New("")}
	stdout, err := s.cmd.StdoutPipe()
	ts.Check(err)
	stderr, err := s.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Value(servers{}).(map[string]*server)[name] = s
	ts.Defer(func() {
		_ = s.cmd.Process.Kill()
		_ = s.wait()
		ts.Logf("[%s]\n%s", name, s.log.Load())
	})
	s.pipes.Go(func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			s.log.Update(func(log string) string { return log + lines.Text() + "\n" })
		}
		s.log.Close(io.EOF)
	})
	return s, stdout
}

func awaitLog(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 2 || len(args) == 3, "await NAME REGEXP [VARIABLE]")
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	s := named(ts, args[0])
	log, err := s.log.Wait(context.Background(), pattern.MatchString)
	if err != nil {
		ts.Fatalf("%s ended before it logged %s: %v\n%s", args[0], args[1], s.wait(), log)
	}
	if len(args) == 3 {
		ts.Setenv(args[2], pattern.FindStringSubmatch(log)[1])
	}
}

func logged(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, false, len(args) == 2, "logged NAME REGEXP")
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	if log := named(ts, args[0]).log.Load(); pattern.MatchString(log) == neg {
		ts.Fatalf("got a log that has %s: %v, want %v:\n%s", args[1], neg, !neg, log)
	}
}

func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "interrupt NAME")
	s := named(ts, args[0])
	sent := time.Now()
	ts.Check(s.cmd.Process.Signal(os.Interrupt))
	if err := s.wait(); err != nil {
		ts.Fatalf("%s: got %v after an interrupt, want exit status 0:\n%s", args[0], err, s.log.Load())
	}
	if took := time.Since(sent); took >= node.Default().L1.CallTimeout {
		ts.Fatalf("%s: ended %s after an interrupt:\n%s", args[0], took, s.log.Load())
	}
}

func crash(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "crash NAME")
	s := named(ts, args[0])
	ts.Check(s.cmd.Process.Kill())
	_ = s.wait()
}

func signalServer(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) >= 1, "signal NAME [SIGNAL...]")
	s := named(ts, args[0])
	if len(args) == 1 {
		ts.Check(s.cmd.Process.Signal(os.Interrupt))
	}
	for _, name := range args[1:] {
		sig := map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1}[name]
		must(ts, neg, sig != nil, "signal NAME [HUP|TERM|USR1...]")
		ts.Check(s.cmd.Process.Signal(sig))
	}
}

func endedServer(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "ended NAME")
	s := named(ts, args[0])
	if err := s.wait(); err != nil {
		ts.Fatalf("%s: got %v, want exit status 0:\n%s", args[0], err, s.log.Load())
	}
}

func killedServer(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "killed NAME")
	s := named(ts, args[0])
	for ended := false; !ended; { // one of the same moment as the first is not heard
		_ = s.cmd.Process.Signal(os.Interrupt)
		next, cancel := context.WithTimeout(context.Background(), twice/4)
		_, err := s.log.Wait(next, func(string) bool { return false })
		ended = errors.Is(err, watch.ErrClosed)
		cancel()
	}
	err := s.wait()
	if status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGINT {
		ts.Fatalf("%s: got %v, want an end by SIGINT", args[0], err)
	}
}

func request(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, 1 <= len(args) && len(args) <= 3, "post URL BODY [FILE], or get URL")
	method, body := http.MethodGet, ""
	if len(args) > 1 {
		method, body = http.MethodPost, args[1]
	}
	req, err := http.NewRequest(method, args[0], strings.NewReader(body))
	ts.Check(err)
	if len(args) == 3 {
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[2])))
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	_, err = fmt.Fprintln(ts.Stdout(), resp.Status)
	ts.Check(err)
	_, err = io.Copy(ts.Stdout(), resp.Body)
	ts.Check(err)
}

func posted(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "posted NAME")
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, ts.Getenv(args[0])+"/v1/events?events=status", nil)
	ts.Check(err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() { // each status that the node has is an event
		text, ok := strings.CutPrefix(lines.Text(), "data: ")
		var s node.Status
		if ok && json.Unmarshal([]byte(text), &s) == nil && s.Source.Live && s.Heads.Safe == s.Heads.Unsafe && s.Heads.Safe.Height > 0 {
			return
		}
	}
	ts.Fatalf("%s ended before all was posted: %v", args[0], lines.Err())
}

func blackhole(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "blackhole VARIABLE")
	l, err := net.Listen("tcp", "127.0.0.1:0") // the system completes connections that nobody accepts
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

func listening(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 2, "listening NAME VARIABLE")
	u, err := url.Parse(ts.Getenv(args[0]))
	ts.Check(err)
	ts.Setenv(args[1], u.Host)
}

func damage(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "damage DIR")
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	for _, path := range files {
		content, err := os.ReadFile(path)
		ts.Check(err)
		copy(content[len(content)/2:], bytes.Repeat([]byte{0xa5}, 64))
		ts.Check(os.WriteFile(path, content, 0o600))
	}
}

func newer(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "newer DIR")
	db, err := disk.Open(ts.MkAbs(args[0]), disk.Options{})
	ts.Check(err)
	key := []byte("m")
	meta, ok, err := db.Get(key)
	ts.Check(err)
	const format = `"format":1,`
	switch {
	case ok && bytes.Contains(meta, []byte(format)): // a node's store
		meta = bytes.Replace(meta, []byte(format), []byte(`"format":2,`), 1)
	case ok && meta[0] == 1: // a DA layer's history
		meta[0] = 2
	default:
		ts.Fatalf("got meta %q, want a format", meta)
	}
	b := db.NewBatch()
	ts.Check(b.Set(key, meta, nil))
	ts.Check(db.Commit(b, true))
	ts.Check(errors.Join(b.Close(), db.Close()))
}

func findOutput(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 2, "find REGEXP VARIABLE")
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	out := ts.ReadFile("stdout")
	m := pattern.FindStringSubmatch(out)
	if len(m) != 2 {
		ts.Fatalf("got %q, want what %s matches, with one group", out, args[0])
	}
	ts.Setenv(args[1], m[1])
}
