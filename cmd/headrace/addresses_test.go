package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/node"
)

// TestTokensOfAddresses: an address with a token is written in one way in the file, and the file of a token in
// another one elsewhere; and they mean the same.
func TestTokensOfAddresses(t *testing.T) {
	const one, two = "http://one:1", "https://two/key"
	file, text := node.Address{URL: one, TokenFile: "a.token"}, node.Address{URL: one, Token: "a.b.c"}
	for yaml, want := range map[string]node.Addresses{
		"{address: 'http://one:1', token_file: a.token}":                                         {file},
		"[{address: 'http://one:1', token_file: a.token}]":                                       {file},
		"{address: 'http://one:1', token: a.b.c}":                                                {text},
		"{address: 'http://one:1'}":                                                              {{URL: one}},
		"\n  - address: http://one:1\n    token: a.b.c\n  - https://two/key\n":                   {text, {URL: two}},
		"\n    address: http://one:1\n    token_file: a.token\n":                                 {file},
		"['https://two/key', {token_file: a.token, address: 'http://one:1'}, 'http://one:1']":    {{URL: two}, file, {URL: one}},
		`["https://two/key",{"address":"http://one:1","token":"a.b.c"},"http://three/?token=x"]`: {{URL: two}, text, {URL: "http://three/?token=x"}},
	} {
		for section, list := range map[string]func(node.Config) node.Addresses{
			"da: {}\nl1:\n  http: ":    func(c node.Config) node.Addresses { return c.L1.HTTP },
			"l1: {}\nda:\n  address: ": func(c node.Config) node.Addresses { return c.DA.Address },
		} {
			c, err := load(t, section+yaml)
			if got := list(c); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: got %+v, %v, want %+v", section+yaml, got, err, want)
				continue
			}
			back, err := load(t, configText(map[string]any{"da.address": list(c)}))
			if err != nil || !slices.Equal(back.DA.Address, want) {
				t.Errorf("%s: written to a file and read again: got %+v, %v", yaml, back.DA.Address, err)
			}
		}
	}
	for args, want := range map[string]node.Addresses{
		"http://one:1,token_file=a.token":                                {file},
		"http://one:1,token_file=a.token,https://two/key":                {file, {URL: two}},
		"https://two/key http://one:1,token_file=a.token":                {{URL: two}, file},
		"https://two/key?token_file=x http://one:1,token_file=a.token":   {{URL: two + "?token_file=x"}, file},
		"http://one:1,token_file=a.token http://one:1,token_file=/b=c/d": {file, {URL: one, TokenFile: "/b=c/d"}},
	} {
		var flags []string
		for _, arg := range strings.Fields(args) {
			flags = append(flags, "--da.address", arg)
		}
		c, err := load(t, "da: {address: [{address: 'http://below', token: x}]}", flags...)
		if err != nil || !slices.Equal(c.DA.Address, want) {
			t.Errorf("%s by flags: got %+v, %v, want %+v", args, c.DA.Address, err, want)
		}
		dir := home(t, "")
		t.Setenv("HEADRACE_DA_ADDRESS", strings.ReplaceAll(args, " ", ","))
		if c, err = loadConfig(dir, nil); err != nil || !slices.Equal(c.DA.Address, want) {
			t.Errorf("%s by environment: got %+v, %v, want %+v", args, c.DA.Address, err, want)
		}
	}
}

