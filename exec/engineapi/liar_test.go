package engineapi_test

import (
	"encoding/json"
	"errors"
	"testing"

	"headrace/devnet/geth"
	"headrace/exec"
)

// A block that the client made on another parent than our head is not built, however whole it is: nobody could
// execute it. Nor is one that is not what its hash says.
func TestBuildFromLiar(t *testing.T) {
	t.Parallel()
	_, p, e := tapped(t, geth.Options{Genesis: geth.DevGenesis(geth.Prague)})
	const method = "engine_getPayloadV4"
	var first json.RawMessage // a true answer, on the genesis
	p.set(method, rule{garble: func(result json.RawMessage) json.RawMessage { first = result; return result }})
	parent := produce(t, e, nil)
	for name, garble := range map[string]func(json.RawMessage) json.RawMessage{
		"another parent": func(json.RawMessage) json.RawMessage { return first },
		"another root": func(result json.RawMessage) json.RawMessage {
			var all map[string]any
			if err := json.Unmarshal(result, &all); err != nil {
				t.Error(err)
			}
			payload := all["executionPayload"].(map[string]any)
			payload["stateRoot"] = payload["receiptsRoot"]
			out, err := json.Marshal(all)
			if err != nil {
				t.Error(err)
			}
			return out
		},
	} {
		p.set(method, rule{garble: garble})
		if txs, err := e.Build(t.Context(), parent.Height()+1, parent.Header.Header.Time, 1<<20); err == nil {
			t.Errorf("%s: built %d transactions, want an error", name, len(txs))
		}
	}
	p.clear()
	produce(t, e, parent)
}

// What a client leaves out of its answers makes no verdict about a forced transaction, neither that it is exempt nor
// that it is not.
func TestExemptFromLiar(t *testing.T) {
	t.Parallel()
	_, p, e := tapped(t, geth.Options{Genesis: geth.DevGenesis(geth.Prague)})
	parent := produce(t, e, nil)
	item := [][]byte{raw(t, transfer(2, 0))}
	for name, r := range map[string]struct{ method, answer string }{
		"no block":              {"eth_getBlockByHash", `"result":null`},
		"no account":            {"eth_getProof", `"result":null`},
		"account without a sum": {"eth_getProof", `"result":{"nonce":"0x0"}`},
	} {
		p.set(r.method, rule{answer: r.answer})
		if why, err := e.Exempt(t.Context(), parent.Height(), item); err == nil || errors.Is(err, exec.ErrInvalid) {
			t.Errorf("%s: got %q, %v, want an error that is no verdict", name, why, err)
		}
		p.clear()
	}
	if why, err := e.Exempt(t.Context(), parent.Height(), item); err != nil || len(why) != 1 || why[0] != "" {
		t.Errorf("got %q, %v, want it not exempt", why, err)
	}
}
