package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"headrace/node"
)

// The files of a home that init makes and start reads.
const (
	configName  = "config.yaml"
	genesisName = "genesis.json"
)

const configHead = `# Configuration of a headrace node. Every setting is here. A line that begins with # and no space shows a default: remove the # to change it.
# The environment overrides this file, and flags override both: da.address below is HEADRACE_DA_ADDRESS and --da.address.
# An address with a bearer token of its own is {address: URL, token_file: PATH} or {address: URL, token: TEXT} in this file, and URL,token_file=PATH elsewhere.
# Paths of token files are relative to the home. A token_file is read again when the endpoint refuses the token.
`

// configText returns a config.yaml that has every setting with its help: those in values as given, the others commented out with their defaults.
func configText(values map[string]any) string {
	var b strings.Builder
	b.WriteString(configHead)
	section := ""
	for _, s := range settings() {
		in, name, _ := strings.Cut(s.key, delimiter)
		if in != section {
			section = in
			fmt.Fprintf(&b, "\n%s:\n", in)
		}
		mark, v := "#", s.def
		if given, ok := values[s.key]; ok {
			mark, v = "", given
		}
		fmt.Fprintf(&b, "  # %s\n  %s%s: %s\n", s.help, mark, name, yamlValue(v))
	}
	return b.String()
}

// yamlValue writes one value in the part of JSON that is YAML too, so that no text is taken for a number.
func yamlValue(v any) string {
	if d, ok := v.(time.Duration); ok {
		return shortDuration(d)
	}
	if a, ok := v.(node.Addresses); ok {
		v = addressesOut(a)
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err)) // texts, numbers, booleans, and lists and structures of texts always encode
	}
	return strings.TrimSpace(b.String())
}

// shortDuration writes 1m instead of 1m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
