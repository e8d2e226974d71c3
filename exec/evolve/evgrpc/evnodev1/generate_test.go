package evnodev1_test

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"headrace/exec/internal/gen"
)

// TestGeneratedCodeIsCurrent makes the code anew and compares.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is not here to run the generators: ", err)
	}
	files, err := gen.Generate(t.Context(), "executor.proto", "evnode/v1/executor.proto")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 {
		t.Errorf("got %d files, want 2", len(files))
	}
	for _, f := range files {
		if has, err := os.ReadFile(f.Name); err != nil || !bytes.Equal(has, f.Content) {
			t.Errorf("%s is not what executor.proto says (%v): run go generate in this folder", f.Name, err)
		}
	}
}
