package celestia_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/internal/square"
)

// frame is one exchange with a celestia-node v0.32.1, byte for byte; see testdata/frames.
type frame struct {
	number    string
	Label     string `json:"label"`
	Transport string `json:"transport"`
	Status    int    `json:"http_status"`
	Frames    []struct {
		Dir string `json:"dir"`
		Raw string `json:"raw"`
	} `json:"frames"`
}

func frames(t testing.TB, transport string) []frame {
	t.Helper()
	paths, err := filepath.Glob("testdata/frames/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatal("no frames", err)
	}
	var out []frame
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		var f frame
		if err := json.Unmarshal(data, &f); err != nil {
			t.Fatal(p, err)
		}
		if f.number = filepath.Base(p)[:3]; f.Transport == transport {
			out = append(out, f)
		}
	}
	return out
}

func (f *frame) raw(dir string) []string {
	var out []string
	for _, m := range f.Frames {
		if m.Dir == dir {
			out = append(out, m.Raw)
		}
	}
	return out
}

var (
	readOnly = []string{"003", "007"} // frames with a read token; the others had an admin's
	noToken  = []string{"005"}
	badToken = []string{"006"}

	// heads are the heights of the real chain when a frame was taken, where that matters; the head only grows.
	heads = map[string]uint64{"008": 66, "018": 70, "025": 72, "026": 74, "071": 75, "081": 828, "086": 830, "087": 832, "094": 834}

	// elsewhere are frames of a node without the data and of one that is pruned: see TestFramesOfDamagedNodes. The bodies of 099 and 100 are cut. 046 reads
	// a reserved namespace, whose transactions the real node gives as if they were blobs; ours has none there.
	elsewhere = []string{"046", "103", "104", "105", "106", "107", "108", "099", "100"}

	secret = []byte("0123456789abcdef0123456789abcdef")
)

// TestFrames sends every request of the captured frames to our server, at the same height of a chain that grows in the same way. Error texts,
// statuses and keys must be those of the real node; so must values be that do not depend on its keys, hashes and clock.
func TestFrames(t *testing.T) {
	chain := newChain(t, local.Options{ChainID: "private"})
	url := serve(t, chain, celestia.HandlerOptions{Secret: secret})
	admin, read := token(t, celestia.Admin), token(t, celestia.Read)
	for _, f := range frames(t, "http") {
		if slices.Contains(elsewhere, f.number) {
			continue
		}
		if want := heads[f.number]; want > 0 {
			produce(t, chain, int(want-chain.Head().Load().Height))
		}
		auth := "Bearer " + admin
		switch {
		case slices.Contains(readOnly, f.number):
			auth = "Bearer " + read
		case slices.Contains(noToken, f.number):
			auth = ""
		case slices.Contains(badToken, f.number):
			auth = "Bearer nonsense"
		}
		var request, want string
		if sent := f.raw("send"); len(sent) > 0 {
			request = sent[0]
		} else { // 079 has its token in the address
			request, auth = `{"id":1,"jsonrpc":"2.0","method":"node.Ready","params":[]}`, "?token="+admin
		}
		request = adapt(t, chain, f.number, strings.ReplaceAll(request, "<token>", read))
		if got := f.raw("recv"); len(got) > 0 {
			want = got[0]
		}
		status, got := post(t, chain, url, auth, request)
		if status != f.Status {
			t.Errorf("%s %s: got status %d, want %d (%.200s)", f.number, f.Label, status, f.Status, got)
		}
		if got, want := normal(got, f.number), normal(want, f.number); got != want {
			t.Errorf("%s %s:\n got %.1500s\nwant %.1500s", f.number, f.Label, got, want)
		}
	}
}

