package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

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
		return nil, usagef("--node %q is not a URL such as http://127.0.0.1:7331", n.address)
	}
	return u, nil
}

// request makes a GET of what is at u, with the token if there is one.
func (n *nodeAt) request(ctx context.Context, u *url.URL) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask node: %w", err)
	}
	token := n.token
	switch {
	case n.tokenFile != "":
		text, err := os.ReadFile(n.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("read token: %w", err)
		}
		token = strings.TrimSpace(string(text))
	case token == "":
		token = os.Getenv("HEADRACE_HTTP_TOKEN")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}
