package celestia_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/local"
	"headrace/follow"
	"headrace/internal/square"
)

// recordedCall is a line of testdata/calls.txt: a call, and the lines that tell what a celestia-node answered.
type recordedCall struct {
	call string
	want []string
}

// recordedCalls reads testdata/calls.txt. Its first lines tell how it is written.
func recordedCalls(t testing.TB) []recordedCall {
	t.Helper()
	data, err := os.ReadFile("testdata/calls.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []recordedCall
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		switch rest, more := strings.CutPrefix(line, "   "); {
		case strings.HasPrefix(line, "#"):
		case !more:
			out = append(out, recordedCall{call: line})
		default:
			last := &out[len(out)-1]
			last.want = append(last.want, rest)
		}
	}
	if len(out) < 195 {
		t.Fatalf("%d calls recorded, want 195 at least", len(out))
	}
	return out
}

// differ are the calls that the dev server answers in another way than a node. README.md has the same list.
var differ = map[string]string{}

// callServer is a chain like that of the record, and a server of it.
type callServer struct {
	t                  testing.TB
	chain              *local.Chain
	url                string
	height             uint64
	names              *strings.Replacer
	admin, read, write string
}

func newCallServer(t testing.TB) *callServer {
	t.Helper()
	s := &callServer{t: t, chain: newChain(t, local.Options{Interval: 5 * time.Millisecond})}
	s.url = serve(t, s.chain, celestia.HandlerOptions{Secret: secret})
	s.admin, s.read, s.write = token(t, celestia.Admin), token(t, celestia.Read), token(t, celestia.Write)
	produce(t, s.chain, 9)
	gamma := da.NamespaceFromName("gamma")
	s.height = submit(t, s.chain, blob(alpha, "hello"), blob(beta, strings.Repeat("b", 9*482-10))) // beta: three rows, and padding in the last
	commitments := map[da.Namespace]string{}
	proofs := map[da.Namespace]string{}
	sq, err := s.chain.Square(s.height)
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range []da.Namespace{alpha, beta} {
		blobs, err := s.chain.Blobs(s.height, ns)
		if err != nil || len(blobs) != 1 {
			t.Fatal(len(blobs), err)
		}
		commitments[ns] = base64.StdEncoding.EncodeToString(blobs[0].Commitment)
		proof, err := sq.BlobProof(ns, blobs[0].Commitment)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(proof)
		if err != nil {
			t.Fatal(err)
		}
		proofs[ns] = string(text)
	}
	header := func(height uint64) string {
		e, err := s.chain.Header(height)
		if err != nil {
			t.Fatal(err)
		}
		return string(e.AppendJSON(nil))
	}
	e, err := s.chain.Header(s.height)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	s.names = strings.NewReplacer(
		"$HASH", follow.Hash(e.Header.Hash()).String(), "$HDR", header(s.height), "$H", strconv.FormatUint(s.height, 10),
		"$FAR", "100000000", "$FIRST", header(2), "$TOKEN", s.read, "$ALPHA", b64(alpha[:]), "$BETA", b64(beta[:]), "$GAMMA", b64(gamma[:]),
		"$C1", commitments[alpha], "$C2", commitments[beta], "$CZ", b64(make([]byte, 32)), "$PROOF", proofs[alpha], "$PRBF", proofs[beta],
		"$ADDR", square.AccountAddress, "$G", "5") // the first that fits counts
	run(t, s.chain)
	return s
}

// TestRecordedCalls puts each call of testdata/calls.txt to the dev server. Its answer must be equal in all that the record
// tells: status, content type, order of the keys, id, code, text, and shape of the result.
func TestRecordedCalls(t *testing.T) {
	s := newCallServer(t)
	seen := map[string]bool{}
	for _, c := range recordedCalls(t) {
		if strings.HasPrefix(c.call, "HTTP WS") {
			continue // TestRecordedSocket
		}
		reason, differs := differ[c.call]
		seen[c.call] = true
		err := s.replay(c)
		switch {
		case err != nil && !differs:
			t.Errorf("%s: %v", c.call, err)
		case err == nil && differs:
			t.Errorf("%s is as in the record, though it should differ: %s", c.call, reason)
		}
	}
	for call := range differ {
		if !seen[call] {
			t.Errorf("%s differs, and is not in the record", call)
		}
	}
	if len(differ) > 10 {
		t.Errorf("%d calls differ, want 10 at most", len(differ))
	}
}

