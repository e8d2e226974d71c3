// Command cmd writes the Go code of a Protobuf file beside it: cmd FILE NAME, where
// programs know it by NAME.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"headrace/exec/internal/gen"
)

func main() {
	if err := write(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("want a file and a name, got %q", args)
	}
	files, err := gen.Generate(ctx, args[0], args[1])
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(filepath.Dir(args[0]), f.Name), f.Content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