// TestBadTokensOfAddresses: what makes no sense is refused by the name of the setting, and nothing of it is repeated.
func TestBadTokensOfAddresses(t *testing.T) {
	for yaml, want := range map[string]string{
		"{address: 'http://one:1', token: planted, token_file: x}": "da.address http://one:1: it has both a token and a token_file: keep one",
		"{address: 'http://one:1', token: ''}":                     "da.address: the token is empty",
		"{address: 'http://one:1', token_file: ''}":                "da.address: the token_file is empty",
		"{address: '', token: planted}":                            "da.address: the address is empty",
		"{address: 'http://one:1', token: ' '}":                    "its token holds nothing but spaces",
		`{address: 'http://one:1', token: "planted\nplanted"}`:     "its token holds what no header can carry",
		"{address: 'http://one:1', token: 12345}":                  "da.address: write the token in quotes",
		"{address: 'http://one:1', token: }":                       "da.address: write the token in quotes",
		"[{token: planted}]":                                       "this has no address",
		"[{url: 'http://planted', token: planted}]":                "da.address: an address with a token is {address: URL, token_file: PATH} or {address: URL, token: TEXT}",
		"[{address: 'http://one:1', planted: planted}]":            "and has nothing else in it",
		"{address: {address: 'http://planted'}}":                   "da.address: write the address in quotes",
		"[['http://planted']]":                                     "da.address: write each value in quotes",
		"[{1: planted}]":                                           "and has nothing else in it",
		"'http://one:1,token_file=x'":                              "da.address: in the file an address with a token is {address: URL, token_file: PATH}",
		"['http://one:1,token=planted']":                           "da.address: in the file an address with a token is",
		"{address: 'ftp://planted@one:1/planted', token: planted}": `da.address "ftp://one:1" is not an http, https, ws or wss URL`,
	} {
		_, err := load(t, "da:\n  address: "+yaml)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: got %v, want %q", yaml, err, want)
		}
	}
	for arg, want := range map[string]string{
		"http://one:1,token=planted":                      "da.address: command lines and the environment are no place for a token",
		"token_file=planted":                              "da.address: token_file=PATH comes once, after the address",
		"http://one:1,token_file=planted,token_file=x":    "da.address: token_file=PATH comes once, after the address",
		"http://one:1,token_file=":                        "da.address: token_file= names no file",
		"http://one:1,tokenfile=planted":                  "da.address: after an address and a comma comes another address, or token_file=PATH",
		"http://one:1,planted==":                          "da.address: after an address and a comma comes another address, or token_file=PATH",
		"http://one:1,planted.planted.plantedplantedplan": "da.address (not shown) is not an http, https, ws or wss URL",
	} {
		_, err := load(t, "", "--da.address", arg)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s by flag: got %v, want %q", arg, err, want)
		}
		dir := home(t, "")
		t.Setenv("HEADRACE_DA_ADDRESS", arg)
		if _, err := loadConfig(dir, nil); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s by environment: got %v, want %q", arg, err, want)
		}
	}
}

// TestOldFiles: files that earlier versions made, recorded as they were, mean what they meant.
func TestOldFiles(t *testing.T) {
	on := func(change func(*node.Config)) node.Config {
		c := node.Default()
		change(&c)
		return c
	}
	for name, want := range map[string]node.Config{
		"2026-11-22-sequencer.yaml": on(func(c *node.Config) {
			c.Sequencer.Enabled, c.DA.Address, c.DA.Token = true, node.At("http://bridge-1:26658", "http://bridge-2:26658/"), "planted.token"
			c.L1.WS, c.L1.HTTP = node.At("ws://one:8546/a,b"), node.At("http://one:8545")
		}),
		"2026-11-29-sequencer.yaml": on(func(c *node.Config) {
			c.Sequencer.Enabled, c.DA.Address, c.DA.Token = true, node.At("http://bridge-1:26658", "wss://bridge-2"), "planted.token"
			c.L1.WS, c.L1.HTTP, c.L1.Beacon = node.At("ws://one:8546/key", "wss://two/"), node.At("http://one:8545"), node.At("http://one:5052")
		}),
		"2026-11-29-full.yaml": node.Default(),
		"by-hand.yaml": on(func(c *node.Config) {
			c.DA.Address, c.DA.Token, c.DA.BlockTime = node.At("http://bridge-1:26658/?token=planted"), "planted.token", 6*time.Second
			c.L1.WS, c.L1.Beacon = node.At("ws://one:8546"), node.Addresses{}
		}),
	} {
		text, err := os.ReadFile(filepath.Join("testdata", "old", name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := load(t, string(text)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// TestInitKeepsTokenFiles: the file that init makes names the files of tokens from wherever the node is started.
func TestInitKeepsTokenFiles(t *testing.T) {
	dir := home(t, "")
	t.Setenv("HEADRACE_PASSPHRASE", "correct horse")
	t.Chdir(dir)
	root := newRoot()
	root.SetArgs([]string{"init", "--sequencer", "--home", "made", "--da.address", "http://one:1,token_file=a.token", "--da.address", "http://two:2", "--l1.ws", "ws://three,token_file=/b.token"})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig("made", nil)
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := node.Addresses{{URL: "http://one:1", TokenFile: filepath.Join(here, "a.token")}, {URL: "http://two:2"}}
	if !slices.Equal(c.DA.Address, want) || !slices.Equal(c.L1.WS, node.Addresses{{URL: "ws://three", TokenFile: "/b.token"}}) {
		t.Errorf("got %+v and %+v, want %+v", c.DA.Address, c.L1.WS, want)
	}
}