// special are the calls whose name does not tell what was sent: a token, and a body.
func (s *callServer) special(name string) (auth, body string, ok bool) {
	ready := func(members string) string {
		return `{` + members + `"method":"node.Ready"}`
	}
	call := func(method, params string) string {
		return s.names.Replace(`{"id":7,"jsonrpc":"2.0","method":"` + method + `","params":` + params + `}`)
	}
	blobs := `[[{"namespace":"$ALPHA","data":"aGk=","share_version":0}],{}]`
	header, claims, _ := strings.Cut(s.admin, ".")
	claims, _, _ = strings.Cut(claims, ".")
	admin := s.admin
	m := map[string][2]string{
		"no token GetAll":      {"", call("blob.GetAll", `[$H,["$ALPHA"]]`)},
		"no token node.Info":   {"", call("node.Info", `[]`)},
		"bad token":            {"nonsense", call("node.Ready", `[]`)},
		"bad signature":        {header + "." + claims + "." + strings.Repeat("A", 43), call("node.Ready", `[]`)},
		"read token Submit":    {s.read, call("blob.Submit", blobs)},
		"read token node.Info": {s.read, call("node.Info", `[]`)},
		"read token p2p.Info":  {s.read, call("p2p.Info", `[]`)},
		"empty body":           {admin, ""},
		"not json":             {admin, "hello"},
		"half json":            {admin, `{"id":7,"jsonrpc":`},
		"array empty":          {admin, "[]"},
		"batch": {admin, "[" + s.names.Replace(`{"id":1,"jsonrpc":"2.0","method":"header.GetByHeight","params":[0]}`) + "," +
			ready(`"id":2,"jsonrpc":"2.0","params":[],`) + "]"},
		"notification":    {admin, ready(`"jsonrpc":"2.0","params":[],`)},
		"id string":       {admin, ready(`"id":"seven","jsonrpc":"2.0","params":[],`)},
		"id null":         {admin, ready(`"id":null,"jsonrpc":"2.0","params":[],`)},
		"id object":       {admin, ready(`"id":{},"jsonrpc":"2.0","params":[],`)},
		"id float":        {admin, ready(`"id":1.5,"jsonrpc":"2.0","params":[],`)},
		"id true":         {admin, ready(`"id":true,"jsonrpc":"2.0","params":[],`)},
		"no params":       {admin, ready(`"id":7,"jsonrpc":"2.0",`)},
		"params null":     {admin, ready(`"id":7,"jsonrpc":"2.0","params":null,`)},
		"too many params": {admin, ready(`"id":7,"jsonrpc":"2.0","params":[1],`)},
		"jsonrpc 1.0":     {admin, ready(`"id":7,"jsonrpc":"1.0","params":[],`)},
		"no jsonrpc":      {admin, ready(`"id":7,"params":[],`)},
		"extra field":     {admin, ready(`"id":7,"jsonrpc":"2.0","params":[],"extra":{"a":[1]},`)},
	}
	v, ok := m[name]
	return v[0], v[1], ok
}

func (s *callServer) replay(c recordedCall) error {
	if rest, ok := strings.CutPrefix(c.call, "HTTP "); ok {
		return s.replayHTTP(rest)
	}
	auth, body, ok := s.special(c.call)
	if !ok {
		method, params, found := strings.Cut(c.call, " ")
		if !found {
			return fmt.Errorf("not understood")
		}
		auth, body = s.admin, s.names.Replace(`{"id":7,"jsonrpc":"2.0","method":"`+method+`","params":`+params+`}`)
	}
	status, header, answer, err := s.post("POST", "/", auth, body)
	if err != nil {
		return err
	}
	want := strings.Join(c.want, "\n")
	want = strings.ReplaceAll(want, "\n| ", "\n")
	wantStatus, want, _ := strings.Cut(want, " ")
	if fmt.Sprint(status) != wantStatus {
		return fmt.Errorf("status %d, want %s: %.300s", status, wantStatus, answer)
	}
	contentType, want, _ := strings.Cut(want, " ")
	if got := header.Get("Content-Type"); got != contentType {
		return fmt.Errorf("content type %q, want %q", got, contentType)
	}
	return sameAnswer(answer, want)
}

