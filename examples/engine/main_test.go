package main

import (
	"testing"

	"headrace/exec/exectest"
)

// The engine keeps the contract of package exec.
func TestEngine(t *testing.T) {
	exectest.Test(t, func(*testing.T) exectest.Subject { return exectest.Subject{Engine: &engine{}} })
}
