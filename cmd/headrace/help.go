package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// columns is how wide a help text is at most.
const columns = 100

// groups are the parts of the list of commands, with what is in each.
var groups = []struct {
	id, title string
	commands  []string
}{
	{"try", "To try it:", []string{"dev", "da"}},
	{"run", "To run a node:", []string{"init", "start", "doctor", "repair", "export", "inbox", "payload", "sequencer"}},
	{"see", "To see what a node does, and wait for it:", []string{"status", "top", "tail", "stream", "wait", "log"}},
	{"rest", "More:", []string{"version", "completion", "help"}},
}

// examples have one line for each command that does something.
var examples = map[string]string{
	"headrace dev":            "headrace dev --nodes 3 --for 30s",
	"headrace da":             "headrace da --home /tmp/da --block-time 2s",
	"headrace da token":       "headrace da token write --home /tmp/da",
	"headrace init":           "headrace init --home /tmp/full --genesis /tmp/seq/genesis.json",
	"headrace start":          "headrace start --home /tmp/full --http.address 127.0.0.1:7332",
	"headrace doctor":         "headrace doctor --home /tmp/full",
	"headrace repair":         "headrace repair --home /tmp/full",
	"headrace export":         "headrace export --evolve /tmp/ev-node --home /tmp/seq",
	"headrace inbox deploy":   "headrace inbox deploy --l1.http http://127.0.0.1:8545 --l1.key_file /tmp/l1.key",
	"headrace inbox show":     "headrace inbox show --home /tmp/full",
	"headrace inbox force":    "headrace inbox force --home /tmp/full --tx 0x613d31 --l1.key_file /tmp/l1.key",
	"headrace inbox proposer": "headrace inbox proposer 0x00000000000000000000000000000000000000aa --home l1 --l1.key_file l1.key",
	"headrace inbox fee":      "headrace inbox fee 32 --home l1 --l1.key_file l1.key",
	"headrace inbox withdraw": "headrace inbox withdraw 0x00000000000000000000000000000000000000aa --home l1 --l1.key_file l1.key",
	"headrace payload":        "headrace payload payload.hex",
	"headrace status":         "headrace status --watch --node http://127.0.0.1:7332",
	"headrace top":            "headrace top --node http://127.0.0.1:7332",
	"headrace tail":           "headrace tail --from 1 --json",
	"headrace stream check":   "headrace stream check nats://127.0.0.1:4222 --node http://127.0.0.1:7332",
	"headrace wait height":    "headrace wait height 100 --head finalized --timeout 5m",
	"headrace wait tx":        "headrace wait tx $HASH --head finalized --node http://127.0.0.1:7332",
	"headrace wait proposal":  "headrace wait proposal 5 --node http://127.0.0.1:7332",
	"headrace wait position":  "headrace wait position 2000",
	"headrace wait not-ready": "headrace wait not-ready --node http://127.0.0.1:7332 --timeout 0",
	"headrace wait stopped":   "headrace wait stopped --node http://127.0.0.1:7331 --node http://127.0.0.1:7332",
	"headrace wait ready":     "headrace wait ready --timeout 30s && run-the-tests",
	"headrace wait block":     "headrace wait block 100 --rpc ws://127.0.0.1:8546 --depth 2",
	"headrace wait receipt":   "headrace wait receipt $TX --rpc ws://127.0.0.1:8546 --depth 2",
	"headrace log":            "headrace log info,follow=debug --node http://127.0.0.1:7332",
	"headrace version":        "headrace version",
	"headrace help":           "headrace help wait height",

	"headrace sequencer stop":    "headrace sequencer stop --node http://127.0.0.1:7331",
	"headrace sequencer start":   "headrace sequencer start --token-file /tmp/seq/token",
	"headrace sequencer propose": "headrace sequencer propose && headrace wait height 100 --head safe",
}

// choices are the values of flags that have few. Those of wait's --head are tail's, too.
var choices = map[string][]string{
	"head":        {"safe", "unsafe", "finalized"},
	"log.level":   {"debug", "info", "warn", "error"},
	"log.format":  {"text", "json"},
	"log.blocks":  {"each", "10s", "none"},
	"da.kind":     {"celestia", "local-da"},
	"da.level":    {"trust", "prove-empty", "prove"},
	"engine.kind": {"kv", "engineapi", "evolve-evm", "grpc", "evolve-grpc"},
	"l1.finality": {"node"},
	"l1.content":  {"calldata", "blobs", "auto"},
	"index.txs":   {"all", "none"},
}

