package node_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"headrace/block"
	"headrace/follow"
	"headrace/internal/nettest"
	"headrace/node"
	"headrace/telemetry"
)

// object is one of JSON.
type object = map[string]any

// in returns what is at a path of keys, and fails the test if nothing is.
func in(t *testing.T, of any, keys ...string) any {
	t.Helper()
	for _, key := range keys {
		next, ok := of.(object)[key]
		if !ok {
			t.Fatalf("no %s in %v", key, slices.Sorted(maps.Keys(of.(object))))
		}
		of = next
	}
	return of
}

// apiFile is the description of the API that a node serves, and what of it has been asked for.
type apiFile struct {
	doc    object
	schema *jsonschema.Compiler
	asked  map[string]bool // "GET /v1/status 200" and "GET /v1/blocks ?from"
}

const apiName = "file:///openapi.json"

func readAPI(t *testing.T, text string) *apiFile {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	strict(doc)
	a := &apiFile{doc: doc.(object), schema: jsonschema.NewCompiler(), asked: map[string]bool{}}
	a.schema.DefaultDraft(jsonschema.Draft2020)
	a.schema.AssertFormat()
	a.schema.AssertContent()
	if err := a.schema.AddResource(apiName, doc); err != nil {
		t.Fatal(err)
	}
	return a
}

// strict has each schema with properties refuse others. Clients must take them, since later versions have more: so the
// file does not say it.
func strict(v any) {
	switch v := v.(type) {
	case object:
		if _, ok := v["properties"]; ok && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for _, each := range v {
			strict(each)
		}
	case []any:
		for _, each := range v {
			strict(each)
		}
	}
}

// pointer names a place in the file.
func pointer(keys ...string) string {
	for i := range keys {
		keys[i] = url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(keys[i]))
	}
	return apiName + "#/" + strings.Join(keys, "/")
}

// valid checks a JSON text against the schema at a place of the file.
func (a *apiFile) valid(t *testing.T, what, text string, keys ...string) {
	t.Helper()
	schema, err := a.schema.Compile(pointer(keys...))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		t.Errorf("%s: %v: %.500s", what, err, text)
	}
}

// template returns the path of the file that a path is of.
func (a *apiFile) template(t *testing.T, path string) string {
	t.Helper()
	for template := range in(t, a.doc, "paths").(object) {
		pattern := regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(template), `[^/]+`)
		if regexp.MustCompile("^" + pattern + "$").MatchString(path) {
			return template
		}
	}
	t.Fatalf("%s is not in the file", path)
	return ""
}

// check looks at an answer by what the file says of it.
func (a *apiFile) check(t *testing.T, method string, u *url.URL, resp *http.Response, body string) {
	t.Helper()
	template := a.template(t, u.EscapedPath())
	key, code := strings.ToLower(method), fmt.Sprint(resp.StatusCode)
	what := method + " " + template
	for name := range u.Query() {
		a.asked[what+" ?"+name] = true
	}
	responses := in(t, a.doc, "paths", template, key, "responses").(object)
	if responses[code] == nil {
		t.Errorf("%s: got %d, of which the file says nothing: %.300s", u, resp.StatusCode, body)
		return
	}
	a.asked[what+" "+code] = true
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	content := in(t, responses, code, "content").(object)
	if content[kind] == nil {
		t.Errorf("%s: got %s, want one of %v", u, kind, slices.Sorted(maps.Keys(content)))
		return
	}
	if kind == "application/json" {
		a.valid(t, u.String(), body, "paths", template, key, "responses", code, "content", kind, "schema")
	}
}

// ask sends a request, and checks the answer.
func (a *apiFile) ask(t *testing.T, method, to, body string, want int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), method, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != want {
		t.Errorf("%s %s: got %d, want %d: %.300s", method, to, resp.StatusCode, want, answer)
	}
	a.check(t, method, req.URL, resp, string(answer))
	return string(answer)
}

