package doctor_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rpc"

	"headrace/block"
	"headrace/devnet"
	"headrace/devnet/geth"
	"headrace/devnet/geth/gethtest"
	"headrace/internal/doctor"
	"headrace/node"
)

// ethereumAPI is an L1 with an inbox that nobody has used, as its JSON-RPC tells of it: a small one, so that each of its
// answers can be another one.
type ethereumAPI struct {
	mu      sync.Mutex // guards the rest
	headers []*types.Header
	changed chan struct{} // closed and replaced when a block is made

	id          uint64
	syncing     bool
	noInbox     bool
	noProposer  bool
	poor        bool
	unlinked    bool   // header 5 is another one each time
	pruned      uint64 // headers below are not there
	deployed    uint64 // the block of the inbox's deployment
	used        bool   // the inbox has had proposals
	noStates    bool   // of blocks before the head
	standsStill bool
	slow        time.Duration
}

func (a *ethereumAPI) mine() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.standsStill {
		return
	}
	h := &types.Header{
		Number: big.NewInt(int64(len(a.headers))), Time: uint64(time.Now().Unix()), Difficulty: new(big.Int), GasLimit: 30_000_000, BaseFee: big.NewInt(7),
		UncleHash: types.EmptyUncleHash, TxHash: types.EmptyTxsHash, ReceiptHash: types.EmptyReceiptsHash, WithdrawalsHash: &types.EmptyWithdrawalsHash,
	}
	if n := len(a.headers); n > 0 {
		h.ParentHash = a.headers[n-1].Hash()
	}
	a.headers = append(a.headers, h)
	close(a.changed)
	a.changed = make(chan struct{})
}

func (a *ethereumAPI) ChainId() hexutil.Uint64 { return hexutil.Uint64(a.id) }

func (a *ethereumAPI) Syncing() any {
	if a.syncing {
		return map[string]string{"currentBlock": "0x1"}
	}
	return false
}

func (a *ethereumAPI) GetBlockByNumber(number rpc.BlockNumber, _ bool) any {
	time.Sleep(a.slow) // what a far endpoint takes
	a.mu.Lock()
	defer a.mu.Unlock()
	n := uint64(len(a.headers) - 1)
	switch {
	case number == rpc.LatestBlockNumber:
	case number < 0 || uint64(number) > n || uint64(number) < a.pruned:
		return nil
	default:
		n = uint64(number)
	}
	h := a.headers[n]
	if a.unlinked && n == uint64(len(a.headers)-3) {
		h = types.CopyHeader(h)
		h.Extra = []byte("another")
	}
	return h
}

func (a *ethereumAPI) GetCode(_ common.Address, at rpc.BlockNumber) (hexutil.Bytes, error) {
	switch {
	case at >= 0 && a.noStates:
		return nil, errors.New("missing trie node")
	case a.noInbox, at >= 0 && uint64(at) < a.deployed:
		return nil, nil
	}
	return hexutil.Bytes{1}, nil
}

// Call answers isProposer, which has a parameter, and getCoreState.
func (a *ethereumAPI) Call(msg map[string]any, _ any) hexutil.Bytes {
	switch data, _ := msg["data"].(string); {
	case a.noInbox:
		return nil
	case len(data) > 2+8:
		return common.LeftPadBytes([]byte{map[bool]byte{true: 0, false: 1}[a.noProposer]}, 32)
	}
	state := make([]byte, 7*32)
	state[31] = 1 // the next id
	if a.used {
		state[31] = 4
	}
	return state
}

func (a *ethereumAPI) GetBalance(common.Address, string) *hexutil.Big {
	if a.poor {
		return new(hexutil.Big)
	}
	return (*hexutil.Big)(big.NewInt(1e18))
}

