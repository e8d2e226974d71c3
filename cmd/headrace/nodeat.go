package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"headrace/internal/httpc"
	"headrace/internal/redact"
)

// nodeClient asks the node. No token follows a redirect elsewhere.
var nodeClient = httpc.New(httpc.Options{Timeout: onePoll})

// nodeAt is a node that a command asks, by the flags that all such commands have.
type nodeAt struct{ address, token, tokenFile string }

func (n *nodeAt) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&n.address, "node", "http://127.0.0.1:7331", "address of the node's HTTP endpoints")
	flags.StringVar(&n.token, "token", "", "the node's http.token, for what asks for one on the way; without it HEADRACE_HTTP_TOKEN is used")
	flags.StringVar(&n.tokenFile, "token-file", "", "a file that holds the token")
}

func (n *nodeAt) url() (*url.URL, error) {
	u, err := url.Parse(n.address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("--node %s is not a URL such as http://127.0.0.1:7331", redact.Refused(n.address))
	}
	return u, nil
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
	if strings.ContainsFunc(token, unicode.IsControl) {
		return nil, usagef("the token, of --token, --token-file or HEADRACE_HTTP_TOKEN, holds a line break or another control character")
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
