package geth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/ethereum/go-ethereum/version"
	"github.com/gofrs/flock"
)

const module = "github.com/ethereum/go-ethereum/cmd/geth"

// Version is the go-ethereum that Binary builds: the one this module is linked with.
var Version = fmt.Sprintf("v%d.%d.%d", version.Major, version.Minor, version.Patch)

// Binary returns the path of a geth of Version. It is $HEADRACE_GETH when that is set; else it is built by the go command into the user's
// cache directory the first time anyone asks, and found there afterwards. Processes that ask at the same time build it once.
func Binary(ctx context.Context) (string, error) {
	if path := os.Getenv("HEADRACE_GETH"); path != "" {
		return path, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find geth: %w", err)
	}
	dir := filepath.Join(cache, "headrace", fmt.Sprintf("geth-%s-%s-%s-%s", Version, runtime.Version(), runtime.GOOS, runtime.GOARCH))
	path := filepath.Join(dir, "geth")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("find geth: %w", err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	// A probe of what another process does: it holds the lock while it builds.
	if _, err := lock.TryLockContext(ctx, 50*time.Millisecond); err != nil {
		return "", fmt.Errorf("wait for another build of geth: %w", err)
	}
	defer lock.Unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := build(ctx, dir, path); err != nil {
		return "", fmt.Errorf("build geth %s: %w", Version, err)
	}
	return path, nil
}

// build makes the binary in a directory beside path and moves it into place, so that path is never half a file. Inside a module that
// has go-ethereum it is that module's; anywhere else the go command fetches Version.
func build(ctx context.Context, dir, path string) error {
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	built := filepath.Join(work, filepath.Base(path))
	inModule := goCommand(ctx, nil, "build", "-o", built, module)
	if inModule != nil {
		if err := goCommand(ctx, []string{"GOBIN=" + work}, "install", module+"@"+Version); err != nil {
			return errors.Join(inModule, err)
		}
	}
	return os.Rename(built, path)
}

func goCommand(ctx context.Context, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, out)
	}
	return nil
}
