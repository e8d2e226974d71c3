//go:build !linux

package geth

import (
	"errors"
	"os/exec"
)

func command(binary string, args []string) *exec.Cmd { return exec.Command(binary, args...) }

func (p *process) pause() error { return errors.New("geth: pause is for linux") }

func (p *process) resume() error { return nil }
