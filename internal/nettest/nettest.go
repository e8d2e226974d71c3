// Package nettest has what tests of several packages need of the network.
package nettest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
)

// FreeAddress returns an address of the loopback that nobody listens at. Its port is below those that the system gives to
// outgoing connections, and the test's own until it ends: no other FreeAddress returns it, in whichever process, though
// who listens there ends and begins again.
func FreeAddress(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(10000)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		free, err := reserve(port)
		if err != nil {
			continue
		}
		t.Cleanup(free)
		l, err := net.Listen("tcp", address)
		if err != nil { // somebody listens there, or on this system nobody can while it is reserved: then it is only free now
			free()
			l, err = net.Listen("tcp", address)
		}
		if err != nil {
			continue
		}
		_ = l.Close()
		return address
	}
	t.Fatal("no free port between 20000 and 30000")
	return ""
}

// reserve binds a socket to a port of the loopback, which never listens. Whoever else reserves the port is refused, as
// that is done without SO_REUSEADDR; whoever listens is not, as both have it by then, as all listeners of Go do.
func reserve(port int) (free func(), err error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	free = sync.OnceFunc(func() { _ = syscall.Close(fd) })
	if err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}
	if err != nil {
		free()
		return nil, err
	}
	return free, nil
}
