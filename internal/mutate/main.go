// Command mutate takes the guards of the product out, one at a time, and reports those that no test misses. Run it as
//
//	go run ./internal/mutate [-list] [-run REGEXP] [-sample N [-day YYYY-MM-DD]]
//
// A guard is a check on which correctness or memory hangs. The tables, one file for each package, say what each guard
// reads in the source, what is left when it is taken out, and which test must fail then. That test alone is run:
// first with the guard, where it must pass, then without it. It promises to leave the tree as it is: a guard is taken
// out in a copy of its file, which the go command reads in its place (-overlay). Nothing runs side by side. The exit
// status is 1 when a guard is not missed and when a row of a table is not true any more: its text is not in the file
// exactly once, what is left does not compile, or the test does not pass, is skipped or does not exist.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// bound is how long one run of a test may last. A guard is not missed by a test that hangs without it: who waits for
// that learns nothing. It is more than the two minutes that the slowest tests give what they wait for, and their
// compilation on a busy machine.
const bound = 6 * time.Minute

// tables hold the guards, one for each package.
var tables = slices.Concat(
	followGuards,
	secretsGuards,
	deriveGuards,
	authorityGuards,
	decodeGuards,
	syncerGuards,
	rootGuards,
	evevmGuards,
	reorgGuards,
	storeGuards,
	celestiaGuards,
	callsGuards,
	celloadGuards,
	clocksGuards,
	ethereumGuards,
	l1EndpointGuards,
	engineapiGuards,
	engineapiRuleGuards,
	evgrpcGuards,
	evconnectGuards,
	nodeGuards,
	readyGuards,
	stagesGuards,
	nodeBlocksGuards,
	typesGuards,
	observerGuards,
	diskGuards,
	httpGuards,
	liesGuards,
	slowGuards,
	sequencerGuards,
	pauseGuards,
	gatewayGuards,
	postingGuards,
	connsGuards,
	l1netGuards,
	rim2Guards,
	rim3Guards,
	crowdGuards,
	tenGuards,
	devchainGuards,
	tokensGuards,
	squareGuards,
	evhabitsGuards,
	endpointGuards,
	ev2Guards,
	doctorGuards,
	doctor2Guards,
	liveGuards,
	logGuards,
	evrpcGuards,
	pageGuards,
	figuresGuards,
	inboxGuards,
	newcomersGuards,
	apiGuards,
	compactGuards,
	waitsGuards,
	softGuards,
	replicaGuards,
	txsGuards,
	gossipGuards,
	handGuards,
	policyGuards,
	streamReadGuards,
	streamGuards,
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, tables, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// run does what the arguments ask for with the guards of table.
func run(ctx context.Context, out io.Writer, table []guard, args []string) error {
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	list := flags.Bool("list", false, "list the guards and take none out")
	match := flags.String("run", "", "only guards whose \"package: name\" matches this regular expression")
	sample := flags.Int("sample", 0, "only so many guards, others each day; 0: all")
	day := flags.String("day", time.Now().UTC().Format(time.DateOnly), "choose the sample of this day")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*match)
	if err != nil {
		return err
	}
	date, err := time.Parse(time.DateOnly, *day)
	if err != nil {
		return err
	}
	if err := wellFormed(table); err != nil {
		return err
	}
	chosen := slices.DeleteFunc(slices.Clone(table), func(g guard) bool { return !wanted.MatchString(g.String()) })
	if len(chosen) == 0 {
		return fmt.Errorf("no guard matches %q", *match)
	}
	chosen = sampled(chosen, *sample, date)
	if *list {
		return show(out, chosen)
	}
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d of %d guards, on %s; each run of a test may last %s\n", len(chosen), len(table), *day, bound)
	return takeOut(ctx, out, &bench{root: root, bound: bound}, chosen)
}

// takeOut takes the guards out one after the other and prints a line for each.
func takeOut(ctx context.Context, out io.Writer, b *bench, guards []guard) error {
	bad := 0
	for _, g := range guards {
		start := time.Now()
		v, detail := b.try(ctx, g)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		fmt.Fprintf(out, "%-*s %s (%s, %.1f s)\n", widest, v, g, g.test, time.Since(start).Seconds())
		if v != noticed {
			bad++
		}
		if v != noticed && v != unnoticed && v != hangs { // those have nothing to say
			fmt.Fprintln(out, indent(detail))
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d guards are not missed when they are gone, or their row is not true", bad, len(guards))
	}
	return nil
}

func show(out io.Writer, guards []guard) error {
	for _, g := range guards {
		if _, err := fmt.Fprintf(out, "%s (%s; %s in %s)\n", g, g.file, g.test, g.pkg); err != nil {
			return err
		}
	}
	return nil
}

// sampled returns n of the guards, others each day, such that all of them have their turn.
func sampled(guards []guard, n int, day time.Time) []guard {
	if n <= 0 || n >= len(guards) {
		return guards
	}
	first := int(day.Unix()/(24*60*60)) * n % len(guards)
	return slices.Concat(guards[first:], guards[:first])[:n]
}

// moduleRoot returns the folder of the module that the working directory is in.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if filepath.Base(mod) != "go.mod" {
		return "", errors.New("find the module: the working directory is in none")
	}
	return filepath.Dir(mod), nil
}

func indent(text string) string {
	return "\t" + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n\t")
}
