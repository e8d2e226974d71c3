package celestia_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
)

// oldAPI is a variable of the environment: if it is set, every server of a test answers as an older celestia-node.
const oldAPI = "HEADRACE_TEST_OLD_API"

// TestOldAPI: the client does all that it does with an older node too.
func TestOldAPI(t *testing.T) {
	if os.Getenv(oldAPI) != "" {
		t.Skip("is one already")
	}
	names := []string{"TestSourceAgreesWithChain", "TestFetchManyHeights", "TestSubmit", "TestFirstToAnnounceWins", "TestAllEndpointsDown", "TestPollingAndBack",
		"TestWrongChain", "TestTokens", "TestLimits", "TestFaults", "TestProve", "TestFetchMendsFalseTales", "TestDamagedEndpoint", "TestSlowChain",
		"TestBlockTimeIsTheClock", "TestInPieces", "TestStuckHeight", "TestFibrePointers", "TestLostHeightIsNamed", "TestLateNamespace"}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.timeout=5m", "-test.run=^("+strings.Join(names, "|")+")$")
	cmd.Env = append(os.Environ(), oldAPI+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, n := range names {
		if !strings.Contains(string(out), "--- PASS: "+n+" (") {
			t.Errorf("%s did not pass", n)
		}
	}
}

// TestOldAnswers: what a node of before differs in (WIRE: text/plain up to 0.27, no header in events before 0.29, a number
// as the type before 0.31).
func TestOldAnswers(t *testing.T) {
	chain := newChain(t, local.Options{})
	url := serve(t, chain, celestia.HandlerOptions{OldAPI: true})
	ask := func(body string) (int, string, string) {
		resp, err := http.Post(url, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		defer http.DefaultClient.CloseIdleConnections()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Content-Type"), string(answer)
	}
	const info = `{"id":1,"jsonrpc":"2.0","method":"node.Info","params":[]}`
	status, kind, answer := ask(info)
	var got struct{ Result struct{ Type any } }
	if err := json.Unmarshal([]byte(answer), &got); err != nil || status != 200 || !strings.HasPrefix(kind, "text/plain") {
		t.Fatalf("got %d %s %s", status, kind, answer)
	}
	if _, number := got.Result.Type.(float64); !number {
		t.Errorf("type is %v, want a number", got.Result.Type)
	}
	if status, _, answer = ask("[" + info + "]"); status != 500 || !strings.Contains(answer, "-32700") {
		t.Errorf("a batch: got %d %s", status, answer)
	}
	c := newClient(t, url, celestia.Options{Namespaces: []da.Namespace{alpha}, Level: da.Trust})
	updates := subscribe(t, c)
	next(t, updates)
	before := c.Stats().HeaderCalls
	submit(t, chain, blob(alpha, "x"))
	if u := next(t, updates); u.Item == nil || len(u.Item.Data.Blobs) != 1 {
		t.Errorf("got %+v, want the whole height", u)
	}
	if n := c.Stats().HeaderCalls - before; n != 1 {
		t.Errorf("%d headers were asked for, want the one that the event lacks", n)
	}
}
