package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"headrace/node"
)

// home returns a directory with text as its config.yaml, and an environment without settings.
func home(t *testing.T, text string) string {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, envPrefix) {
			t.Setenv(name, "")
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func load(t *testing.T, text string, args ...string) (node.Config, error) {
	t.Helper()
	dir := home(t, text)
	flags := configFlags()
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return loadConfig(dir, flags)
}

// uncommented turns each default of a config.yaml into a setting.
func uncommented(text string) string {
	return regexp.MustCompile(`(?m)^(\s*)#(\S)`).ReplaceAllString(text, "$1$2")
}

func TestDefaultsInTheFileAreTheDefaults(t *testing.T) {
	text := configText(nil)
	for name, text := range map[string]string{"as made": text, "each # removed": uncommented(text), "empty": ""} {
		got, err := load(t, text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := node.Default(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	for _, s := range settings() {
		if !strings.Contains(uncommented(text), "# "+s.help+"\n") {
			t.Errorf("config.yaml does not say what %s is", s.key)
		}
		if s.help == "" {
			t.Errorf("setting %s has no help tag", s.key)
		}
	}
	if n := strings.Count(uncommented(text), ": "); n < len(settings()) {
		t.Errorf("got %d values in config.yaml, want %d", n, len(settings()))
	}
}

// TestTagsAgreeWithDefaults fails when a default tag of node.Config says something else than node.Default.
func TestTagsAgreeWithDefaults(t *testing.T) {
	tags := map[string]string{}
	var walk func(prefix string, typ reflect.Type)
	walk = func(prefix string, typ reflect.Type) {
		for field := range typ.Fields() {
			key := prefix + field.Tag.Get("koanf")
			if field.Type.Kind() == reflect.Struct {
				walk(key+delimiter, field.Type)
			} else {
				tags[key] = field.Tag.Get("default")
			}
		}
	}
	walk("", reflect.TypeFor[node.Config]())
	for _, s := range settings() {
		got := any(reflect.Zero(reflect.TypeOf(s.def)).Interface())
		if tags[s.key] != "" {
			var err error
			if got, err = s.parse(tags[s.key]); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(got, s.def) {
			t.Errorf("%s: got default tag %v, want %v as node.Default has it", s.key, got, s.def)
		}
	}
}

func TestNamesAreDistinct(t *testing.T) {
	seen := map[string]string{}
	for _, name := range reserved {
		seen[name] = "reserved"
	}
	for _, s := range settings() {
		if other, ok := seen[s.env()]; ok {
			t.Errorf("%s and %s are both %s in the environment", s.key, other, s.env())
		}
		seen[s.env()] = s.key
		if configFlags().Lookup(s.key) == nil {
			t.Errorf("%s has no flag", s.key)
		}
	}
}

// TestEverySettingByEveryWay sets each setting to something else than its default by file, environment and flag.
func TestEverySettingByEveryWay(t *testing.T) {
	other := func(s setting) any {
		switch s.def.(type) {
		case string:
			return map[string]any{
				"http.address": "127.0.0.2:1", "engine.kind": "kv", "da.kind": "celestia", "da.level": "trust", "log.level": "debug", "log.format": "json", "log.blocks": "10s", "telemetry.otlp": "grpc://127.0.0.1:4317", "l1.block_time": "on-demand", "l1.finality": "64", "index.txs": "none", "stream.head": "finalized", "l1.content": "auto",
			}[s.key]
		case bool:
			return true
		case uint64:
			if s.key == "da.priority" || s.key == "l1.max_blobs" || s.key == "l1.payload" {
				return uint64(2)
			}
			return uint64(77)
		case float64:
			return 0.25
		case time.Duration:
			return 77 * time.Minute
		case node.Addresses:
			scheme := map[bool]string{true: "ws", false: "http"}[s.key == "l1.ws"]
			return node.Addresses{{URL: scheme + "s://three"}, {URL: scheme + "://three:3/3", TokenFile: "/a/token"}, {URL: scheme + "://five/5"}}
		default:
			if s.key == "stream.url" {
				return []string{"nats://one:1", "tls://two:2"}
			}
			return []string{"http://one:1", "ws://two:2"}
		}
	}
	for _, s := range settings() {
		v := other(s)
		if v == nil {
			v = `a "#: b` // any text will do
		}
		want, err := makeConfig(map[string]any{s.key: v})
		if err != nil {
			t.Fatal(err)
		}
		if s.key != "engine.kind" && s.key != "da.kind" && reflect.DeepEqual(want, node.Default()) {
			t.Fatalf("%s: a value of %v changes nothing", s.key, v)
		}
		text := strings.Trim(yamlValue(v), `"[]`)
		text = strings.NewReplacer(`\"`, `"`, `","`, ",").Replace(text)
		if list, ok := v.(node.Addresses); ok {
			text = fmt.Sprintf("%s,%s,token_file=%s,%s", list[0].URL, list[1].URL, list[1].TokenFile, list[2].URL)
		}
		flagText := text
		dir := home(t, configText(map[string]any{s.key: v}))
		if got, err := loadConfig(dir, nil); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s by file: got %+v, %v, want %+v", s.key, got, err, want)
		}
		if got, err := load(t, "", "--"+s.key+"="+flagText); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s by flag: got %+v, %v, want %+v", s.key, got, err, want)
		}
		dir = home(t, "")
		t.Setenv(s.env(), text)
		if got, err := loadConfig(dir, nil); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s by environment: got %+v, %v, want %+v", s.key, got, err, want)
		}
	}
}

// TestAddressesOfAnL1 reads what an l1.ws of one address, as files have had it, and of several may look like.
func TestAddressesOfAnL1(t *testing.T) {
	one, two := "ws://one:1/a,b", "wss://two"
	for text, want := range map[string]node.Addresses{
		"":                             nil,
		"l1: {ws: ''}":                 {},
		"l1: {ws: 'ws://one:1/a,b'}":   node.At(one),
		"l1: {ws: ws://one:1/a,b}":     nil, // YAML ends the value at the comma, as ever: an error
		"l1: {ws: ['ws://one:1/a,b']}": node.At(one),
		"l1:\n  ws: ws://one:1/a,b\n":  node.At(one),
		"l1:\n  ws:\n    - ws://one:1/a,b\n    - wss://two\n": node.At(one, two),
		"l1: {ws: ['ws://one:1/a,b', '']}":                    nil, // an error
	} {
		c, err := load(t, text)
		if bad := want == nil && text != ""; bad != (err != nil) || !bad && !slices.Equal(c.L1.WS, want) {
			t.Errorf("%q: got %q, %v, want %q", text, c.L1.WS, err, want)
		}
	}
	c, err := load(t, "l1: {ws: ws://one}", "--l1.ws", "ws://two", "--l1.ws", "ws://three,ws://four")
	if want := node.At("ws://two", "ws://three", "ws://four"); err != nil || !slices.Equal(c.L1.WS, want) {
		t.Errorf("by flags: got %q, %v, want %q", c.L1.WS, err, want)
	}
}

func TestFlagsOverEnvironmentOverFile(t *testing.T) {
	dir := home(t, "da: {token: file, header_namespace: file, data_namespace: file}\nsequencer: {block_time: 3s}\n")
	t.Setenv("HEADRACE_DA_TOKEN", "environment")
	t.Setenv("HEADRACE_DA_HEADER_NAMESPACE", "environment")
	t.Setenv("HEADRACE_PASSPHRASE", "not a setting")
	flags := configFlags()
	if err := flags.Parse([]string{"--da.token=flag"}); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(dir, flags)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := []string{c.DA.Token, c.DA.HeaderNamespace, c.DA.DataNamespace}, []string{"flag", "environment", "file"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := c.Sequencer.BlockTime, 3*time.Second; got != want {
		t.Errorf("a flag that was not given has overridden the file: got %v, want %v", got, want)
	}
}

// TestTextSurvivesTheFile writes texts that YAML would take for something else.
func TestTextSurvivesTheFile(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("0", 57) + "1", strings.Repeat("1", 58), "1e3", "0x10", "true", "~", "null", "", " a ", "a: b", "# no comment", `"`, `'`, `\n`, "line\nbreak", "\u2028", "é<>&", "2026-01-01", "[a]",
	} {
		c, err := load(t, configText(map[string]any{"l1.key_file": text}))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if c.L1.KeyFile != text {
			t.Errorf("got %q, want %q", c.L1.KeyFile, text)
		}
	}
}

func TestWrongFiles(t *testing.T) {
	for text, want := range map[string]string{
		"da: {adress: x}":                           "there is no setting da.adress: did you mean da.address?",
		"dA: {}":                                    "there is no setting dA: did you mean",
		"block_time: 1s":                            "there is no setting block_time: did you mean da.block_time?",
		"da: http://127.0.0.1:1":                    "da is a section: its settings belong below it",
		"sequencer: {block_time: 5}":                `sequencer.block_time: "5" is not a duration such as 500ms, 1s or 1m`,
		"sequencer: {enabled: 2}":                   `sequencer.enabled: "2" is not true or false`,
		"sequencer: {max_pending: -1}":              `sequencer.max_pending: "-1" is not a whole number`,
		"sequencer: {max_pending: [1]}":             `sequencer.max_pending: "[1]" is not a whole number`,
		"da: {token: 123}":                          "da.token: write the value in quotes",
		"da: {address: [1]}":                        "da.address: write each value in quotes",
		"da: {address: nonsense}":                   `da.address "nonsense" is not an http, https, ws or wss URL`,
		"l1: {ws: http://127.0.0.1:8546}":           `l1.ws "http://127.0.0.1:8546" is not a URL such as ws://127.0.0.1:8546`,
		"l1: {http: ws://127.0.0.1:8545}":           `l1.http "ws://127.0.0.1:8545" is not a URL such as http://127.0.0.1:8545`,
		"l1: {beacon: 127.0.0.1:5052}":              `l1.beacon "127.0.0.1:5052" is not a URL such as http://127.0.0.1:5052`,
		"l1: {call_timeout: -1s}":                   "must not be negative",
		"l1: {finality: latest}":                    `l1.finality "latest" is neither node nor a depth of at least 1`,
		"l1: {finality: 0}":                         `l1.finality "0" is neither node nor a depth`,
		"l1: {finality: -1}":                        `l1.finality "-1" is neither`,
		"l1: {finality: 1.5}":                       "l1.finality: write the value in quotes",
		"l1: {block_time: 5}":                       `l1.block_time "5" is neither a duration such as 12s, nor on-demand`,
		"l1: {block_time: -1s}":                     `l1.block_time "-1s" is neither`,
		"da: {address: []}":                         "da.address is empty",
		"stream: {url: 'http://127.0.0.1:1'}":       `stream.url "http://127.0.0.1:1" is not a nats, tls, ws or wss URL`,
		"stream: {url: 'plantedsecret@@host name'}": "stream.url (not shown) is not a nats",
		"stream: {head: unsafe}":                    `stream.head "unsafe" is not known: use safe or finalized`,
		"da: [":                                     "mend the file, or move it away",
		"da: {token: a}\nda: {token: b}":            "already defined",
		"just text":                                 "mend the file",
		"da: {token: a, token: b}":                  "already defined",
		"\x00":                                      "mend the file",
		"http: {address: '7331'}":                   "is not host:port",
		"log:\n\tlevel: debug":                      "mend the file",
		"sequencer: {lazy: {interval: {deep: 1}}}":  "there is no setting sequencer.lazy.interval.deep",
	} {
		_, err := load(t, text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want one that contains %q", text, err, want)
		}
	}
}

// TestNumberOrWord: what is a number or a word needs no quotes in YAML, and means the same however it is given.
func TestNumberOrWord(t *testing.T) {
	for text, want := range map[string]string{
		"l1: {finality: 64}": "64", "l1: {finality: '64'}": "64", "l1: {finality: node}": "node", "l1: {finality: ''}": "", "": "node",
		"l1: {finality: 64, block_time: on-demand}": "64", "l1: {finality: 64, block_time: 2s}": "64", "l1: {finality: 64, block_time: 0}": "64",
	} {
		if c, err := load(t, text); err != nil || c.L1.Finality != want {
			t.Errorf("%q: got %q, %v, want %q", text, c.L1.Finality, err, want)
		}
	}
}

func TestSectionsMayBeEmpty(t *testing.T) {
	got, err := load(t, "da:\nlog: {}\nhttp:\n  address:\n")
	if err != nil || !reflect.DeepEqual(got, node.Default()) {
		t.Errorf("got %+v, %v, want the defaults", got, err)
	}
}

func TestWrongEnvironment(t *testing.T) {
	for name, want := range map[string]string{
		"HEADRACE_DA_ADRESS":            "there is no variable HEADRACE_DA_ADRESS: did you mean HEADRACE_DA_ADDRESS?",
		"HEADRACE_PASPHRASE":            "there is no variable HEADRACE_PASPHRASE: did you mean HEADRACE_PASSPHRASE?",
		"HEADRACE_SEQUENCER_BLOCK_TIME": `HEADRACE_SEQUENCER_BLOCK_TIME: sequencer.block_time: "x" is not a duration`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := home(t, "")
			t.Setenv(name, "x")
			_, err := loadConfig(dir, nil)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got error %v, want one that contains %q", err, want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	names := []string{"start", "status", "da", "dev", "init"}
	for s, want := range map[string]string{"strat": "start", "stats": "status", "d": "da", "devv": "dev", "": "da", "ini": "init"} {
		if got := nearest(s, names); got != want {
			t.Errorf("nearest to %q: got %q, want %q", s, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		if got := edits(c.a, c.b); got != c.want {
			t.Errorf("edits from %q to %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
