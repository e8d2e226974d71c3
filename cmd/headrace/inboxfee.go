package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"headrace/l1"
	"headrace/l1/ethereum"
)

func newInboxFee() *cobra.Command {
	var to sendFlags
	cmd := &cobra.Command{
		Use:   "fee GAS (--home DIR | --inbox ADDRESS --l1.http URL) --l1.key_file FILE [flags]",
		Short: "Set what an item of the forced queue costs, in gas for each byte: the inbox's owner may",
		Long: `Set what an item of the forced queue costs from now on, in gas for each byte while nothing waits: the inbox's owner may. 0 is no fee. What waits
has been paid for, and nothing changes for it. headrace inbox show tells what the fee is.`,
		Args: oneArgument("the gas"),
		RunE: func(cmd *cobra.Command, args []string) error {
			gas, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || gas > ethereum.MostForcedFee {
				return usagef("%q is not a number from 0 to %d", args[0], ethereum.MostForcedFee)
			}
			return to.send(cmd.Context(), cmd.Flags(), func(ctx context.Context, client *ethereum.Client, account *ethereum.Account) error {
				if err := ownsFees(ctx, client, account); err != nil {
					return err
				}
				at, err := account.SetForcedFee(ctx, gas)
				if err != nil {
					return explain(err)
				}
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					ForcedFee uint64  `json:"forced_fee"`
					L1Block   l1.Ref  `json:"l1_block"`
					Tx        l1.Hash `json:"transaction"`
				}{gas, at.Block, at.Tx})
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	to.add(flags, "the inbox's owner")
	return cmd
}

func newInboxWithdraw() *cobra.Command {
	var to sendFlags
	cmd := &cobra.Command{
		Use:   "withdraw ADDRESS (--home DIR | --inbox ADDRESS --l1.http URL) --l1.key_file FILE [flags]",
		Short: "Pay out what the fees of the forced queue have brought: the inbox's owner may",
		Args:  oneArgument("the account's address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			payee, err := l1.ParseAddress(args[0])
			if err != nil {
				return usageError{err}
			}
			if payee == (l1.Address{}) {
				return usagef("nobody has the zero address")
			}
			return to.send(cmd.Context(), cmd.Flags(), func(ctx context.Context, client *ethereum.Client, account *ethereum.Account) error {
				if err := ownsFees(ctx, client, account); err != nil {
					return err
				}
				at, err := account.Withdraw(ctx, payee)
				if err != nil {
					return explain(err)
				}
				paid, err := client.Withdrawn(ctx, at)
				if err != nil {
					return fmt.Errorf("paid out by transaction %s in L1 block %d, but: %w", at.Tx, at.Block.Height, err)
				}
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					To        l1.Address  `json:"to"`
					AmountETH json.Number `json:"amount_eth"`
					L1Block   l1.Ref      `json:"l1_block"`
					Tx        l1.Hash     `json:"transaction"`
				}{payee, json.Number(eth(paid)), at.Block, at.Tx})
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	to.add(flags, "the inbox's owner")
	return cmd
}

// oneArgument accepts one argument alone.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("it takes one argument, %s: see %s --help", what, cmd.CommandPath())
		}
		return nil
	}
}

// ownsFees fails if an account does not own the inbox, or the inbox has no fees: then the transaction would be paid for nothing.
func ownsFees(ctx context.Context, client *ethereum.Client, account *ethereum.Account) error {
	settings, err := client.Settings(ctx)
	switch {
	case err != nil:
		return noInbox(err)
	case settings.Version() == 1:
		return fmt.Errorf("the inbox %s is of version 1, which has no fees", client.Inbox())
	}
	return owns(ctx, client, account)
}
