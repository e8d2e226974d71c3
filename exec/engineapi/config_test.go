package engineapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec/engineapi"

	"github.com/ethereum/go-ethereum/params"
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
		{"nobody behind a key", func(o *engineapi.Options) { o.URL = "http://hunter:hunter2@127.0.0.1:1/hunter3" }, engineapi.ErrUnavailable, "127.0.0.1:1"},
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
			t.Errorf("%s: got no error, want %v", c.name, c.want)
			continue
		}
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got error %v, want %v saying %q", c.name, err, c.want, c.says)
		}
		if strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: a secret of the address is in error %v", c.name, err)
		}
	}
}

// A genesis with a fork that the rule of forced transactions is not written for is refused at the start, whether
// go-ethereum knows that fork or not. What is refused has no chain yet.
func TestUnknownFork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		key, value string
		fine       bool
	}{
		{"bogotaTime", "0", false}, {"bpo6Time", "99999999999", false}, {"verkleTime", "0", false}, {"AMSTERDAMtime", "5", false}, {"ubtTime", "5", false}, {"bogotatime", `"0x5"`, false},
		{"amsterdamTime", "null", true}, {"time", "0", true}, {"terminalTotalDifficultyPassed", "true", true}, {"bpo5Time", "99999999999", true}, {"OsakaTime", "99999999999", true},
	} {
		g := geth.DevGenesis(geth.Prague)
		raw, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, c.key)
		text := strings.Replace(string(raw), `"config":{`, fmt.Sprintf(`"config":{%q:%s,`, c.key, c.value), 1)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = engineapi.ReadGenesis(file)
		if c.fine && err != nil || !c.fine && (!errors.Is(err, engineapi.ErrConfig) || !strings.Contains(err.Error(), "("+c.key+")") || !strings.Contains(err.Error(), "does not know")) {
			t.Errorf("%s %s: got error %v, want one that names the fork: %t", c.key, c.value, err, !c.fine)
		}
	}
	known := []string{"shanghaiTime", "cancunTime", "pragueTime", "osakaTime", "bpo1Time", "bpo2Time", "bpo3Time", "bpo4Time", "bpo5Time"}
	config := reflect.TypeFor[params.ChainConfig]()
	for i := range config.NumField() { // of this release of go-ethereum, or of a later one
		field := config.Field(i)
		if field.Type != reflect.TypeFor[*uint64]() {
			continue
		}
		opt := engineapi.Options{URL: "http://127.0.0.1:1", Genesis: geth.DevGenesis(geth.Osaka), ChainID: chainID, InitialHeight: initialHeight, Dir: t.TempDir()}
		later := uint64(1) << 40
		if at := reflect.ValueOf(opt.Genesis.Config).Elem().Field(i); at.IsNil() {
			at.Set(reflect.ValueOf(&later))
		}
		e, err := engineapi.New(opt)
		if err == nil {
			e.Close()
		}
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if fine := slices.Contains(known, key); fine != (err == nil) || !fine && (!errors.Is(err, engineapi.ErrConfig) || !strings.Contains(err.Error(), key)) {
			t.Errorf("%s: got error %v, want one that names the fork: %t", field.Name, err, !fine)
		}
	}
}

// The rule takes the forks before Cancun for granted: a genesis must too.
func TestEarlyForks(t *testing.T) {
	t.Parallel()
	later := uint64(1) << 40
	for name, change := range map[string]func(c *params.ChainConfig){
		"no shanghai":       func(c *params.ChainConfig) { c.ShanghaiTime = nil },
		"shanghai later":    func(c *params.ChainConfig) { c.ShanghaiTime = &later },
		"no berlin":         func(c *params.ChainConfig) { c.BerlinBlock = nil },
		"no istanbul":       func(c *params.ChainConfig) { c.IstanbulBlock = nil },
		"no homestead":      func(c *params.ChainConfig) { c.HomesteadBlock = nil },
		"london at 100":     func(c *params.ChainConfig) { c.LondonBlock = big.NewInt(100) },
		"chain id 0":        func(c *params.ChainConfig) { c.ChainID = new(big.Int) },
		"negative chain id": func(c *params.ChainConfig) { c.ChainID = big.NewInt(-1) },
	} {
		opt := engineapi.Options{URL: "http://127.0.0.1:1", Genesis: geth.DevGenesis(geth.Osaka), ChainID: chainID, InitialHeight: initialHeight, Dir: t.TempDir()}
		change(opt.Genesis.Config)
		e, err := engineapi.New(opt)
		if err == nil {
			e.Close()
		}
		if !errors.Is(err, engineapi.ErrConfig) || !strings.Contains(err.Error(), "execution genesis") {
			t.Errorf("%s: got error %v, want ErrConfig about the genesis", name, err)
		}
	}
}

// A chain sealed on another execution genesis, or by another fork's rules than this node knows, is no verdict on its
// blocks.
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
