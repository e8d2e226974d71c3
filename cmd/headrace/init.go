package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"headrace/block"
	"headrace/internal/keyfile"
	"headrace/node"
)

// initOptions are the flags of init that are no settings.
type initOptions struct {
	home           string
	genesis        string // of the chain to join; "" makes a new chain
	sequencer      bool
	chainID        string
	daStartHeight  uint64
	keyType        string
	passphraseFile string
}

func newInit() *cobra.Command {
	var opt initOptions
	cmd := &cobra.Command{
		Use:   "init (--sequencer | --genesis FILE) [flags]",
		Short: "Make the home of a node: of a new chain's sequencer, or of a full node that joins a chain",
		Long: `Make the home of a node.

With --sequencer it makes a new chain: a signing key, encrypted with a passphrase, a genesis that names the key's address and the two
namespaces, and a config.yaml. The passphrase comes from --passphrase-file, from HEADRACE_PASSPHRASE, or is asked for.

With --genesis it makes the home of a full node of the chain that the file describes.

Every setting can be given as a flag, and is then written into config.yaml.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := readFlags(cmd.Flags())
			if err != nil {
				return err
			}
			return initHome(cmd.Context(), cmd.OutOrStdout(), opt, settings)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&opt.home, "home", defaultHome(), "directory to make")
	flags.BoolVar(&opt.sequencer, "sequencer", false, "make a new chain, and this node its sequencer")
	flags.StringVar(&opt.genesis, "genesis", "", "genesis.json of the chain to join")
	flags.StringVar(&opt.chainID, "chain-id", "headrace", "name of the new chain")
	flags.Uint64Var(&opt.daStartHeight, "da-start-height", 1, "DA height at which the new chain begins: nothing below it is read")
	flags.StringVar(&opt.keyType, "key-type", block.Ed25519.String(), "algorithm of the new chain's key: ed25519 or secp256k1")
	flags.StringVar(&opt.passphraseFile, "passphrase-file", "", "file that holds the key's passphrase, the same as --sequencer.passphrase_file")
	flags.AddFlagSet(configFlags())
	return cmd
}

// initHome makes a home. Either all of its files are made, or none.
func initHome(ctx context.Context, out io.Writer, opt initOptions, given map[string]any) error {
	if opt.sequencer == (opt.genesis != "") {
		return usagef("say --sequencer to make a new chain, or --genesis FILE to join one as a full node: see headrace init --help")
	}
	home, err := filepath.Abs(opt.home)
	if err != nil {
		return fmt.Errorf("find home: %w", err)
	}
	if _, err := makeConfig(given); err != nil {
		return usageError{err}
	}
	made := newFiles{home: home}
	if err := made.absent(genesisName, configName, keyName(given)); err != nil {
		return err
	}
	describe := describeJoin
	prepare := join
	if opt.sequencer {
		describe, prepare = describeChain, newChain
	}
	genesis, err := prepare(ctx, &made, opt, given)
	if err != nil {
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

// keyName returns the name of the key's file, relative to the home.
func keyName(given map[string]any) string {
	if name, ok := given["sequencer.key_file"].(string); ok {
		return name
	}
	return node.Default().Sequencer.KeyFile
}

// join reads the genesis of the chain to join.
func join(_ context.Context, _ *newFiles, opt initOptions, given map[string]any) (*block.Genesis, error) {
	if enabled, _ := given["sequencer.enabled"].(bool); enabled {
		return nil, usagef("a node that joins a chain has no key to make its blocks with: leave --sequencer.enabled out, and to move a sequencer, copy its home")
	}
	return block.LoadGenesis(opt.genesis)
}

// newChain makes a key and a genesis for it. Namespaces given as settings go into the genesis, which every node of the chain shares, and not into the configuration.
func newChain(ctx context.Context, made *newFiles, opt initOptions, given map[string]any) (*block.Genesis, error) {
	genesis := &block.Genesis{
		ChainID: opt.chainID, StartTime: time.Now().UTC().Truncate(time.Second), InitialHeight: 1, DAStartHeight: opt.daStartHeight,
		DA: &block.GenesisDA{
			HeaderNamespace: take(given, "da.header_namespace", opt.chainID+"-headers"),
			DataNamespace:   take(given, "da.data_namespace", opt.chainID+"-data"),
		},
	}
	typ := map[string]block.KeyType{block.Ed25519.String(): block.Ed25519, block.Secp256k1.String(): block.Secp256k1}[opt.keyType]
	if typ == 0 {
		return nil, usagef("--key-type %q is not known: use ed25519 or secp256k1", opt.keyType)
	}
	given["sequencer.enabled"] = true
	if opt.passphraseFile != "" {
		given["sequencer.passphrase_file"] = opt.passphraseFile
	}
	file, _ := given["sequencer.passphrase_file"].(string)
	if file != "" {
		var err error
		if file, err = filepath.Abs(file); err != nil { // it must mean the same wherever the node is started from
			return nil, fmt.Errorf("find passphrase file: %w", err)
		}
		given["sequencer.passphrase_file"] = file
	}
	pass, err := passphrase(ctx, file, true)
	if err != nil {
		return nil, err
	}
	key, err := block.GenerateKey(typ)
	if err != nil {
		return nil, err
	}
	genesis.ProposerAddress = key.Public().Address()
	if err := genesis.Validate(); err != nil {
		return nil, usageError{err}
	}
	made.add(keyName(given), func(path string) error { return keyfile.Save(path, key, pass, keyOptions) })
	return genesis, nil
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

func describeChain(out io.Writer, home string, g *block.Genesis, given map[string]any) {
	fmt.Fprintf(out, "Made the chain %q and its sequencer's home, %s:\n", g.ChainID, home)
	fmt.Fprintf(out, "  %-14s proposer %s, namespaces %s and %s\n", genesisName, hex.EncodeToString(g.ProposerAddress), g.DA.HeaderNamespace, g.DA.DataNamespace)
	fmt.Fprintf(out, "  %-14s the signing key, encrypted: keep a copy of it and of its passphrase\n", keyName(given))
	fmt.Fprintf(out, "  %-14s every setting, with its default\n", configName)
	fmt.Fprintf(out, "Next:\n  headrace start --home %s\n", home)
	fmt.Fprintf(out, "Full nodes of the chain begin with:\n  headrace init --home DIR --genesis %s\n", filepath.Join(home, genesisName))
}

func describeJoin(out io.Writer, home string, g *block.Genesis, _ map[string]any) {
	fmt.Fprintf(out, "Made the home of a full node of the chain %q, %s:\n", g.ChainID, home)
	fmt.Fprintf(out, "  %-14s what all nodes of the chain agree on\n", genesisName)
	fmt.Fprintf(out, "  %-14s every setting, with its default\n", configName)
	fmt.Fprintf(out, "Next:\n  headrace start --home %s\n", home)
}

// newFiles are files to be made together, and never over others.
type newFiles struct {
	home  string
	files []newFile
}

// newFile makes a file at path that is on disk when it returns, or fails and leaves none, or somebody else's that was there.
type newFile struct {
	path  string
	write func(path string) error
}

// absent fails when one of the names is there already.
func (n *newFiles) absent(names ...string) error {
	for _, name := range names {
		path := n.path(name)
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there already, and is never overwritten: choose another --home, or move it away", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (n *newFiles) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(n.home, name)
}

func (n *newFiles) add(name string, write func(path string) error) {
	n.files = append(n.files, newFile{n.path(name), write})
}

// write makes the files, or none of them.
func (n *newFiles) write() error {
	if err := os.MkdirAll(n.home, 0o700); err != nil {
		return fmt.Errorf("make home: %w", err)
	}
	for i, f := range n.files {
		if err := f.write(f.path); err != nil {
			for _, made := range n.files[:i] {
				_ = os.Remove(made.path) // what cannot be removed is named by the next init
			}
			return fmt.Errorf("write home: %w", err)
		}
	}
	return nil
}

// writeNew is a newFile's write: the file is for its owner's eyes alone, since a configuration may hold a token.
func writeNew(path string, content []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}
