package nettest

import (
	"net"
	"strconv"
	"testing"
)

// An address is the test's own until it ends: somebody listens there again and again, who dials it while nobody does is
// refused, and nobody else gets it.
func TestFreeAddress(t *testing.T) {
	address := FreeAddress(t)
	_, text, _ := net.SplitHostPort(address)
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			t.Error("somebody listens there")
		}
		if free, err := reserve(port); err == nil {
			free()
			t.Error("it was given to two")
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if free, err := reserve(port); err == nil {
			free()
			t.Error("it was given to somebody while another one listens there")
		}
		c.Close()
		l.Close()
	}
}
