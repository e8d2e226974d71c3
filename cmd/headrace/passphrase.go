package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// passphrase returns the signing key's passphrase: from the file if one is named, else from HEADRACE_PASSPHRASE, else asked for on the terminal, twice when it
// is a new one.
func passphrase(ctx context.Context, file string, isNew bool) (string, error) {
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read passphrase: %w", err)
		}
		pass := strings.TrimRight(string(text), "\r\n")
		if pass == "" {
			return "", fmt.Errorf("read passphrase: %s is empty", file)
		}
		return pass, nil
	}
	if pass := os.Getenv("HEADRACE_PASSPHRASE"); pass != "" {
		return pass, nil
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return "", errors.New("there is no passphrase for the signing key: name a file that holds it (--passphrase-file to init and export, sequencer.passphrase_file to start), set HEADRACE_PASSPHRASE, or run on a terminal")
	}
	pass, err := ask(ctx, "Passphrase of the signing key: ")
	if err != nil || !isNew {
		return pass, err
	}
	again, err := ask(ctx, "The same again: ")
	switch {
	case err != nil:
		return "", err
	case again != pass:
		return "", errors.New("the two passphrases differ: nothing was made")
	case pass == "":
		return "", errors.New("the passphrase is empty: nothing was made")
	}
	return pass, nil
}

// ask reads a line from the terminal without showing it, until ctx ends. The read cannot be interrupted: after ctx's end its goroutine stays behind
// until the process ends, which is at once, and the terminal's echo is restored here.
func ask(ctx context.Context, prompt string) (string, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read passphrase: %w", err)
	}
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr)
	type answer struct {
		text []byte
		err  error
	}
	answered := make(chan answer, 1) // sent to by the reader, once
	go func() {
		text, err := term.ReadPassword(fd)
		answered <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		_ = term.Restore(fd, before)
		return "", errors.New("interrupted")
	case a := <-answered:
		if a.err != nil {
			return "", fmt.Errorf("read passphrase: %w", a.err)
		}
		return string(a.text), nil
	}
}
