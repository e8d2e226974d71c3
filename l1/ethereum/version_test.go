package ethereum_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"headrace/devnet/geth"
	"headrace/internal/httpc"
	"headrace/l1"
	"headrace/l1/ethereum"
)

// answering serves what an endpoint serves, but for calls of the inbox with these first bytes of input: to those it
// answers what follows "result" or "error" in JSON.
func answering(t *testing.T, endpoint string, answers map[string]string) *ethereum.Endpoint {
	t.Helper()
	url := inFront(t, endpoint, func(c call) string {
		var input struct {
			Data hexutil.Bytes `json:"data"`
		}
		if c.Method == "eth_call" && json.Unmarshal(c.Params[0], &input) == nil {
			for selector, answer := range answers {
				if bytes.HasPrefix(input.Data, []byte(selector)) {
					return answer
				}
			}
		}
		return ""
	})
	return &httpc.At(url)[0]
}

// Of which version an inbox is, an answer that inboxes of the other one do not give shows, and nothing else: not that a
// call failed, as calls do at whatever stands before a node.
func TestVersionIsShown(t *testing.T) {
	t.Parallel()
	two := newRig(t, geth.Prague, l1.Settings{})
	one := newRig(t, geth.Prague, l1.Settings{ForcedMax: 3})
	version, room, most := string(bindings.PackVersion()), string(bindings.PackForcedRoom()), string(common.FromHex("0x79de9ce2"))
	const (
		limited  = `"error":{"code":-32005,"message":"rate limit exceeded"}`
		reverted = `"error":{"code":3,"message":"execution reverted"}`
		empty    = `"result":"0x"`
	)
	word := func(n int64) string { return fmt.Sprintf(`"result":"0x%064x"`, big.NewInt(n)) }
	v1, v2 := l1.Settings{ForcedMax: 3}, l1.Settings{ForcedRoom: l1.DefaultRoom}
	for name, c := range map[string]struct {
		rig     *rig
		answers map[string]string
		want    l1.Settings // zero: an error
		is      error       // which; nil: any
		says    string
	}{
		"version 1":                    {one, nil, v1, nil, ""},
		"version 2":                    {two, nil, v2, nil, ""},
		"version 1, reverts unsaid":    {one, map[string]string{version: empty}, v1, nil, ""},
		"version 1, at its limit":      {one, map[string]string{version: limited}, v1, nil, ""},
		"version 2, at its limit":      {two, map[string]string{version: limited}, l1.Settings{}, l1.ErrNotFound, ""},
		"version 2, with all refused":  {two, map[string]string{version: limited, most: limited, room: limited}, l1.Settings{}, nil, "rate limit"},
		"version 2, reverts unsaid":    {two, map[string]string{version: empty, most: empty}, l1.Settings{}, l1.ErrNoInbox, ""},
		"version 2, no word":           {two, map[string]string{version: `"result":"0x02"`}, l1.Settings{}, nil, ""},
		"version 1, a forcedMax of 0":  {one, map[string]string{most: word(0)}, l1.Settings{}, nil, "forcedMax"},
		"version 1, a large forcedMax": {one, map[string]string{most: word(1 << 16)}, l1.Settings{}, nil, "forcedMax"},
		"version 3":                    {two, map[string]string{version: word(3)}, l1.Settings{}, nil, "it is of version 3, and versions 1 and 2 are known here"},
		"version 2, without room":      {two, map[string]string{room: reverted}, l1.Settings{}, l1.ErrNotFound, ""},
		"version 2, room for nothing":  {two, map[string]string{room: word(l1.MinRoom - 1)}, l1.Settings{}, nil, "forced items fit"},
	} {
		at := *answering(t, c.rig.node.HTTP(), c.answers)
		client := c.rig.client(func(o *ethereum.Options) { o.HTTP, o.WS = []ethereum.Endpoint{at}, nil })
		got, err := client.Settings(t.Context())
		switch {
		case c.want != l1.Settings{}:
			if err != nil || got != c.want {
				t.Errorf("%s: got %+v, %v, want %+v", name, got, err, c.want)
			}
		case err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says):
			t.Errorf("%s: got %+v, %v, want an error: %v %s", name, got, err, c.is, c.says)
		}
	}
	// Where one endpoint shows nothing, another one is asked.
	poor := *answering(t, two.node.HTTP(), map[string]string{version: limited})
	client := two.client(func(o *ethereum.Options) { o.HTTP = append([]ethereum.Endpoint{poor}, o.HTTP...) })
	if got, err := client.Settings(t.Context()); err != nil || got != v2 {
		t.Errorf("with another endpoint: got %+v, %v, want %+v", got, err, v2)
	}
}
