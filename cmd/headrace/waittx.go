package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headrace/await"
	"headrace/internal/redact"
)

// newTxWait returns the command that waits for a transaction by its hash, at nodes that keep an index.
func newTxWait() *cobra.Command {
	var at nodesAt
	head := "safe"
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "tx HASH [flags]",
		Short: "Wait until a transaction is in a block, whoever has sent it",
		Long: `Wait until a transaction is in a block up to a node's head, whoever has sent it, and when.

HASH is Ethereum's on an EVM chain, elsewhere the SHA-256 of the transaction's bytes: POST /v1/txs answers it. It may have 0x before it. The line that is printed
has the block, the place in it and, on an EVM chain, the receipt. The node finds what is in blocks that it has stored with index.txs: all.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("it takes one argument, the transaction's hash: see %s --help", cmd.CommandPath())
			}
			var hash await.Hash
			if hash.UnmarshalText([]byte(strings.TrimPrefix(strings.ToLower(args[0]), "0x"))) != nil {
				return usagef("%s is not a transaction's hash: 64 hexadecimal digits, with 0x or without", redact.Refused(args[0]))
			}
			label, err := labelOf(head)
			if err != nil {
				return err
			}
			return waitNodes(cmd, &at, timeout, func(ctx context.Context, c *await.Client) (await.State, error) {
				return c.Tx(ctx, hash, await.WithLabel(label))
			})
		},
	}
	at.flags(cmd)
	timeoutFlag(cmd, &timeout)
	cmd.Flags().StringVar(&head, "head", "safe", "up to which head: safe, unsafe or finalized")
	return cmd
}