// replayHTTP makes a request that is no call: METHOD PATH -> STATUS "TYPE" "BODY" [acao="ORIGIN"].
func (s *callServer) replayHTTP(line string) error {
	m := regexp.MustCompile(`^(\S+) (\S+) -> (\d+) ("[^"]*") ("(?:[^"\\]|\\.)*")(?: acao=("[^"]*"))?$`).FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("not understood")
	}
	body := ""
	if m[1] == "POST" {
		body = `{"id":1,"jsonrpc":"2.0","method":"node.Ready","params":[]}`
	}
	status, header, answer, err := s.post(m[1], m[2], "", body)
	if err != nil {
		return err
	}
	got := fmt.Sprintf("%s %s -> %d %q %q", m[1], m[2], status, header.Get("Content-Type"), answer)
	if m[6] != "" {
		got += fmt.Sprintf(" acao=%q", header.Get("Access-Control-Allow-Origin"))
	}
	if got != line {
		return fmt.Errorf("got %s", got)
	}
	return nil
}

func (s *callServer) post(method, path, auth, body string) (int, http.Header, string, error) {
	req, err := http.NewRequestWithContext(deadline(s.t), method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	if auth != "" {
		req.Header.Set("Authorization", "Bearer "+auth)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	http.DefaultClient.CloseIdleConnections()
	return resp.StatusCode, resp.Header, string(answer), err
}

// sameAnswer compares an answer with what a line of the record tells of one.
func sameAnswer(answer, want string) error {
	if shape, ok := strings.CutPrefix(want, "batch "); ok {
		var v any
		if err := json.Unmarshal([]byte(answer), &v); err != nil {
			return err
		}
		return match(v, shape)
	}
	if text, ok := strings.CutPrefix(want, "raw "); ok {
		if got := strconv.Quote(answer); got != text {
			return fmt.Errorf("answer %s, want %s", got, text)
		}
		return nil
	}
	keys, values, err := ordered(answer)
	if err != nil {
		return fmt.Errorf("%w: %.300s", err, answer)
	}
	id := fmt.Sprint(values["id"])
	if rest, ok := strings.CutPrefix(want, "id<result id="); ok {
		wantID, rest, _ := strings.Cut(rest, " jsonrpc=2.0 result=")
		shape, whole := strings.CutSuffix(rest, " nl=true")
		switch i, r := slices.Index(keys, "id"), slices.Index(keys, "result"); {
		case i < 0 || r < i:
			return fmt.Errorf("keys %q, want id before result: %.300s", keys, answer)
		case id != wantID || values["jsonrpc"] != "2.0":
			return fmt.Errorf("id %s, want %s", id, wantID)
		case whole && !strings.HasSuffix(answer, "\n"):
			return fmt.Errorf("no new line at the end")
		}
		if err := match(values["result"], shape); err != nil {
			return fmt.Errorf("%w: %.600s", err, answer)
		}
		return nil
	}
	e, _ := values["error"].(map[string]any)
	got := fmt.Sprintf("keys=%v id=%s code=%v %s", keys, id, e["code"], plain(fmt.Sprint(e["message"])))
	if got != want {
		return fmt.Errorf("\n got %s\nwant %s", got, want)
	}
	return nil
}

// ordered reads an object, and the order of its keys.
func ordered(text string) ([]string, map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return nil, nil, fmt.Errorf("no object")
	}
	var keys []string
	values := map[string]any{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, nil, err
		}
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, nil, err
		}
		keys = append(keys, key.(string))
		values[key.(string)] = v
	}
	return keys, values, nil
}

