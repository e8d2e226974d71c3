package node_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/internal/nettest"
	"headrace/internal/page"
	"headrace/node"
)

var screenshots = flag.String("page.screenshots", "", "a folder in which TestPage leaves pictures of the pages")

// browser starts a headless Chromium, or skips the test with the reason. It ends with the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium: on Debian, apt-get install chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

// tab is a page in the browser, and what it has complained of.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string

	mu       sync.Mutex
	down     bool     // the server is: that requests fail is no complaint
	troubles []string // errors on the console, and requests that were blocked, or went elsewhere
}

// open shows a page of a server.
func open(t *testing.T, browser context.Context, url string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx, url: url}
	p.do()
	if err := chromedp.Listen(ctx, p.heard); err != nil {
		t.Fatal(err)
	}
	p.do(command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}), chromedp.Navigate(url+"/"))
	return p
}

func (p *tab) heard(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.troubles = append(p.troubles, fmt.Sprintf("%s %+v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			p.troubles = append(p.troubles, fmt.Sprintf("console: %s", e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		if !p.down || e.Entry.Source != log.EntrySourceNetwork {
			p.troubles = append(p.troubles, fmt.Sprintf("%s: %s (%s)", e.Entry.Source, e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, p.url+"/") {
			p.troubles = append(p.troubles, "it asks for "+e.Request.URL)
		}
	}
}

// quiet ends the test's patience with what the page has complained of so far.
func (p *tab) quiet() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.troubles) > 0 {
		p.t.Errorf("the page at %s: %s", p.url, strings.Join(p.troubles, "\n"))
	}
	p.troubles = nil
}

// serverDown says whether the page's server is down, or refuses: then failed requests are as they should be.
func (p *tab) serverDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// command is a command of the protocol that answers nothing.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (p *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatalf("the page at %s: %v", p.url, err)
	}
}

// until waits for an expression to be true, each time that the page changes.
func (p *tab) until(what, expression string) {
	p.t.Helper()
	if _, err := chromedp.Run(p.ctx, chromedp.Poll[chromedp.Void](expression, chromedp.WithPollingMutation(), chromedp.WithPollingTimeout(patience))); err != nil {
		said, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		p.quiet()
		p.t.Fatalf("%s: %v; the page says:\n%s", what, err, said)
	}
}

func get[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("the page at %s: %s: %v", p.url, expression, err)
	}
	return v
}

// goTo moves the focus to an element as a keyboard does.
func (p *tab) goTo(id string) {
	p.t.Helper()
	p.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	for range 100 {
		p.do(chromedp.KeyEvent(kb.Tab))
		if get[string](p, `document.activeElement.id`) == id {
			return
		}
	}
	p.t.Fatalf("the page at %s: no number of tabs leads to %s", p.url, id)
}

// fits shows the page on a phone, and dark.
func (p *tab) fits() {
	p.t.Helper()
	light := get[string](p, `getComputedStyle(document.body).backgroundColor`)
	p.do(chromedp.EmulateViewport(360, 740, chromedp.EmulateScale(2), chromedp.EmulateMobile))
	if wide := get[int](p, `document.documentElement.scrollWidth`); wide > 360 {
		p.t.Errorf("the page at %s is %d pixels wide on a screen of 360", p.url, wide)
	}
	p.shoot("phone")
	dark := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}
	p.do(chromedp.EmulateViewport(1280, 1000), command(emulation.SetEmulatedMedia, dark))
	if got := get[string](p, `getComputedStyle(document.body).backgroundColor`); got == light {
		p.t.Errorf("the page at %s is %s in the dark too", p.url, got)
	}
	p.shoot("dark")
	p.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{}))
	p.shoot("light")
}

