package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"headrace/block"
	"headrace/devnet/proxy"
	headraceexec "headrace/exec"
	execgrpc "headrace/exec/grpc"
	"headrace/exec/kv"
)

// shows runs headrace status --watch until what it has printed since the last status matches each regular expression.
func shows(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) >= 2, "shows URL REGEXP...")
	var patterns []*regexp.Regexp
	for _, text := range args[1:] {
		pattern, err := regexp.Compile("(?m)" + text)
		ts.Check(err)
		patterns = append(patterns, pattern)
	}
	cmd := command(ts, []string{"headrace", "status", "--watch", "--node", args[0]})
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	text, last, found := "", "", false
	hangs := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }) // only for a test that does
	defer hangs.Stop()
	for lines := bufio.NewScanner(out); !found && lines.Scan(); {
		if lines.Text() != "" {
			text += lines.Text() + "\n"
			continue
		}
		found = true
		for _, p := range patterns {
			found = found && p.MatchString(text)
		}
		text, last = "", text
	}
	_ = cmd.Process.Signal(os.Interrupt)
	_ = out.Close()
	err = cmd.Wait()
	switch {
	case !found:
		ts.Fatalf("status ended (%v) without %q; the last was\n%s", err, args[1:], last)
	case err != nil:
		ts.Fatalf("status: got %v after an interrupt, want exit status 0", err)
	}
	ts.Logf("[status]\n%s", last)
}

// picky is an engine that finds each block above a height invalid.
type picky struct {
	headraceexec.Engine
	above uint64
}

func (p picky) Execute(ctx context.Context, b *block.Block) ([]byte, error) {
	if b.Height() > p.above {
		return nil, fmt.Errorf("%w: the third transaction pays nothing", headraceexec.ErrInvalid)
	}
	return p.Engine.Execute(ctx, b)
}

// rejects serves an engine that finds each block above 3 invalid, and sets a variable to its address.
func rejects(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "rejects VARIABLE")
	engine, err := kv.Open(ts.MkAbs("picky"), kv.Options{})
	ts.Check(err)
	l, err := execgrpc.Listen("127.0.0.1:0")
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = execgrpc.Serve(ctx, l, picky{engine, 3}, execgrpc.ServerOptions{}) })
	ts.Defer(func() { cancel(); serving.Wait(); _ = engine.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

type links struct{} // key of the script's links

// openLink runs a link to an address, and sets a variable to where it begins.
func openLink(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 2, "link VARIABLE HOST:PORT")
	p, err := proxy.New(args[1], 0)
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	ts.Defer(func() { cancel(); running.Wait() })
	ts.Value(links{}).(map[string]*proxy.Proxy)[args[0]] = p
	ts.Setenv(args[0], p.Address())
}

// freeze lets nothing through a link any more.
func freeze(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "freeze VARIABLE")
	p := ts.Value(links{}).(map[string]*proxy.Proxy)[args[0]]
	must(ts, false, p != nil, "freeze VARIABLE of a link")
	p.Freeze(true)
}

// smallDisk puts a disk of 64 MiB under a directory, which is made.
func smallDisk(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "disk DIR")
	dir := ts.MkAbs(args[0])
	ts.Check(mount(dir))
	ts.Defer(func() { _ = exec.Command("umount", "-l", dir).Run() })
}

func mount(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mount: %w: %s", err, out)
	}
	return nil
}

// conditions are those of scripts: [mount] holds where a disk can be mounted.
func conditions(name string) (bool, error) {
	if name != "mount" {
		return false, errors.New("there is no such condition")
	}
	dir, err := os.MkdirTemp("", "headrace-mount-")
	if err != nil {
		return false, err
	}
	defer os.Remove(dir)
	at := filepath.Join(dir, "disk")
	defer os.Remove(at)
	if mount(at) != nil {
		return false, nil
	}
	return true, exec.Command("umount", "-l", at).Run()
}

// fill leaves no room on the disk of a directory, and fails unless that is so.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "fill DIR")
	f, err := os.Create(filepath.Join(ts.MkAbs(args[0]), "filler"))
	ts.Check(err)
	for err == nil {
		_, err = f.WriteString(strings.Repeat("x", 4096))
	}
	_ = f.Close()
}
