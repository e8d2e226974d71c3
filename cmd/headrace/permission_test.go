package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Advice fits the cause: a file that may not be read is not one to mend.
func TestUnreadableConfiguration(t *testing.T) {
	path := filepath.Join(t.TempDir(), configName)
	if err := os.WriteFile(path, []byte("da: {}\n"), 0o000); err != nil {
		t.Fatal(err)
	}
	if f, err := os.Open(path); err == nil {
		_ = f.Close()
		t.Skip("this user may read everything")
	}
	_, err := readFile(path)
	if err == nil || !strings.Contains(err.Error(), "may not be read") || strings.Contains(err.Error(), "mend") {
		t.Errorf("got %v, want that the user has not the right", err)
	}
}