func (a *ethereumAPI) NewHeads(ctx context.Context) (*rpc.Subscription, error) {
	notifier, ok := rpc.NotifierFromContext(ctx)
	if !ok {
		return nil, rpc.ErrNotificationsUnsupported
	}
	sub := notifier.CreateSubscription()
	a.mu.Lock()
	next, changed := len(a.headers), a.changed
	a.mu.Unlock()
	go func() { // ends with the subscription, which the server's end ends
		for {
			select {
			case <-sub.Err():
				return
			case <-changed:
			}
			a.mu.Lock()
			news := a.headers[next:]
			next, changed = len(a.headers), a.changed
			a.mu.Unlock()
			for _, h := range news {
				_ = notifier.Notify(sub.ID, h)
			}
		}
	}()
	return sub, nil
}

// l1Ward is a sequencer of a chain on such an L1.
type l1Ward struct {
	*ward
	api   *ethereumAPI
	token string // that requests need; "": none
}

func newL1Ward(t *testing.T) *l1Ward {
	t.Helper()
	w := &l1Ward{api: &ethereumAPI{id: 7, deployed: 2, changed: make(chan struct{})}}
	for range 10 {
		w.api.mine()
	}
	server := rpc.NewServer()
	if err := server.RegisterName("eth", w.api); err != nil {
		t.Fatal(err)
	}
	socket := server.WebsocketHandler([]string{"*"})
	web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case w.token != "" && r.Header.Get("Authorization") != "Bearer "+w.token:
			http.Error(rw, "no such token", http.StatusUnauthorized)
		case r.Header.Get("Upgrade") != "":
			socket.ServeHTTP(rw, r)
		default:
			server.ServeHTTP(rw, r)
		}
	}))
	t.Cleanup(func() { server.Stop(); web.CloseClientConnections(); web.Close() })
	goRun(t, func(ctx context.Context) error {
		clock := time.NewTicker(interval)
		defer clock.Stop()
		for {
			select {
			case <-clock.C:
				w.api.mine()
			case <-ctx.Done():
				return nil
			}
		}
	})
	key := newKey(t)
	genesis := &block.Genesis{
		ChainID: "ward", StartTime: time.Now().UTC(), InitialHeight: 1, ProposerAddress: key.Public().Address(),
		L1: &block.GenesisL1{ChainID: 7, Inbox: "0x" + strings.Repeat("12", 20), StartBlock: 2},
	}
	w.ward = wardOf(t, genesis, key)
	w.config.L1.WS, w.config.L1.HTTP = node.At("ws"+strings.TrimPrefix(web.URL, "http")), node.At(web.URL)
	w.config.L1.KeyFile = keyFile(t, hex.EncodeToString(crypto.FromECDSA(geth.DevKey(1))))
	return w
}

// wardOf is a sequencer of any chain, with a new home.
func wardOf(t *testing.T, genesis *block.Genesis, key *block.PrivateKey) *ward {
	w := &ward{T: t, config: node.Default(), genesis: genesis, key: key}
	w.config.HTTP.Address, w.config.Sequencer.Enabled = "127.0.0.1:0", true
	w.opt = w.options()
	return w
}

func keyFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// onL1 are the checks of a sequencer of a chain on an L1.
var onL1 = []string{"config", "genesis", "namespaces", "store", "key", "reachable", "network", "synced", "inbox", "start", "history", "links", "news", "clock", "latency", "account", "proposer", "funds"}

