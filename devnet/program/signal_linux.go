package program

import (
	"os/exec"
	"syscall"
)

// tie puts the process into a group of its own, so that it is killed with what it has started, and has the kernel kill it when we
// die, however we die: a test that panics or is killed leaves no process behind.
func tie(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// killGroup kills the process and what it has started. The process is not reaped yet, so its id is still its own.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

func (p *Process) pause() error { return p.Signal(syscall.SIGSTOP) }

func (p *Process) resume() error { return p.Signal(syscall.SIGCONT) }
