package main

import (
	"context"
	"io"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"headrace/devnet/geth/gethtest"
)

// TestScriptsOnL1 runs testdata/l1/*.txt, which need a geth. Beside the commands of TestScripts they have:
//
//	l1 NAME      run a geth --dev as the L1, and set NAME to its host and port, of HTTP and WebSocket alike
func TestScriptsOnL1(t *testing.T) {
	binary := gethtest.Binary(t) // or skip, with the reason
	runScripts(t, "testdata/l1", func(env *testscript.Env) { env.Setenv("HEADRACE_GETH", binary) })
}

var devListening = regexp.MustCompile(`msg="HTTP server started" endpoint=(\S+) auth=false`)

func devL1(ts *testscript.TestScript, neg bool, args []string) {
	must(ts, neg, len(args) == 1, "l1 NAME")
	s, stdout := launch(ts, args[0], []string{
		ts.Getenv("HEADRACE_GETH"), "--dev", "--http", "--http.port", "0", "--ws", "--ws.port", "0", "--authrpc.port", "0", "--port", "0", "--ipcdisable", "--log.format", "logfmt",
	})
	s.pipes.Go(func() { _, _ = io.Copy(io.Discard, stdout) })
	log, err := s.log.Wait(context.Background(), devListening.MatchString)
	if err != nil {
		ts.Fatalf("geth ended: %v\n%s", s.wait(), log)
	}
	ts.Setenv(args[0], devListening.FindStringSubmatch(log)[1])
}
