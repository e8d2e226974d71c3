package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInitRefusesWhatStartRefuses: no home is made that could not be started.
func TestInitRefusesWhatStartRefuses(t *testing.T) {
	t.Setenv("HEADRACE_PASSPHRASE", "correct horse")
	for want, args := range map[string][]string{
		"log.level":         {"--log.level", "loud"},
		"log.format":        {"--log.format", "xml"},
		"http.address":      {"--http.address", "127.0.0.1:73310"},
		"da.token":          {"--da.token", "one\ntwo"},
		"da.data_namespace": {"--da.data_namespace", strings.Repeat("x", 58)},
		"chain_id":          {"--chain-id", "caf\xe9"},
		"genesis: da":       {"--chain-id", strings.Repeat("x", 50)}, // its headers' namespace has 58 characters
	} {
		home := filepath.Join(t.TempDir(), "home")
		got := says(t, want, append([]string{"init", "--sequencer", "--home", home}, args...)...)
		if _, err := os.Stat(home); err == nil || !strings.Contains(got, want) {
			t.Errorf("%s: got %q (%v), want it refused by its name, and no home", want, got, err)
		}
	}
}
