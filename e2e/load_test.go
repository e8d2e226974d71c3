package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"headrace/watch"
)

// keys is over how many keys the load writes: few, so that the order of transactions shows in the state.
const keys = 40

// load sends transactions to the sequencer, each a different one. Only run uses it until that has returned.
type load struct {
	to       *watch.Value[address]
	client   *http.Client
	sent     map[string]bool
	accepted map[string]int // by the run of the sequencer that took it
}

func newLoad(to *watch.Value[address]) *load {
	return &load{to: to, client: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{}}, sent: map[string]bool{}, accepted: map[string]int{}}
}

// run sends 200 transactions per second until ctx ends. What the sequencer does not answer may have been taken or not.
func (l *load) run(ctx context.Context) {
	defer l.client.CloseIdleConnections()
	clock := time.NewTicker(5 * time.Millisecond) // the load's pace
	defer clock.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
		}
		to, err := l.to.Wait(ctx, func(a address) bool { return a.url != "" })
		if err != nil {
			return
		}
		tx := fmt.Sprintf("key-%d=%d", n%keys, n)
		l.sent[tx] = true
		if l.post(ctx, to.url, tx) {
			l.accepted[tx] = to.run
		}
	}
}

func (l *load) post(ctx context.Context, url, tx string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/txs", strings.NewReader(tx))
	if err != nil {
		return false
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusAccepted
}