// describe gives a command and those below it their help: an example, a group, values that a shell completes, and a width.
func describe(root *cobra.Command) {
	cobra.AddTemplateFunc("wrapped", func(s string) string { return wrapped(s, columns) })
	cobra.AddTemplateFunc("flagsOf", flagsOf)
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpTemplate(`{{with or .Long .Short}}{{. | trimTrailingWhitespaces | wrapped}}

{{end}}{{if or .Runnable .HasSubCommands}}{{.UsageString}}{{end}}`)
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range root.Commands() {
			if slices.Contains(g.commands, c.Name()) {
				c.GroupID = g.id
			}
		}
	}
	root.SetHelpCommandGroupID("rest")
	root.SetCompletionCommandGroupID("rest")
	each(root, func(c *cobra.Command) {
		if text := examples[c.CommandPath()]; text != "" {
			c.Example = "  " + text
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if values := choices[f.Name]; values != nil {
				_ = c.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)) // its only error is a second call
			}
			if f.Name == "home" {
				_ = c.MarkFlagDirname(f.Name) // its only error is a flag that is not there
			}
		})
	})
}

// each calls f with a command and all below it.
func each(c *cobra.Command, f func(*cobra.Command)) {
	f(c)
	for _, sub := range c.Commands() {
		each(sub, f)
	}
}

const usageTemplate = `Usage:
{{- if .Runnable}}
{{wrapped (printf "  %s" .UseLine)}}{{end}}
{{- if .HasAvailableSubCommands}}
  {{.CommandPath}} [command]{{end}}
{{- if .HasExample}}

Example:
{{.Example}}{{end}}
{{- if .HasAvailableSubCommands}}
{{- $all := .Commands}}{{range $group := .Groups}}

{{$group.Title}}
{{- range $all}}{{if and (eq .GroupID $group.ID) (or .IsAvailableCommand (eq .Name "help"))}}
{{wrapped (printf "  %s %s" (rpad .Name .NamePadding) .Short)}}{{end}}{{end}}{{end}}
{{- if not .Groups}}

Commands:
{{- range $all}}{{if .IsAvailableCommand}}
{{wrapped (printf "  %s %s" (rpad .Name .NamePadding) .Short)}}{{end}}{{end}}{{end}}{{end}}
{{- with flagsOf .LocalFlags}}

{{. | trimTrailingWhitespaces}}{{end}}
{{- if .HasAvailableInheritedFlags}}

Global flags:
{{.InheritedFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}{{end}}
{{- if .HasAvailableSubCommands}}

"{{.CommandPath}} [command] --help" says more of a command.{{end}}
`

// flagsOf lists flags: a command's own, and then its settings by the part of the configuration that they belong to.
func flagsOf(flags *pflag.FlagSet) string {
	parts, order := map[string]*pflag.FlagSet{}, []string{""}
	flags.VisitAll(func(f *pflag.Flag) {
		part, _, isSetting := strings.Cut(f.Name, delimiter)
		if !isSetting {
			part = ""
		}
		if parts[part] == nil {
			parts[part] = pflag.NewFlagSet(part, pflag.ContinueOnError)
			parts[part].SortFlags = false
			if part != "" {
				order = append(order, part)
			}
		}
		parts[part].AddFlag(f)
	})
	var b strings.Builder
	for _, part := range order {
		switch {
		case parts[part] == nil || !parts[part].HasAvailableFlags():
			continue
		case part == "":
			b.WriteString("Flags:\n")
		default:
			fmt.Fprintf(&b, "Settings of %s:\n", part)
		}
		b.WriteString(parts[part].FlagUsagesWrapped(columns) + "\n")
	}
	return b.String()
}

// wrapped has the lines of a text end before a width. A line that goes on is joined with the next one first, and one that
// is indented is not. What follows keeps the indent of its first line.
func wrapped(s string, width int) string {
	var out []string
	var line string // that may go on
	flush := func() {
		if line != "" {
			out = append(out, fold(line, width)...)
		}
		line = ""
	}
	for next := range strings.SplitSeq(s, "\n") {
		switch {
		case next == "", unicode.IsSpace(rune(next[0])):
			flush()
			out = append(out, fold(next, width)...)
		case line == "":
			line = next
		default:
			line += " " + next
		}
	}
	flush()
	return strings.Join(out, "\n")
}

// fold breaks one line.
func fold(line string, width int) (out []string) {
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	if fields := strings.Fields(line); indent != "" && len(fields) > 1 { // a word and what it means, in columns
		if at := strings.Index(line[len(indent):], "  "); at > 0 {
			indent = strings.Repeat(" ", len(indent)+at+len(line[len(indent)+at:])-len(strings.TrimLeft(line[len(indent)+at:], " ")))
		}
	}
	for len(line) > width {
		at := strings.LastIndexByte(line[:width+1], ' ')
		if at <= len(indent) {
			break // a word that is longer
		}
		out, line = append(out, strings.TrimRight(line[:at], " ")), indent+strings.TrimLeft(line[at:], " ")
	}
	return append(out, line)
}
