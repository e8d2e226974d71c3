package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"headrace/node"
)

// The names of a setting: "da.address" in the file (as da: and address: below it) and as the flag --da.address,
// HEADRACE_DA_ADDRESS in the environment.
const (
	delimiter = "."
	envPrefix = "HEADRACE_"
)

// reserved are the environment variables with the prefix that are no settings.
var reserved = []string{"HEADRACE_HOME", "HEADRACE_PASSPHRASE", "HEADRACE_GETH", nodeEnv}

// setting is one leaf of node.Config.
type setting struct {
	key  string // "da.address"
	help string
	def  any // string, bool, uint64, float64, time.Duration, []string or node.Addresses

	number bool // a string that may be a number, which needs no quotes then
}

func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, delimiter, "_"))
}

// settings lists what node.Config holds, in its order. Everything that an operator sees of the configuration is made
// from this list.
func settings() []setting { return leaves("", reflect.ValueOf(node.Default())) }

func leaves(prefix string, v reflect.Value) (out []setting) {
	for field, value := range v.Fields() {
		key := prefix + field.Tag.Get("koanf")
		if field.Type.Kind() == reflect.Struct {
			out = append(out, leaves(key+delimiter, value)...)
			continue
		}
		out = append(out, setting{key: key, help: field.Tag.Get("help"), def: value.Interface(), number: field.Tag.Get("yaml") == "number"})
	}
	return out
}

func find(key string) (setting, bool) {
	for _, s := range settings() {
		if s.key == key {
			return s, true
		}
	}
	return setting{}, false
}

// isSection reports whether key has settings below it.
func isSection(key string) bool {
	for _, s := range settings() {
		if strings.HasPrefix(s.key, key+delimiter) {
			return true
		}
	}
	return false
}

// configFlags returns a flag for each setting.
func configFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("configuration", pflag.ContinueOnError)
	flags.SortFlags = false
	for _, s := range settings() {
		switch def := s.def.(type) {
		case string:
			flags.String(s.key, def, s.help)
		case bool:
			flags.Bool(s.key, def, s.help)
		case uint64:
			flags.Uint64(s.key, def, s.help)
		case float64:
			flags.Float64(s.key, def, s.help)
		case time.Duration:
			flags.Duration(s.key, def, s.help)
		case []string:
			flags.StringSlice(s.key, def, s.help)
		case node.Addresses:
			flags.StringSlice(s.key, urls(def), s.help)
		default:
			panic(fmt.Sprintf("setting %s: type %T has no flag", s.key, def)) // a test calls this
		}
	}
	return flags
}

// loadConfig reads the configuration of home: the defaults, below its config.yaml, below the environment, below the
// flags that were given. A name that is not known, in any of them, is an error.
func loadConfig(home string, flags *pflag.FlagSet) (node.Config, error) {
	path := filepath.Join(home, configName)
	var layers []map[string]any
	for _, layer := range []struct {
		name string
		read func() (map[string]any, error)
	}{
		{path, func() (map[string]any, error) { return readFile(path) }},
		{"environment", readEnv},
		{"flags", func() (map[string]any, error) { return readFlags(flags) }},
	} {
		values, err := layer.read()
		if err != nil {
			return node.Config{}, fmt.Errorf("%s: %w", layer.name, err)
		}
		layers = append(layers, values)
	}
	c, err := makeConfig(layers...)
	if err == nil {
		err = sureOfRole(home, &c, layers)
	}
	return c, err
}

// sureOfRole refuses to make a full node of a sequencer's home only because its configuration has been lost: whoever
// means it says so. A home knows by its signing key that it is a sequencer's.
func sureOfRole(home string, c *node.Config, layers []map[string]any) error {
	for _, values := range layers {
		if _, ok := values["sequencer.enabled"]; ok {
			return nil
		}
	}
	inHome := newFiles{home: home}
	path := inHome.path(c.Sequencer.KeyFile)
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	return fmt.Errorf("%s is a sequencer's key, and no setting says whether this node is one: restore %s from a copy, or set sequencer.enabled to true for the sequencer, to false for a full node", path, filepath.Join(home, configName))
}

// makeConfig lays settings over the defaults, the last layer on top.
func makeConfig(layers ...map[string]any) (c node.Config, err error) {
	all := koanf.New(delimiter)
	for _, s := range settings() {
		err = errors.Join(err, all.Set(s.key, s.def))
	}
	for _, values := range layers {
		for key, v := range values {
			err = errors.Join(err, all.Set(key, v))
		}
	}
	if err = errors.Join(err, all.Unmarshal("", &c)); err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	return c, c.Validate()
}

// readFile returns the settings in the YAML file at path.
func readFile(path string) (map[string]any, error) {
	layer := koanf.New(delimiter)
	err := layer.Load(file.Provider(path), yaml.Parser())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, because(err, "there is no such file: make a home with headrace init first, or name another one with --home")
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, because(err, "it may not be read: run as the home's owner, or give this user the right")
	}
	if err != nil {
		text, _, quotes := strings.Cut(err.Error(), "`") // what it quotes may be secret
		if quotes {
			text += "a value that does not belong there"
		}
		return nil, fmt.Errorf("%s: mend the file, or move it away and write it anew", text)
	}
	values := map[string]any{}
	for key, v := range layer.All() {
		if above, ok := addressesAbove(key); ok { // a single one, that has a token
			key, v = above, layer.Get(above)
		}
		s, ok := find(key)
		switch {
		case isNothing(v) && (ok || isSection(key)): // "da:" with nothing below it but comments
		case !ok && isSection(key):
			return nil, fmt.Errorf("%s is a section: its settings belong below it, indented", key)
		case !ok:
			return nil, unknown(key)
		default:
			if values[key], err = s.fromYAML(v); err != nil {
				return nil, err
			}
		}
	}
	return values, nil
}