// TestL1: an L1 and its account are well, or it is found what is wrong with them.
func TestL1(t *testing.T) {
	t.Parallel()
	healthy(t, newL1Ward(t).opt, onL1...)
	forgets := newL1Ward(t)
	forgets.api.noStates = true
	healthy(t, forgets.opt, onL1...)
	for name, c := range map[string]struct {
		plant func(*l1Ward)
		want  want
	}{
		"no endpoint": {func(w *l1Ward) {
			w.config.L1.WS, w.config.L1.HTTP = nil, nil
		}, want{"namespaces", doctor.Fail, "no endpoint of it is set", "set l1.ws"}},
		"blobs without a beacon API": {func(w *l1Ward) {
			w.config.L1.Blobs = true
		}, want{"namespaces", doctor.Fail, "no beacon API", "set l1.beacon"}},
		"nobody listens": {func(w *l1Ward) {
			w.config.L1.HTTP = node.At("http://planted:planted@" + freeAddress(w.T) + "/planted")
		}, want{"reachable", doctor.Fail, "connection refused", "must name an Ethereum node"}},
		"no token": {func(w *l1Ward) {
			w.token = "planted-token"
			w.config.L1.WS[0].Token = w.token
			w.config.L1.HTTP[0].Token = "planted-other"
		}, want{"token", doctor.Fail, "401", "token_file"}},
		"no token over a WebSocket": {func(w *l1Ward) {
			w.token = "planted-token"
			w.config.L1.HTTP[0].Token = w.token
		}, want{"token", doctor.Fail, "401", "token_file"}},
		"another L1": {func(w *l1Ward) {
			w.config.L1.WS = nil
			w.api.id = 8
		}, want{"network", doctor.Fail, "its chain id is 8, and the genesis names the L1 with 7", "the L1 that the genesis names"}},
		"an L1 node that is syncing": {func(w *l1Ward) {
			w.config.L1.HTTP = nil
			w.api.syncing = true
		}, want{"synced", doctor.Warn, "behind the network", "wait until it has caught up"}},
		"no inbox": {func(w *l1Ward) {
			w.config.L1.HTTP = nil
			w.api.noInbox = true
		}, want{"inbox", doctor.Fail, "no inbox contract", "headrace inbox deploy"}},
		"an L1 node that has forgotten": {func(w *l1Ward) {
			w.config.L1.HTTP = nil
			w.api.pruned = 3
			for range 12 {
				w.api.mine()
			}
		}, want{"history", doctor.Fail, "block 2, which the node needs, cannot be read", "keeps more"}},
		"a start that is not there": {func(w *l1Ward) {
			w.config.L1.HTTP = nil
			w.genesis.L1.StartBlock = 1_000_000
		}, want{"history", doctor.Fail, "from block 1000000 on", "l1.start_block"}},
		"a start above the deployment": {func(w *l1Ward) {
			w.config.L1.HTTP = nil
			w.api.deployed = 1
		}, want{"start", doctor.Warn, "older than block 2, from which on it is read", "l1.start_block"}},
		"a start above proposals": {func(w *l1Ward) {
			w.config.L1.HTTP = nil
			w.api.deployed, w.api.used = 1, true
		}, want{"start", doctor.Fail, "3 proposals and 0 forced items before it are never seen", "the block of the inbox's deployment"}},
		"headers that do not link": {func(w *l1Ward) {
			w.config.L1.HTTP = nil
			w.api.unlinked = true
		}, want{"links", doctor.Fail, "names the parent", "it mixes chains"}},
		"an L1 that stands still": {func(w *l1Ward) {
			w.config.L1.HTTP = nil
			w.api.mu.Lock()
			w.api.standsStill = true
			w.api.mu.Unlock()
		}, want{"news", doctor.Fail, "no new height within", "another endpoint"}},
		"no WebSocket": {func(w *l1Ward) {
			w.config.L1.WS = nil
		}, want{"news", doctor.Warn, "polling alone", "takes them"}},
		"a clock that is ahead": {func(w *l1Ward) {
			w.config.L1.HTTP = nil
			w.opt.Now = func() time.Time { return time.Now().Add(time.Hour) }
		}, want{"clock", doctor.Fail, "ahead", "NTP"}},
		"an L1 node that is far away": {func(w *l1Ward) {
			w.config.L1.HTTP = nil
			w.api.slow = 600 * time.Millisecond
		}, want{"latency", doctor.Warn, "(p50)", "nearer"}},
		"no key": {func(w *l1Ward) {
			w.config.L1.KeyFile = ""
		}, want{"account", doctor.Fail, "needs it", "set l1.key_file"}},
		"a key that is none": {func(w *l1Ward) {
			w.config.L1.KeyFile = keyFile(w.T, "planted")
		}, want{"account", doctor.Fail, "", "64 hexadecimal digits"}},
		"an account that may not propose": {func(w *l1Ward) {
			w.api.noProposer = true
		}, want{"proposer", doctor.Fail, "may not propose", "headrace inbox proposer"}},
		"an account with nothing": {func(w *l1Ward) {
			w.api.poor = true
		}, want{"funds", doctor.Fail, "nothing to pay with", "send ether"}},
		"no beacon API": {func(w *l1Ward) {
			w.config.L1.Beacon = node.At("http://" + freeAddress(w.T))
		}, want{"beacon", doctor.Fail, "connection refused", "l1.beacon must name"}},
		"a beacon API of another chain": {func(w *l1Ward) {
			w.config.L1.Beacon = node.At("http://" + served(w.T, beaconAPI("8")))
		}, want{"beacon", doctor.Fail, "chain id 8, want 7", "of the L1 that the genesis names"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newL1Ward(t)
			c.plant(w)
			finds(t, w.opt, c.want)
		})
	}
}

