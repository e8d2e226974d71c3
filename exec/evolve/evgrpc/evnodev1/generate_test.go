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
	for _, name := range []string{"executor.proto", "services.proto"} {
		files, err := gen.Generate(t.Context(), name, "evnode/v1/"+name)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != 2 {
			t.Errorf("got %d files of %s, want 2", len(files), name)
		}
		for _, f := range files {
			if has, err := os.ReadFile(f.Name); err != nil || !bytes.Equal(has, f.Content) {
				t.Errorf("%s is not what %s says (%v): run go generate in this folder", f.Name, name, err)
			}
		}
	}
}