// plain is an error text as the record has it: X for long hexadecimal numbers, N for others.
func plain(text string) string {
	text = regexp.MustCompile(`[0-9A-Fa-f]{40,}`).ReplaceAllString(text, "X")
	return regexp.MustCompile(`\d+`).ReplaceAllString(text, "N")
}

// match compares a value with a shape of the record. A shape that the record has cut is compared as far as it goes.
func match(v any, shape string) error {
	p := &shapes{text: shape}
	s := p.shape()
	if rest := p.text; rest != "" {
		return fmt.Errorf("shape %q is not understood", rest)
	}
	if !s.fits(v) {
		return fmt.Errorf("result is not %s", shape)
	}
	return nil
}

// shape is what a value must look like: a word, a text in quotes, a list of alternatives, or an object.
type shape struct {
	word    string
	list    []shape
	object  map[string]shape
	cut     bool // the record ends within it
	literal bool
}

type shapes struct{ text string }

func (p *shapes) skip(c byte) bool {
	if p.text != "" && p.text[0] == c {
		p.text = p.text[1:]
		return true
	}
	return false
}

func (p *shapes) until(stops string) string {
	i := strings.IndexAny(p.text, stops)
	if i < 0 {
		i = len(p.text)
	}
	word := p.text[:i]
	p.text = p.text[i:]
	return word
}

func (p *shapes) shape() shape {
	switch {
	case p.text == "":
		return shape{cut: true}
	case p.skip('\''):
		s := shape{word: p.until("'"), literal: true}
		s.cut = !p.skip('\'')
		return s
	case p.skip('['):
		s := shape{list: []shape{}}
		for !p.skip(']') {
			if s.cut = p.text == ""; s.cut {
				break
			}
			s.list = append(s.list, p.shape())
			p.skip('|')
		}
		return s
	case p.skip('{'):
		s := shape{object: map[string]shape{}}
		for !p.skip('}') {
			name := p.until(":}")
			if s.cut = !p.skip(':'); s.cut {
				break
			}
			s.object[name] = p.shape()
			p.skip(',')
		}
		return s
	}
	word := p.until(",|]}")
	return shape{word: word, cut: p.text == ""}
}

func (s shape) fits(v any) bool {
	switch v := v.(type) {
	case []any:
		return s.list != nil && s.fitsList(v) || s.list == nil && s.object == nil && s.word == "" && s.cut
	case map[string]any:
		if s.object == nil || !s.cut && len(v) != len(s.object) {
			return s.object == nil && s.word == "" && s.cut
		}
		for name, member := range s.object {
			if value, ok := v[name]; !ok || !member.fits(value) {
				return false
			}
		}
		return true
	case string:
		return s.fitsText(v)
	case float64:
		return s.word == "num" || s.cut && strings.HasPrefix("num", s.word)
	case bool:
		return s.word == "bool"
	case nil:
		return s.word == "null"
	}
	return false
}

// fitsList reports whether each element is one of the shapes, and each shape is seen.
func (s shape) fitsList(v []any) bool {
	used := make([]bool, len(s.list))
	for _, e := range v {
		found := false
		for i, alternative := range s.list {
			if alternative.fits(e) {
				found, used[i] = true, true
			}
		}
		if !found && !s.cut {
			return false
		}
	}
	return !slices.Contains(used, false)
}

var words = map[string]*regexp.Regexp{
	"dec":   regexp.MustCompile(`^-?\d+$`),
	"time":  regexp.MustCompile(`^\d{4}-\d\d-\d\dT[0-9:.]+Z$`),
	"empty": regexp.MustCompile(`^$`),
	"CHAIN": regexp.MustCompile(`^[a-z0-9-]+$`),
	"str":   regexp.MustCompile(`^.+$`),
}

func (s shape) fitsText(v string) bool {
	if s.literal {
		return v == s.word || s.cut && strings.HasPrefix(v, s.word)
	}
	if digits, ok := strings.CutPrefix(s.word, "HEX"); ok {
		return regexp.MustCompile(`^[0-9A-F]{` + digits + `}$`).MatchString(v)
	}
	if digits, ok := strings.CutPrefix(s.word, "hex"); ok {
		return regexp.MustCompile(`^[0-9a-f]{` + digits + `}$`).MatchString(v)
	}
	if s.word == "b64" {
		return regexp.MustCompile(`^[0-9A-Za-z+/]+=*$`).MatchString(v)
	}
	if r, ok := words[s.word]; ok {
		return r.MatchString(v)
	}
	return s.cut
}

