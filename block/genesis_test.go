package block_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"headrace/block"
)

const fixtureGenesis = "testdata/genesis.json"

func TestGenesisFixture(t *testing.T) {
	g, err := block.LoadGenesis(fixtureGenesis)
	if err != nil {
		t.Fatal(err)
	}
	proposer, _ := base64.StdEncoding.DecodeString("1YA2MUU/BbyCzFXVKmBtoGlB+8ugUtaFsrOADRb8FYE=")
	start := time.Date(2026, 11, 22, 4, 18, 56, 82625281, time.UTC)
	if g.ChainID != "peerchain" || !g.StartTime.Equal(start) || g.InitialHeight != 1 || string(g.ProposerAddress) != string(proposer) ||
		g.DAStartHeight != 1 || g.DAEpochForcedInclusion != 50 || g.DA != nil || g.L1 != nil {
		t.Errorf("got %+v", g)
	}
	want, err := os.ReadFile(fixtureGenesis)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Encode(); strings.TrimSpace(string(got)) != strings.TrimSpace(string(want)) {
		t.Errorf("got encoding\n%s, want\n%s", got, want)
	}
}

// valid is a genesis whose parts the tests replace.
const valid = `{"chain_id":"c","start_time":"2026-01-02T03:04:05Z","initial_height":1,"proposer_address":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
"da_start_height":0,"da_epoch_forced_inclusion":0}`

func with(object string) string { return strings.TrimSuffix(valid, "}") + "," + object + "}" }

const (
	aDA = `"da":{"header_namespace":"hdr","data_namespace":"dat"}`
	aL1 = `"l1":{"chain_id":7,"inbox":"0x00000000000000000000000000000000000000aA","start_block":3}`
)

func TestGenesisSources(t *testing.T) {
	g, err := block.ParseGenesis([]byte(with(aDA)))
	if err != nil || *g.DA != (block.GenesisDA{HeaderNamespace: "hdr", DataNamespace: "dat"}) {
		t.Errorf("got %+v, %v", g, err)
	}
	g, err = block.ParseGenesis([]byte(with(aL1)))
	if err != nil || g.L1.ChainID != 7 || g.L1.StartBlock != 3 || !strings.HasSuffix(g.L1.Inbox, "aA") {
		t.Errorf("got %+v, %v", g, err)
	}
	again, err := block.ParseGenesis(g.Encode())
	if err != nil || *again.L1 != *g.L1 {
		t.Errorf("got %+v, %v again", again, err)
	}
}

func TestGenesisErrors(t *testing.T) {
	for _, c := range []struct{ name, json, want string }{
		{"nothing", "", "not complete"},
		{"cut", valid[:40], "not complete"},
		{"not JSON", "chain_id: c", "byte 1"},
		{"two objects", valid + valid, "something follows"},
		{"garbage after", valid + "x", "something follows"},
		{"unknown key", with(`"chainid":"d"`), `"chainid"`},
		{"unknown key in da", with(`"da":{"namespace":"n"}`), `"namespace"`},
		{"unknown key in l1", with(`"l1":{"chain":7}`), `"chain"`},
		{"wrong type", strings.Replace(valid, `"c"`, `5`, 1), "chain_id"},
		{"no chain id", strings.Replace(valid, `"c"`, `""`, 1), "chain_id is missing"},
		{"long chain id", strings.Replace(valid, `"c"`, `"`+strings.Repeat("c", 257)+`"`, 1), "257 bytes"},
		{"no start time", strings.Replace(valid, `"start_time":"2026-01-02T03:04:05Z",`, ``, 1), "start_time is missing"},
		{"start before 1970", strings.Replace(valid, "2026", "1926", 1), "out of range"},
		{"start too late", strings.Replace(valid, "2026", "2726", 1), "out of range"},
		{"height 0", strings.Replace(valid, `"initial_height":1`, `"initial_height":0`, 1), "initial_height"},
		{"negative height", strings.Replace(valid, `"initial_height":1`, `"initial_height":-1`, 1), "initial_height"},
		{"height above all", strings.Replace(valid, `"initial_height":1`, `"initial_height":9007199254740992`, 1), "no height"},
		{"DA height above all", with(`"da_start_height":9007199254740992`), "no height"},
		{"short address", strings.Replace(valid, "AAAA", "", 1), "proposer_address has 29 bytes"},
		{"not base64", strings.Replace(valid, "AAAA", "!", 1), "base64"},
		{"both sources", with(aDA + "," + aL1), "one canonical source"},
		{"half a da", with(`"da":{"header_namespace":"hdr"}`), "data_namespace"},
		{"no L1 chain", with(strings.Replace(aL1, "7", "0", 1)), "l1.chain_id"},
		{"no inbox", with(`"l1":{"chain_id":7}`), "l1.inbox"},
		{"short inbox", with(strings.Replace(aL1, "0x00", "0x", 1)), "l1.inbox"},
		{"inbox without 0x", with(strings.Replace(aL1, "0x00", "", 1)), "l1.inbox"},
	} {
		g, err := block.ParseGenesis([]byte(c.json))
		if err == nil || g != nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, %v, want one line with %q", c.name, g, err, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "genesis.json")
	if _, err := block.LoadGenesis(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want the file named", err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := block.LoadGenesis(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want the file named", err)
	}
}

// TestGenesisHash: the layout of the file does not change the chain's identity, every value does.
func TestGenesisHash(t *testing.T) {
	parse := func(s string) block.Hash {
		t.Helper()
		g, err := block.ParseGenesis([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return g.Hash()
	}
	base := with(aL1)
	for _, same := range []string{
		strings.ReplaceAll(base, ",", " ,\n\t"),
		strings.Replace(base, "2026-01-02T03:04:05Z", "2026-01-02T05:04:05.000+02:00", 1),
		strings.Replace(base, "aA", "Aa", 1),
		strings.TrimSuffix(base, "}") + `,"da_start_height":0}`,
	} {
		if got, want := parse(same), parse(base); got != want {
			t.Errorf("got another identity for %s", same)
		}
	}
	seen := map[block.Hash]string{parse(base): base}
	for _, other := range []string{
		valid, with(aDA), with(strings.Replace(aDA, "hdr", "hd", 1)), with(strings.Replace(aDA, `"dat"`, `"da"`, 1)),
		strings.Replace(base, `"c"`, `"d"`, 1), strings.Replace(base, "03:04:05Z", "03:04:05.000000001Z", 1),
		strings.Replace(base, `"initial_height":1`, `"initial_height":2`, 1), strings.Replace(base, "AAAA", "AAAB", 1),
		strings.Replace(base, `"da_start_height":0`, `"da_start_height":1`, 1), strings.Replace(base, `inclusion":0`, `inclusion":1`, 1),
		strings.Replace(base, `:7`, `:8`, 1), strings.Replace(base, "aA", "ab", 1), strings.Replace(base, `:3}`, `:4}`, 1),
	} {
		h := parse(other)
		if was, ok := seen[h]; ok {
			t.Errorf("the same identity for %s and %s", was, other)
		}
		seen[h] = other
	}
}
