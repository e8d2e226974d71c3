package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"headrace/devnet"
	"headrace/node"
	"headrace/stream/nats"
)

func newDev() *cobra.Command {
	var opt devnet.Options
	var onL1, blobs, kv, stream bool
	var duration time.Duration
	var asJSON, anyPort bool
	var level string
	cmd := &cobra.Command{
		Use:   "dev [flags]",
		Short: "Run a whole rollup: a DA layer or an Ethereum L1, a sequencer and full nodes on loopback sockets",
		Long: `Run a whole rollup in one process: a DA layer, a sequencer and full nodes on loopback sockets, with a small load of transactions.

It prints a line for each block that is safe on every full node: the block's height, the DA height that completed it, its transactions, and for each full
node the time from the announcement of that DA height to the block being safe and visible there, the node's unsafe head then, and how long before the DA
layer the block was there already: the full nodes follow the sequencer's stream. --da-block-time 6s shows what that is for. At the end it compares all
nodes; the exit status is 1 when they disagree.

The DA layer listens on port 26658, the sequencer on 7331, and the full nodes on 7332 and the ports after it. One that is taken is replaced by a free one.

With --l1 the canonical source is an inbox contract on an Ethereum L1: a real geth, which is built once and kept in the user's cache directory. The
sequencer proposes to it, and each node has a geth of its own as execution client.

With --stream the last two nodes publish their blocks in one stream of NATS JetStream, in a server of this process, which listens on port 4222 of the
loopback. What is read there is compared at the end with a node's blocks; the exit status is 1 when it differs.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !onL1 && (blobs || kv) {
				return usagef("--blobs and --kv go with --l1")
			}
			if opt.Nodes < 1 || opt.BlockTime <= 0 || opt.DABlockTime <= 0 || opt.TxRate < 0 || duration < 0 {
				return usagef("--nodes must be 1 or more, --block-time and --da-block-time above zero, --tx-rate and --for not below zero")
			}
			log, _, err := nodeLogger(os.Stderr, node.LogConfig{Level: level, Format: "text"})
			if err != nil {
				return err
			}
			opt.Logger = log
			show := &devOutput{out: cmd.OutOrStdout(), json: asJSON}
			opt.OnBlock = show.block
			if !anyPort {
				opt.Listen = devAddresses(opt.Nodes)
			}
			open := func(ctx context.Context) (network, error) {
				if onL1 {
					return newL1(ctx, opt, kv, blobs)
				}
				opt.Soft = true
				return devnet.New(opt)
			}
			if !stream {
				return dev(cmd.Context(), duration, show, open)
			}
			if show.stream, err = openDevStream(&opt, anyPort, log.With("module", "stream")); err != nil {
				return err
			}
			return dev(cmd.Context(), duration, show, func(ctx context.Context) (network, error) {
				n, err := open(ctx)
				if err != nil {
					show.stream.close()
					return nil, err
				}
				show.streamed = &streamed{network: n, devStream: show.stream}
				return show.streamed, nil
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.DurationVar(&duration, "for", 0, "stop after this time; 0: when a signal comes")
	flags.IntVar(&opt.Nodes, "nodes", 2, "full nodes beside the sequencer")
	flags.DurationVar(&opt.BlockTime, "block-time", time.Second, "time between the rollup's blocks")
	flags.DurationVar(&opt.DABlockTime, "da-block-time", time.Second, "time between the DA layer's blocks")
	flags.BoolVar(&onL1, "l1", false, "an inbox on an Ethereum L1 instead of the DA layer; --da-block-time is the L1's")
	flags.BoolVar(&blobs, "blobs", false, "with --l1: proposals in blobs, not in call data")
	flags.BoolVar(&kv, "kv", false, "with --l1: the key-value engine, not a geth for each node")
	flags.BoolVar(&stream, "stream", false, "publish the blocks of the last two nodes in a stream of NATS JetStream, and read it")
	flags.Float64Var(&opt.TxRate, "tx-rate", 5, "transactions per second sent to the sequencer")
	flags.StringVar(&opt.Home, "home", "", "directory to keep everything in; without it a temporary one")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object at the end, and nothing else")
	flags.BoolVar(&anyPort, "any-port", false, "listen on free ports alone")
	flags.StringVar(&level, "log.level", "warn", "debug, info, warn or error; others for modules behind it, as in warn,syncer=info")
	return cmd
}

// devAddresses is where a devnet listens, unless others do: the DA layer, the sequencer and the full nodes.
func devAddresses(nodes int) []string {
	out := []string{"127.0.0.1:26658"}
	for i := range nodes + 1 {
		out = append(out, fmt.Sprintf("127.0.0.1:%d", 7331+i))
	}
	return out
}

// network is a devnet of either kind.
type network interface {
	Run(ctx context.Context) error
	Settle(ctx context.Context) devnet.Report
	Nodes() []*node.Node
	Name(i int) string
}

func newL1(ctx context.Context, opt devnet.Options, kv, blobs bool) (network, error) {
	return devnet.NewL1(ctx, devnet.L1Options{
		Home: opt.Home, Nodes: opt.Nodes, BlockTime: opt.BlockTime, L1BlockTime: opt.DABlockTime, TxRate: opt.TxRate, KV: kv, Blobs: blobs,
		Logger: opt.Logger, OnBlock: opt.OnBlock, Each: opt.Each, Listen: opt.Listen[min(1, len(opt.Listen)):],
	})
}

// dev runs a devnet until ctx ends, or for a time, and compares its nodes before it stops them.
func dev(ctx context.Context, duration time.Duration, show *devOutput, open func(context.Context) (network, error)) error {
	n, err := open(ctx)
	if err != nil {
		if ctx.Err() != nil { // a signal while it was being made
			return nil
		}
		return err
	}
	show.start(n)
	// The net outlives ctx by the time of the comparison.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var net sync.WaitGroup
	var failure error
	net.Go(func() {
		defer stop()
		failure = n.Run(running)
	})
	report := devReport(ctx, running, n, duration)
	stop()
	net.Wait()
	if failure != nil {
		return failure
	}
	show.end(report)
	if !report.OK && (ctx.Err() == nil || report.Blocks > 0) { // a stop before the first block is no failure
		return errors.New(report.Problem)
	}
	return nil
}

// stopWithin bounds the comparison after a signal, so that all has stopped within a second.
const stopWithin = 500 * time.Millisecond

// devReport compares the nodes after duration if it is not 0, when ctx ends, or when the net does.
func devReport(ctx, running context.Context, n network, duration time.Duration) devnet.Report {
	var end <-chan time.Time
	if duration > 0 {
		end = time.After(duration) // the demo's own length
	}
	select {
	case <-end:
	case <-ctx.Done():
	case <-running.Done():
		return devnet.Report{} // its error says more
	}
	settle, cancel := context.WithCancel(running)
	defer cancel()
	defer context.AfterFunc(ctx, func() { // now, or when the signal comes during the comparison
		time.AfterFunc(stopWithin, cancel)
	})()
	return n.Settle(settle)
}

// devOutput prints what a devnet does: text as it happens, or one JSON object at the end.
type devOutput struct {
	out  io.Writer
	json bool

	stream   *devStream // nil: there is none
	streamed *streamed  // likewise

	mu sync.Mutex // one line at a time
}

func (o *devOutput) printf(format string, args ...any) {
	if o.json {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(o.out, format, args...)
}

func (o *devOutput) start(n network) {
	var b strings.Builder
	source := "DA"
	if s, ok := n.(*streamed); ok {
		fmt.Fprintf(&b, "%-11s %s (hr-%s)\n", "stream", s.url(), nats.Chain(s.genesis.Hash()))
		n = s.network
	}
	switch n := n.(type) {
	case *devnet.Net:
		fmt.Fprintf(&b, "%-11s %s\n", "DA layer", n.DA().URL())
	case *devnet.L1:
		source = "L1"
		fmt.Fprintf(&b, "%-11s %s\n%-11s %s\n", "L1", n.Inbox().Geth.HTTP(), "inbox", n.Inbox().Client.Inbox)
		for i, each := range n.Clients() {
			fmt.Fprintf(&b, "%-11s %s (execution client of %s)\n", "geth", each.HTTP(), n.Name(i))
		}
	}
	for i, each := range n.Nodes() {
		fmt.Fprintf(&b, "%-11s http://%s\n", n.Name(i), each.Address())
	}
	sequencer, full := n.Nodes()[0].Address(), n.Nodes()[1].Address()
	if l, ok := n.(*devnet.L1); ok && len(l.Clients()) > 0 {
		fmt.Fprintf(&b, "\nTry:\n  curl http://%s/v1/status\n  headrace wait proposal 3 --node http://%s\n\n", full, full)
	} else {
		fmt.Fprintf(&b, "\nTry:\n  curl -d 'color=blue' 'http://%s/v1/txs?wait=safe'\n  curl http://%s/v1/kv/color\n  curl http://%s/v1/status\n\n", sequencer, full, full)
	}
	fmt.Fprintf(&b, "%8s %8s %5s  by full node: announced -> applied, unsafe head, there before the %s\n", "height", source, "txs", source)
	o.printf("%s", b.String())
}

func (o *devOutput) block(l devnet.Line) {
	took := make([]string, len(l.Latency))
	for i, d := range l.Latency {
		took[i] = fmt.Sprintf("%9s %8d %8s", d.Round(time.Microsecond), l.Unsafe[i], early(l.Early[i]))
	}
	o.printf("%8d %8d %5d  %s\n", l.Height, l.DAHeight, l.Txs, strings.Join(took, "  |"))
}

// early says how long before the source a block was there.
func early(d time.Duration) string {
	if d <= 0 {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}

func (o *devOutput) end(r devnet.Report) {
	if o.json {
		var all any = r
		if o.streamed != nil {
			all = struct {
				devnet.Report
				Stream streamReport `json:"stream"`
			}{r, o.streamed.report}
		}
		_ = json.NewEncoder(o.out).Encode(all) // a reader that has gone is told by nobody
		return
	}
	if r.Blocks == 0 {
		o.printf("\nNo block was made.\n")
		return
	}
	if r.OK {
		o.printf("\nAll nodes agree at height %d: block %s, state %s.\n", r.Nodes[0].Height, r.Nodes[0].Hash, r.Nodes[0].StateRoot)
	}
	o.printf("%d blocks; announced -> applied p50 %.3f ms, p99 %.3f ms, max %.3f ms; %d fetches at the head.\n", r.Blocks, r.LatencyMS.P50, r.LatencyMS.P99, r.LatencyMS.Max, r.FetchesAtHead)
	if r.EarlyMS.P50 > 0 {
		o.printf("Blocks were there, as unsafe ones, p50 %.0f ms before the DA layer announced them.\n", r.EarlyMS.P50)
	}
	if o.streamed != nil {
		t := o.streamed.report
		o.printf("The stream has %d blocks, each once, in order; %d and %d were published by %s and %s; safe there -> read p50 %.3f ms, p99 %.3f ms.\n",
			t.Blocks, t.Published[0], t.Published[1], o.streamed.Name(o.stream.two[0]), o.streamed.Name(o.stream.two[1]), t.LatencyMS.P50, t.LatencyMS.P99)
	}
}
