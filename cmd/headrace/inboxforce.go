package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"headrace/l1"
	"headrace/l1/ethereum"
)

func newInboxForce() *cobra.Command {
	var to sendFlags
	var texts []string
	cmd := &cobra.Command{
		Use:   "force --tx 0xHEX|- (--home DIR | --inbox ADDRESS --l1.http URL) --l1.key_file FILE [flags]",
		Short: "Queue transactions for forced inclusion: anybody may",
		Long: `Queue transactions of the rollup in its inbox, as one item, and wait until that is included in a block of the L1: anybody may. The chain's proposer must
take an item that has waited for the inbox's delay.

It prints one line of JSON, with the item's place in the queue. Use an account other than the one that a running sequencer proposes with.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			txs, err := readTxs(texts, cmd.InOrStdin())
			if err != nil {
				return err
			}
			return to.send(cmd.Context(), cmd.Flags(), func(ctx context.Context, client *ethereum.Client, account *ethereum.Account) error {
				return force(ctx, cmd.OutOrStdout(), client, account, txs)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&texts, "tx", nil, "a transaction of the rollup, in hexadecimal; may be repeated; - reads them from standard input, one a line")
	to.add(flags, "the L1 account that pays")
	return cmd
}

// readTxs reads the transactions of --tx, and those on in if one of them is "-".
func readTxs(texts []string, in io.Reader) (txs [][]byte, err error) {
	for _, text := range texts {
		if text == "-" {
			lines := bufio.NewScanner(in)
			lines.Buffer(nil, 4*l1.MaxForced)
			for lines.Scan() {
				if line := strings.TrimSpace(lines.Text()); line != "" {
					if txs, err = appendTx(txs, line); err != nil {
						return nil, err
					}
				}
			}
			if err := lines.Err(); err != nil {
				return nil, fmt.Errorf("read transactions: %w", err)
			}
			continue
		}
		if txs, err = appendTx(txs, text); err != nil {
			return nil, err
		}
	}
	if len(txs) == 0 {
		return nil, usagef("there is no transaction: say --tx 0xHEX, or --tx - to read them from standard input")
	}
	if n := len(l1.EncodeTxs(txs)); n > l1.MaxForced {
		return nil, usagef("the transactions have %d bytes together, and an item of the queue at most %d: queue fewer at a time", n, l1.MaxForced)
	}
	return txs, nil
}

func appendTx(txs [][]byte, text string) ([][]byte, error) {
	tx, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
	if err != nil || len(tx) == 0 {
		return nil, usagef("--tx: %.20q is not a transaction: 0x and hexadecimal digits", text)
	}
	return append(txs, tx), nil
}

func force(ctx context.Context, out io.Writer, client *ethereum.Client, account *ethereum.Account, txs [][]byte) error {
	if _, err := client.State(ctx, l1.Hash{}); err != nil { // a transaction to what is not an inbox would be paid for nothing
		return noInbox(err)
	}
	at, err := account.Force(ctx, txs)
	if err != nil {
		return explain(err)
	}
	index, err := client.ForcedIndex(ctx, at)
	if err != nil {
		return fmt.Errorf("queued by transaction %s in L1 block %d, but: %w", at.Tx, at.Block.Height, err)
	}
	return json.NewEncoder(out).Encode(struct {
		Index   uint64  `json:"index"`
		L1Block l1.Ref  `json:"l1_block"`
		Tx      l1.Hash `json:"transaction"`
	}{index, at.Block, at.Tx})
}
