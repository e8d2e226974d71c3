package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/internal/keyfile"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// join reads the genesis of the chain to join. With a key the home becomes that of the chain's sequencer.
func join(ctx context.Context, made *newFiles, opt initOptions, given map[string]any) (*block.Genesis, error) {
	genesis, err := block.LoadGenesis(opt.genesis)
	if err != nil {
		return nil, err
	}
	if err := readable(genesis, given); err != nil {
		return nil, err
	}
	if opt.key == "" {
		if isSequencer(given) {
			return nil, usagef("a node that joins a chain has no key to make its blocks with: leave --sequencer.enabled out or, to move a sequencer, copy its home, or say --key FILE")
		}
		return genesis, nil
	}
	key, err := addKey(ctx, made, opt, given)
	if err != nil {
		return nil, err
	}
	if own := key.Public().Address(); !bytes.Equal(own, genesis.ProposerAddress) {
		return nil, fmt.Errorf("the address of the key in %s is %x, and the genesis names the proposer %x: it is not this chain's key", opt.key, own, genesis.ProposerAddress)
	}
	return genesis, nil
}

// readable refuses a chain whose namespaces are named in a way that start would refuse. None at all may be set later.
func readable(genesis *block.Genesis, given map[string]any) error {
	env, _ := readEnv() // what is wrong with it, start says
	config, err := makeConfig(env, given)
	if err != nil || genesis.L1 != nil || genesis.DA == nil && config.DA.HeaderNamespace == "" {
		return err
	}
	_, _, err = config.Namespaces(genesis)
	return err
}

// newChain makes a genesis for a new key, or an imported one.
func newChain(ctx context.Context, made *newFiles, opt initOptions, given map[string]any) (*block.Genesis, error) {
	genesis := &block.Genesis{ChainID: opt.chainID, StartTime: time.Now().UTC().Truncate(time.Second), InitialHeight: 1, DAStartHeight: opt.daStartHeight, DAEpochForcedInclusion: block.EvolveEpoch}
	source := onDA
	if opt.inbox != "" {
		source = onL1
	}
	if err := source(ctx, genesis, opt, given); err != nil {
		return nil, err
	}
	key, err := addKey(ctx, made, opt, given)
	if err != nil {
		return nil, err
	}
	genesis.ProposerAddress = key.Public().Address()
	if err := genesis.Validate(); err != nil {
		return nil, usageError{err}
	}
	return genesis, nil
}

// onDA puts the chain on a DA layer. Namespaces given as settings go into the genesis, which every node of the chain shares, and not into the configuration.
func onDA(_ context.Context, genesis *block.Genesis, opt initOptions, given map[string]any) error {
	if opt.l1StartBlock != 0 {
		return usagef("--l1-start-block goes with --inbox")
	}
	if _, ok := given["da.start_height"]; ok {
		return usagef("da.start_height is for chains that exist: a new one begins at --da-start-height")
	}
	genesis.DA = &block.GenesisDA{
		HeaderNamespace: take(given, "da.header_namespace", opt.chainID+"-headers"),
		DataNamespace:   take(given, "da.data_namespace", opt.chainID+"-data"),
	}
	for _, name := range []*string{&genesis.DA.HeaderNamespace, &genesis.DA.DataNamespace} {
		ns, err := da.NamespaceOf(*name)
		if err != nil {
			return usagef("genesis: da: %w", err)
		}
		if strings.HasPrefix(strings.ToLower(*name), "0x") { // digits: a genesis has them alone
			*name = ns.String()
		}
	}
	return nil
}

// onL1 puts the chain on an L1, once its inbox has been seen there.
func onL1(ctx context.Context, genesis *block.Genesis, opt initOptions, given map[string]any) error {
	if given["da.header_namespace"] != nil || given["da.data_namespace"] != nil {
		return usagef("a chain with an --inbox on an L1 has no namespaces: leave --da.header_namespace and --da.data_namespace out")
	}
	at, err := address("inbox", opt.inbox)
	if err != nil {
		return err
	}
	env, err := readEnv()
	if err != nil {
		return fmt.Errorf("environment: %w", err)
	}
	config, err := makeConfig(env, given)
	if err != nil {
		return err
	}
	l1Config, err := config.L1.In(opt.home)
	if err != nil {
		return err
	}
	options, err := l1Options(ctx, l1Config)
	if err != nil {
		return err
	}
	options.Inbox = at
	client, err := ethereum.New(options)
	if err != nil {
		return err
	}
	defer client.Close()
	genesis.DAStartHeight, genesis.DAEpochForcedInclusion = 0, 0
	genesis.L1 = &block.GenesisL1{ChainID: options.ChainID, Inbox: at.String(), StartBlock: opt.l1StartBlock}
	if err := isUnused(ctx, client); err != nil {
		return err
	}
	if config.L1.KeyFile != "" {
		if err := mayPropose(ctx, client, config.L1.KeyFile); err != nil {
			return err
		}
	}
	if _, ok := given["l1.payload"]; !ok { // whoever joins the new chain reads it
		given["l1.payload"] = uint64(l1.CompactVersion)
	}
	deployed, err := deployedAt(ctx, client)
	switch {
	case opt.l1StartBlock == 0:
		genesis.L1.StartBlock = deployed
		return err
	case errors.Is(err, ethereum.ErrNotKnown): // what was said is believed
		return nil
	case err == nil && opt.l1StartBlock > deployed:
		return usagef("--l1-start-block %d is above the L1 block that the inbox was deployed in, %d: proposals before it would never be seen", opt.l1StartBlock, deployed)
	}
	return err
}