// events reads events until each kind that is wanted has come, and checks each.
func (a *apiFile) events(t *testing.T, base, query string, want ...string) {
	t.Helper()
	l := listen(t, base, query, "")
	defer l.close()
	a.asked["GET /v1/events 200"] = true
	values, _ := url.ParseQuery(query)
	for name := range values {
		a.asked["GET /v1/events ?"+name] = true
	}
	for len(want) > 0 {
		e := l.next()
		at := []string{"paths", "/v1/events", "get", "responses", "200", "content", "text/event-stream", "x-events", e.kind}
		if e.kind == "block" && values.Get("body") == "true" {
			at = []string{"components", "schemas", "Block"}
		}
		a.valid(t, "event "+e.kind, e.data, at...)
		if i := slices.Index(want, e.kind); i >= 0 {
			want = slices.Delete(want, i, i+1)
		}
	}
}

// elsewhere is what this test does not have a node answer, with the test that has.
var elsewhere = map[string]string{
	"GET /livez 503":               "TestDiskFull in e2e",
	"GET /v1/history 503":          "TestHostileConnections in e2e: the same budget",
	"GET /v1/blocks 503":           "TestHostileConnections in e2e",
	"GET /v1/blocks/{block} 503":   "TestHostileConnections in e2e",
	"GET /v1/kv/{key} 503":         "TestHostileConnections in e2e",
	"GET /v1/wait 503":             "TestTooManyWaits",
	"GET /v1/events 503":           "TestTooManyWaits: the same slots",
	"GET /v1/wait ?proposal":       "package e2e/l1: on an L1 alone",
	"GET /v1/wait ?proposal_at":    "TestWaitProposalAt",
	"GET /v1/events ?after":        "TestEventsRefuse",
	"PUT /v1/log 403":              "TestLogBeyondLoopback",
	"POST /v1/txs 410":             "TestSendEndsWithTheNode",
	"POST /v1/txs 408":             "TestEveryPhaseEnds in httpd",
	"POST /v1/txs 500":             "TestTxCodes",
	"POST /v1/txs 501":             "package e2e/l1: execution clients",
	"POST /v1/txs 503":             "TestTxCodes",
	"POST /v1/sequencer/stop 202":  "TestStopIsAnsweredWhileTheEngineHangs",
	"POST /v1/sequencer/stop 500":  "TestStopIsNoted",
	"POST /v1/sequencer/start 500": "TestStopIsNoted",
	"POST /v1/unsafe 200":          "TestGate in e2e/l1, TestOffersAreWeighed and TestUnsafeBodies, as those below",
	"POST /v1/unsafe 202":          "likewise",
	"POST /v1/unsafe 400":          "likewise",
	"POST /v1/unsafe 403":          "likewise",
	"POST /v1/unsafe 410":          "likewise",
	"POST /v1/unsafe 422":          "likewise",
	"POST /v1/unsafe 503":          "likewise",

	"GET /metrics 503":             "client_golang's own tests",
	"GET /debug/pprof/profile 500": "net/http/pprof's own tests, as the next",
	"GET /debug/pprof/trace 500":   "likewise",
}

