package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"headrace/await"
	"headrace/internal/httpc"
	"headrace/internal/redact"
)

// nodeClient asks the node. No token follows a redirect elsewhere.
var nodeClient = httpc.New(httpc.Options{Timeout: 30 * time.Second})

// The node that a command asks if it is told no other.
const (
	defaultNode = "http://127.0.0.1:7331"
	nodeEnv     = "HEADRACE_NODE"
)

// nodeAt is a node that a command asks, by the flags that all such commands have.
type nodeAt struct {
	address, token, tokenFile string
	from                      string // what named the address, if it is not the flag
	named                     bool   // it is not the default
}

func (n *nodeAt) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&n.address, "node", defaultNode, "address of the node's HTTP endpoints; without it "+nodeEnv+" is used, if it is set")
	n.tokenFlags(cmd)
	ask := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if text := os.Getenv(nodeEnv); text != "" && !cmd.Flags().Changed("node") {
			n.address, n.from = text, nodeEnv
		}
		n.named = n.from != "" || cmd.Flags().Changed("node")
		return ask(cmd, args)
	}
}

func (n *nodeAt) tokenFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&n.token, "token", "", "the node's http.token, for what asks for one on the way; without it HEADRACE_HTTP_TOKEN is used")
	flags.StringVar(&n.tokenFile, "token-file", "", "a file that holds the token")
}

// nodesAt are the nodes that a command asks side by side.
type nodesAt struct {
	nodeAt
	addresses []string
	any       bool
}

func (n *nodesAt) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&n.addresses, "node", nil, "address of a node's HTTP endpoints (default "+defaultNode+"); without it "+nodeEnv+" is used, which may have several with commas between")
	flags.Lookup("node").Value = &addressesFlag{flags.Lookup("node").Value}
	flags.BoolVar(&n.any, "any", false, "of several nodes, one is enough; else all are waited for")
	n.tokenFlags(cmd)
}

// addressesFlag is a flag of which each has one address.
type addressesFlag struct{ pflag.Value }

func (*addressesFlag) Type() string { return "URL" }

// each returns the nodes, one at least.
func (n *nodesAt) each() (all []nodeAt) {
	addresses, from := n.addresses, ""
	if text := os.Getenv(nodeEnv); len(addresses) == 0 && text != "" {
		addresses, from = strings.Split(text, ","), nodeEnv
	}
	if len(addresses) == 0 {
		addresses = []string{defaultNode}
	}
	for _, address := range addresses {
		one := n.nodeAt
		one.address, one.from = strings.TrimSpace(address), from
		all = append(all, one)
	}
	return all
}

func (n *nodeAt) url() (*url.URL, error) {
	if n.from == nodeEnv && strings.Contains(n.address, ",") {
		return nil, usagef("%s has several addresses, and one node is asked here: name it with --node", nodeEnv)
	}
	u, err := url.Parse(n.address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("%s %s is not a URL such as %s", cmp.Or(n.from, "--node"), redact.Refused(n.address), defaultNode)
	}
	if err := httpc.CheckPort(n.address); err != nil {
		return nil, usagef("%s %s: %w", cmp.Or(n.from, "--node"), redact.Refused(n.address), err)
	}
	return u, nil
}

// clients has shorter times in tests.
var clients await.ClientOptions

// client returns one that waits at the node.
func (n *nodeAt) client() (*await.Client, error) {
	if _, err := n.url(); err != nil {
		return nil, err
	}
	at := await.Endpoint{URL: n.address, TokenFile: n.tokenFile}
	if n.tokenFile == "" {
		at.Token, _ = n.secret() // it is in no file
		if err := checkToken(at.Token); err != nil {
			return nil, err
		}
	}
	return await.OpenNode(at, clients)
}

// checkToken refuses what no header can carry.
func checkToken(token string) error {
	if strings.ContainsFunc(token, unicode.IsControl) {
		return usagef("the token, of --token, --token-file or HEADRACE_HTTP_TOKEN, holds a line break or another control character")
	}
	return nil
}

// request makes a GET of what is at u, with the token if there is one.
func (n *nodeAt) request(ctx context.Context, u *url.URL) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask node: %w", redact.Error(err))
	}
	token, err := n.secret()
	if err != nil {
		return nil, err
	}
	if err := checkToken(token); err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// do sends a request to the node.
func (n *nodeAt) do(req *http.Request) (*http.Response, error) {
	resp, err := nodeClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask node: %w: is it running? --node names another address", redact.Error(err))
	}
	return resp, nil
}

// ordered does a request that a node may refuse, and reads what it answers: fine says by the status, and by what was read,
// whether that is an answer of such a node.
func (n *nodeAt) ordered(req *http.Request, answer any, fine func(status int) bool) error {
	resp, err := n.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	var refusal struct {
		Error string `json:"error"`
	}
	if err == nil {
		err = errors.Join(json.Unmarshal(text, &refusal), json.Unmarshal(text, answer))
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return errToken
	case refusal.Error != "":
		return fmt.Errorf("the node refuses: %s", refusal.Error)
	case err != nil || !fine(resp.StatusCode):
		return fmt.Errorf("ask node: %s answered %s: is this a headrace node of this version?", redact.Address(n.address), resp.Status)
	}
	return nil
}

// secret returns the token; "" if there is none.
func (n *nodeAt) secret() (string, error) {
	switch {
	case n.tokenFile != "":
		text, err := os.ReadFile(n.tokenFile)
		if err != nil {
			return "", fmt.Errorf("read token: %w", err)
		}
		return strings.TrimSpace(string(text)), nil
	case n.token == "":
		return strings.TrimSpace(os.Getenv("HEADRACE_HTTP_TOKEN")), nil
	}
	return strings.TrimSpace(n.token), nil
}

// clean takes out of an error what is secret in the node's address, and the token: an answer may repeat both.
func (n *nodeAt) clean(err error) error {
	if usage := (usageError{}); errors.As(err, &usage) {
		return err // nobody was asked
	}
	token, _ := n.secret() // one that cannot be read was not sent
	return redact.Of(n.address, token).Error(err)
}
