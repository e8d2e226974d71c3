//go:build !linux

package geth

import (
	"errors"
	"os/exec"
)

func dieWithParent(*exec.Cmd) {}

func (p *process) pause() error { return errors.New("geth: pause is for linux") }

func (p *process) resume() error { return nil }
