package geth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/ethereum/go-ethereum/version"

	"headrace/devnet/program"
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
	name := "geth"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path, err := program.Once(ctx, fmt.Sprintf("geth-%s-%s-%s-%s", Version, runtime.Version(), runtime.GOOS, runtime.GOARCH), name, func(path string) error {
		return build(ctx, path)
	})
	if err != nil {
		return "", fmt.Errorf("build geth %s: %w", Version, err)
	}
	return path, nil
}

// build makes the binary at path. Inside a module that has go-ethereum it is that module's; anywhere else the go command fetches
// Version.
func build(ctx context.Context, path string) error {
	inModule := goCommand(ctx, nil, "build", "-o", path, module)
	if inModule != nil {
		if err := goCommand(ctx, []string{"GOBIN=" + filepath.Dir(path)}, "install", module+"@"+Version); err != nil {
			return errors.Join(inModule, err)
		}
	}
	return nil
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