// TestOpenAPI: what a node answers is what /openapi.json says, each path and method, parameter and status of it; and the
// node serves nothing else.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	c := newChain(t, "openapi")
	o := c.sequencer(t, d.URL(), 50*time.Millisecond)
	o.Config.Evolve.RPC, o.Config.HTTP.Pprof = true, true
	metrics := telemetry.NewMetrics()
	o.Handlers = map[string]http.Handler{"GET /metrics": metrics} // as headrace start mounts it
	levelled(t, &o)
	seq, full := start(t, o), start(t, c.full(t, d.URL()))
	apart := c.full(t, "http://"+nettest.FreeAddress(t))
	apart.Config.Index.Txs = "none"
	away := start(t, apart)
	a := readAPI(t, wantStatus(t, full, "/openapi.json", http.StatusOK))
	a.routes(t, seq.Patterns())

	a.ask(t, "POST", seq.URL()+"/v1/txs", "color=blue", 202)
	waitValue(t, full, "color", "blue")
	full.until(t, "ready", ready)
	replica := start(t, c.replica(t, full.URL()))
	replica.until(t, "ready", ready)
	away.until(t, "not ready, for a reason", func(s node.Status) bool { return !s.Ready && s.Stage != 0 && len(s.Waiting) > 0 })
	pruned, ended := newLedger(t, true), newLedger(t, true)
	pruned.mine(9)
	if err := pruned.store.Prune(5); err != nil {
		t.Fatal(err)
	}
	ended.mine(1)
	ended.status.Close(fmt.Errorf("the end"))
	served := func(l *ledger) string {
		s := httptest.NewServer(l.Handler())
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
		return s.URL
	}
	old, over := served(pruned), served(ended)
	shut := newLedger(t, true)
	if err := shut.store.Close(); err != nil {
		t.Fatal(err)
	}
	hash := full.Status().Load().Heads.Safe.Hash
	for _, q := range []struct {
		method, to, body string
		want             int
	}{
		{"GET", full.URL() + "/livez", "", 200},
		{"GET", full.URL() + "/readyz", "", 200},
		{"GET", away.URL() + "/readyz", "", 503},
		{"GET", seq.URL() + "/metrics", "", 200},
		{"GET", seq.URL() + "/debug/pprof/", "", 200},
		{"GET", seq.URL() + "/debug/pprof/symbol", "", 200},
		{"GET", seq.URL() + "/debug/pprof/profile?seconds=1", "", 200},
		{"GET", seq.URL() + "/debug/pprof/trace?seconds=0.01", "", 200},
		{"GET", full.URL() + "/", "", 200},
		{"GET", full.URL() + "/page/node.js", "", 200},
		{"GET", full.URL() + "/page/none.js", "", 404},
		{"GET", full.URL() + "/v1/history", "", 200},
		{"GET", full.URL() + "/v1/genesis", "", 200},
		{"GET", replica.URL() + "/v1/status", "", 200},
		{"GET", full.URL() + "/openapi.json", "", 200},
		{"GET", full.URL() + "/v1/status", "", 200},
		{"GET", seq.URL() + "/v1/status", "", 200},
		{"GET", away.URL() + "/v1/status", "", 200},
		{"GET", full.URL() + "/v1/blocks/1", "", 200},
		{"GET", full.URL() + "/v1/blocks/" + hash.String() + "?signed=true", "", 200},
		{"GET", seq.URL() + "/v1/blocks/unsafe?signed=true", "", 200},
		{"GET", full.URL() + "/v1/blocks/first", "", 400},
		{"GET", full.URL() + "/v1/blocks/123456789", "", 404},
		{"GET", full.URL() + "/v1/blocks?from=1&to=4&signed=true", "", 200},
		{"GET", full.URL() + "/v1/blocks?from=1&to=4&signed=true&txs=false", "", 200},
		{"GET", full.URL() + "/v1/blocks?from=1000000", "", 200},
		{"GET", seq.URL() + "/v1/blocks?from=1&head=unsafe", "", 200},
		{"GET", full.URL() + fmt.Sprintf("/v1/blocks?da_height=%d", full.Status().Load().Source.Position.Height), "", 200},
		{"GET", full.URL() + "/v1/blocks?da_height=3&to=9", "", 400},
		{"GET", full.URL() + "/v1/blocks?da_height=0&from=1", "", 400},
		{"GET", full.URL() + "/v1/blocks?da_height=123456789", "", 404},
		{"GET", full.URL() + "/v1/blocks", "", 400},
		{"GET", old + "/v1/blocks?from=1", "", 410},
		{"POST", full.URL() + "/v1/txs", "a=1", 409},
		{"POST", seq.URL() + "/v1/txs", "no pair", 400},
		{"POST", seq.URL() + "/v1/txs", "a=" + strings.Repeat("x", 1<<20), 413},
		{"POST", seq.URL() + "/v1/txs?wait=safe&timeout=1m", "tea=green", 200},
		{"POST", seq.URL() + "/v1/txs?wait=finalized&timeout=0", "tea=red", 202},
		{"POST", seq.URL() + "/v1/txs?wait=soon", "tea=red", 400},
		{"GET", seq.URL() + "/v1/txs/" + txHash("tea=green"), "", 200},
		{"GET", full.URL() + "/v1/txs/0x" + txHash("color=blue"), "", 200},
		{"GET", full.URL() + "/v1/txs/" + txHash("nobody"), "", 404},
		{"GET", full.URL() + "/v1/txs/7", "", 400},
		{"GET", served(shut) + "/v1/txs/" + txHash("a=1"), "", 500},
		{"GET", away.URL() + "/v1/txs/" + txHash("nobody"), "", 501},
		{"GET", full.URL() + "/v1/wait?tx=" + txHash("tea=green") + "&timeout=1m", "", 200},
		{"POST", full.URL() + "/v1/unsafe", `{"header":"AA=="}`, 400},
		{"POST", seq.URL() + "/v1/unsafe", `{"header":"AA=="}`, 409},
		{"GET", full.URL() + "/v1/equivocations", "", 200},
		{"GET", full.URL() + "/v1/kv/color", "", 200},
		{"GET", full.URL() + "/v1/kv/nobody", "", 404},
		{"GET", seq.URL() + "/v1/log", "", 200},
		{"GET", full.URL() + "/v1/log", "", 501},
		{"PUT", seq.URL() + "/v1/log", `{"level": "info,follow=debug"}`, 200},
		{"PUT", seq.URL() + "/v1/log", `{"level": "loud"}`, 400},
		{"PUT", seq.URL() + "/v1/log", strings.Repeat(" ", 5<<10), 413},
		{"PUT", full.URL() + "/v1/log", `{"level": "info"}`, 501},
		{"POST", full.URL() + "/v1/sequencer/stop", "", 409},
		{"POST", full.URL() + "/v1/sequencer/start", "", 409},
		{"POST", full.URL() + "/v1/sequencer/propose", "", 409},
		{"POST", seq.URL() + "/v1/sequencer/stop", "", 200},
		{"POST", seq.URL() + "/v1/sequencer/propose", "", 200},
		{"POST", seq.URL() + "/v1/sequencer/start", "", 200},
		{"GET", full.URL() + "/v1/wait?height=1&head=finalized&timeout=1m", "", 200},
		{"GET", full.URL() + "/v1/wait?position=1", "", 200},
		{"GET", full.URL() + "/v1/wait?ready", "", 200},
		{"GET", away.URL() + "/v1/wait?not_ready", "", 200},
		{"GET", full.URL() + "/v1/wait?height=1000000&timeout=10ms", "", 504},
		{"GET", full.URL() + "/v1/wait", "", 400},
		{"GET", over + "/v1/wait?height=2", "", 410},
		{"GET", full.URL() + "/v1/events?events=x", "", 400},
		{"GET", full.URL() + "/v1/events?after=1-" + block.Hash{1}.String() + "-1", "", 409},
		{"GET", old + "/v1/events?from=1", "", 410},
		{"POST", seq.URL() + "/evnode.v1.StoreService/GetState", "{}", 200},
		{"POST", seq.URL() + "/evnode.v1.ConfigService/GetNamespace", "{}", 200},
	} {
		a.ask(t, q.method, q.to, q.body, q.want)
	}
	a.events(t, full.URL(), "from=1&events=block,status,live&signed=true", "block", "live", "status", "block")
	a.events(t, seq.URL(), "head=unsafe&body=true&signed=true", "block")
	a.events(t, full.URL(), "body=true&from=1", "block")
	a.events(t, over, "from=1", "block", "end")
	r := newScripted(t)
	r.mine(3)
	l := listen(t, r.URL, "", "")
	r.replace(1, 1)
	a.valid(t, "a reorg", l.next().data, "paths", "/v1/events", "get", "responses", "200", "content", "text/event-stream", "x-events", "reorg")
	a.all(t)
}

