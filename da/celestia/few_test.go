package celestia_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"headrace/da/celestia"
	"headrace/da/local"
)

// TestLongLists: a request that names a list of millions is refused at the first element that is wrong, or at one that
// is too many; and one that names a full namespace again and again, before there is an answer.
func TestLongLists(t *testing.T) {
	chain := newChain(t, local.Options{})
	height := fill(t, chain, random(alpha, 1_000_000, 1))
	url := serve(t, chain, celestia.HandlerOptions{})
	of := func(n int, each string) string { return "[" + strings.Repeat(each+",", n-1) + each + "]" }
	alphaText := base64.StdEncoding.EncodeToString(alpha[:])
	for name, c := range map[string]struct{ method, params, want string }{
		"no proofs":             {"blob.Included", `"` + alphaText + `",` + of(1_000_000, "{}") + `,""`, "(param: "},
		"many proofs":           {"blob.Included", `"` + alphaText + `",` + of(1_000_000, "null") + `,""`, "more than 1024 elements"},
		"no namespaces":         {"blob.GetAll", `` + of(1_000_000, "null"), "invalid namespace length"},
		"many namespaces":       {"blob.GetAll", `` + of(1025, `"`+alphaText+`"`), "more than 1024 elements"},
		"a namespace each time": {"blob.GetAll", `` + of(200, `"`+alphaText+`"`), "more than 192 MiB"},
		"an object":             {"blob.GetAll", `{}`, "cannot unmarshal object"},
		"many samples":          {"share.GetSamples", of(1025, "{}"), "more than 1024 elements"},
	} {
		resp, err := http.Post(url, "application/json", strings.NewReader(`{"id":1,"jsonrpc":"2.0","method":"`+c.method+`","params":[`+strconv.FormatUint(height, 10)+`,`+c.params+`]}`))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(body), c.want) {
			t.Errorf("%s: got %.200q, %v, want %q", name, body, err, c.want)
		}
	}
}