// beaconAPI answers what is asked of a beacon API that is not asked for blobs.
func beaconAPI(chain string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data := map[string]string{"genesis_time": "1700000000", "SECONDS_PER_SLOT": "12", "DEPOSIT_CHAIN_ID": chain}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": data})
	})
}

// TestRealClients: nothing is found with a real L1, its consensus and a real execution client.
func TestRealClients(t *testing.T) {
	t.Parallel()
	gethtest.Binary(t)
	inbox, err := devnet.OpenInbox(t.Context(), devnet.InboxOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inbox.Close() })
	goRun(t, func(ctx context.Context) error {
		return inbox.WhileMining(ctx, time.Second, func(ctx context.Context) error { <-ctx.Done(); return nil })
	})
	engine := gethtest.Open(t, geth.Options{Genesis: devnet.L2Genesis()})
	key := newKey(t)
	w := wardOf(t, &block.Genesis{
		ChainID: "real", StartTime: time.Now().UTC(), InitialHeight: 1, ProposerAddress: key.Public().Address(),
		L1: &block.GenesisL1{ChainID: inbox.Client.ChainID, Inbox: inbox.Client.Inbox.String(), StartBlock: inbox.Client.StartBlock},
	}, key)
	w.config.L1.WS, w.config.L1.HTTP, w.config.L1.Beacon = inbox.Client.WS, inbox.Client.HTTP, inbox.Client.Beacon
	w.config.L1.KeyFile = keyFile(t, hex.EncodeToString(crypto.FromECDSA(geth.DevKey(1))))
	w.config.L1.BlockTime = "1s"
	w.config.Engine.Kind, w.config.Engine.URL, w.config.Engine.EthURL = "engineapi", engine.Engine(), engine.HTTP()
	w.config.Engine.JWTFile, w.config.Engine.GenesisFile = filepath.Join(engine.Dir(), "jwt.hex"), genesisFile(t, devnet.L2Genesis())
	healthy(t, w.opt, append([]string{"beacon", "engine", "methods", "chain", "forks", "pool"}, onL1...)...)
}

func genesisFile(t *testing.T, g *core.Genesis) string {
	t.Helper()
	raw, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	return keyFile(t, string(raw))
}

// engineAPI is an execution client as far as the doctor asks.
type engineAPI struct {
	genesis *core.Genesis
	lacks   string // a method
	id      int64
	config  map[string]any // that eth_config tells; nil: there is no such method
	refuses bool           // the secret
}

