package geth

import (
	"regexp"
	"runtime"

	"headrace/devnet/program"
)

// process is one run of a geth.
type process struct {
	*program.Process
	listening chan struct{} // closed when both ports are open; http and auth are set then
	http      string
	auth      string
}

// start runs the binary; its output is added to the file at logPath.
func start(binary string, args []string, logPath string) (*process, error) {
	p := &process{listening: make(chan struct{})}
	path, args := command(binary, args)
	var err error
	p.Process, err = program.Start(program.Options{Path: path, Args: args, Log: logPath, Line: p.look})
	return p, err
}

// command is what starts a geth. It listens before it minds signals; one that came in between would end it as SIGKILL does. So on
// Linux it is started with SIGINT ignored, which a Go program leaves so until it asks for the signal itself.
func command(binary string, args []string) (string, []string) {
	if runtime.GOOS != "linux" {
		return binary, args
	}
	return "/bin/sh", append([]string{"-c", `trap "" INT; exec "$0" "$@"`, binary}, args...)
}

// Each server says where it listens once it does: msg="HTTP server started" endpoint=127.0.0.1:41513 auth=false ...
var endpoint = regexp.MustCompile(`msg="HTTP server started" endpoint=(\S+) auth=(true|false)`)

// look finds the ports in the output.
func (p *process) look(line string) {
	m := endpoint.FindStringSubmatch(line)
	if m == nil || p.http != "" && p.auth != "" {
		return
	}
	if m[2] == "true" {
		p.auth = m[1]
	} else {
		p.http = m[1]
	}
	if p.http != "" && p.auth != "" {
		close(p.listening)
	}
}
