package main

import (
	"fmt"
	"strings"

	"headrace/node"
)

func (s setting) isAddresses() bool { _, ok := s.def.(node.Addresses); return ok }

// addressesAbove returns the setting of addresses that a key is below.
func addressesAbove(key string) (string, bool) {
	for _, s := range settings() {
		if s.isAddresses() && strings.HasPrefix(key, s.key+delimiter) {
			return s.key, true
		}
	}
	return "", false
}

func urls(a node.Addresses) []string {
	out := []string{}
	for _, e := range a {
		out = append(out, e.URL)
	}
	return out
}

// The names beside an address in the file; the last one, with a =, in flags and the environment too.
const (
	addressName   = "address"
	tokenName     = "token"
	tokenFileName = "token_file"
)

// addressesOf reads addresses as flags and the environment have them. What follows an address may be the file of its
// token. A token itself is refused: others can see it there.
func addressesOf(key string, parts []string) (node.Addresses, error) {
	out := node.Addresses{}
	for _, part := range parts {
		name, value, named := strings.Cut(part, "=")
		switch last := len(out) - 1; {
		case !named || strings.Contains(name, "://"):
			out = append(out, node.Address{URL: part})
		case name == tokenName:
			return nil, fmt.Errorf("%s: command lines and the environment are no place for a token, others can see them: write it into a file, and %s=PATH after its address", key, tokenFileName)
		case name != tokenFileName:
			return nil, fmt.Errorf("%s: after an address and a comma comes another address, or %s=PATH", key, tokenFileName)
		case last < 0 || out[last].TokenFile != "":
			return nil, fmt.Errorf("%s: %s=PATH comes once, after the address that it is for and a comma", key, tokenFileName)
		case value == "":
			return nil, fmt.Errorf("%s: %s= names no file", key, tokenFileName)
		default:
			out[last].TokenFile = value
		}
	}
	return out, nil
}

// addressesIn reads addresses as a YAML parser has understood them: one, or a list.
func addressesIn(key string, v any) (node.Addresses, error) {
	list, ok := v.([]any)
	if !ok && v != "" {
		list = []any{v}
	}
	out := node.Addresses{}
	for _, e := range list {
		a, err := addressIn(e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		out = append(out, a)
	}
	return out, nil
}

const entryForm = "{" + addressName + ": URL, " + tokenFileName + ": PATH} or {" + addressName + ": URL, " + tokenName + ": TEXT}"

// addressIn reads one address. What is wrong with it may be secret.
func addressIn(v any) (a node.Address, err error) {
	if text, ok := v.(string); ok {
		if strings.Contains(text, ","+tokenFileName+"=") || strings.Contains(text, ","+tokenName+"=") {
			return a, fmt.Errorf("in the file an address with a token is %s", entryForm)
		}
		return node.Address{URL: text}, nil
	}
	entry, ok := v.(map[string]any)
	if !ok {
		return a, fmt.Errorf("write each value in quotes, so that it is read as text")
	}
	known := map[string]*string{addressName: &a.URL, tokenName: &a.Token, tokenFileName: &a.TokenFile}
	for name, value := range entry {
		to, ok := known[name]
		if !ok {
			return a, fmt.Errorf("an address with a token is %s, and has nothing else in it", entryForm)
		}
		if *to, ok = value.(string); !ok {
			return a, fmt.Errorf("write the %s in quotes, so that it is read as text", name)
		}
		if *to == "" {
			return a, fmt.Errorf("the %s is empty: an address without a token of its own is written as a text", name)
		}
	}
	if a.URL == "" {
		return a, fmt.Errorf("an address with a token is %s: this has no %s", entryForm, addressName)
	}
	return a, nil
}

// addressesOut returns what the file has for addresses.
func addressesOut(list node.Addresses) any {
	var out []any
	for _, a := range list {
		if a.Token == "" && a.TokenFile == "" {
			out = append(out, a.URL)
			continue
		}
		out = append(out, struct {
			Address   string `json:"address"`
			Token     string `json:"token,omitempty"`
			TokenFile string `json:"token_file,omitempty"`
		}{a.URL, a.Token, a.TokenFile})
	}
	return out
}
