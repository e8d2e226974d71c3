package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"headrace/l1"
	"headrace/l1/ethereum"
)

func newInboxProposer() *cobra.Command {
	var to sendFlags
	var remove bool
	cmd := &cobra.Command{
		Use:   "proposer ADDRESS (--home DIR | --inbox ADDRESS --l1.http URL) --l1.key_file FILE [flags]",
		Short: "Allow an L1 account to propose, or with --remove forbid it: the inbox's owner may",
		Args:  oneArgument("the account's address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			proposer, err := l1.ParseAddress(args[0])
			if err != nil {
				return usageError{err}
			}
			return to.send(cmd.Context(), cmd.Flags(), func(ctx context.Context, client *ethereum.Client, account *ethereum.Account) error {
				at, err := setProposer(ctx, client, account, proposer, !remove)
				if err != nil {
					return err
				}
				return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
					Proposer l1.Address `json:"proposer"`
					Allowed  bool       `json:"allowed"`
					L1Block  l1.Ref     `json:"l1_block"`
					Tx       l1.Hash    `json:"transaction"`
				}{proposer, !remove, at.Block, at.Tx})
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&remove, "remove", false, "forbid it")
	to.add(flags, "the inbox's owner")
	return cmd
}

// setProposer allows or forbids an account to propose, once it is seen that the sender may say so: else the transaction would be paid for nothing.
func setProposer(ctx context.Context, client *ethereum.Client, account *ethereum.Account, proposer l1.Address, allowed bool) (l1.Inclusion, error) {
	if err := owns(ctx, client, account); err != nil {
		return l1.Inclusion{}, err
	}
	if proposer == (l1.Address{}) {
		return l1.Inclusion{}, errors.New("the zero address cannot propose")
	}
	at, err := account.SetProposer(ctx, proposer, allowed)
	return at, explain(err)
}

// owns fails if an account does not own the inbox.
func owns(ctx context.Context, client *ethereum.Client, account *ethereum.Account) error {
	owner, err := client.Owner(ctx)
	switch {
	case err != nil:
		return noInbox(err)
	case owner != account.Address():
		return fmt.Errorf("%s, the account of l1.key_file, does not own the inbox %s: %s does", account.Address(), client.Inbox(), owner)
	}
	return nil
}
