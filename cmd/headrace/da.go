package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"headrace/devnet"
)

func newDA() *cobra.Command {
	var opt devnet.DAOptions
	var level, format string
	cmd := &cobra.Command{
		Use:   "da [flags]",
		Short: "Run a DA layer for development: Celestia's JSON-RPC over HTTP and WebSocket on one port",
		Long: `Run a DA layer for development: Celestia's JSON-RPC over HTTP and WebSocket on one port.

It makes a block at each interval, empty or not. Its address is the first line on standard output; logs go to standard error. Without --home its
history is gone when it stops.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opt.Chain.Interval <= 0 {
				return usagef("--block-time %s is not above zero", opt.Chain.Interval)
			}
			log, err := newLogger(os.Stderr, level, format)
			if err != nil {
				return err
			}
			opt.Logger = log
			server, err := devnet.NewDA(opt)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), server.URL())
			log.Info("started", "chain", server.Chain().ChainID(), "height", server.Chain().Head().Load().Height, "url", server.URL())
			if err := server.Run(cmd.Context()); err != nil {
				return err
			}
			log.Info("stopped", "height", server.Chain().Head().Load().Height)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&opt.Listen, "listen", "127.0.0.1:26658", "listen address; port 0 picks a free one")
	flags.StringVar(&opt.Chain.Dir, "home", "", "directory of the history, made if absent; without it the history is in memory")
	flags.DurationVar(&opt.Chain.Interval, "block-time", time.Second, "time between blocks")
	flags.StringVar(&opt.Chain.ChainID, "chain-id", "headrace-local", "name of the chain")
	flags.StringVar(&level, "log.level", "info", "debug, info, warn or error")
	flags.StringVar(&format, "log.format", "text", "text or json")
	return cmd
}
