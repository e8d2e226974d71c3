package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"headrace/node"
)

func newRepair() *cobra.Command {
	var home string
	var startOver bool
	cmd := &cobra.Command{
		Use:   "repair [flags]",
		Short: "Look at all that a home has on disk, and mend what cannot be read",
		Long: `Look at all that a home has on disk, and mend what cannot be read. Stop its node first.

Blocks that cannot be read are read from the DA layer, or the L1, again; the rest of the store is copied. What was there before stays as store.damaged,
which may be removed. An engine's part of the home, the key-value engine's state or the index of an execution client's blocks, is removed if it is damaged: the
engine is given the blocks again at the next start. Nothing that is whole is changed. How far it is is logged to the standard error. If it is interrupted, or
fails, run it again: until all is rebuilt the home stays as it is.

If more of the store is damaged than blocks, --start-over moves it away, and the node reads its chain from the beginning. A sequencer then forgets the
blocks that it has signed and never posted, and signs others in their place.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadConfig(home, cmd.Flags())
			if err != nil {
				return err
			}
			log, _, err := nodeLogger(os.Stderr, config.Log)
			if err != nil {
				return err
			}
			genesis, err := loadGenesis(home)
			if err != nil {
				return err
			}
			say := func(format string, a ...any) { fmt.Fprintf(cmd.OutOrStdout(), format+"\n", a...) }
			return onDisk(node.Repair(cmd.Context(), node.Options{Home: home, Genesis: genesis, Config: config, Logger: log}, startOver, say))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	homeFlag(flags, &home, "directory that headrace init made")
	flags.BoolVar(&startOver, "start-over", false, "move the store away, whatever is in it, and read the chain from the beginning")
	flags.AddFlagSet(configFlags())
	return cmd
}