func (p *tab) shoot(name string) {
	if *screenshots == "" {
		return
	}
	p.t.Helper()
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	title := strings.Fields(get[string](p, `document.querySelector('h1').innerText`))[1]
	if title != "DA" {
		title = "node"
	}
	if err := os.WriteFile(filepath.Join(*screenshots, strings.ToLower(title)+"-"+name+".png"), png, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

const (
	saysReady = `document.getElementById('ready').textContent === 'ready'`
	safe      = `Number([...document.querySelectorAll('#heads div')].find((d) => d.innerText.startsWith('Safe head')).querySelector('dd span').textContent)`
)

// The pages of a node and of the DA server, in a real browser: what they show changes live, faults are switched by keys
// alone, they come back after a restart of the node, and nothing that others have named is more than text.
func TestPage(t *testing.T) {
	t.Parallel()
	b := browser(t)
	faults := new(fault.Set)
	d, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: 200 * time.Millisecond}, Handler: celestia.HandlerOptions{Faults: faults, Page: page.DA()}})
	if err != nil {
		t.Fatal(err)
	}
	goRun(t, "DA layer", d.Run)
	const name = `<img src=x onerror="document.title='broken'">`
	chain := newChain(t, name)
	chain.genesis.DA.HeaderNamespace, chain.genesis.DA.DataNamespace = "headers", "data"
	seq := start(t, chain.sequencer(t, d.URL(), 200*time.Millisecond))
	o := chain.full(t, d.URL())
	o.Config.HTTP.Address = nettest.FreeAddress(t)
	n := start(t, o)

	p := open(t, b, n.URL())
	p.until("ready", saysReady)
	if got := get[string](p, `document.getElementById('chain').textContent`); got != name {
		t.Errorf("the chain is called %q, want %q as it is", got, name)
	}
	if got := get[int](p, `document.images.length`); got != 0 {
		t.Errorf("there are %d images, by the name of the chain", got)
	}
	before := get[int](p, safe)
	p.until("the safe head moves on", fmt.Sprintf("%s > %d", safe, before+3))
	p.until("blocks", `document.querySelectorAll('#blocks tr').length > 5`)
	p.until("plots", `[...document.querySelectorAll('#plots path')].length === 3 && [...document.querySelectorAll('#plots path')].every((e) => e.getAttribute('d'))`)
	first, err := n.Block(1)
	if err != nil {
		t.Fatal(err)
	}
	p.goTo("what")
	p.do(chromedp.KeyEvent("1"), chromedp.KeyEvent(kb.Enter))
	p.until("block 1 is found", fmt.Sprintf(`document.getElementById('found').textContent.includes(%q)`, first.Hash))
	p.do(chromedp.Evaluate[chromedp.Void](`document.getElementById('what').select()`))
	for _, key := range fmt.Sprintf("da:%d", first.HeaderDAHeight) {
		p.do(chromedp.KeyEvent(string(key)))
	}
	p.do(chromedp.KeyEvent(kb.Enter))
	p.until("the blocks of a DA height are found", fmt.Sprintf(`[...document.querySelectorAll('#found dl')].some((d) => d.textContent.includes(%q)) && !document.querySelector('#found .bad')`, first.Hash))
	p.until("blocks have DA heights", `[...document.querySelectorAll('#blocks tr')].some((r) => Number(r.children[4].textContent) > 0)`)
	p.fits()

	da := open(t, b, d.URL())
	da.until("heights", `document.querySelectorAll('#heights tr').length > 3`)
	if !get[bool](da, `getComputedStyle(document.getElementById('auth')).display === 'none'`) {
		t.Error("the page asks for a token, and none is needed")
	}
	da.fits()
	da.goTo("fault-pause")
	da.do(chromedp.KeyEvent(" "))
	da.until("the switch is on", `document.getElementById('fault-pause').getAttribute('aria-checked') === 'true' && document.getElementById('force').textContent.includes('pause')`)
	p.until("it says what it waits for", `!(`+saysReady+`) && document.getElementById('why').textContent.includes('DA')`)
	if s := n.Status().Load(); s.Ready {
		t.Error("the page says not ready, and the node ready")
	}
	p.shoot("waits")
	da.shoot("fault")
	da.do(chromedp.KeyEvent(" "))
	da.until("the switch is off", `document.getElementById('fault-pause').getAttribute('aria-checked') === 'false'`)
	if _, err := faults.Add(fault.Fault{Kind: fault.Latency}); err != nil { // by somebody else
		t.Fatal(err)
	}
	da.until("what others switch is seen", `document.getElementById('fault-latency').getAttribute('aria-checked') === 'true'`)
	da.goTo("clear")
	da.do(chromedp.KeyEvent(kb.Enter))
	da.until("all faults have ended", `document.querySelector('#force .none') !== null`)
	p.until("ready again", saysReady)
	p.quiet()
	da.quiet()

	p.serverDown(true)
	n.stopped(t)
	p.until("the loss is said", `!document.getElementById('link').hidden`)
	at := seq.Status().Load().Heads.Safe.Height
	n = start(t, o)
	n.until(t, "beyond", func(s node.Status) bool { return s.Heads.Safe.Height > at })
	p.until("it is back", fmt.Sprintf(`%s && document.getElementById('link').hidden && %s > %d`, saysReady, safe, at))
	p.serverDown(false)
	rows := get[[]int](p, `[...document.querySelectorAll('#blocks tr')].map((r) => Number(r.dataset.height))`)
	for i := range rows[1:] {
		if rows[i+1] != rows[i]-1 {
			t.Errorf("blocks after the restart: %v, want each once, in order", rows)
		}
	}
	p.quiet()
}

// What else is served at the page's address is as before, and nobody else's page may frame it.
func TestPageHeaders(t *testing.T) {
	t.Parallel()
	d, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Handler: celestia.HandlerOptions{Page: page.DA()}})
	if err != nil {
		t.Fatal(err)
	}
	goRun(t, "DA layer", d.Run)
	n := start(t, newChain(t, "headers").full(t, d.URL()))
	for path, want := range map[string]int{"/": 200, "/page/node.js": 200, "/page/style.css": 200, "/page/": 404, "/page/none.js": 404, "/page/node.html": 404, "/nothing": 404} {
		for _, url := range []string{n.URL(), d.URL()} {
			if path == "/nothing" && url == d.URL() {
				continue // Celestia's JSON-RPC is at any path
			}
			resp, err := http.Get(url + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			policy := resp.Header.Get("Content-Security-Policy")
			if resp.StatusCode != want || want == 200 && (!strings.HasPrefix(policy, "default-src 'self'") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'")) {
				t.Errorf("%s%s: got %d with policy %q, want %d", url, path, resp.StatusCode, policy, want)
			}
		}
	}
}
