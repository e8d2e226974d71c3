package e2e_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/da/celestia"
	"headrace/watch"
)

// attackEnv names the orders of a process of this test that is the attacker: a JSON of an attack.
const attackEnv = "HEADRACE_E2E_ATTACK"

// attack is what strangers do to a rollup's nodes, all at once, without a token and from one address. It knows what
// is public: the addresses, the genesis and the proposer's public key.
type attack struct {
	Nodes   []string // their URLs
	DA      string   // URL of the DA layer
	Genesis string   // path
	PubKey  []byte   // the proposer's
	Big     uint64   // height of a big block, for readers that do not read
	Blob    int      // bytes of a hostile blob
	Blobs   int      // of these in one submission
	Every   time.Duration
	Crowd   string // the kind of connections, one of crowds, that is all there is to the attack; "": everything else
}

// runAttack carries out the attack until standard input ends. It keeps itself to half a core, so that what it costs
// the others is their own doing.
func runAttack(orders string) error {
	var a attack
	if err := json.Unmarshal([]byte(orders), &a); err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // what there is must do
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // ends with the process
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	var work sync.WaitGroup
	if a.Crowd != "" {
		return a.crowd(ctx)
	}
	for _, node := range a.Nodes {
		crowd := func(n int, each func(ctx context.Context, node string)) {
			for range n {
				work.Go(func() {
					for ctx.Err() == nil {
						a.pace(ctx)
						each(ctx, node)
					}
				})
			}
		}
		crowd(200, idle)
		crowd(100, slowBody)
		crowd(100, a.deaf(fmt.Sprintf("/v1/blocks/%d", a.Big)))
		crowd(50, a.deaf(fmt.Sprintf("/v1/events?from=%d&body=true", a.Big)))
		crowd(50, a.deaf(fmt.Sprintf("/v1/blocks?from=%d&signed=true", a.Big)))
		crowd(50, a.deaf(fmt.Sprintf("/v1/events?from=%d&body=true&signed=true", a.Big)))
		crowd(50, a.stream)
		crowd(20, a.waiter)
		crowd(8, a.unsafe)
		crowd(2, a.badTxs)
	}
	work.Go(func() { a.blobs(ctx) })
	work.Wait()
	return nil
}

// crowds are what each of many connections of one kind does.
var crowds = map[string]func(a *attack) func(context.Context, string){
	"slow readers of a big block":  func(a *attack) func(context.Context, string) { return a.deaf(fmt.Sprintf("/v1/blocks/%d", a.Big)) },
	"slow readers of pages":        func(a *attack) func(context.Context, string) { return a.deaf("/v1/blocks?from=1&signed=true") },
	"slow readers of events":       func(a *attack) func(context.Context, string) { return a.deaf("/v1/events?from=1") },
	"slow readers of whole blocks": func(a *attack) func(context.Context, string) { return a.deaf("/v1/events?from=1&body=true") },
	"slow bodies":                  func(*attack) func(context.Context, string) { return slowBody },
	"slow offers":                  func(*attack) func(context.Context, string) { return slowOffer },
	"idle connections":             func(*attack) func(context.Context, string) { return idle },
	"streams of the status":        func(a *attack) func(context.Context, string) { return a.stream },
	"deaf streams of the status":   func(a *attack) func(context.Context, string) { return a.deaf("/v1/events?events=status") },
}

// crowd opens 2,000 connections of one kind, and opens anew those that end. It prints a line when as many have been
// opened, or refused.
func (a *attack) crowd(ctx context.Context) error {
	each := crowds[a.Crowd](a)
	var work sync.WaitGroup
	for range crowd {
		work.Go(func() {
			for ctx.Err() == nil {
				each(ctx, a.Nodes[0])
				a.pace(ctx)
			}
		})
	}
	if _, err := knocked.Wait(ctx, func(n int) bool { return n >= crowd }); err == nil {
		fmt.Println("all are there")
	}
	work.Wait()
	return nil
}

// knocked is how many connections this process has opened, or failed to.
var knocked = watch.New(0)

func knock() { knocked.Update(func(n int) int { return n + 1 }) }

// pace waits until this process has used no more than half of the time that has passed since it began.
func (a *attack) pace(ctx context.Context) {
	for ctx.Err() == nil {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		used, passed := time.Duration(u.Utime.Nano()+u.Stime.Nano()), time.Since(began)
		if used <= passed/2 {
			return
		}
		_ = rest(ctx, 2*used-passed) // the attack's pace
	}
}

var began = time.Now()

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// open connects to a node and sends what is given; the connection ends with ctx.
func open(ctx context.Context, node, send string) (net.Conn, bool) {
	u, err := url.Parse(node)
	if err != nil {
		return nil, false
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	defer knock()
	if err != nil {
		_ = rest(ctx, 100*time.Millisecond) // it takes no more: knock again soon
		return nil, false
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(4 << 10)
	}
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, send); err != nil {
		_ = conn.Close()
		return nil, false
	}
	return conn, true
}

// untilClosed holds a connection without reading from it until the other side ends it.
func untilClosed(ctx context.Context, conn net.Conn, drip string) {
	defer conn.Close()
	for ctx.Err() == nil {
		if rest(ctx, time.Second) != nil { // the pace of a drip
			return
		}
		if _, err := io.WriteString(conn, drip); err != nil {
			return
		}
		if drip == "" && gone(conn) {
			return
		}
	}
}