// isUnused fails unless the contract is an inbox, and one that no chain uses.
func isUnused(ctx context.Context, client *ethereum.Client) error {
	state, err := client.State(ctx, l1.Hash{})
	if err != nil {
		return noInbox(err)
	}
	if state.NextID > 1 {
		return fmt.Errorf("the inbox %s has %d proposals already, of another chain: make one for this chain with headrace inbox deploy, or join that chain with --genesis", client.Inbox(), state.NextID-1)
	}
	return nil
}

// mayPropose fails unless the account of the key is one of the inbox's proposers.
func mayPropose(ctx context.Context, client *ethereum.Client, keyFile string) error {
	key, err := ethereum.ReadKey(keyFile)
	if err != nil {
		return fmt.Errorf("l1.key_file: %w", err)
	}
	account := ethereum.AddressOf(key)
	switch allowed, err := client.IsProposer(ctx, account); {
	case err != nil:
		return noInbox(err)
	case !allowed:
		return fmt.Errorf("%s, the account of l1.key_file, may not propose to the inbox %s: name it with --proposer when the inbox is deployed, or let the inbox's owner allow it with headrace inbox proposer", account, client.Inbox())
	}
	return nil
}

func deployedAt(ctx context.Context, client *ethereum.Client) (uint64, error) {
	at, err := client.DeployedAt(ctx)
	if errors.Is(err, ethereum.ErrNotKnown) {
		return 0, fmt.Errorf("look for the block of the inbox's deployment: %w: say it with --l1-start-block N, as headrace inbox deploy printed it", err)
	}
	return at, err
}

// addKey makes a signing key, or imports one, and adds its file to the home.
func addKey(ctx context.Context, made *newFiles, opt initOptions, given map[string]any) (*block.PrivateKey, error) {
	kind := map[string]block.KeyType{block.Ed25519.String(): block.Ed25519, block.Secp256k1.String(): block.Secp256k1}[opt.keyType]
	if kind == 0 {
		return nil, usagef("--key-type %q is not known: use ed25519 or secp256k1", opt.keyType)
	}
	given["sequencer.enabled"] = true
	if opt.passphraseFile != "" {
		file, err := filepath.Abs(opt.passphraseFile)
		if err != nil {
			return nil, fmt.Errorf("find passphrase file: %w", err)
		}
		given["sequencer.passphrase_file"] = file
	}
	file, _ := given["sequencer.passphrase_file"].(string)
	pass, err := passphrase(ctx, file, true)
	if err != nil {
		return nil, err
	}
	key, err := newKey(opt.key, pass, kind)
	if err != nil {
		return nil, err
	}
	made.add(keyName(given), func(path string) error { return keyfile.Save(path, key, pass, keyOptions) })
	return key, nil
}

// newKey makes a key, or reads it from file if one is named.
func newKey(file, pass string, kind block.KeyType) (*block.PrivateKey, error) {
	if file == "" {
		return block.GenerateKey(kind)
	}
	key, err := keyfile.Import(file, pass, kind)
	switch {
	case errors.Is(err, keyfile.ErrMissing):
		return nil, fmt.Errorf("--key: %w", err)
	case errors.Is(err, keyfile.ErrPassphrase):
		return nil, fmt.Errorf("--key: %w: it takes the passphrase that the file was encrypted with", err)
	case err != nil:
		return nil, fmt.Errorf("--key: %w: want a key file of headrace, an ev-node's signer.json, or hexadecimal digits", err)
	}
	return key, nil
}

// keyOptions are those of the key files made here. Tests make it cheap to encrypt.
var keyOptions keyfile.Options

// take removes a text from given and returns it, or def.
func take(given map[string]any, key, def string) string {
	text, ok := given[key].(string)
	if !ok {
		return def
	}
	delete(given, key)
	return text
}
