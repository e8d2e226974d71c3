package engineapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"headrace/block"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/exec/engineapi"
)

// methods calls each method of an engine that may need its client, and returns their errors by name.
func methods(ctx context.Context, e *engineapi.Engine, b *block.Block) map[string]error {
	errs := map[string]error{}
	_, errs["Head"] = e.Head(ctx)
	_, errs["Execute"] = e.Execute(ctx, b)
	errs["Revert"] = e.Revert(ctx, b.Height()-1)
	errs["SubmitTx"] = e.SubmitTx(ctx, b.Data.Txs[1])
	_, errs["Build"] = e.Build(ctx, b.Height(), b.Header.Header.Time, 1<<20)
	_, errs["BuildForced"] = e.BuildForced(ctx, b.Height(), b.Header.Header.Time, 1<<20, b.Data.Txs[1:])
	errs["Label"] = e.Label(ctx, block.Ref{}, block.Ref{})
	_, errs["Exempt"] = e.Exempt(ctx, b.Height()-1, b.Data.Txs[1:])
	return errs
}

// New asks nothing. While the client is away each call tries to connect, and says that it cannot; the first one after
// the client has come connects, and no later one does.
func TestConnectsAtFirstUse(t *testing.T) {
	t.Parallel()
	b := history(t, geth.Prague)[0]
	n := gethtest.Open(t, geth.Options{})
	p := newTap(t, n.Engine())
	opt := options(t, n)
	opt.URL = p.url
	const check = "engine_exchangeCapabilities" // the first thing that is asked for
	p.set(check, rule{drop: true})
	e, err := engineapi.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if got := p.requests(); got != 0 {
		t.Errorf("got %d requests by New, want 0", got)
	}
	away := methods(t.Context(), e, b)
	for method, err := range away {
		if !errors.Is(err, engineapi.ErrUnavailable) || !strings.Contains(err.Error(), p.url) {
			t.Errorf("%s without a client: got error %v, want ErrUnavailable naming %s", method, err, p.url)
		}
	}
	if got := p.requests(); got != len(away) {
		t.Errorf("got %d tries to connect by %d calls, want one each", got, len(away))
	}
	p.clear()
	execute(t, e, b) // no other call was needed before it
	wantHead(t, e, n, b)
	if got := p.asked(check); got != 1 {
		t.Errorf("got %d checks of the client once it was there, want 1", got)
	}
}

// After Close each call says that the engine is closed, also for what it knows by heart; a Close without use, and a
// second one, are none the worse.
func TestClosed(t *testing.T) {
	t.Parallel()
	b := history(t, geth.Prague)[0]
	n := gethtest.Open(t, geth.Options{})
	for _, used := range []bool{false, true} {
		e, err := engineapi.New(options(t, n))
		if err != nil {
			t.Fatal(err)
		}
		if used {
			execute(t, e, b)
		}
		for range 2 {
			if err := e.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		for method, err := range methods(t.Context(), e, b) {
			if err == nil || !strings.Contains(err.Error(), "engine is closed") || errors.Is(err, engineapi.ErrUnavailable) {
				t.Errorf("%s after Close (engine used before: %t): got error %v, want that the engine is closed", method, used, err)
			}
		}
	}
}

// Close ends a call that is connecting to a client which does not answer.
func TestCloseWhileConnecting(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	frozen := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the caller has gone
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer frozen.Close()
	e, err := engineapi.New(engineapi.Options{
		URL: frozen.URL, Genesis: geth.DevGenesis(geth.Prague), ChainID: chainID, InitialHeight: initialHeight, Dir: t.TempDir(), DialOptions: engineapi.DialOptions{Timeout: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // a watchdog: a Close that waits for the call ends with it
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := e.Head(ctx)
		ended <- err
	}()
	<-asked
	if err := e.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if ctx.Err() != nil {
		t.Error("Close has waited for the call to end by itself")
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "engine is closed") {
		t.Errorf("a call that was connecting: got error %v, want that the engine is closed", err)
	}
}