// because is a text that is told in the place of its cause.
func because(cause error, text string) error { return reworded{text, cause} }

type reworded struct {
	text  string
	cause error
}

func (r reworded) Error() string { return r.text }
func (r reworded) Unwrap() error { return r.cause }

func isNothing(v any) bool {
	section, ok := v.(map[string]any)
	return v == nil || ok && len(section) == 0
}

func unknown(key string) error {
	var keys []string
	for _, s := range settings() {
		keys = append(keys, s.key)
	}
	return fmt.Errorf("there is no setting %s%s", key, didYouMean(key, keys, "%s"))
}

// readEnv returns the settings in the environment. A variable that is set to nothing counts as not set.
func readEnv() (map[string]any, error) {
	names := slices.Clone(reserved)
	byName := map[string]setting{}
	for _, s := range settings() {
		names = append(names, s.env())
		byName[s.env()] = s
	}
	var wrong error // the first
	blame := func(err error) { wrong = cmp.Or(wrong, err) }
	layer := koanf.New(delimiter)
	err := layer.Load(env.Provider(delimiter, env.Opt{Prefix: envPrefix, TransformFunc: func(name, text string) (string, any) {
		s, ok := byName[name]
		switch {
		case text == "":
		case ok:
			v, err := s.parse(text)
			if err != nil {
				blame(fmt.Errorf("%s: %w", name, err))
			}
			return s.key, v
		case !slices.Contains(reserved, name):
			blame(fmt.Errorf("there is no variable %s%s", name, didYouMean(name, names, "%s")))
		}
		return "", nil
	}}), nil)
	return layer.All(), cmp.Or(wrong, err)
}

// readFlags returns the settings that were given as flags.
func readFlags(flags *pflag.FlagSet) (map[string]any, error) {
	if flags == nil {
		return nil, nil
	}
	layer := koanf.New(delimiter)
	given := pflag.NewFlagSet("given", pflag.ContinueOnError)
	flags.Visit(func(f *pflag.Flag) {
		if _, ok := find(f.Name); ok {
			given.AddFlag(f)
		}
	})
	if err := layer.Load(posflag.Provider(given, delimiter, nil), nil); err != nil {
		return nil, err
	}
	values := layer.All()
	for key, v := range values {
		list, ok := v.([]string)
		if s, _ := find(key); ok && s.isAddresses() {
			var err error
			if values[key], err = addressesOf(key, list); err != nil {
				return nil, usageError{err}
			}
		}
	}
	return values, nil
}

// parse reads one value as the environment has it.
func (s setting) parse(text string) (v any, err error) {
	want := ""
	switch s.def.(type) {
	case string:
		return text, nil
	case bool:
		v, err = strconv.ParseBool(text)
		want = "true or false"
	case uint64:
		v, err = strconv.ParseUint(text, 10, 64)
		want = "a whole number"
	case float64:
		v, err = strconv.ParseFloat(text, 64)
		want = "a number"
	case time.Duration:
		v, err = time.ParseDuration(text)
		want = "a duration such as 500ms, 1s or 1m"
	case []string:
		return strings.Split(text, ","), nil
	case node.Addresses:
		return addressesOf(s.key, strings.Split(text, ","))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %q is not %s", s.key, text, want)
	}
	return v, nil
}

// fromYAML reads one value as a YAML parser has understood it. A text must have been one in YAML too: 58 decimal
// digits of a namespace without quotes, or a token that looks like a number, would come back changed.
func (s setting) fromYAML(v any) (any, error) {
	switch s.def.(type) {
	case string:
		if text, ok := v.(string); ok {
			return text, nil
		}
		if n, ok := v.(int); ok && s.number {
			return strconv.Itoa(n), nil
		}
		return nil, fmt.Errorf("%s: write the value in quotes, so that it is read as text", s.key)
	case []string:
		list, ok := v.([]any)
		if !ok && v != "" {
			list = []any{v}
		}
		out := []string{}
		for _, e := range list {
			text, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("%s: write each value in quotes, so that it is read as text", s.key)
			}
			out = append(out, text)
		}
		return out, nil
	case node.Addresses:
		return addressesIn(s.key, v)
	}
	return s.parse(fmt.Sprint(v))
}

// homeFlag adds --home. An empty one is refused: it would be the directory that the command runs in, where somebody has
// written --home "$UNSET".
func homeFlag(flags *pflag.FlagSet, home *string, usage string) {
	*home = defaultHome()
	flags.Var((*homeValue)(home), "home", usage)
}

// homeValue is the value of --home.
type homeValue string

func (h *homeValue) String() string { return string(*h) }
func (h *homeValue) Type() string   { return "string" }

func (h *homeValue) Set(path string) error {
	if path == "" {
		return fmt.Errorf("it is empty: name a directory, . for this one, or leave --home out for %s", defaultHome())
	}
	*h = homeValue(path)
	return nil
}

// defaultHome is where a command without --home looks.
func defaultHome() string {
	if home := os.Getenv("HEADRACE_HOME"); home != "" {
		return home
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ".headrace"
	}
	return filepath.Join(home, ".headrace")
}