// TestUnknownParameters: no path takes a parameter that it does not know, cannot read, or is given twice, in silence.
func TestUnknownParameters(t *testing.T) {
	t.Parallel()
	d, _ := daLayer(t, "127.0.0.1:0", "", 50*time.Millisecond)
	o := newChain(t, "parameters").sequencer(t, d.URL(), time.Hour)
	levelled(t, &o)
	seq := start(t, o)
	seq.until(t, "at its first block", func(s node.Status) bool { return s.Heads.Unsafe.Height == 1 })
	asked := 0
	for _, pattern := range seq.Patterns() {
		method, path, _ := strings.Cut(pattern, " ")
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		path = strings.NewReplacer("{block}", "1", "{hash}", txHash("a=1"), "{key}", "a").Replace(path)
		for query, says := range map[string]string{"tiemout=5s": "there is no parameter tiemout", "wait=safe;timeout=5s": "cannot be read", "timeout=%zz": "cannot be read", "head=safe&head=unsafe": "head is there 2 times", "events=status&from=1&events=block": "events is there 2 times"} {
			code, body := ask(t, seq, method, path+"?"+query, "a=1")
			if code != http.StatusBadRequest || !strings.Contains(body, says) || !strings.Contains(body, `"error"`) {
				t.Errorf("%s %s?%s: got %d %s, want 400 and that %s", method, path, query, code, body, says)
			}
		}
		asked++
	}
	if subs, _, _ := seq.Remembered(); subs > 0 || asked < 15 {
		t.Errorf("%d paths were asked, and %d submissions are remembered, want 15 at least, and none", asked, subs)
	}
	if s := seq.Status().Load(); s.Heads.Unsafe.Height != 1 {
		t.Errorf("the head is %d, want 1", s.Heads.Unsafe.Height)
	}
}

