package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headrace/da/celestia"
)

func newToken() *cobra.Command {
	var home string
	var lifetime time.Duration
	levels := []string{celestia.Read.String(), celestia.Write.String(), celestia.Admin.String()}
	cmd := &cobra.Command{
		Use:       "token (" + strings.Join(levels, "|") + ") --home DIR",
		Short:     "Make a token for the DA layer of a home: to read, to submit blobs too, or for everything",
		ValidArgs: levels,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)(cmd, args); err != nil {
				return usagef("say what the token is for, one of %s: see %s --help", strings.Join(levels, ", "), cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			level, err := celestia.ParseLevel(args[0])
			if err != nil {
				return err
			}
			secret, err := daSecret(home)
			if err != nil {
				return err
			}
			token, err := celestia.NewToken(secret, level, lifetime)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	cmd.Flags().StringVar(&home, "home", "", "home of the DA layer")
	cmd.Flags().DurationVar(&lifetime, "lifetime", 0, "how long the token is valid; 0: for ever")
	return cmd
}

// daSecret returns the secret that a DA layer's tokens are signed with, from its home, or makes one there.
func daSecret(home string) ([]byte, error) {
	if home == "" {
		return nil, usagef("tokens are signed with a secret that is kept in the home: say --home DIR")
	}
	path := filepath.Join(home, "token.secret")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newSecret(home, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) < secretBytes {
		return nil, fmt.Errorf("read secret: %s does not hold %d hexadecimal digits: restore it, or move it away to make a new one, and new tokens", path, 2*secretBytes)
	}
	return secret, nil
}

const secretBytes = 32

func newSecret(home, path string) ([]byte, error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("make home: %w", err)
	}
	secret := make([]byte, secretBytes)
	_, _ = rand.Read(secret) // never fails: it ends the program instead
	if err := writeNew(path, []byte(hex.EncodeToString(secret)+"\n")); err != nil {
		return nil, fmt.Errorf("write secret: %w", err)
	}
	return secret, nil
}