func token(t testing.TB, level celestia.Level) string {
	t.Helper()
	s, err := celestia.NewToken(secret, level, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// adapt puts what belongs to our chain in the place of what belongs to the real one: proofs given back, and the account that signs.
func adapt(t testing.TB, chain *local.Chain, number, request string) string {
	switch number {
	case "051", "052", "054": // proofs that the node gave before; nodes of the tree differ, for the account and its signature do
		sq, err := chain.Square(73)
		if err != nil {
			t.Fatal(err)
		}
		ns := alphaOfFrames
		if number == "054" {
			ns = betaOfFrames
		}
		blobs, err := chain.Blobs(73, ns)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := sq.BlobProof(ns, blobs[0].Commitment)
		if err != nil {
			t.Fatal(err)
		}
		p, err := json.Marshal(proof)
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`\[\{("start":1,)?"end".*true\}\]`).ReplaceAllLiteralString(request, string(p))
	case "081":
		return strings.ReplaceAll(request, realAccount, ourAccount)
	}
	return request
}

// post sends a request, and makes blocks while it waits for an answer that does not come without.
func post(t testing.TB, chain *local.Chain, url, auth, body string) (int, string) {
	t.Helper()
	query := ""
	if strings.HasPrefix(auth, "?") {
		query, auth = auth, ""
	}
	req, err := http.NewRequestWithContext(deadline(t), "POST", url+"/"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if auth != "" {
		req.Header.Set("Authorization", auth)
	}
	done := make(chan struct{})
	var status int
	var out []byte
	go func() {
		defer close(done)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		status = resp.StatusCode
		if out, err = io.ReadAll(resp.Body); err != nil {
			t.Error(err)
		}
	}()
	waits := strings.Contains(body, `"header.GetByHeight","params":[67]`) || strings.Contains(body, "WaitForHeight")
	tick := time.NewTicker(20 * time.Millisecond) // the block clock of who waits for a height
	defer tick.Stop()
	for {
		pending, changed := chain.Pending().Get()
		if pending > 0 {
			produce(t, chain, 1)
		}
		select {
		case <-done:
			http.DefaultClient.CloseIdleConnections()
			return status, string(out)
		case <-changed:
		case <-tick.C:
			if waits {
				produce(t, chain, 1)
			}
		}
	}
}

var (
	hexText  = regexp.MustCompile(`"[0-9A-F]{40,}"`)
	hashText = regexp.MustCompile(`hash [0-9A-F]{64}`)
	timeText = regexp.MustCompile(`"20\d\d-\d\d-\d\dT[0-9:.]+Z"`)
)

// normal replaces what two chains cannot have in common by what kind of thing it is: hashes, keys, roots, signatures and times. Shares,
// commitments, data and namespaces stay, as do all error texts.
func normal(s, number string) string {
	s = hexText.ReplaceAllStringFunc(s, func(h string) string { return fmt.Sprintf(`"hex of %d"`, (len(h)-2)/2) })
	s = hashText.ReplaceAllString(s, "hash <hash>")
	s = timeText.ReplaceAllString(s, `"<time>"`)
	s = strings.ReplaceAll(s, "345212E52A840A7C319B63685BBF9197010FFF85", fmt.Sprintf("%X", account()))
	s = strings.ReplaceAll(s, realAccount, ourAccount)
	s = regexp.MustCompile(`celestia1[0-9a-z]{38}`).ReplaceAllString(s, "<address>")
	s = regexp.MustCompile(`"(voting_power|proposer_priority|amount)":"-?\d+"`).ReplaceAllString(s, `"$1":"<number>"`)
	s = regexp.MustCompile(`"ID":"\w*","Addrs":\[[^]]*\]`).ReplaceAllString(s, `<peer>`) // calls.txt has what is in both
	return regexp.MustCompile(`"[A-Za-z0-9+/]{27,}={0,2}"`).ReplaceAllStringFunc(s, func(text string) string {
		b, err := base64.StdEncoding.DecodeString(text[1 : len(text)-1])
		if err != nil {
			return text
		}
		switch {
		case len(b) == 90, len(b) == 64, len(b) == 32 && !bytes.Contains([]byte(s), []byte(`"share_version"`)):
			return fmt.Sprintf(`"base64 of %d"`, len(b))
		case len(b) == 512 && (number == "064" || b[28] == 4): // the transactions, and all that is extended from them
			return `"share"`
		case number == "082" || number == "095" && len(b) == 32:
			return fmt.Sprintf(`"base64 of %d"`, len(b))
		}
		return text
	})
}

var (
	alphaOfFrames, betaOfFrames = named("ns-alpha"), named("ns-beta")

	realAccount = "NFIS5SqECnwxm2NoW7+RlwEP/4U="
	ourAccount  = base64.StdEncoding.EncodeToString(account())
)

// named is the namespace whose last bytes are a name.
func named(name string) da.Namespace {
	var ns da.Namespace
	copy(ns[len(ns)-len(name):], name)
	return ns
}

func account() []byte { return square.Account[:] }

// TestFramesOfDamagedNodes: a node that has lost its data, and one that is pruned.
func TestFramesOfDamagedNodes(t *testing.T) {
	chain := newChain(t, local.Options{ChainID: "private"})
	produce(t, chain, 639)
	submit(t, chain, da.Blob{Namespace: alphaOfFrames, Data: []byte("x"), Index: -1})
	faults := &fault.Set{}
	url := serve(t, chain.View(faults), celestia.HandlerOptions{})
	for _, f := range frames(t, "http") {
		switch f.number {
		case "103":
			addFault(t, faults, fault.Fault{Kind: fault.FalseEmpty})
		case "107":
			faults.Clear()
			addFault(t, faults, fault.Fault{Kind: fault.BelowTail, To: 300})
		case "104", "105", "106", "108":
		default:
			continue
		}
		status, got := post(t, chain, url, "", f.raw("send")[0])
		if want := f.raw("recv")[0]; status != f.Status || got != want {
			t.Errorf("%s %s:\n got %d %s\nwant %d %s", f.number, f.Label, status, got, f.Status, want)
		}
	}
}

func addFault(t testing.TB, s *fault.Set, f fault.Fault) int {
	t.Helper()
	id, err := s.Add(f)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestBodyLimit(t *testing.T) {
	chain := newChain(t, local.Options{})
	url := serve(t, chain, celestia.HandlerOptions{})
	status, got := post(t, chain, url, "", `{"id":1,"method":"`+strings.Repeat("x", 16<<20)+`"}`)
	if want := `{"error":{"code":-32700,"message":"request bigger than maximum 16777216 allowed"},"id":null,"jsonrpc":"2.0"}` + "\n"; status != 500 || got != want {
		t.Errorf("got %d %s, want 500 %s", status, got, want)
	}
}

// TestSocketFrames replays what was sent in the captured sessions, and compares all that came back: answers in any order, each channel's
// messages in theirs.
func TestSocketFrames(t *testing.T) {
	for _, f := range frames(t, "ws") {
		switch f.number {
		case "075", "076", "077", "080":
		default:
			continue
		}
		t.Run(f.number, func(t *testing.T) {
			chain := newChain(t, local.Options{ChainID: "private"})
			produce(t, chain, map[string]int{"075": 69, "076": 81, "077": 81, "080": 84}[f.number])
			opt, auth := celestia.HandlerOptions{Secret: secret}, http.Header{"Authorization": {"Bearer " + token(t, celestia.Read)}}
			if f.number == "077" {
				auth = nil
			}
			url := serve(t, chain, opt)
			ctx := deadline(t)
			ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: auth})
			if err != nil {
				t.Fatal(err)
			}
			defer ws.CloseNow()
			ws.SetReadLimit(-1)
			want, got := map[string][]string{}, map[string][]string{}
			received := 0
			read := func() {
				_, msg, err := ws.Read(ctx)
				if err != nil {
					t.Fatal(err)
				}
				received++
				collect(got, string(msg), f.number)
			}
			for _, m := range f.Frames {
				if m.Dir == "send" {
					if err := ws.Write(ctx, websocket.MessageText, []byte(m.Raw)); err != nil {
						t.Fatal(err)
					}
					continue
				}
				if height := eventHeight.FindStringSubmatch(m.Raw); height != nil { // its block comes first
					if h, err := strconv.ParseUint(height[1], 10, 64); err == nil && h > chain.Head().Load().Height {
						growLikeFrames(t, chain, h)
					}
				}
				if !strings.HasPrefix(m.Raw, "{") {
					continue
				}
				collect(want, m.Raw, f.number)
				read()
			}
			if !reflect.DeepEqual(got, want) {
				for k := range want {
					if !slices.Equal(got[k], want[k]) {
						t.Errorf("%s:\n got %.3000q\nwant %.3000q", k, got[k], want[k])
					}
				}
				for k := range got {
					if want[k] == nil {
						t.Errorf("%s: got %.300q, want nothing", k, got[k])
					}
				}
			}
		})
	}
}

var (
	eventHeight = regexp.MustCompile(`xrpc.ch.val.*"height":"?(\d+)`)
	channelID   = regexp.MustCompile(`"params":\[(\d+)`)
	answerID    = regexp.MustCompile(`"id":("?\w+"?)`)
)

// collect files a message under its channel's kind, or under its id. Channel ids are given out in any order, so they are left out.
func collect(by map[string][]string, msg, number string) {
	switch {
	case strings.Contains(msg, "xrpc.ch."):
		key := "header"
		for _, ns := range []string{"bnMtYWxwaGE=", "bnMtYmV0YQ=="} {
			if strings.Contains(msg, `"Blobs"`) && strings.Contains(msg, ns) {
				key = ns
			}
		}
		if strings.Contains(msg, `"Blobs":null`) {
			key = "no blobs"
		}
		if strings.Contains(msg, "xrpc.ch.close") {
			key = "close"
		}
		msg = normal(channelID.ReplaceAllString(msg, `"params":[0`), number)
		by[key] = append(by[key], msg)
		slices.Sort(by[key]) // the channels of two namespaces without blobs look the same
	default:
		key := answerID.FindStringSubmatch(msg)[1]
		if regexp.MustCompile(`"result":\d+\}`).MatchString(msg) {
			msg = regexp.MustCompile(`"result":\d+`).ReplaceAllString(msg, `"result":0`)
		}
		by[key] = append(by[key], msg)
	}
}

// growLikeFrames makes the blocks that the real chain had.
func growLikeFrames(t testing.TB, chain *local.Chain, height uint64) {
	for chain.Head().Load().Height < height {
		switch chain.Head().Load().Height + 1 {
		case 73:
			submit(t, chain, da.Blob{Namespace: alphaOfFrames, Data: []byte("hello alpha")}, da.Blob{Namespace: betaOfFrames, Data: []byte("hello beta")})
		case 75:
			submit(t, chain, da.Blob{Namespace: alphaOfFrames, Data: bytes.Repeat([]byte("A"), 2000)})
		default:
			produce(t, chain, 1)
		}
	}
}
