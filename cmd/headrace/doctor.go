package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"headrace/block"
	"headrace/internal/doctor"
	"headrace/node"
)

// statusWarned is doctor's exit status when nothing is wrong and something is odd.
const statusWarned = 3

func newDoctor() *cobra.Command {
	var home string
	var asJSON bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "Look for what is wrong with a home, its endpoints and its engine, before or while its node runs",
		Long: `Look for what is wrong with a home, its endpoints and its engine, before or while its node runs.

Each line is a check: ok, warn, fail, or skipped, since something that it needs is not ok. Below what is not ok stands what to do about it.

  config, genesis, namespaces   what the node is told, and whether it fits together
  home, store                   whose the home is, and how far its node has come
  key, account, proposer        the key that signs, against the genesis; on an L1 the account that proposes, against the inbox
  disk, space                   how long a write takes to be on the disk; free space
  tls                           the certificate of the node's endpoints: there, of its key, and not about to end
  descriptors                   how many a process may have, against http.max_connections
  node                          who listens at http.address
  reachable, token              of each endpoint: whether it answers, and takes the token, for reading or for writing
  network, inbox, agreement     it is of the chain that the node follows; endpoints agree with each other
  synced, history               it is not behind, and keeps the height that the node needs next, with its content
  start                         the inbox was not there before l1.start_block
  links, news                   its headers link; a subscription delivers a block within two block times
  clock, latency                the machine's clock against a block that has just come; how long an answer takes
  funds                         the account that pays has something
  beacon                        a beacon API is of the L1
  engine, methods, chain, forks, pool   an engine answers; an execution client takes the secret, offers what is needed, and has the same genesis

It posts, signs and pays nothing, writes nothing but a temporary file in the home, and does not take the home's lock. The exit status is 0 if all is well, 3
if there is nothing but warnings, and 1 if a check fails. Settings are taken as by headrace start; of a sequencer the passphrase is needed, which it does not
ask for.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := doctor.Examine(cmd.Context(), doctor.Options{
				Home: home, Timeout: timeout,
				Config: func() (node.Config, error) {
					c, err := loadConfig(home, cmd.Flags())
					if err == nil {
						err = fits(&c)
					}
					return c, err
				},
				Genesis: func() (*block.Genesis, error) { return loadGenesis(home) },
				Key: func(ctx context.Context, c node.Config) (*block.PrivateKey, error) {
					if c.Sequencer.PassphraseFile == "" && os.Getenv("HEADRACE_PASSPHRASE") == "" {
						return nil, doctor.ErrNoPassphrase
					}
					return signingKey(ctx, home, c.Sequencer, slog.New(slog.DiscardHandler))
				},
			})
			if cmd.Context().Err() != nil {
				return errors.New("interrupted")
			}
			return printReport(cmd, &r, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	homeFlag(flags, &home, "directory that headrace init made")
	flags.BoolVar(&asJSON, "json", false, "print JSON: the checks, and how many are ok, warn, fail and skipped")
	flags.DurationVar(&timeout, "timeout", 10*time.Second, "how long a check may take; one that waits for a block may take two block times more")
	flags.AddFlagSet(configFlags())
	return cmd
}

// printReport prints what was found, and returns what the exit status says.
func printReport(cmd *cobra.Command, r *doctor.Report, asJSON bool) (err error) {
	if asJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		err = r.Write(cmd.OutOrStdout())
	}
	switch {
	case err != nil:
		return err
	case r.Fail > 0:
		return errors.New(r.Summary())
	case r.Warn > 0:
		return exitError{errors.New(r.Summary()), statusWarned}
	}
	return nil
}
