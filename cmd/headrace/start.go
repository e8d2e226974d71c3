package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"headrace/block"
	"headrace/internal/keyfile"
	"headrace/node"
	"headrace/stream/nats/publish"
	natsserver "headrace/stream/nats/server"
	"headrace/telemetry"
)

func newStart() *cobra.Command {
	var home string
	cmd := &cobra.Command{
		Use:   "start [flags]",
		Short: "Run the node of a home, a sequencer, a full node or a replica, until a signal comes",
		Long: `Run the node of a home, a sequencer, a full node or a replica, until a signal comes. SIGINT, SIGTERM and SIGHUP stop it in order; SIGHUP does nothing where it was
ignored at the start, as under nohup. On SIGUSR1 it says on standard error whether it is ready, why not, and what waits.

The address of the node's HTTP endpoints is the first line on standard output; logs go to standard error. A setting is taken from the flag, else
from the environment (HEADRACE_DA_ADDRESS for da.address), else from config.yaml in the home, else it has its default.

An address of da.address, l1.ws, l1.http, l1.beacon, source.node and unsafe.from may be followed by the file of the bearer token that goes there and nowhere else, relative to the home:
--da.address URL,token_file=PATH. In config.yaml that is {address: URL, token_file: PATH}, or {address: URL, token: TEXT}. The file is read again when the
endpoint refuses the token. da.token is for the addresses that have none.

A home that headrace init made with --replica follows the nodes of source.node, and neither the DA layer nor the L1: which blocks are safe it believes of them.
No other home can become one, nor it another: positions in it are blocks of the chain.

Beside the status there are figures for Prometheus, at /metrics: docs/METRICS.md says what they mean, and where a dashboard and alert rules are.
With telemetry.otlp set, traces of blocks go to an OpenTelemetry collector: see docs/TRACES.md.

A write that fails, on a full disk say, does not end the node: /livez is 503 until the home could be opened anew. The exit status is 5 if that
cannot be, and 6 if what is in the home is damaged and a restart does not help: see headrace repair.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadConfig(home, cmd.Flags())
			if err != nil {
				return err
			}
			return start(cmd.Context(), cmd.OutOrStdout(), home, config)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	homeFlag(flags, &home, "directory that headrace init made")
	flags.AddFlagSet(configFlags())
	return cmd
}

func start(ctx context.Context, out io.Writer, home string, config node.Config) error {
	why := onWhy(os.Stderr)
	defer why.end()
	log, levels, err := nodeLogger(os.Stderr, config.Log)
	if err != nil {
		return err
	}
	genesis, err := loadGenesis(home)
	if err != nil {
		return err
	}
	opt := node.Options{Home: home, Genesis: genesis, Config: config, Logger: log, Levels: levels, Version: version()}
	if config.Sequencer.Enabled {
		if opt.Key, err = signingKey(ctx, home, config.Sequencer, log); err != nil {
			return err
		}
	}
	metrics := telemetry.NewMetrics()
	opt.Observer, opt.Handlers = metrics.Observer(), map[string]http.Handler{"GET /metrics": metrics}
	if config.Telemetry.OTLP != "" {
		traces, err := telemetry.NewTraces(telemetry.TraceOptions{Config: config.Telemetry, Chain: genesis.ChainID, Version: version(), Logger: log})
		if err != nil {
			return err
		}
		defer traces.Close()
		opt.Observer = node.Join(opt.Observer, traces.Observer())
	}
	if err := fits(&config); err != nil {
		return err
	}
	if config.Gossip.On() {
		peers, err := openGossip(home, &config.Gossip, genesis, log)
		if err != nil {
			return err
		}
		defer peers.Close()
		opt.Blocks = append(opt.Blocks, peers)
	}
	var embedded *natsserver.Embedded
	if config.Stream.On() {
		var stream *publish.Publisher
		if stream, embedded, err = openStream(home, &config.Stream, genesis, log); err != nil {
			return err
		}
		opt.Outlets = append(opt.Outlets, stream)
	}
	n, err := node.New(opt)
	if err != nil {
		return onDisk(err)
	}
	metrics.Watch(n)
	fmt.Fprintln(out, n.URL())
	logStarted(log, n, genesis, &config, home)
	why.of(n)
	context.AfterFunc(ctx, func() { log.Info("stopping") })
	if err := besides(ctx, embedded, n.Run); err != nil { // the home is this process' own by now
		return onDisk(err)
	}
	log.Info("stopped")
	return nil
}

// logStarted says what runs, and with what: without a secret, as endpoints are named in the status.
func logStarted(log *slog.Logger, n *node.Node, genesis *block.Genesis, config *node.Config, home string) {
	s := n.Status().Load()
	args := []any{"chain", genesis.ChainID, "mode", s.Mode, "version", version(), "home", home, "http", n.Address()}
	if config.IsReplica() {
		args = append(args, "believed", s.Source.Believed)
	} else if genesis.L1 == nil {
		if header, data, err := config.Namespaces(genesis); err == nil { // a home of its own habits says which in a line of its own
			args = append(args, "header_namespace", header, "data_namespace", data)
		}
	} else {
		args = append(args, "inbox", genesis.L1.Inbox)
	}
	var endpoints []string
	for _, e := range s.Source.Endpoints {
		endpoints = append(endpoints, e.Address)
	}
	log.Info("started", append(args, "endpoints", endpoints)...)
}

// What start's exit status says beside success, failure and nonsense, for who supervises it.
const (
	statusDisk    = 5 // a write failed that the node cannot recover from by itself: a restart helps once the disk works
	statusDamaged = 6 // what is in the home cannot be read: a restart does not help
)

// onDisk gives the failures of a disk their exit status.
func onDisk(err error) error {
	switch {
	case errors.Is(err, node.ErrDamaged):
		return exitError{err, statusDamaged}
	case errors.Is(err, node.ErrDisk), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EMFILE),
		errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EIO), errors.Is(err, syscall.EROFS):
		return exitError{err, statusDisk}
	}
	return err
}

func loadGenesis(home string) (*block.Genesis, error) {
	genesis, err := block.LoadGenesis(filepath.Join(home, genesisName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: copy the chain's genesis.json there, or make a home with headrace init", err)
	}
	return genesis, err
}

// signingKey opens the sequencer's encrypted key.
func signingKey(ctx context.Context, home string, c node.SequencerConfig, log *slog.Logger) (*block.PrivateKey, error) {
	inHome := newFiles{home: home}
	path := inHome.path(c.KeyFile)
	file := c.PassphraseFile
	if file != "" {
		file = inHome.path(file)
	}
	pass, err := passphrase(ctx, file, false)
	if err != nil {
		return nil, err
	}
	key, err := keyfile.Load(path, pass, keyfile.Options{Logger: log})
	switch {
	case errors.Is(err, keyfile.ErrMissing):
		return nil, fmt.Errorf("%w: a sequencer needs the key that the genesis names; copy it there, or set sequencer.enabled to false for a full node", err)
	case errors.Is(err, keyfile.ErrPassphrase):
		return nil, fmt.Errorf("%w: check sequencer.passphrase_file, or HEADRACE_PASSPHRASE", err)
	case errors.Is(err, keyfile.ErrCorrupt):
		return nil, fmt.Errorf("%w: restore it from a copy", err)
	}
	return key, err
}

// newLogger returns a logger of a program that is no node.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var lowest slog.Level
	if err := lowest.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log.level %q is not known: use debug, info, warn or error", level)
	}
	h, err := logHandler(w, lowest, format)
	if err != nil {
		return nil, err
	}
	return slog.New(h), nil
}

// nodeLogger returns the logger that a node's configuration names, and what it shows, which can be changed.
func nodeLogger(w io.Writer, c node.LogConfig) (*slog.Logger, *node.LogLevels, error) {
	levels, err := c.Levels()
	if err != nil {
		return nil, nil, err
	}
	h, err := logHandler(w, math.MinInt, c.Format)
	if err != nil {
		return nil, nil, err
	}
	return node.NewLogger(levels, h), levels, nil
}

func logHandler(w io.Writer, lowest slog.Level, format string) (slog.Handler, error) {
	opt := slog.HandlerOptions{Level: lowest}
	switch format {
	case "text":
		return slog.NewTextHandler(w, &opt), nil
	case "json":
		opt.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration { // "1.5s" as in text, instead of a number without its unit
				a.Value = slog.StringValue(a.Value.Duration().String())
			}
			return a
		}
		return slog.NewJSONHandler(w, &opt), nil
	}
	return nil, fmt.Errorf("log.format %q is not known: use text or json", format)
}
