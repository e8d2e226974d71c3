package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is, and what it was built from and with",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), built())
			return err
		},
	}
}

// built is all that is known of the program, in one line.
func built() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{GoVersion: runtime.Version(), Settings: []debug.BuildSetting{{Key: "GOOS", Value: runtime.GOOS}, {Key: "GOARCH", Value: runtime.GOARCH}}}
	}
	return versionLine(info)
}

// version is the program's version in one word.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// versionLine is "headrace v1.2.3 commit 0123456789ab go1.26.0 linux/amd64".
func versionLine(info *debug.BuildInfo) string {
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	parts := []string{"headrace", info.Main.Version}
	if info.Main.Version == "" {
		parts[1] = "(devel)"
	}
	if rev := set["vcs.revision"]; rev != "" {
		parts = append(parts, "commit "+rev[:min(len(rev), 12)])
	}
	if set["vcs.modified"] == "true" {
		parts = append(parts, "with changes")
	}
	return strings.Join(append(parts, info.GoVersion, set["GOOS"]+"/"+set["GOARCH"]), " ")
}
