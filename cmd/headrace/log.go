package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headrace/node"
)

func newLog() *cobra.Command {
	var at nodeAt
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "log [LEVELS] [flags]",
		Short: "Say what a running node logs, or change it until the node ends",
		Long: `Say what a running node logs, or change it until the node ends.

LEVELS are what log.level has: debug, info, warn or error, and behind it other levels for modules, as in info,follow=debug,engine=warn. They replace those
before. A node that has an http.token takes them with the token alone, and one that other hosts reach must have one.

It prints the levels, and without LEVELS also the modules that may have one of their own.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("it takes one argument, levels with commas between and no spaces: see %s --help", cmd.CommandPath())
			}
			if len(args) == 1 {
				if _, err := (&node.LogConfig{Level: args[0]}).Levels(); err != nil {
					return usageError{err}
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			logged, err := askLog(ctx, at, args)
			if err != nil {
				return at.clean(err)
			}
			fmt.Fprintln(cmd.OutOrStdout(), logged.Level)
			if len(args) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "modules: "+strings.Join(logged.Modules, ", "))
			}
			return nil
		},
	}
	at.flags(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "how long to wait for the answer")
	return cmd
}

var errToken = errors.New("the node refuses the token: give its http.token by --token-file, or as HEADRACE_HTTP_TOKEN")

// askLog asks a node what it logs, or changes that.
func askLog(ctx context.Context, at nodeAt, levels []string) (logged node.Logged, err error) {
	u, err := at.url()
	if err != nil {
		return logged, err
	}
	req, err := at.request(ctx, u.JoinPath("/v1/log"))
	if err != nil {
		return logged, err
	}
	if len(levels) > 0 {
		body, err := json.Marshal(map[string]string{"level": levels[0]})
		if err != nil {
			return logged, err
		}
		req.Method, req.Body, req.ContentLength = http.MethodPut, io.NopCloser(bytes.NewReader(body)), int64(len(body))
		req.Header.Set("Content-Type", "application/json")
	}
	err = at.ordered(req, &logged, func(status int) bool { return status == http.StatusOK && logged.Level != "" })
	return logged, err
}
