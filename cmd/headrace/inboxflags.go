package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"headrace/block"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/node"
)

// inboxFlags say which inbox a command is about: one by its address, or the one of a home's chain.
type inboxFlags struct{ home, inbox string }

func (f *inboxFlags) add(flags *pflag.FlagSet) {
	homeFlag(flags, &f.home, "home of a node of the inbox's chain, whose genesis and settings are used")
	flags.StringVar(&f.inbox, "inbox", "", "address of the inbox, 0x and 40 hexadecimal digits, with --l1.http or --l1.ws; --home is not used then")
	flags.AddFlagSet(l1Flags("ws", "http"))
}

// open returns a client of the inbox, which the caller closes, and the settings that it was made with.
func (f *inboxFlags) open(ctx context.Context, flags *pflag.FlagSet) (*ethereum.Client, node.L1Config, error) {
	c, opt, err := f.resolve(ctx, flags)
	if err != nil {
		return nil, c, err
	}
	client, err := ethereum.New(opt)
	return client, c, err
}

// sendFlags are those of a command that sends a transaction to an inbox.
type sendFlags struct {
	inboxFlags
	timeout time.Duration
	account ethereum.AccountOptions // of the account that sends
}

// add adds the flags; whose says whose key it is that signs.
func (f *sendFlags) add(flags *pflag.FlagSet, whose string) {
	f.inboxFlags.add(flags)
	flags.AddFlagSet(l1Flags("key_file"))
	flags.Lookup("l1.key_file").Usage = "a file with the private key, in hexadecimal, of " + whose
	addTimeout(flags, &f.timeout)
	flags.AddFlagSet(l1Flags("call_timeout"))
}

// send calls do with a client of the inbox and the account that sends, within the timeout.
func (f *sendFlags) send(ctx context.Context, flags *pflag.FlagSet, do func(context.Context, *ethereum.Client, *ethereum.Account) error) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	client, c, err := f.open(ctx, flags)
	if err != nil {
		return err
	}
	defer client.Close()
	key, err := accountKey(c)
	if err != nil {
		return err
	}
	return do(ctx, client, ethereum.NewAccount(client, key, f.account))
}

func (f *inboxFlags) resolve(ctx context.Context, flags *pflag.FlagSet) (c node.L1Config, opt ethereum.Options, err error) {
	if f.inbox == "" {
		return f.ofHome(flags)
	}
	at, err := address("inbox", f.inbox)
	if err != nil {
		return c, opt, err
	}
	if c, err = l1Settings(flags); err != nil {
		return c, opt, err
	}
	opt, err = l1Options(ctx, c)
	opt.Inbox = at
	return c, opt, err
}

func (f *inboxFlags) ofHome(flags *pflag.FlagSet) (c node.L1Config, opt ethereum.Options, err error) {
	config, err := loadConfig(f.home, flags)
	if err != nil {
		return c, opt, fmt.Errorf("%w; or say --inbox 0x... and --l1.http URL", err)
	}
	genesis, err := block.LoadGenesis(filepath.Join(f.home, genesisName))
	switch {
	case err != nil:
		return c, opt, err
	case genesis.L1 == nil:
		return c, opt, fmt.Errorf("the chain %q of %s is on a DA layer and has no inbox: name another --home, or an --inbox", genesis.ChainID, f.home)
	case len(config.L1.HTTP)+len(config.L1.WS) == 0:
		return c, opt, fmt.Errorf("%s names no Ethereum node: set l1.ws, l1.http or both to one of chain %d", filepath.Join(f.home, configName), genesis.L1.ChainID)
	}
	if c, err = config.L1.In(f.home); err != nil {
		return c, opt, err
	}
	opt = endpoints(c)
	opt.ChainID, opt.StartBlock = genesis.L1.ChainID, genesis.L1.StartBlock
	opt.Inbox, err = l1.ParseAddress(genesis.L1.Inbox)
	return c, opt, err
}

// noInbox says what to do when what is asked for is not an inbox.
func noInbox(err error) error {
	switch {
	case errors.Is(err, l1.ErrNoInbox):
		return fmt.Errorf("%w: check it, and that the endpoint serves the right L1 and is not behind; headrace inbox deploy makes one", err)
	case errors.Is(err, l1.ErrNotFound):
		return fmt.Errorf("%w: is that contract an inbox? headrace inbox deploy makes one", err)
	}
	return err
}