// gone reports whether the other side has ended the connection, without taking what it has sent.
func gone(conn net.Conn) bool {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return true
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return true
	}
	ended := false
	_ = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ended = n == 0 && err == nil || err != nil && !errors.Is(err, syscall.EAGAIN)
		return true
	})
	return ended
}

func idle(ctx context.Context, node string) {
	if conn, ok := open(ctx, node, ""); ok {
		untilClosed(ctx, conn, "")
	}
}

func slowBody(ctx context.Context, node string) {
	if conn, ok := open(ctx, node, "POST /v1/txs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n"); ok {
		untilClosed(ctx, conn, "x")
	}
}

// slowOffer holds a body that is as large as a body may be.
func slowOffer(ctx context.Context, node string) {
	if conn, ok := open(ctx, node, "POST /v1/unsafe HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 8000000\r\n\r\n{\"header\":\""+strings.Repeat("A", 64<<10)); ok {
		untilClosed(ctx, conn, "A")
	}
}

func (a *attack) deaf(path string) func(context.Context, string) {
	return func(ctx context.Context, node string) {
		if conn, ok := open(ctx, node, "GET "+path+" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); ok {
			untilClosed(ctx, conn, "")
		}
	}
}

// do makes a request and reads its answer to the end.
func (a *attack) do(ctx context.Context, method, url string, body io.Reader) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return
	}
	resp, err := http.DefaultClient.Do(req)
	knock()
	if err != nil {
		_ = rest(ctx, 50*time.Millisecond) // it takes no more: knock again soon
		return
	}
	defer resp.Body.Close()
	buf := make([]byte, 4<<10)
	for err == nil {
		a.pace(ctx)
		_, err = resp.Body.Read(buf)
	}
}

func (a *attack) stream(ctx context.Context, node string) {
	a.do(ctx, http.MethodGet, node+"/v1/events?events=status", nil)
}

func (a *attack) waiter(ctx context.Context, node string) {
	a.do(ctx, http.MethodGet, fmt.Sprintf("%s/v1/wait?height=%d&timeout=2s", node, uint64(math.MaxInt64)), nil)
}

// unsafeBody is an offered block of three million empty transactions.
var unsafeBody = sync.OnceValue(func() []byte {
	data := base64.StdEncoding.EncodeToString(append([]byte("\x0a\x80\x9b\xee\x02"), bytes.Repeat([]byte{0x12, 0}, 3_000_000)...))
	return []byte(`{"header":"CgA=","data":"` + data + `"}`)
})

func (a *attack) unsafe(ctx context.Context, node string) {
	a.do(ctx, http.MethodPost, node+"/v1/unsafe", bytes.NewReader(unsafeBody()))
}

func (a *attack) badTxs(ctx context.Context, node string) {
	a.do(ctx, http.MethodPost, node+"/v1/txs", strings.NewReader(strings.Repeat("=", 60_000)))
}

// blobs posts forged blobs to the chain's namespaces: data that nobody can tell from the proposer's before its
// signature is checked, with millions of empty transactions, and headers of one share each.
func (a *attack) blobs(ctx context.Context) {
	genesis, err := block.LoadGenesis(a.Genesis)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	client, err := celestia.Dial(a.DA, celestia.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer client.Close()
	headers, data := da.NamespaceFromName(genesis.DA.HeaderNamespace), da.NamespaceFromName(genesis.DA.DataNamespace)
	for n := uint64(0); ctx.Err() == nil; n++ {
		a.pace(ctx)
		var blobs []da.Blob
		if n%2 == 0 {
			for i := range a.Blobs {
				blobs = append(blobs, da.Blob{Namespace: data, Data: a.forgedData(genesis, n+uint64(i))})
			}
		} else {
			for i := range min(a.Blobs*a.Blob/512, 2000) {
				blobs = append(blobs, da.Blob{Namespace: headers, Data: a.forgedHeader(genesis, n+uint64(i))})
			}
		}
		if _, err := client.Submit(ctx, blobs); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "hostile blobs:", err)
		}
		_ = rest(ctx, a.Every) // the attack's pace
	}
}

func (a *attack) signer(genesis *block.Genesis) block.Signer {
	return block.Signer{Address: genesis.ProposerAddress, PubKey: a.PubKey}
}

func (a *attack) forgedData(genesis *block.Genesis, n uint64) []byte {
	s := block.SignedData{Signature: random(64), Signer: a.signer(genesis)}
	s.Data.Metadata = block.Metadata{ChainID: genesis.ChainID, Height: 1 << 40, Time: n}
	raw := s.Data.Encode()
	s.Data.Txs = make([][]byte, max(a.Blob-len(raw)-256, 0)/2)
	return s.Encode()
}

func (a *attack) forgedHeader(genesis *block.Genesis, n uint64) []byte {
	s := block.SignedHeader{Signature: random(64), EnvelopeSignature: random(64), Signer: a.signer(genesis)}
	s.Header = block.Header{
		Height: 1 << 40, Time: n, ChainID: genesis.ChainID, LastHeaderHash: random(32), DataHash: random(32), ProposerAddress: genesis.ProposerAddress,
	}
	return s.Encode()
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}