func (a *engineAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.refuses {
		http.Error(w, "signature is invalid", http.StatusUnauthorized)
		return
	}
	var q struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	_ = json.NewDecoder(r.Body).Decode(&q)
	answer := map[string]any{"jsonrpc": "2.0", "id": q.ID}
	switch q.Method {
	case "engine_exchangeCapabilities":
		has := []string{}
		for _, m := range []string{"engine_forkchoiceUpdatedV3", "engine_getPayloadV3", "engine_getPayloadV4", "engine_newPayloadV3", "engine_newPayloadV4"} {
			if m != a.lacks {
				has = append(has, m)
			}
		}
		answer["result"] = has
	case "eth_getBlockByNumber":
		answer["result"] = a.genesis.ToBlock().Header()
	case "eth_chainId":
		answer["result"] = hexutil.EncodeUint64(uint64(a.id))
	case "eth_config":
		if a.config != nil {
			answer["result"] = a.config
			break
		}
		fallthrough
	default:
		answer["error"] = map[string]any{"code": -32601, "message": "no such method"}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// TestEngine: an execution client is well, or it is found what is wrong with it.
func TestEngine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plant func(*ward, *engineAPI)
		want  want
	}{
		"nothing": {plant: func(*ward, *engineAPI) {}},
		"an engine that is down": {func(w *ward, _ *engineAPI) {
			w.config.Engine.URL = "http://planted:planted@" + freeAddress(w.T) + "/planted"
		}, want{"engine", doctor.Fail, "connection refused", "start the execution client"}},
		"another secret": {func(_ *ward, a *engineAPI) { a.refuses = true }, want{"engine", doctor.Fail, "refuses our token", "--authrpc.jwtsecret"}},
		"no file of the secret": {func(w *ward, _ *engineAPI) {
			w.config.Engine.JWTFile = "none"
		}, want{"engine", doctor.Fail, "engine.jwt_file", "the files that they name"}},
		"a port that is not the Engine API's": {func(w *ward, _ *engineAPI) {
			w.config.Engine.URL = "http://" + served(w.T, http.NotFoundHandler())
		}, want{"engine", doctor.Fail, "no Engine API at this address", "Engine API port (8551)"}},
		"a client that is too old": {func(_ *ward, a *engineAPI) { a.lacks = "engine_newPayloadV4" }, want{"methods", doctor.Fail, "does not offer engine_newPayloadV4", "a recent version"}},
		"another genesis": {func(_ *ward, a *engineAPI) {
			a.genesis = devnet.L2Genesis()
			a.genesis.ExtraData = []byte("another")
		}, want{"chain", doctor.Fail, "initialised with another genesis file", "initialise the client"}},
		"another chain id": {func(_ *ward, a *engineAPI) { a.id = 1 }, want{"chain", doctor.Fail, "chain id is 1", "initialise the client"}},
		"another fork schedule": {func(_ *ward, a *engineAPI) {
			a.config = map[string]any{"current": map[string]any{"forkId": "0x01020304"}}
		}, want{"forks", doctor.Fail, "fork times", "the same genesis file"}},
		"no public JSON-RPC": {func(w *ward, _ *engineAPI) {
			w.config.Engine.EthURL = "http://" + freeAddress(w.T)
		}, want{"pool", doctor.Fail, "connection refused", "engine.eth_url"}},
	} {
		t.Run(name, func(t *testing.T) {
			l1 := newL1Ward(t)
			w, a := l1.ward, &engineAPI{genesis: devnet.L2Genesis(), id: devnet.L2ChainID}
			w.config.L1.HTTP = nil
			w.config.Engine.Kind, w.config.Engine.URL = "engineapi", "http://"+served(t, a)
			w.config.Engine.JWTFile, w.config.Engine.GenesisFile = keyFile(t, strings.Repeat("ab", 32)), genesisFile(t, devnet.L2Genesis())
			c.plant(w, a)
			if name == "nothing" {
				healthy(t, w.opt, "engine", "methods", "chain", "forks")
				return
			}
			finds(t, w.opt, c.want)
		})
	}
}
