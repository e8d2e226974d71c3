package tiny_test

import (
	"testing"

	"tiny"
)

func TestOdd(t *testing.T) {
	if tiny.Check(3) == nil {
		t.Error("got no error for an odd number")
	}
}

func TestEven(t *testing.T) {
	for _, n := range []int{2, 4} {
		t.Run("n", func(t *testing.T) {
			if err := tiny.Check(n); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPanics(t *testing.T) {
	if tiny.Check(102) == nil {
		panic("a big number was taken")
	}
}

func TestFails(t *testing.T) { t.Error("it always fails") }

func TestSkipped(t *testing.T) { t.Skip("never here") }

func TestSkippedInside(t *testing.T) {
	t.Run("all", func(t *testing.T) { t.Skip("never here") })
}

func TestDrain(t *testing.T) {
	c := make(chan int)
	close(c)
	tiny.Drain(c)
}
