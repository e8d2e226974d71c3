package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"headrace/block"
	"headrace/node"
)

// initOptions are the flags of init that are no settings.
type initOptions struct {
	home           string
	genesis        string // of the chain to join; "" makes a new chain
	sequencer      bool
	replica        bool
	chainID        string
	daStartHeight  uint64
	keyType        string
	passphraseFile string
	key            string // file of an existing signing key; "" makes one
	inbox          string // on an L1, of the new chain; "" is a chain on a DA layer
	l1StartBlock   uint64 // 0: looked for

	said func(flag string) bool // whether one was given; nil: none was
}

// has reports whether a flag was given, by its name.
func (o *initOptions) has(flag string) bool { return o.said != nil && o.said(flag) }

func newInit() *cobra.Command {
	var opt initOptions
	cmd := &cobra.Command{
		Use:   "init (--sequencer | --genesis FILE | --replica --source.node URL) [flags]",
		Short: "Make the home of a node: of a new chain's sequencer, or of a full node or a replica that joins a chain",
		Long: `Make the home of a node.

With --sequencer it makes a new chain: a signing key, encrypted with a passphrase, a genesis that names the key's address and the two
namespaces, and a config.yaml. The passphrase comes from --passphrase-file, from HEADRACE_PASSPHRASE, or is asked for.

With --inbox too the new chain is on an Ethereum L1, which --l1.http or --l1.ws names: the contract, which headrace inbox deploy makes, is looked at,
and the genesis names it, the L1's chain id, and the block that it was deployed in.

With --genesis it makes the home of a full node of the chain that the file describes or, with --key, of its sequencer: of which there must never
be two at a time. --chain-id and --da-start-height are what that file must say then.

With --replica it makes the home of a replica, which follows the safe blocks of the nodes that --source.node names, and neither the DA layer nor the L1. The
genesis comes from --genesis or, without it, from those nodes: then they are believed that it is the chain's, and so who signs its blocks. The home stays a
replica's: its positions are blocks of the chain.

With --key the signing key is not a new one but that of a file, which stays as it is: an encrypted key file of headrace, the signer.json of an ev-node (for
both, the passphrase is the file's own), or hexadecimal digits as ev-node's "keys export" prints them. Its copy in the home is encrypted.

Every setting can be given as a flag, and is then written into config.yaml.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := readFlags(cmd.Flags())
			if err != nil {
				return err
			}
			opt.said = cmd.Flags().Changed
			return initHome(cmd.Context(), cmd.OutOrStdout(), opt, settings)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	homeFlag(flags, &opt.home, "directory to make")
	flags.BoolVar(&opt.sequencer, "sequencer", false, "make a new chain, and this node its sequencer")
	flags.StringVar(&opt.genesis, "genesis", "", "genesis.json of the chain to join")
	flags.BoolVar(&opt.replica, "replica", false, "follow other nodes of a chain, which --source.node names, in the place of its DA layer or L1")
	flags.StringVar(&opt.chainID, "chain-id", "headrace", "name of the new chain")
	flags.Uint64Var(&opt.daStartHeight, "da-start-height", 1, "DA height at which the new chain begins: nothing below it is read")
	flags.StringVar(&opt.keyType, "key-type", block.Ed25519.String(), "algorithm of the new chain's key: ed25519 or secp256k1")
	flags.StringVar(&opt.key, "key", "", "file of an existing signing key, to be copied into the home")
	flags.StringVar(&opt.passphraseFile, "passphrase-file", "", "file that holds the key's passphrase, the same as --sequencer.passphrase_file")
	flags.StringVar(&opt.inbox, "inbox", "", "address of the new chain's inbox on an Ethereum L1, 0x and 40 hexadecimal digits")
	flags.Uint64Var(&opt.l1StartBlock, "l1-start-block", 0, "L1 block at which the new chain begins, not above the inbox's deployment; 0: looked for")
	flags.AddFlagSet(configFlags())
	return cmd
}

// initHome makes a home. Either all of its files are made, or none.
func initHome(ctx context.Context, out io.Writer, opt initOptions, given map[string]any) error {
	nodes, _ := given["source.node"].(node.Addresses)
	switch {
	case opt.replica && (opt.sequencer || opt.key != "" || isSequencer(given)):
		return usagef("--replica makes no blocks: leave --sequencer and --key out")
	case opt.replica != (len(nodes) > 0):
		return usagef("--replica and --source.node URL go together: a replica follows that node, and another node none")
	case opt.replica && ofLayer(given) != "":
		return usagef("--replica follows the nodes of --source.node, and reads neither the DA layer nor the L1: leave --%s out", ofLayer(given))
	case !opt.replica && opt.sequencer == (opt.genesis != ""):
		return usagef("say --sequencer to make a new chain, or --genesis FILE to join one as a full node, or --replica --source.node URL as a replica: see headrace init --help")
	case !opt.sequencer && (opt.inbox != "" || opt.l1StartBlock != 0):
		return usagef("--inbox and --l1-start-block go with --sequencer: the genesis of a chain names its inbox already")
	case !opt.sequencer && opt.key == "" && opt.has("key-type"):
		return usagef("--key-type goes with --sequencer or --key: the genesis of a chain names its key already")
	case opt.inbox != "" && opt.has("da-start-height"):
		return usagef("a chain with an --inbox begins at a block of the L1: say --l1-start-block in the place of --da-start-height, or neither")
	}
	home, err := filepath.Abs(opt.home)
	if err != nil {
		return fmt.Errorf("find home: %w", err)
	}
	if _, err := makeConfig(given); err != nil {
		return usageError{err}
	}
	if err := absolute(given); err != nil {
		return err
	}
	made := newFiles{home: home}
	if err := made.absent(genesisName, configName, keyName(given)); err != nil {
		return err
	}
	describe := describeJoin
	prepare := join
	switch {
	case opt.sequencer:
		describe, prepare = describeChain, newChain
	case opt.replica && opt.genesis == "":
		prepare = func(ctx context.Context, _ *newFiles, _ initOptions, _ map[string]any) (*block.Genesis, error) {
			return fetchGenesis(ctx, out, nodes)
		}
	}
	genesis, err := prepare(ctx, &made, opt, given)
	if err != nil {
		return err
	}
	if err := opt.agree(genesis); err != nil {
		return err
	}
	if err := suit(given); err != nil {
		return err
	}
	made.add(genesisName, func(path string) error { return writeNew(path, genesis.Encode()) })
	made.add(configName, func(path string) error { return writeNew(path, []byte(configText(given))) })
	if err := made.write(); err != nil {
		return err
	}
	describe(out, home, genesis, given)
	return nil
}

// agree refuses a genesis that is not as the flags say. They are for a new chain: who says them of another one expects to
// join such a chain.
func (o *initOptions) agree(g *block.Genesis) error {
	switch {
	case o.has("chain-id") && o.chainID != g.ChainID:
		return fmt.Errorf("the genesis is that of the chain %q, and --chain-id says %q: name the genesis of that one, or leave --chain-id out", g.ChainID, o.chainID)
	case o.has("da-start-height") && o.daStartHeight != g.DAStartHeight:
		return fmt.Errorf("the genesis says that the chain begins at DA height %d, and --da-start-height %d: leave it out, or, to begin elsewhere with a home without blocks, say --da.start_height", g.DAStartHeight, o.daStartHeight)
	}
	return nil
}

// suit refuses settings that start would refuse whatever else is set, before a home is made of them. What the
// environment has counts, as it will for start.
func suit(given map[string]any) error {
	env, _ := readEnv() // what is wrong with it, start says
	config, err := makeConfig(env, given)
	if err == nil {
		err = fits(&config)
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

// ofLayer returns a setting that says how the DA layer or the L1 is read, if one is given; else "".
func ofLayer(given map[string]any) string {
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if strings.HasPrefix(key, "da.") || strings.HasPrefix(key, "l1.") {
			return key
		}
	}
	return ""
}

// fetchGenesis takes the genesis of nodes on their word, and says so.
func fetchGenesis(ctx context.Context, out io.Writer, nodes node.Addresses) (*block.Genesis, error) {
	g, have, err := node.GenesisAt(ctx, nodes)
	if err != nil {
		return nil, fmt.Errorf("ask for the genesis: %w: name a node that runs, or the chain's file with --genesis", err)
	}
	fmt.Fprintf(out, "The genesis is what %s says, and nothing proves it: compare it with what you know of the chain, or use --genesis\n", strings.Join(have, ", "))
	fmt.Fprintf(out, "  chain    %s\n  hash     %s\n  proposer %s\n", g.ChainID, g.Hash(), hex.EncodeToString(g.ProposerAddress))
	return g, nil
}

// absolute makes settings that name files mean the same wherever the node is started from.
func absolute(given map[string]any) error {
	for _, key := range []string{"sequencer.passphrase_file", "l1.key_file", "engine.jwt_file", "engine.genesis_file", "http.token_file", "http.tls_cert", "http.tls_key"} {
		file, _ := given[key].(string)
		if file == "" {
			continue
		}
		path, err := filepath.Abs(file)
		if err != nil {
			return fmt.Errorf("find %s: %w", key, err)
		}
		given[key] = path
	}
	for _, key := range []string{"stream.credentials_file", "stream.password_file", "stream.tls_ca", "stream.tls_cert", "stream.tls_key"} {
		file, _ := given[key].(string)
		path, err := filepath.Abs(file)
		if err != nil {
			return fmt.Errorf("find %s: %w", key, err)
		}
		if _, err := os.Stat(path); file != "" && err == nil { // else it is to be put into the home
			given[key] = path
		}
	}
	for key, v := range given {
		list, _ := v.(node.Addresses)
		here, err := filepath.Abs(".")
		if err != nil {
			return fmt.Errorf("find %s: %w", key, err)
		}
		for i := range list {
			list[i] = list[i].In(here)
		}
	}
	return nil
}

// keyName returns the name of the key's file, relative to the home.
func keyName(given map[string]any) string {
	if name, ok := given["sequencer.key_file"].(string); ok {
		return name
	}
	return node.Default().Sequencer.KeyFile
}

func describeChain(out io.Writer, home string, g *block.Genesis, given map[string]any) {
	fmt.Fprintf(out, "Made the chain %q and its sequencer's home, %s:\n", g.ChainID, home)
	proposer, source, join := hex.EncodeToString(g.ProposerAddress), "", ""
	if g.L1 != nil {
		source, join = fmt.Sprintf("inbox %s on L1 chain %d, from block %d", g.L1.Inbox, g.L1.ChainID, g.L1.StartBlock), " --l1.ws URL"
	} else {
		source = fmt.Sprintf("namespaces %s and %s", g.DA.HeaderNamespace, g.DA.DataNamespace)
	}
	fmt.Fprintf(out, "  %-14s proposer %s, %s\n", genesisName, proposer, source)
	describeHome(out, home, g, given)
	fmt.Fprintf(out, "Full nodes of the chain begin with:\n  headrace init --home DIR --genesis %s%s\n", filepath.Join(home, genesisName), join)
}

func describeJoin(out io.Writer, home string, g *block.Genesis, given map[string]any) {
	kind := "a full node"
	switch _, replica := given["source.node"]; {
	case isSequencer(given):
		kind = "the sequencer"
	case replica:
		kind = "a replica"
	}
	fmt.Fprintf(out, "Made the home of %s of the chain %q, %s:\n", kind, g.ChainID, home)
	fmt.Fprintf(out, "  %-14s what all nodes of the chain agree on\n", genesisName)
	describeHome(out, home, g, given)
}

// describeHome tells of the files beside the genesis, and of what is left to do.
func describeHome(out io.Writer, home string, g *block.Genesis, given map[string]any) {
	if isSequencer(given) {
		fmt.Fprintf(out, "  %-14s the signing key, encrypted: keep a copy of it and of its passphrase\n", keyName(given))
	}
	fmt.Fprintf(out, "  %-14s every setting, with its default\n", configName)
	fmt.Fprintf(out, "Next:\n")
	for _, todo := range missing(g, given) {
		fmt.Fprintf(out, "  set %s\n", todo)
	}
	fmt.Fprintf(out, "  headrace start --home %s\n", home)
}

// onLoopback reports whether an address to listen at is for this host alone, as far as can be seen by its text.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(cmp.Or(address, node.Default().HTTP.Address))
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func isSequencer(given map[string]any) bool {
	enabled, _ := given["sequencer.enabled"].(bool)
	return enabled
}

// missing lists the settings without which start will refuse a home, and those that a source is better followed with.
func missing(g *block.Genesis, given map[string]any) (todo []string) {
	env, _ := readEnv() // what is wrong with it, start says
	isSet := func(key string) bool {
		value, ok := given[key]
		if !ok {
			value = env[key]
		}
		list, _ := value.(node.Addresses)
		text, _ := value.(string)
		number, _ := value.(uint64)
		return text != "" || len(list) > 0 || number > 0
	}
	if address, _ := given["http.address"].(string); (isSequencer(given) || g.L1 != nil) && !onLoopback(address) && !isSet("http.token") && !isSet("http.token_file") {
		todo = append(todo, fmt.Sprintf("http.token_file or http.token in %s: other hosts reach %s, and this node takes writes", configName, address))
	}
	replica := isSet("source.node")
	if g.L1 == nil && !replica {
		if g.DA == nil && !isSet("da.header_namespace") {
			todo = append(todo, fmt.Sprintf("da.header_namespace and da.data_namespace in %s, to the chain's: the genesis names none", configName))
		}
		if g.DAStartHeight == 0 && !isSet("da.start_height") {
			todo = append(todo, fmt.Sprintf("da.start_height in %s, to the DA height of the chain's first block: the genesis says 0, which is not known yet; without it all heights are read", configName))
		}
	}
	if g.L1 == nil {
		if g.DA == nil && !isSet("engine.kind") {
			todo = append(todo, fmt.Sprintf("engine.kind in %s, and what it needs, to the chain's application: the default, kv, is one of headrace's own", configName))
		}
		return todo
	}
	if replica {
		return todo
	}
	switch {
	case !isSet("l1.ws") && !isSet("l1.http"):
		todo = append(todo, fmt.Sprintf("l1.ws, l1.http or both in %s, to an Ethereum node of L1 chain %d", configName, g.L1.ChainID))
	case !isSet("l1.ws"):
		todo = append(todo, fmt.Sprintf("l1.ws in %s if the Ethereum node has a WebSocket: without one it is asked for news once a second", configName))
	}
	if isSequencer(given) && !isSet("l1.key_file") {
		todo = append(todo, fmt.Sprintf("l1.key_file in %s, to a file with the private key, in hexadecimal, of the L1 account that proposes", configName))
	}
	return todo
}
