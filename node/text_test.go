package node_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"headrace/block"
	"headrace/node"
)

// TestHashTextsStay: what the endpoints say of hashes is read by others, so it stays: 64 digits in lower case and no
// 0x, whatever the hash is of.
func TestHashTextsStay(t *testing.T) {
	const zeros = "00000000000000000000000000000000000000000000000000000000000000"
	ref := func(height uint64, n byte) block.Ref { return block.Ref{Height: height, Hash: block.Hash{31: n}} }
	s := node.Status{
		Heads:    node.Heads{Unsafe: ref(9, 0xa9), Safe: ref(8, 0xa8), Finalized: ref(7, 0xa7)},
		Source:   node.Source{Position: ref(60, 0xb0), Proven: ref(59, 0xb9), Head: ref(61, 0xb1)},
		Proposal: &node.Proposal{ID: 5, L1: ref(50, 0xc0), Tx: block.Hash{31: 0xc1}, L2: ref(8, 0xa8), Void: "garbage", Reorgs: 2},
	}
	heads := `{"unsafe":{"height":9,"hash":"` + zeros + `a9"},"safe":{"height":8,"hash":"` + zeros + `a8"},"finalized":{"height":7,"hash":"` + zeros + `a7"}}`
	proposal := `{"id":5,"l1":{"height":50,"hash":"` + zeros + `c0"},"tx":"` + zeros + `c1","l2":{"height":8,"hash":"` + zeros + `a8"},"void":"garbage","reorgs":2}`
	status := parts(t, s)
	source := parts(t, s.Source)
	event := parts(t, node.BlockEvent{Hash: block.Hash{31: 1}, ParentHash: block.Hash{31: 2}})
	waited := parts(t, node.Waited{Block: new(ref(1, 1)), Position: ref(2, 2), Heads: s.Heads})
	reorg := parts(t, node.ReorgEvent{From: ref(1, 1), To: ref(2, 2)})
	for _, c := range []struct {
		what string
		got  json.RawMessage
		want string
	}{
		{"status: heads", status["heads"], heads},
		{"status: proposal", status["proposal"], proposal},
		{"status: position", source["position"], `{"height":60,"hash":"` + zeros + `b0"}`},
		{"status: proven", source["proven"], `{"height":59,"hash":"` + zeros + `b9"}`},
		{"status: head of the source", source["head"], `{"height":61,"hash":"` + zeros + `b1"}`},
		{"wait: heads", waited["heads"], heads},
		{"wait: block", waited["block"], `{"height":1,"hash":"` + zeros + `01"}`},
		{"wait: position", waited["position"], `{"height":2,"hash":"` + zeros + `02"}`},
		{"block event: hash", event["hash"], `"` + zeros + `01"`},
		{"block event: parent", event["parent_hash"], `"` + zeros + `02"`},
		{"reorg event: from", reorg["from"], `{"height":1,"hash":"` + zeros + `01"}`},
		{"reorg event: to", reorg["to"], `{"height":2,"hash":"` + zeros + `02"}`},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s: got %s, want %s", c.what, c.got, c.want)
		}
	}
}

// parts is a value's JSON by its keys.
func parts(t *testing.T, of any) (m map[string]json.RawMessage) {
	t.Helper()
	text, err := json.Marshal(of)
	if err != nil {
		t.Fatal(err)
	}
	decode(t, string(text), &m)
	return m
}

// TestServedHashesStay is the same of a node that runs: a block, an event and its id.
func TestServedHashesStay(t *testing.T) {
	n, _ := sequencer(t)
	waitFor(t, n, "height=2", http.StatusOK)
	body := wantStatus(t, n, "/v1/blocks/2", http.StatusOK)
	hash := regexp.MustCompile(`"hash": "([0-9a-f]{64})"`).FindStringSubmatch(body)
	if hash == nil || !regexp.MustCompile(`"parent_hash": "[0-9a-f]{64}"`).MatchString(body) {
		t.Fatalf("got %s, want hashes of 64 digits", body)
	}
	l := listen(t, "http://"+n.Address(), "from=2", "")
	defer l.close()
	e := l.next()
	if !regexp.MustCompile(`^2-`+hash[1]+`-\d+$`).MatchString(e.id) || !strings.Contains(e.data, `"hash":"`+hash[1]+`"`) {
		t.Errorf("got %+v, want block 2 with hash %s", e, hash[1])
	}
	if status := wantStatus(t, n, "/v1/status", http.StatusOK); !regexp.MustCompile(`"position": \{\s+"height": \d+,\s+"hash": "[0-9a-f]{64}"`).MatchString(status) {
		t.Errorf("got %s, want the position with a hash of 64 digits", status)
	}
}