// routes checks that the file has the paths and methods of these patterns, and no others.
func (a *apiFile) routes(t *testing.T, patterns []string) {
	t.Helper()
	var served, said []string
	for _, p := range patterns {
		if strings.HasPrefix(p, "/") && strings.HasSuffix(p, "/") { // another protocol's service
			p = "POST " + p + "{method}"
		}
		served = append(served, strings.TrimSuffix(p, "{$}"))
	}
	ids := map[any]bool{}
	for path, item := range in(t, a.doc, "paths").(object) {
		for method := range item.(object) {
			said = append(said, strings.ToUpper(method)+" "+path)
			op := in(t, item, method).(object)
			if id := in(t, op, "operationId"); ids[id] || in(t, op, "summary") == "" {
				t.Errorf("%s %s: got id %v, want one of its own, and a summary", method, path, id)
			}
			ids[in(t, op, "operationId")] = true
			in(t, op, "responses", "default")
		}
	}
	slices.Sort(served)
	slices.Sort(said)
	if !slices.Equal(served, said) {
		t.Errorf("the node serves\n%s\nand the file has\n%s", strings.Join(served, "\n"), strings.Join(said, "\n"))
	}
}

// all checks that nothing of the file has been left out.
func (a *apiFile) all(t *testing.T) {
	t.Helper()
	for path, item := range in(t, a.doc, "paths").(object) {
		if strings.HasPrefix(path, "/grpc.") {
			continue // package evrpc has tests with Evolve's own tools
		}
		for method, op := range item.(object) {
			what := strings.ToUpper(method) + " " + path
			wanted := []string{}
			for code := range in(t, op, "responses").(object) {
				wanted = append(wanted, what+" "+code)
			}
			parameters, _ := op.(object)["parameters"].([]any)
			for _, p := range parameters {
				if in(t, p, "in") == "query" {
					wanted = append(wanted, what+" ?"+in(t, p, "name").(string))
				}
			}
			for _, w := range wanted {
				if _, known := elsewhere[w]; !a.asked[w] && !known && !strings.HasSuffix(w, " default") {
					t.Errorf("nothing was asked with %s", w)
				}
			}
		}
	}
	for w := range a.asked {
		if method, rest, _ := strings.Cut(w, " "); strings.Contains(w, "?") {
			path, name, _ := strings.Cut(rest, " ?")
			parameters, _ := in(t, a.doc, "paths", path, strings.ToLower(method)).(object)["parameters"].([]any)
			if !slices.ContainsFunc(parameters, func(p any) bool { return in(t, p, "name") == name }) {
				t.Errorf("the file does not have %s", w)
			}
		}
	}
}

// described are the schemas of Go's types: these have the same keys.
var described = map[string]any{
	"Status": node.Status{}, "Block": node.Block{}, "BlockEvent": node.BlockEvent{}, "Page": node.Page{}, "Waited": node.Waited{}, "Sent": node.Sent{},
	"Logged": node.Logged{}, "Sequencing": node.Sequencing{},
	"ReorgEvent": node.ReorgEvent{}, "EndEvent": node.EndEvent{},
}

// TestSchemasAreOurTypes: each key of an answer is in the file, as what it is, and is required there unless it may be left
// out. No number can be above 2^53 by it.
func TestSchemasAreOurTypes(t *testing.T) {
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	a := readAPI(t, string(text))
	seen := map[string]bool{}
	for name, v := range described {
		a.compare(t, name, reflect.TypeOf(v), seen)
	}
	for name, text := range map[string]string{"too large": "9007199254740992", "negative": "-1"} {
		schema, err := a.schema.Compile(pointer("components", "schemas", "Whole"))
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := jsonschema.UnmarshalJSON(strings.NewReader(text)); schema.Validate(v) == nil {
			t.Errorf("%s: %s is a whole number by the file", name, text)
		}
	}
}