// TestShapes: the comparison that TestRecordedCalls relies on can fail.
func TestShapes(t *testing.T) {
	for _, c := range []struct {
		value, shape string
		fits         bool
	}{
		{`{"a":1,"b":"AB=="}`, `{a:num,b:b64}`, true},
		{`{"a":1}`, `{a:num,b:b64}`, false},
		{`{"a":1,"b":"AB==","c":1}`, `{a:num,b:b64}`, false},
		{`{"a":1,"b":"AB==","c":1}`, `{a:num,b:b6`, true},
		{`{"a":"1","b":"AB==","c":1}`, `{a:num,b:b6`, false},
		{`[1,2]`, `[num]`, true},
		{`[1,"x"]`, `[num]`, false},
		{`[]`, `[num]`, false},
		{`[]`, `[]`, true},
		{`[1]`, `[]`, false},
		{`null`, `[]`, false},
		{`[{"a":1},{"b":1}]`, `[{a:num}|{b:num}]`, true},
		{`[{"a":1}]`, `[{a:num}|{b:num}]`, false},
		{`"Bridge"`, `'Bridge'`, true},
		{`"bridge"`, `'Bridge'`, false},
		{`"12"`, `dec`, true},
		{`12`, `dec`, false},
		{`{}`, `{}`, true},
		{`{"a":1}`, `{}`, false},
	} {
		var v any
		if err := json.Unmarshal([]byte(c.value), &v); err != nil {
			t.Fatal(err)
		}
		if err := match(v, c.shape); (err == nil) != c.fits {
			t.Errorf("%s as %s: %v", c.value, c.shape, err)
		}
	}
}

