package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"strings"

	"github.com/spf13/cobra"

	"headrace/l1"
	"headrace/l1/ethereum"
)

func newInboxForce() *cobra.Command {
	var to sendFlags
	var texts []string
	var most string
	cmd := &cobra.Command{
		Use:   "force --tx 0xHEX|- (--home DIR | --inbox ADDRESS --l1.http URL) --l1.key_file FILE [flags]",
		Short: "Queue transactions for forced inclusion: anybody may",
		Long: `Queue transactions of the rollup in its inbox, as one item, and wait until that is included in a block of the L1: anybody may. The chain's proposer must
take an item that has waited for the inbox's delay.

An inbox of version 2 wants a fee beside the gas, which grows with its queue: headrace inbox show tells what it is. The inbox keeps what the fee is when the
transaction is included; what goes along beyond that comes back at once. Without --max-fee twice the fee of the moment goes along. With it all of that
does, so that the fee may grow so far, or as much as leaves the account what the gas costs at 500 gwei; nothing is sent while the fee is higher.

It prints one line of JSON, with the item's place in the queue, and the fee. Use an account other than the one that a running sequencer proposes with.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			txs, err := readTxs(texts, cmd.InOrStdin())
			if err != nil {
				return err
			}
			if most != "" {
				if to.account.MaxForcedFee, err = parseETH(most); err != nil {
					return usagef("--max-fee %w", err)
				}
			}
			return to.send(cmd.Context(), cmd.Flags(), func(ctx context.Context, client *ethereum.Client, account *ethereum.Account) error {
				return force(ctx, cmd.OutOrStdout(), client, account, txs)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&texts, "tx", nil, "a transaction of the rollup, in hexadecimal; may be repeated; - reads them from standard input, one a line")
	flags.StringVar(&most, "max-fee", "", "ETH that the inbox's fee may come to, such as 0.001; all of it goes along, and what is not needed comes back; default: twice the fee of the moment")
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
	queued, err := client.Queued(ctx, at)
	if err != nil {
		return fmt.Errorf("queued by transaction %s in L1 block %d, but: %w", at.Tx, at.Block.Height, err)
	}
	return json.NewEncoder(out).Encode(struct {
		Index   uint64      `json:"index"`
		L1Block l1.Ref      `json:"l1_block"`
		Tx      l1.Hash     `json:"transaction"`
		FeeETH  json.Number `json:"fee_eth"`
	}{queued.Index, at.Block, at.Tx, json.Number(eth(queued.Fee))})
}

// ether is how many wei an ETH has.
var ether = big.NewInt(1e18)

// eth writes wei as ETH, exactly.
func eth(wei *big.Int) string {
	text := new(big.Rat).SetFrac(wei, ether).FloatString(18)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// parseETH reads an amount of ETH, which is 0 or more and has no more than 18 places.
func parseETH(text string) (*big.Int, error) {
	if len(text) <= 60 && strings.Trim(text, "0123456789.") == "" {
		if r, ok := new(big.Rat).SetString(text); ok && r.Mul(r, new(big.Rat).SetInt(ether)).IsInt() {
			return r.Num(), nil
		}
	}
	return nil, fmt.Errorf("%q is not an amount of ETH, such as 0.001", text)
}