func (a *apiFile) compare(t *testing.T, name string, typ reflect.Type, seen map[string]bool) {
	if seen[name] {
		return
	}
	seen[name] = true
	schema := in(t, a.doc, "components", "schemas", name).(object)
	keys, required := map[string]bool{}, map[string]bool{}
	for _, f := range reflect.VisibleFields(typ) {
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "" || key == "-" {
			continue
		}
		keys[key] = true
		if options == "" {
			required[key] = true
		}
		got, ok := in(t, schema, "properties").(object)[key].(object)
		if !ok {
			t.Errorf("%s.%s is not in the file", name, key)
			continue
		}
		if text, _ := got["description"].(string); text == "" {
			t.Errorf("%s.%s is not described", name, key)
		}
		a.kind(t, name+"."+key, f.Type, got, seen)
	}
	for key := range in(t, schema, "properties").(object) {
		if !keys[key] {
			t.Errorf("the file has %s.%s, which there is not", name, key)
		}
	}
	list, _ := schema["required"].([]any)
	for _, key := range list {
		if !required[key.(string)] {
			t.Errorf("the file requires %s.%s, which may be left out", name, key)
		}
		delete(required, key.(string))
	}
	if len(required) > 0 {
		t.Errorf("the file does not require %v of %s, which are always there", slices.Sorted(maps.Keys(required)), name)
	}
}

// kind compares what the file says of a value with its type.
func (a *apiFile) kind(t *testing.T, what string, typ reflect.Type, got object, seen map[string]bool) {
	ref, _ := got["$ref"].(string)
	ref = strings.TrimPrefix(ref, "#/components/schemas/")
	want := ""
	switch typ {
	case reflect.TypeFor[time.Time]():
		want = "Moment"
	case reflect.TypeFor[block.Hash]():
		want = "Hash"
	case reflect.TypeFor[node.Hex]():
		want = "Hex"
	case reflect.TypeFor[[]byte]():
		want = "Bytes"
	case reflect.TypeFor[json.RawMessage]():
		want = "object"
	case reflect.TypeFor[follow.Stage]():
		want = "string"
	}
	switch kind := typ.Kind(); {
	case want != "":
	case kind == reflect.Pointer:
		a.kind(t, what, typ.Elem(), got, seen)
		return
	case kind == reflect.Slice:
		a.kind(t, what+"[]", typ.Elem(), in(t, got, "items").(object), seen)
		return
	case kind == reflect.Struct:
		a.compare(t, ref, typ, seen)
		return
	case kind == reflect.Uint64, kind == reflect.Int:
		want = "Whole"
	case kind == reflect.Float64:
		want = "number"
	case kind == reflect.Bool:
		want = "boolean"
	case kind == reflect.Interface:
		want = "object"
	case kind == reflect.String:
		want = "string"
	}
	if text, _ := got["type"].(string); want != ref && want != text && (want != "string" || ref != "Hash" && ref != "Hex") {
		t.Errorf("%s: the file has %v, want %s", what, got, want)
	}
}

// TestGlossary: each key of a status has its row in the glossary, with the words that the file has of it.
func TestGlossary(t *testing.T) {
	file, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/GLOSSARY.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (.+) \\|$").FindAllStringSubmatch(string(text), -1) {
		rows[row[1]] = row[2]
	}
	a := readAPI(t, string(file))
	var walk func(prefix, schema string)
	walk = func(prefix, schema string) {
		for key, v := range in(t, a.doc, "components", "schemas", schema, "properties").(object) {
			name := prefix + key
			if got, want := rows[name], in(t, v, "description"); got != want {
				t.Errorf("%s: the glossary has %q, want %q", name, got, want)
			}
			delete(rows, name)
			if items, ok := v.(object)["items"].(object); ok {
				v, name = items, name+"[]"
			}
			ref, _ := v.(object)["$ref"].(string)
			ref = strings.TrimPrefix(ref, "#/components/schemas/")
			if next, ok := in(t, a.doc, "components", "schemas").(object)[ref].(object); ok && next["properties"] != nil && ref != "Ref" {
				walk(name+".", ref)
			}
		}
	}
	walk("", "Status")
	if len(rows) > 0 {
		t.Errorf("the glossary has %v, which no status has", slices.Sorted(maps.Keys(rows)))
	}
}