// TestRecordedSocket holds the conversation of testdata/calls.txt over a WebSocket.
func TestRecordedSocket(t *testing.T) {
	s := newCallServer(t)
	messages := map[string]string{
		"subscribe alpha":            `{"jsonrpc":"2.0","id":1,"method":"blob.Subscribe","params":["$ALPHA"]}`,
		"subscribe header id string": `{"jsonrpc":"2.0","id":"two","method":"header.Subscribe","params":[]}`,
		"cancel 1":                   `{"jsonrpc":"2.0","method":"xrpc.cancel","params":[1]}`,
		"cancel two":                 `{"jsonrpc":"2.0","method":"xrpc.cancel","params":["two"]}`,
		"cancel unknown":             `{"jsonrpc":"2.0","method":"xrpc.cancel","params":[77]}`,
		"wait far then cancel":       `{"jsonrpc":"2.0","id":5,"method":"header.WaitForHeight","params":[$FAR]}`,
		"cancel 5":                   `{"jsonrpc":"2.0","method":"xrpc.cancel","params":[5]}`,
		"bad id object":              `{"jsonrpc":"2.0","id":{},"method":"node.Ready","params":[]}`,
		"batch":                      `[{"jsonrpc":"2.0","id":8,"method":"node.Ready","params":[]}]`,
		"broken":                     `{"jsonrpc":`,
		"still alive":                `{"jsonrpc":"2.0","id":9,"method":"node.Ready","params":[]}`,
		"unknown method":             `{"jsonrpc":"2.0","id":10,"method":"da.MaxBlobSize","params":[]}`,
		"subscribe bad ns":           `{"jsonrpc":"2.0","id":11,"method":"blob.Subscribe","params":["AAAA"]}`,
		"subscribe no params":        `{"jsonrpc":"2.0","id":12,"method":"blob.Subscribe","params":[]}`,
		"subscribe reserved ns":      `{"jsonrpc":"2.0","id":13,"method":"blob.Subscribe","params":["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="]}`,
		"missing params member":      `{"jsonrpc":"2.0","id":14,"method":"node.Ready"}`,
		"binary?":                    `{"jsonrpc":"2.0","id":15,"method":"header.GetByHeight","params":[0]}`,
	}
	dial := func(token, query string) (*websocket.Conn, int, error) {
		opt := &websocket.DialOptions{HTTPHeader: http.Header{}}
		if token != "" {
			opt.HTTPHeader.Set("Authorization", "Bearer "+token)
		}
		ws, resp, err := websocket.Dial(deadline(t), s.url+"/"+query, opt)
		if resp == nil {
			return ws, 0, err
		}
		if ws != nil {
			ws.SetReadLimit(1 << 20)
			t.Cleanup(func() { _ = ws.CloseNow() })
		}
		return ws, resp.StatusCode, err
	}
	ws, _, err := dial(s.read, "")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	steps := 0
	for _, c := range recordedCalls(t) {
		step, ok := strings.CutPrefix(c.call, "HTTP WS ")
		if !ok {
			continue
		}
		steps++
		var lines []string
		for _, l := range c.want {
			if l = strings.TrimSpace(strings.TrimPrefix(l, "|")); !slices.Contains(lines, l) {
				lines = append(lines, l)
			}
		}
		switch {
		case step == "?token= -> 101": // its lines are those of all steps again
			if _, status, err := dial("", "?token="+s.read); err != nil || status != 101 {
				t.Errorf("%s: %d %v", step, status, err)
			}
			for _, l := range lines {
				if !seen[l] {
					t.Errorf("%s: %s was not seen before", step, l)
				}
			}
			continue
		case strings.HasPrefix(step, "dial token="):
			m := regexp.MustCompile(`^dial token="(.*)" -> (\d+) err=(\w+)$`).FindStringSubmatch(step)
			other, status, err := dial(m[1], "")
			if fmt.Sprint(status) != m[2] || fmt.Sprint(err != nil) != m[3] {
				t.Errorf("%s: status %d, %v", step, status, err)
			}
			if other == nil {
				continue
			}
			if err := s.converse(other, messages["subscribe alpha"], lines); err != nil {
				t.Errorf("%s: %v", step, err)
			}
		default:
			message, ok := messages[step]
			if !ok {
				t.Errorf("step %s is not understood", step)
				continue
			}
			if err := s.converse(ws, message, lines); err != nil {
				t.Errorf("%s: %v", step, err)
			}
		}
		for _, l := range lines {
			seen[l] = true
		}
	}
	if steps < 19 {
		t.Errorf("%d steps", steps)
	}
}

// converse sends a message and reads until all lines have come. An answer that is none of the lines is an error; values of
// channels come all the time.
func (s *callServer) converse(ws *websocket.Conn, message string, lines []string) error {
	ctx := deadline(s.t)
	if err := ws.Write(ctx, websocket.MessageText, []byte(s.names.Replace(message))); err != nil {
		return err
	}
	missing := slices.Clone(lines)
	for len(missing) > 0 {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return fmt.Errorf("%w, waiting for %q", err, missing)
		}
		if i := slices.IndexFunc(missing, func(l string) bool { return sameMessage(data, l) == nil }); i >= 0 {
			missing = slices.Delete(missing, i, i+1)
			continue
		}
		if !bytes.Contains(data, []byte(`"method":"xrpc.ch.val"`)) {
			return fmt.Errorf("got %.600s, want one of %q", data, missing)
		}
	}
	return nil
}

// sameMessage compares a message of a WebSocket with a line: "0 ANSWER", or "<METHOD ch=N VALUE".
func sameMessage(data []byte, line string) error {
	if answer, ok := strings.CutPrefix(line, "0  "); ok {
		return sameAnswer(string(data), strings.TrimSuffix(answer, " <nil>"))
	}
	var m struct {
		Method string
		Params []any
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	method, rest, _ := strings.Cut(strings.TrimPrefix(line, "<"), " ")
	channel, shape, _ := strings.Cut(strings.TrimPrefix(rest, "ch="), " ")
	if m.Method != method || len(m.Params) == 0 || fmt.Sprint(m.Params[0]) != channel {
		return fmt.Errorf("got %.200s, want %s", data, line)
	}
	if shape == "" {
		return nil
	}
	return match(m.Params[1], shape)
}
