package geth

import (
	"os/exec"
	"syscall"
)

// command is the process to start. The kernel kills it when we die, however we die: a test that panics or is killed leaves no process behind.
//
// geth listens before it minds signals; one that came in between would end it as SIGKILL does. So it is started with SIGINT ignored, which a Go
// program leaves so until it asks for the signal itself.
func command(binary string, args []string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", append([]string{"-c", `trap "" INT; exec "$0" "$@"`, binary}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (p *process) pause() error { return p.signal(syscall.SIGSTOP) }

func (p *process) resume() error { return p.signal(syscall.SIGCONT) }
