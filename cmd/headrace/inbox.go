package main

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"headrace/internal/redact"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/node"
)

func newInbox() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inbox",
		Short: "Deploy, look at and use the inbox contract of a chain on an Ethereum L1",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("say what to do with it: see %s --help", cmd.CommandPath())
		},
	}
	cmd.AddCommand(newInboxDeploy(), newInboxShow(), newInboxForce(), newInboxProposer(), newInboxFee(), newInboxWithdraw())
	return cmd
}

// l1Flags returns the flags of some of the l1 settings.
func l1Flags(names ...string) *pflag.FlagSet {
	all, some := configFlags(), pflag.NewFlagSet("l1", pflag.ContinueOnError)
	some.SortFlags = false
	for _, name := range names {
		some.AddFlag(all.Lookup("l1" + delimiter + name))
	}
	return some
}

// l1Settings reads the settings from the environment and the flags.
func l1Settings(flags *pflag.FlagSet) (node.L1Config, error) {
	env, err := readEnv()
	if err != nil {
		return node.L1Config{}, fmt.Errorf("environment: %w", err)
	}
	given, err := readFlags(flags)
	if err != nil {
		return node.L1Config{}, err
	}
	c, err := makeConfig(env, given)
	if err != nil {
		return c.L1, usageError{err}
	}
	return c.L1.In("") // without a home a path is one of the working directory
}

// l1Options returns the options of a client of an inbox, whose chain's id is asked for.
func l1Options(ctx context.Context, c node.L1Config) (opt ethereum.Options, err error) {
	read := slices.Concat(c.HTTP, c.WS)
	if len(read) == 0 {
		return opt, usagef("say --l1.http URL, or --l1.ws, of an Ethereum node of the L1, for example http://127.0.0.1:8545")
	}
	var id uint64
	for _, at := range read {
		if id, err = ethereum.AskChainID(ctx, at, c.CallTimeout); err == nil || ctx.Err() != nil {
			break
		}
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return opt, fmt.Errorf("interrupted: %w", err)
	case err != nil:
		return opt, fmt.Errorf("%w: is an Ethereum node running at %s? --l1.http and --l1.ws name another one", err, strings.Join(redact.Addresses(urls(read)), " or "))
	}
	opt = endpoints(c)
	opt.ChainID = id
	return opt, nil
}

// endpoints returns options with what the configuration says of the L1's endpoints.
func endpoints(c node.L1Config) ethereum.Options {
	log, err := newLogger(os.Stderr, "warn", "text")
	if err != nil {
		panic(err) // both are known
	}
	return ethereum.Options{WS: c.WS, HTTP: c.HTTP, Beacon: c.Beacon, CallTimeout: c.CallTimeout, Logger: log}
}

// accountKey reads the key of the account that sends.
func accountKey(c node.L1Config) (*ecdsa.PrivateKey, error) {
	if c.KeyFile == "" {
		return nil, usagef("say --l1.key_file FILE: it holds the private key, in hexadecimal, of the L1 account that sends and pays")
	}
	return ethereum.ReadKey(c.KeyFile)
}

// explain says what to do about an account's failure to send.
func explain(err error) error {
	switch {
	case errors.Is(err, l1.ErrFunds):
		return fmt.Errorf("%w: send the account some of the L1's ether", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: not included when --timeout was up; the same command again replaces the transaction, if it is not included by then", err)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %w", err)
	}
	return err
}

// addTimeout adds the bound of a command that sends a transaction.
func addTimeout(flags *pflag.FlagSet, timeout *time.Duration) {
	flags.DurationVar(timeout, "timeout", 5*time.Minute, "how long to wait until the transaction is included in a block of the L1")
}

// forcedFee is the default of --forced-fee: about what an item makes a proposer pay for, in the call data of a proposal.
const forcedFee = 16

// deployOptions are the flags of inbox deploy that are no settings.
type deployOptions struct {
	owner     string
	proposers []string
	delay     time.Duration
	room      int
	fee       uint64
	timeout   time.Duration
}

