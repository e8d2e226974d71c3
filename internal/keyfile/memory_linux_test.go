package keyfile_test

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"headrace/internal/keyfile"
)

var opens = flag.Int("opens", 1, "how often TestMemory opens a key file")

// loadEnv names the key file that the process is to open and then say what memory it has, instead of the tests.
const loadEnv = "KEYFILE_TEST_LOAD"

func TestMain(m *testing.M) {
	if path := os.Getenv(loadEnv); path != "" {
		if err := loadAndTell(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// loadAndTell opens a key file, allocates as a node does at its start, and prints VmRSS and VmHWM in kB.
func loadAndTell(path string) error {
	key, err := keyfile.Load(path, "correct horse", keyfile.Options{})
	if err != nil {
		return err
	}
	var kept [][]byte
	for range 1 << 14 { // 256 MiB, of which 8 stay
		if b := make([]byte, 16<<10); len(kept) < 512 {
			kept = append(kept, b)
			b[0], b[8<<10] = 1, 1
		}
	}
	status, err := os.Open("/proc/self/status")
	if err != nil {
		return err
	}
	defer status.Close()
	for lines := bufio.NewScanner(status); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); name == "VmRSS" || name == "VmHWM" {
			fmt.Println(name, strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		}
	}
	if len(kept) == 0 || key.Public().Address() == nil {
		return fmt.Errorf("nothing was opened")
	}
	return nil
}

// A key file with the usual parameters takes scrypt's 256 MiB while it is opened and none of it afterwards: neither
// does the process keep it, nor does it let the heap grow by as much again.
func TestMemory(t *testing.T) {
	for range *opens {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), loadEnv+"="+filepath.Join("testdata", "usual.age"))
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var rss, peak int
		if _, err := fmt.Sscanf(string(out), "VmHWM %d\nVmRSS %d\n", &peak, &rss); err != nil {
			t.Fatalf("got %q: %v", out, err)
		}
		if rss > 96<<10 || peak < 256<<10 || peak > 320<<10 {
			t.Errorf("got %d MiB, %d at the peak; want at most 96 and, with scrypt's 256, 320", rss>>10, peak>>10)
		}
	}
}
