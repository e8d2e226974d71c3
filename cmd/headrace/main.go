// Command headrace runs a rollup's nodes: a sequencer, full nodes, and a DA layer for development.
//
// Each subcommand says what it did on standard output, logs to standard error, and ends a failure with one line that
// says what to do. The exit status is 0 for success and for a stop by signal, 1 for a failure, and 2 for a command
// line that makes no sense. Commands may have more: wait, start and da two each, wait receipt four, doctor and stream
// check one.
//
// The first SIGINT, SIGTERM or SIGHUP stops cleanly. A second SIGINT or SIGTERM stops at once, if it is not of the same
// moment. A SIGHUP that is ignored when the program starts, as nohup has it, stays ignored. A SIGUSR1 has start say on
// standard error why its node is not ready, and what waits.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"headrace/internal/redact"
)

func main() { os.Exit(run(os.Args[1:])) }

// The exit statuses.
const (
	statusOK      = 0
	statusFailure = 1
	statusUsage   = 2
)

// run executes one command line and returns the exit status.
func run(args []string) int {
	ctx, stop := untilSignal(context.Background())
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	cmd, err := helpOf(root, args)
	if err == nil {
		cmd, err = root.ExecuteContextC(ctx)
	}
	if err == nil {
		return statusOK
	}
	fmt.Fprintf(os.Stderr, "%s: %s\n", cmd.CommandPath(), oneLine(err))
	return exitStatus(err)
}

// helpOf returns an error if args ask for the help of a command that there is not: whoever parses them shows that of the one
// above it.
func helpOf(root *cobra.Command, args []string) (*cobra.Command, error) {
	if !slices.Contains(args, "--help") && !slices.Contains(args, "-h") {
		return root, nil
	}
	cmd, flags, err := root.Find(args)
	if err != nil {
		return root, err
	}
	cmd.InitDefaultHelpFlag()
	_ = cmd.ParseFlags(flags) // what is wrong with them is told when they are parsed again
	if given := cmd.Flags().Args(); len(given) > 0 {
		return cmd, cmd.ValidateArgs(given)
	}
	return cmd, nil
}

// exitStatus is what the exit status says of a failure.
func exitStatus(err error) int {
	if usage := (usageError{}); errors.As(err, &usage) {
		return statusUsage
	}
	if exit := (exitError{}); errors.As(err, &exit) {
		return exit.status
	}
	return statusFailure
}

// twice is how long after the first signal another one is taken for the same: timeout of the coreutils sends two at once, to
// the program and to its process group.
const twice = 500 * time.Millisecond

// untilSignal returns a context that ends with the first SIGINT, SIGTERM or SIGHUP. A second one of the first two, unless
// it comes at once, has its usual effect: it kills.
func untilSignal(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 1) // package signal sends
	signal.Notify(signals, stops()...)
	go func() { // ends with the context, which the caller cancels
		defer signal.Stop(signals)
		select {
		case <-signals:
			hangUpOnce()
			cancel()
			<-time.After(twice) // signals of the same moment are for nobody
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "headrace",
		Version:       built(),
		Short:         "Brings a rollup's blocks to its execution engine: the moment they exist, in order, exactly once",
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(badFlag)
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(newInit(), newStart(), newDoctor(), newRepair(), newExport(), newDev(), newDA(), newInbox(), newPayload(), newStatus(), newTop(), newWait(), newTail(), newStream(), newLog(), newSequencer(), newVersion())
	checkHelp(root)
	describe(root)
	return root
}

// checkHelp has the help command refuse what is no command.
func checkHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, _ := root.Find([]string{"help"}) // it is there now
	show := help.Run
	help.Run, help.RunE = nil, func(cmd *cobra.Command, args []string) error {
		if found, rest, err := root.Find(args); err != nil || len(rest) > 0 {
			return noArgs(found, rest)
		}
		show(cmd, args)
		return nil
	}
}

// usageError is a command line that makes no sense: exit status 2.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// noArgs refuses what is neither a flag nor a subcommand, and names the nearest subcommand.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	if len(names) == 0 {
		return usagef("it takes no argument such as %s: see %s --help", redact.Refused(args[0]), cmd.CommandPath())
	}
	return usagef("there is no command %s%s See %s --help", redact.Refused(args[0]), didYouMean(args[0], names, "%q"), cmd.CommandPath())
}

// badFlag makes a wrong flag a usage error, and names the nearest one. Behind the name of a command that there is not no
// flag is right: then it is the name that is told.
func badFlag(cmd *cobra.Command, err error) error {
	if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
		return noArgs(cmd, args)
	}
	invalid := (*pflag.InvalidValueError)(nil)
	if errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "stringSlice" { // its value may be an address with a key in it
		return usagef("--%s takes values with commas between, without quotes: see %s --help", invalid.GetFlag().Name, cmd.CommandPath())
	}
	unknown := (*pflag.NotExistError)(nil)
	if !errors.As(err, &unknown) || len(unknown.GetSpecifiedName()) < 2 {
		return usagef("%w: see %s --help", err, cmd.CommandPath())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return usagef("there is no flag --%s%s See %s --help", unknown.GetSpecifiedName(), didYouMean(unknown.GetSpecifiedName(), names, "--%s"), cmd.CommandPath())
}

// didYouMean ends a sentence about a name that there is not: with the nearest one, unless that is another word.
func didYouMean(s string, names []string, form string) string {
	for _, s := range []string{s, strings.ToLower(s)} {
		name := nearest(s, names)
		if edits(s, name) <= max(len(s), len(name))/2 || strings.HasPrefix(name, s) && s != "" {
			return fmt.Sprintf(": did you mean "+form+"?", name)
		}
	}
	return "."
}

// nearest returns the name that takes the fewest single-letter edits from s.
func nearest(s string, names []string) string {
	best, fewest := "", len(s)+1<<10
	for _, name := range names {
		if n := edits(s, name); n < fewest {
			best, fewest = name, n
		}
	}
	return best
}

// edits returns the Levenshtein distance of a and b, in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1) // row[j] is the distance of a[:i] and b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// oneLine is err's text without line breaks, such as those between joined errors.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}
