package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"headrace/block"
	"headrace/internal/keyfile"
	"headrace/node"
)

// signerName is the file in which an ev-node has its signing key.
const signerName = "signer.json"

// exportOptions are the flags of export that are no settings.
type exportOptions struct {
	home           string
	dir            string
	key            bool
	passphraseFile string
}

func newExport() *cobra.Command {
	var opt exportOptions
	cmd := &cobra.Command{
		Use:   "export --evolve DIR [flags]",
		Short: "Write what an ev-node of the same chain needs: to leave costs nothing",
		Long: `Write what an ev-node of the same chain needs into a directory: its genesis.json, with the DA height at which the chain begins. The namespaces,
which are settings of an ev-node, are printed.

With --key, for which a sequencer must be stopped, the signing key is written too, as signer.json: an Ed25519 key, since an ev-node takes no other. It is
encrypted with the passphrase in --passphrase-file, or in HEADRACE_PASSPHRASE, or one that is asked for. From then on one of the two may run, and never both:
two sequencers with one key sign two blocks for one height. The home stays as it is; if it is started again, it waits before it signs, and goes on waiting
while another sequencer is at work. docs/EVOLVE.md has the steps.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opt.dir == "" {
				return usagef("say --evolve DIR: the directory to write to")
			}
			config, err := loadConfig(opt.home, cmd.Flags())
			if err != nil {
				return err
			}
			return export(cmd.Context(), cmd.OutOrStdout(), opt, config)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	homeFlag(flags, &opt.home, "directory that headrace init made")
	flags.StringVar(&opt.dir, "evolve", "", "directory to write an ev-node's files to; nothing in it is overwritten")
	flags.BoolVar(&opt.key, "key", false, "write the signing key too")
	flags.StringVar(&opt.passphraseFile, "passphrase-file", "", "file that holds the passphrase of "+signerName)
	flags.AddFlagSet(configFlags())
	return cmd
}

// export writes the files. Either all of them are made, or none.
func export(ctx context.Context, out io.Writer, opt exportOptions, config node.Config) error {
	log, _, err := nodeLogger(os.Stderr, config.Log)
	if err != nil {
		return err
	}
	genesis, err := loadGenesis(opt.home)
	if err != nil {
		return err
	}
	if opt.key && !config.Sequencer.Enabled {
		return fmt.Errorf("%s is a full node's home: there is no signing key to export", opt.home)
	}
	made := newFiles{home: opt.dir}
	if err := made.absent(genesisName, signerName); err != nil {
		return err
	}
	of := node.Options{Home: opt.home, Genesis: genesis, Config: config, Logger: log}
	return onDisk(node.Leave(of, opt.key, func(left node.Left) error {
		if opt.key {
			if err := addSigner(ctx, &made, opt, config.Sequencer); err != nil {
				return err
			}
		}
		theirs := evolveGenesis(genesis, left.Start)
		made.add(genesisName, func(path string) error { return writeNew(path, theirs.Encode()) })
		if err := made.write(); err != nil {
			return err
		}
		describeExport(out, opt, theirs, left)
		return nil
	}))
}

// evolveGenesis returns the genesis as an ev-node checks it.
func evolveGenesis(g *block.Genesis, daStart uint64) *block.Genesis {
	theirs := *g
	theirs.DA, theirs.DAStartHeight = nil, daStart
	if theirs.DAEpochForcedInclusion == 0 {
		theirs.DAEpochForcedInclusion = block.EvolveEpoch
	}
	return &theirs
}

// addSigner adds the signing key as an ev-node has it.
func addSigner(ctx context.Context, made *newFiles, opt exportOptions, c node.SequencerConfig) error {
	key, err := signingKey(ctx, opt.home, c, nil)
	if err != nil {
		return err
	}
	if kind := key.Public().Type(); kind != block.Ed25519 {
		return fmt.Errorf("%w: %s: an ev-node can follow this chain, and not sign for it; nothing was written", keyfile.ErrNotEd25519, kind)
	}
	if opt.passphraseFile == "" && os.Getenv("HEADRACE_PASSPHRASE") == "" && term.IsTerminal(int(os.Stdin.Fd())) {
		fmt.Fprintf(os.Stderr, "Choose the passphrase of %s.\n", signerName)
	}
	pass, err := passphrase(ctx, opt.passphraseFile, true)
	if err != nil {
		return err
	}
	made.add(signerName, func(path string) error { return keyfile.Export(path, key, pass) })
	return nil
}

func describeExport(out io.Writer, opt exportOptions, g *block.Genesis, left node.Left) {
	fmt.Fprintf(out, "Wrote what an ev-node of the chain %q needs into %s:\n", g.ChainID, opt.dir)
	at := fmt.Sprintf("the chain begins at DA height %d", g.DAStartHeight)
	if g.DAStartHeight == 0 {
		at = "from which DA height the chain is, is not known yet: da_start_height is 0"
	}
	fmt.Fprintf(out, "  %-14s %s\n", genesisName, at)
	if opt.key {
		fmt.Fprintf(out, "  %-14s the signing key, under the passphrase: never run two sequencers with it\n", signerName)
	}
	fmt.Fprintf(out, "Its settings:\n  da.namespace       %s\n  da.data_namespace  %s\n", "0x"+left.Header.String(), "0x"+left.Data.String())
	if opt.key {
		fmt.Fprintf(out, "It makes blocks only after it has followed the chain to its last one: see docs/EVOLVE.md.\n")
	}
}
