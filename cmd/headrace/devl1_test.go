package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"headrace/devnet/geth/gethtest"
)

// TestScriptsOnL1 runs testdata/l1/*.txt, which need a geth.
func TestScriptsOnL1(t *testing.T) {
	binary := gethtest.Binary(t) // or skip, with the reason
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/l1",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HEADRACE_GETH", binary)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}
