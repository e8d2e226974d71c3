package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"headrace/da/fault"
	"headrace/devnet"
	"headrace/internal/httpd"
	"headrace/internal/page"
	"headrace/telemetry"
)

// daOptions are the flags of da that need a second look.
type daOptions struct {
	devnet.DAOptions
	home   string
	auth   bool
	faults []string
	chaos  fault.Chaos
	mix    bool // --chaos was given
	cert   string
	key    string
	level  string
	format string
}

func newDA() *cobra.Command {
	var opt daOptions
	cmd := &cobra.Command{
		Use:   "da [flags]",
		Short: "Run a DA layer for development: Celestia's JSON-RPC over HTTP and WebSocket on one port",
		Long: `Run a DA layer for development: Celestia's JSON-RPC over HTTP and WebSocket on one port.

It makes a block at each interval, empty or not. Its address is the first line on standard output; logs go to standard error. Without --home its
history is gone when it stops, as it says when it starts. A write of it that fails, on a full disk say, ends it with exit status 5: no height that it announced is lost, and it goes on
when it is started again. The status is 6 if the history is damaged. With --home, or with --retain, it takes less than 512 MiB of memory, whatever is sent to it (GOMEMLIMIT, as all
programs in Go know it, sets another aim than 320 MiB). With --auth a request needs a token that headrace da token has made. Pages in a browser are answered only if --origin names
theirs. Its figures for Prometheus are at /metrics (docs/METRICS.md), a page that shows it is at /.

It misbehaves on demand: --fault, which may be repeated, takes a kind and where and how it happens, for example --fault false-empty,from=100,to=120,rate=0.5
or --fault latency,delay=200ms,for=30s. --chaos mixes faults by chance. While it runs, faults are listed, added and taken away at its /faults: by any program of
this host, with --auth by whoever has an admin token, and by nobody when it listens to other hosts without --auth. The kinds:

` + faultKinds(),
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			opt.mix = cmd.Flags().Changed("chaos")
			if err := opt.resolve(); err != nil {
				return err
			}
			return runDA(cmd, opt)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&opt.Listen, "listen", "127.0.0.1:26658", "listen address; port 0 picks a free one")
	flags.StringVar(&opt.home, "home", "", "directory of the history and the secret, made if absent; without it the history is in memory")
	flags.DurationVar(&opt.Chain.Interval, "block-time", time.Second, "time between blocks; 2.6s is Celestia's")
	flags.StringVar(&opt.Chain.ChainID, "chain-id", "headrace-local", "name of the chain")
	flags.IntVar(&opt.Chain.MaxBlockBytes, "max-block-bytes", 32<<20, "bytes of all blobs of a block; the largest square takes some 126 MiB")
	flags.Uint64Var(&opt.Chain.Retain, "retain", 0, "heights of the history to keep, or a few more; 0 keeps all. Older ones are below the tail, as those that a real node has pruned")
	flags.BoolVar(&opt.auth, "auth", false, "answer only requests with a token, signed with the secret in the home")
	flags.StringSliceVar(&opt.Handler.Access.Hosts, "host", nil, "a name, beside localhost, by which requests may call it; on the loopback no other is answered")
	flags.StringSliceVar(&opt.Handler.Access.Origins, "origin", nil, "an origin, such as https://app.example, whose pages may send requests from a browser; may be repeated")
	flags.IntVar(&opt.Handler.Limits.Connections, "max-connections", 1280, "connections at a time")
	flags.StringVar(&opt.cert, "tls-cert", "", "a file with a certificate chain in PEM: it answers over https and wss alone then; read again when it has changed")
	flags.StringVar(&opt.key, "tls-key", "", "a file with the certificate's private key in PEM, likewise")
	flags.BoolVar(&opt.Handler.OldAPI, "old-api", false, "answer as celestia-node 0.26 to 0.28 did: text/plain, events without a header, no batches")
	flags.StringArrayVar(&opt.faults, "fault", nil, "KIND[,name=value...]: a fault to begin with; may be repeated")
	flags.Uint64Var(&opt.chaos.Seed, "chaos", 0, "mix faults by chance, from this seed: the same seed gives the same faults")
	flags.DurationVar(&opt.chaos.Every, "chaos-every", 5*time.Second, "how often a fault begins, about")
	flags.DurationVar(&opt.chaos.Last, "chaos-last", 2*time.Second, "how long one lasts, about")
	flags.StringVar(&opt.level, "log.level", "info", "debug, info, warn or error")
	flags.StringVar(&opt.format, "log.format", "text", "text or json")
	cmd.AddCommand(newToken())
	return cmd
}

