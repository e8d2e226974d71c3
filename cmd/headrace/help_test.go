package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// helps returns the help of each command, as it is printed.
func helps(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	root := newRoot()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	each(root, func(c *cobra.Command) {
		var out bytes.Buffer
		c.SetOut(&out)
		if err := c.Help(); err != nil {
			t.Errorf("%s: %v", c.CommandPath(), err)
		}
		texts[c.CommandPath()] = out.String()
	})
	return texts
}

// No line of a help text is wider than a terminal is as a rule.
func TestHelpFits(t *testing.T) {
	for name, text := range helps(t) {
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > columns {
				t.Errorf("%s: %d columns, want %d at most: %s", name, n, columns, line)
			}
		}
	}
}

// Each command that does something has an example, which its flags and arguments allow, and each of the root's is in a
// group.
func TestHelpIsComplete(t *testing.T) {
	texts := helps(t)
	used := map[string]bool{}
	each(newRoot(), func(c *cobra.Command) {
		if c.HasParent() && c.Parent() == c.Root() && c.GroupID == "" {
			t.Errorf("%s is in no group", c.CommandPath())
		}
		if !c.HasParent() || c.HasSubCommands() && c.Name() != "da" {
			return
		}
		example := strings.TrimSpace(c.Example)
		if used[c.CommandPath()] = true; example == "" || !strings.Contains(texts[c.CommandPath()], "Example:\n  "+example) {
			t.Errorf("%s has no example", c.CommandPath())
			return
		}
		line, _, _ := strings.Cut(example, " && ")
		found, args, err := newRoot().Find(strings.Fields(line)[1:])
		if err == nil {
			err = found.ParseFlags(args)
		}
		if err == nil && found.Args != nil {
			err = found.ValidateArgs(found.Flags().Args())
		}
		if err != nil || found.CommandPath() != c.CommandPath() {
			t.Errorf("%s: the example %s is of %s, and %v", c.CommandPath(), example, found.CommandPath(), err)
		}
	})
	for name := range examples {
		if !used[name] {
			t.Errorf("there is an example of %s, which there is not", name)
		}
	}
}

// The settings of a node are listed by their part of the configuration.
func TestSettingsAreGrouped(t *testing.T) {
	text := helps(t)["headrace start"]
	at := 0
	for _, want := range []string{"Flags:\n", "--home", "Settings of sequencer:\n", "--sequencer.enabled", "Settings of da:\n", "--da.address", "Settings of http:\n", "--http.address", "Settings of log:\n"} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("no %q after %q in %s", want, text[:at], text)
		}
		at += i
	}
}

// A shell completes the values of what has few.
func TestCompletion(t *testing.T) {
	for line, want := range map[string]string{
		"start --da.level ":     "trust\nprove-empty\nprove\n",
		"wait height 3 --head ": "safe\nunsafe\nfinalized\n",
		"tail --head ":          "safe\nunsafe\nfinalized\n",
		"init --engine.kind ":   "kv\nengineapi\nevolve-evm\ngrpc\nevolve-grpc\n",
		"da token s":            "",
		"da token w":            "write\n",
		"wai":                   "wait\tWait for a node, or for a block of any Ethereum node, without asking again and again\n",
	} {
		var out bytes.Buffer
		root := newRoot()
		root.SetOut(&out)
		args := strings.Split(line, " ")
		root.SetArgs(append([]string{"__complete"}, args...))
		if err := root.Execute(); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		got, _, _ := strings.Cut(out.String(), ":")
		if line == "wai" {
			got = strings.TrimSuffix(out.String(), ":4\n")
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

// The values that a shell completes are those that the setting takes.
func TestChoicesAreTaken(t *testing.T) {
	for name, values := range choices {
		if _, ok := find(name); !ok {
			continue // of a command, which says what it takes
		}
		for _, v := range values {
			values := map[string]any{name: v}
			if name == "da.kind" {
				values["da.level"] = "trust"
			}
			if name == "engine.kind" {
				values["engine.address"], values["engine.url"], values["engine.eth_url"] = "http://127.0.0.1:1", "http://127.0.0.1:1", "http://127.0.0.1:1"
				values["engine.jwt_file"], values["engine.genesis_file"] = os.DevNull, os.DevNull
				values["engine.fee_recipient"] = "0x00000000000000000000000000000000000000aa"
			}
			if _, err := makeConfig(values); err != nil {
				t.Errorf("%s: %s is completed, and refused: %v", name, v, err)
			}
		}
	}
}

func TestWrapped(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"one two three", "one two\nthree"},
		{"one\ntwo", "one two"},
		{"one\n\ntwo", "one\n\ntwo"},
		{"  one two three", "  one two\n  three"},
		{"  a   b c d e", "  a   b c\n      d e"},
		{"onelongwordthatdoesnotfit", "onelongwordthatdoesnotfit"},
	} {
		if got := wrapped(c.in, 10); got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}
