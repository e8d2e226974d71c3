package l1_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"

	"headrace/block"
	"headrace/devnet"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/devnet/proxy"
	"headrace/l1"
	"headrace/l1/ethereum"
	"headrace/node"
)

var gatewayFailures = flag.Int("gateway-failures", 2, "failed transactions of each kind in TestProposalsThroughGateway; from 100 on three kinds have a rollup of their own, and -timeout a good time")

// troubled is a gateway before an L1 that answers some transactions in its place, until it has done so often enough.
type troubled struct {
	mu     sync.Mutex // guards the rest
	rng    *rand.Rand
	faults []proxy.Fault // those to come
	done   chan struct{} // closed when all have been
}

func (g *troubled) decide(_ *http.Request, body []byte) proxy.Fault {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !bytes.Contains(body, []byte(`"eth_sendRawTransaction"`)) || len(g.faults) == 0 || g.rng.IntN(2) == 0 {
		return proxy.Fault{}
	}
	f := g.faults[0]
	if g.faults = g.faults[1:]; len(g.faults) == 0 {
		close(g.done)
	}
	return f
}

// Whatever a gateway answers to proposals in the L1's place, before and after that took them: all that is made becomes
// safe, and no proposal is paid for twice or in vain. The node, the gateway, and the L1 are the real ones.
func TestProposalsThroughGateway(t *testing.T) {
	t.Parallel()
	gethtest.Binary(t) // or skip
	ctx, cancel := context.WithTimeout(context.Background(), patience+time.Duration(*gatewayFailures)*30*time.Second)
	defer cancel()
	chain, err := devnet.OpenInbox(ctx, devnet.InboxOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	kinds := map[string][]proxy.Fault{"it lets nothing through": {{Status: 401}, {Status: 403}, {Status: 404}, {Status: 413}, {Status: 429}}}
	for on, name := range map[proxy.Node]string{proxy.Untouched: "before the node has it", proxy.Sent: "while the node has it", proxy.Answered: "after the node has answered"} {
		kinds[name] = []proxy.Fault{{Broken: true, Node: on}, {Error: `{"code":-32000,"message":"upstream timeout"}`, Node: on}}
		for _, status := range []int{302, 408, 499, 500, 502, 503, 504} {
			kinds[name] = append(kinds[name], proxy.Fault{Status: status, Node: on})
		}
	}
	period := 50 * time.Millisecond
	if *gatewayFailures >= 100 {
		kinds, period = apart(kinds), 100*time.Millisecond
	}
	err = chain.WhileMining(ctx, period, func(ctx context.Context) error {
		var each sync.WaitGroup
		defer each.Wait()
		account := 1 // the next one's is of a rollup of its own
		for name, faults := range kinds {
			account++
			r := rollup{t: t, ctx: ctx, name: name, account: account, chain: chain, period: period}
			each.Go(func() { r.throughTrouble(slices.Repeat(faults, *gatewayFailures)) })
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// apart returns the kinds as some more, of at most three faults each: there are fourteen accounts.
func apart(kinds map[string][]proxy.Fault) map[string][]proxy.Fault {
	all := map[string][]proxy.Fault{}
	for name, faults := range kinds {
		for some := range slices.Chunk(faults, 3) {
			all[fmt.Sprintf("%s, from status %d on", name, some[0].Status)] = some
		}
	}
	return all
}

// rollup is one with an inbox and an account of its own.
type rollup struct {
	t       *testing.T
	ctx     context.Context
	name    string
	account int
	chain   *devnet.Inbox
	period  time.Duration // between the L1's blocks
}

// sequencer returns its sequencer's node, which reaches the L1 by one address, and the inbox.
func (r *rollup) sequencer(url string) (*node.Node, ethereum.Options, error) {
	at, key := r.chain.Client, geth.DevKey(r.account)
	contract := ethereum.Contract{Proposers: []l1.Address{l1.Address(crypto.PubkeyToAddress(key.PublicKey))}}
	inbox, made, err := ethereum.Deploy(r.ctx, at, ethereum.AccountOptions{}, key, contract)
	if err != nil {
		return nil, at, err
	}
	at.Inbox, at.StartBlock = inbox, made.Height
	signer, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		return nil, at, err
	}
	home := r.t.TempDir()
	c := node.Default()
	c.HTTP.Address, c.Sequencer.Enabled, c.Sequencer.BlockTime = "127.0.0.1:0", true, r.period
	c.L1.HTTP, c.L1.BlockTime, c.L1.KeyFile = node.At(url), r.period.String(), filepath.Join(home, "l1.key")
	if err := os.WriteFile(c.L1.KeyFile, []byte(hex.EncodeToString(crypto.FromECDSA(key))), 0o600); err != nil {
		return nil, at, err
	}
	n, err := node.New(node.Options{Home: home, Key: signer, Config: c, Genesis: &block.Genesis{
		ChainID: "troubled", StartTime: time.Unix(1_700_000_000, 0).UTC(), InitialHeight: 1, ProposerAddress: signer.Public().Address(),
		L1: &block.GenesisL1{ChainID: at.ChainID, Inbox: inbox.String(), StartBlock: at.StartBlock},
	}})
	return n, at, err
}

// throughTrouble runs the sequencer until all these faults have been, and looks at what was paid for then.
func (r *rollup) throughTrouble(faults []proxy.Fault) {
	trouble := &troubled{rng: rand.New(rand.NewPCG(5, 9)), faults: faults, done: make(chan struct{})}
	trouble.rng.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	gateway, err := proxy.NewGateway(r.chain.Geth.HTTP(), proxy.GatewayOptions{Fault: trouble.decide})
	if err != nil {
		r.t.Error(err)
		return
	}
	front := httptest.NewServer(gateway)
	defer func() { front.CloseClientConnections(); front.Close(); _ = gateway.Close() }()
	n, at, err := r.sequencer(front.URL)
	if err != nil {
		r.t.Errorf("%s: %v", r.name, err)
		return
	}
	ctx, cancel := context.WithCancel(r.ctx)
	var run sync.WaitGroup
	run.Go(func() { err = n.Run(ctx) })
	select {
	case <-trouble.done:
	case <-r.ctx.Done():
		r.t.Errorf("%s: the failures have not all been: %+v", r.name, n.Status().Load().Sequencer)
	}
	made := n.Status().Load().Heads.Unsafe.Height
	s, waited := n.Status().Wait(r.ctx, func(s node.Status) bool { return s.Heads.Safe.Height >= made })
	cancel()
	run.Wait()
	if waited != nil || err != nil {
		r.t.Errorf("%s: %d blocks were made, %d are safe: %v, %v", r.name, made, s.Heads.Safe.Height, waited, err)
		return
	}
	r.paid(at, s, len(faults))
}

// paid compares what the account has sent with what was proposed, once nothing is under way.
func (r *rollup) paid(at ethereum.Options, s node.Status, failures int) {
	fail := func(err error) {
		if err != nil {
			r.t.Errorf("%s: %v", r.name, err)
		}
	}
	client, err := ethereum.New(at)
	if err != nil {
		fail(err)
		return
	}
	defer client.Close()
	_, err = ethereum.NewAccount(client, geth.DevKey(r.account), ethereum.AccountOptions{}).Idle(r.ctx)
	fail(err)
	state, err := client.State(r.ctx, l1.Hash{})
	fail(err)
	eth, err := ethclient.Dial(r.chain.Geth.HTTP())
	if err != nil {
		fail(err)
		return
	}
	defer eth.Close()
	sent, err := eth.NonceAt(r.ctx, crypto.PubkeyToAddress(geth.DevKey(r.account).PublicKey), nil)
	fail(err)
	if proposals := state.NextID - 1; sent != proposals+1 || proposals == 0 || s.Counts.Void != 0 { // one deployed the inbox
		fail(fmt.Errorf("%d transactions for %d proposals, %d void", sent-1, proposals, s.Counts.Void))
	}
	r.t.Logf("%s: %d failures, %d proposals, %d transactions for them", r.name, failures, state.NextID-1, sent-1)
}
