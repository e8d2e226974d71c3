package engineapi_test

import (
	"errors"
	"strings"
	"testing"

	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec/engineapi"
)

// What is set up wrongly is said when the engine is opened, by name. Nothing is executed, and nothing becomes void.
func TestMisconfigured(t *testing.T) {
	t.Parallel()
	n := gethtest.Open(t, geth.Options{})
	used := options(t, n)
	func() {
		e, err := connect(t.Context(), used)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		produce(t, e, nil)
	}()
	later, earlier := uint64(1)<<40, uint64(1)<<30
	cases := []struct {
		name   string
		change func(*engineapi.Options)
		want   error
		says   string
	}{
		{"secret", func(o *engineapi.Options) { o.JWT[0]++ }, engineapi.ErrConfig, "JWT secret"},
		{"open port", func(o *engineapi.Options) { o.URL = n.HTTP() }, engineapi.ErrConfig, "Engine API port"},
		{"nobody there", func(o *engineapi.Options) { o.URL = "http://127.0.0.1:1" }, engineapi.ErrUnavailable, "127.0.0.1:1"},
		{"genesis", func(o *engineapi.Options) {
			o.Genesis = geth.DevGenesis(geth.Prague)
			o.Genesis.ExtraData = []byte("other")
		}, engineapi.ErrConfig, "genesis file"},
		{"fork at genesis", func(o *engineapi.Options) { o.Genesis = geth.DevGenesis(geth.Cancun) }, engineapi.ErrConfig, "genesis"},
		{"fork in future", func(o *engineapi.Options) {
			o.Genesis = geth.DevGenesis(geth.Osaka)
			o.Genesis.Config.OsakaTime = &later
		}, engineapi.ErrConfig, "osaka at last"},
		{"fork now", func(o *engineapi.Options) {
			o.Genesis = geth.DevGenesis(geth.Osaka)
			o.Genesis.Config.OsakaTime = &earlier
		}, engineapi.ErrConfig, "osaka at last"},
		{"rules at genesis", func(o *engineapi.Options) { o.Genesis = geth.DevGenesis(geth.Osaka) }, engineapi.ErrConfig, "precompiled contracts"},
		{"blob limits", func(o *engineapi.Options) {
			o.Genesis = geth.DevGenesis(geth.Prague)
			schedule := *o.Genesis.Config.BlobScheduleConfig.Prague
			schedule.Max++
			o.Genesis.Config.BlobScheduleConfig.Prague = &schedule
		}, engineapi.ErrConfig, "blob limits"},
		{"chain id", func(o *engineapi.Options) {
			o.Genesis = geth.DevGenesis(geth.Prague)
			o.Genesis.Config.ChainID.SetUint64(5)
		}, engineapi.ErrConfig, "chain id"},
		{"no genesis", func(o *engineapi.Options) { o.Genesis = nil }, engineapi.ErrConfig, "genesis"},
		{"genesis before cancun", func(o *engineapi.Options) {
			o.Genesis = geth.DevGenesis(geth.Cancun)
			o.Genesis.Config.CancunTime = &later
		}, engineapi.ErrConfig, "cancun"},
		{"genesis after osaka", func(o *engineapi.Options) {
			o.Genesis = geth.DevGenesis(geth.Osaka)
			o.Genesis.Config.AmsterdamTime = &later
		}, engineapi.ErrConfig, "Amsterdam"},
		{"another chain's index", func(o *engineapi.Options) { o.Dir, o.ChainID = used.Dir, "other" }, engineapi.ErrConfig, "another chain"},
		{"another beginning", func(o *engineapi.Options) { o.Dir = used.Dir; o.InitialHeight++ }, engineapi.ErrConfig, "another chain"},
		{"no height", func(o *engineapi.Options) { o.InitialHeight = 0 }, engineapi.ErrConfig, "initial height"},
	}
	for _, c := range cases {
		opt := options(t, n)
		c.change(&opt)
		e, err := connect(t.Context(), opt)
		if err == nil {
			e.Close()
		}
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got error %v, want %v saying %q", c.name, err, c.want, c.says)
		}
	}
}

// A chain sealed on another execution genesis, or by another fork's rules than this node knows, is no verdict on its blocks.
func TestOtherRulesAreNoVerdict(t *testing.T) {
	t.Parallel()
	foreign := history(t, geth.Cancun)
	n, e := fresh(t, geth.Prague, nil)
	if _, err := e.Execute(t.Context(), foreign[0]); !errors.Is(err, engineapi.ErrConfig) || !strings.Contains(err.Error(), "genesis") {
		t.Errorf("block on another genesis: got error %v, want ErrConfig naming the genesis", err)
	}
	ours := history(t, geth.Prague)
	execute(t, e, ours[0])
	txs := reseal(t, ours[1].Data.Txs, func(s *engineapi.Seal) { s.Header.RequestsHash = nil })
	if _, err := e.Execute(t.Context(), wrap(ours[0], txs)); !errors.Is(err, engineapi.ErrConfig) || !strings.Contains(err.Error(), "fork") {
		t.Errorf("block of another fork: got error %v, want ErrConfig naming the fork", err)
	}
	wantHead(t, e, n, ours[0])
}