// faultKinds lists the kinds of faults with what they do.
func faultKinds() string {
	var b strings.Builder
	for _, k := range fault.Kinds() {
		fmt.Fprintf(&b, "  %-15s %s\n", k, k.Help())
	}
	return b.String()
}

// resolve makes of the flags what package devnet takes.
func (o *daOptions) resolve() (err error) {
	if o.Chain.Interval <= 0 {
		return usagef("--block-time %s is not above zero", o.Chain.Interval)
	}
	if o.Chain.MaxBlockBytes <= 0 {
		return usagef("--max-block-bytes %d is not above zero", o.Chain.MaxBlockBytes)
	}
	if o.chaos.Every <= 0 || o.chaos.Last <= 0 {
		return usagef("--chaos-every and --chaos-last must be above zero")
	}
	for _, origin := range o.Handler.Access.Origins {
		if err := httpd.CheckOrigin(origin); err != nil {
			return usagef("--origin: %w", err)
		}
		if origin == "*" { // any page could submit, and switch faults
			return usagef("--origin: \"*\" is every page of the world: name an origin such as https://app.example, and repeat --origin for more")
		}
	}
	cert, err := httpd.CertOf("--tls-cert", o.cert, "--tls-key", o.key)
	if err != nil {
		return usagef("%w", err)
	}
	o.Handler.Cert, o.Handler.Faults, o.Handler.Page = cert, new(fault.Set), page.DA()
	for _, text := range o.faults {
		f, err := fault.Parse(text)
		if err == nil {
			_, err = o.Handler.Faults.Add(f)
		}
		if err != nil {
			return usagef("--fault: %w", err)
		}
	}
	if o.mix {
		o.Handler.Faults.Seed(o.chaos.Seed)
	}
	if o.auth {
		if o.Handler.Secret, err = daSecret(o.home); err != nil {
			return err
		}
	}
	if o.home != "" {
		o.Chain.Dir = filepath.Join(o.home, "chain")
	}
	o.Logger, err = newLogger(os.Stderr, o.level, o.format)
	return err
}

// daHeap is the heap that the server aims at. It needs less, even with blocks of 32 MiB and strangers at all its doors.
// Without an aim, as much again would wait to be collected.
const daHeap = 320 << 20

func runDA(cmd *cobra.Command, opt daOptions) error {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(daHeap)
	}
	defer opt.Handler.Faults.Clear()
	metrics := telemetry.NewDAMetrics(opt.Handler.Faults)
	opt.Handler.Metrics, opt.Handler.Observer = metrics, metrics.Observer()
	server, err := devnet.NewDA(opt.DAOptions)
	if err != nil {
		return onDisk(err)
	}
	metrics.Watch(server.Chain(), server.Handler())
	head := server.Chain().Head()
	fmt.Fprintln(cmd.OutOrStdout(), server.URL())
	opt.Logger.Info("started", "chain", server.Chain().ChainID(), "height", head.Load().Height, "url", server.URL())
	if opt.home == "" {
		opt.Logger.Warn("the history is in memory, and gone when this stops: nodes that have read it cannot go on then; --home DIR keeps it")
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	var chaos sync.WaitGroup
	if opt.mix {
		opt.chaos.Begin = func(f fault.Fault) { opt.Logger.Info("fault begins", "kind", f.Kind, "for", time.Duration(f.For)) }
		chaos.Go(func() { _ = opt.chaos.Run(ctx, opt.Handler.Faults) }) // ends with ctx: the faults it mixes are all known
	}
	err = server.Run(ctx)
	cancel()
	chaos.Wait()
	if err != nil {
		return onDisk(err)
	}
	opt.Logger.Info("stopped", "height", head.Load().Height)
	return nil
}
