package devchain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"headrace/devnet/program"
)

// npm holds a directory for each kind, and one for Node: what npm installs, to the hash of each package, and what runs it.
//
//go:embed npm
var npm embed.FS

// Install returns the directory that a kind is installed in. Processes that ask at the same time install it once. It needs npm, of
// whatever version, and a registry that answers: no script of a package is run.
func Install(ctx context.Context, kind Kind) (string, error) {
	node, err := installNode(ctx)
	if err != nil {
		return "", err
	}
	return install(ctx, string(kind), pathWith(node))
}

// installNode returns the directory of the Node that runs the others.
func installNode(ctx context.Context) (string, error) {
	dir, err := install(ctx, "node", os.Getenv("PATH"))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(nodeIn(dir)); err != nil {
		return "", fmt.Errorf("npm has no Node of the pinned version for %s on %s", runtime.GOOS, runtime.GOARCH)
	}
	return dir, nil
}

func nodeIn(dir string) string { return filepath.Join(dir, "node_modules", ".bin", "node") }

// pathWith is $PATH with the Node in a directory before all else. Hardhat wants a newer one than many systems have, and npm leaves out
// what the Node that it runs on is too old for.
func pathWith(node string) string {
	return filepath.Dir(nodeIn(node)) + string(filepath.ListSeparator) + os.Getenv("PATH")
}

// install has npm install what a directory of the embedded ones names.
func install(ctx context.Context, name, path string) (string, error) {
	sub, err := fs.Sub(npm, "npm/"+name)
	if err != nil {
		return "", err
	}
	sum, err := hash(sub)
	if err != nil {
		return "", err
	}
	dir, err := program.Once(ctx, fmt.Sprintf("npm-%s-%x-%s-%s", name, sum, runtime.GOOS, runtime.GOARCH), "installed", func(dir string) error {
		if err := os.CopyFS(dir, sub); err != nil {
			return err
		}
		return ci(ctx, dir, path)
	})
	if err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	return dir, nil
}

// hash names the content of a directory.
func hash(dir fs.FS) (sum []byte, err error) {
	h := sha256.New()
	err = fs.WalkDir(dir, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(dir, path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(content), content)
		return err
	})
	return h.Sum(nil)[:6], err
}

// ci has npm install what the lock file in dir says. It does not try again: whoever is offline is to know at once.
func ci(ctx context.Context, dir, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	script, err := exec.LookPath("npm")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, script, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=0", "--fetch-timeout=60000", "--loglevel=error")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+path)
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", err, firstLines(out, 3))
	}
	return nil
}

// firstLines returns the first lines of a program's output as one.
func firstLines(out []byte, n int) []byte {
	lines := bytes.SplitN(bytes.TrimSpace(out), []byte("\n"), n+1)
	return bytes.Join(lines[:min(n, len(lines))], []byte("; "))
}