func newInboxDeploy() *cobra.Command {
	var opt deployOptions
	cmd := &cobra.Command{
		Use:   "deploy --l1.http URL --l1.key_file FILE [flags]",
		Short: "Make an inbox contract on an L1",
		Long: `Make an inbox contract on an L1, and wait until it is included in a block.

It prints one line of JSON, with the address that headrace init --inbox wants. The account of --l1.key_file pays and becomes the contract's owner, who
may name other proposers later, with headrace inbox proposer. What is said here of forced inclusion cannot be changed afterwards, but for the fee, with
headrace inbox fee. The fees are the owner's: headrace inbox withdraw.

An item of the forced queue takes its bytes of --forced-room, and 1536 beside them. It costs --forced-fee for each of these bytes, at the L1's base
fee, and as much again for each --forced-room that waits before it, in proportion.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := l1Settings(cmd.Flags())
			if err != nil {
				return err
			}
			return deployInbox(cmd.Context(), cmd.OutOrStdout(), c, opt)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.AddFlagSet(l1Flags("ws", "http"))
	flags.AddFlagSet(l1Flags("key_file"))
	flags.Lookup("l1.key_file").Usage = "a file with the private key, in hexadecimal, of the L1 account that pays and owns"
	flags.StringArrayVar(&opt.proposers, "proposer", nil, "L1 account that may propose; may be repeated; default: the one of --l1.key_file")
	flags.StringVar(&opt.owner, "owner", "", "L1 account that may name proposers; default: the one of --l1.key_file")
	flags.DurationVar(&opt.delay, "forced-delay", time.Hour, "after so long in the queue of forced transactions, the next proposal must take an item")
	flags.IntVar(&opt.room, "forced-room", l1.DefaultRoom, fmt.Sprintf("bytes that items of that queue take of a proposal at most: the default holds 3 of the largest ones, of 32 KiB, and always fits into call data; from %d to %d", l1.MinRoom, l1.MaxRoom))
	flags.Uint64Var(&opt.fee, "forced-fee", forcedFee, fmt.Sprintf("gas that an item costs for each byte while no other waits, beside that of its transaction; up to %d", ethereum.MostForcedFee))
	addTimeout(flags, &opt.timeout)
	flags.AddFlagSet(l1Flags("call_timeout"))
	return cmd
}

// contract checks the flags, and makes of them what package ethereum takes.
func (o *deployOptions) contract(own l1.Address) (c ethereum.Contract, err error) {
	if o.delay < 0 || o.delay%time.Second != 0 {
		return c, usagef("--forced-delay %s is not a whole number of seconds, which is what the contract counts in", o.delay)
	}
	if o.delay > ethereum.MostForcedDelay {
		return c, usagef("--forced-delay %s is longer than %s", shortDuration(o.delay), shortDuration(ethereum.MostForcedDelay))
	}
	if o.room < l1.MinRoom || o.room > l1.MaxRoom {
		return c, usagef("--forced-room %d is not from %d to %d", o.room, l1.MinRoom, l1.MaxRoom)
	}
	if o.fee > ethereum.MostForcedFee {
		return c, usagef("--forced-fee %d is not from 0 to %d", o.fee, ethereum.MostForcedFee)
	}
	settings := l1.Settings{ForcedDelay: uint64(o.delay / time.Second), ForcedRoom: o.room}
	c = ethereum.Contract{Owner: own, Settings: settings, ForcedFee: o.fee, Proposers: []l1.Address{own}}
	if o.owner != "" {
		if c.Owner, err = address("owner", o.owner); err != nil {
			return c, err
		}
	}
	if len(o.proposers) > 0 {
		c.Proposers = nil
	}
	for _, text := range o.proposers {
		a, err := address("proposer", text)
		if err != nil {
			return c, err
		}
		c.Proposers = append(c.Proposers, a)
	}
	return c, nil
}

// address reads a flag that is an L1 address other than zero.
func address(flag, text string) (l1.Address, error) {
	a, err := l1.ParseAddress(text)
	if err != nil {
		return a, usagef("--%s %w", flag, err)
	}
	if a == (l1.Address{}) {
		return a, usagef("--%s is the zero address", flag)
	}
	return a, nil
}

func deployInbox(ctx context.Context, out io.Writer, c node.L1Config, opt deployOptions) error {
	key, err := accountKey(c)
	if err != nil {
		return err
	}
	contract, err := opt.contract(ethereum.AddressOf(key))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, opt.timeout)
	defer cancel()
	at, err := l1Options(ctx, c)
	if err != nil {
		return err
	}
	made, in, err := ethereum.Deploy(ctx, at, ethereum.AccountOptions{}, key, contract)
	if err != nil {
		return explain(err)
	}
	return json.NewEncoder(out).Encode(struct {
		ChainID    uint64       `json:"chain_id"`
		Inbox      l1.Address   `json:"inbox"`
		StartBlock uint64       `json:"start_block"`
		Owner      l1.Address   `json:"owner"`
		Proposers  []l1.Address `json:"proposers"`
	}{at.ChainID, made, in.Height, contract.Owner, contract.Proposers})
}
