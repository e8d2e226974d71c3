package geth_test

import (
	"context"
	"testing"

	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOpen(t *testing.T) {
	n := gethtest.Open(t, geth.Options{})
	t.Log(n.HTTP(), n.WS(), n.Engine())
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := n.Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
}
