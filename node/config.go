package node

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"headrace/await"
	"headrace/block"
	"headrace/da"
	"headrace/internal/httpc"
	"headrace/internal/httpd"
	"headrace/internal/redact"
	"headrace/l1"
)

// Config is everything an operator can set. The same names serve in the YAML file, in the environment
// (HEADRACE_DA_ADDRESS) and as flags (--da.address). The zero value of a field means its default.
type Config struct {
	Sequencer SequencerConfig `koanf:"sequencer"`
	DA        DAConfig        `koanf:"da"`
	L1        L1Config        `koanf:"l1"`
	Source    SourceConfig    `koanf:"source"`
	Unsafe    UnsafeConfig    `koanf:"unsafe"`
	Gossip    GossipConfig    `koanf:"gossip"`
	Stream    StreamConfig    `koanf:"stream"`
	Engine    EngineConfig    `koanf:"engine"`
	HTTP      HTTPConfig      `koanf:"http"`
	Evolve    EvolveConfig    `koanf:"evolve"`
	Index     IndexConfig     `koanf:"index"`
	Telemetry TelemetryConfig `koanf:"telemetry"`
	Log       LogConfig       `koanf:"log"`
}

// SequencerConfig is about making blocks.
type SequencerConfig struct {
	Enabled        bool          `koanf:"enabled" help:"make blocks with the key of the genesis' proposer; otherwise the node only follows"`
	KeyFile        string        `koanf:"key_file" help:"the encrypted signing key, relative to the home" default:"sequencer.key"`
	PassphraseFile string        `koanf:"passphrase_file" help:"a file that holds the key's passphrase, relative to the home; without it HEADRACE_PASSPHRASE is used"`
	BlockTime      time.Duration `koanf:"block_time" help:"time between blocks" default:"1s"`
	Lazy           bool          `koanf:"lazy" help:"make a block only when there are transactions, or lazy_interval has passed"`
	LazyInterval   time.Duration `koanf:"lazy_interval" help:"time between empty blocks in lazy mode" default:"1m"`
	MaxPending     uint64        `koanf:"max_pending" help:"blocks that may wait for the DA layer before production pauses" default:"1000"`
	Recover        time.Duration `koanf:"recover" help:"how long a home that is empty, or may not be the one that signed last, waits for the nodes of unsafe.from, and the peers of gossip, to say what its key has signed above the safe head, before it signs" default:"30s"`
	TrustHome      bool          `koanf:"trust_home" help:"sign at once, also in a home that was copied, put back or moved here: only if nothing has signed with its key since"`
}

// DAConfig is about the DA layer.
type DAConfig struct {
	Kind            string        `koanf:"kind" help:"kind of the DA layer: celestia; local-da, the one that ev-node is developed with, which has no headers: not verified, development only, so with da.level trust alone" default:"celestia"`
	Address         Addresses     `koanf:"address" help:"JSON-RPC address of a celestia-node; may be repeated" default:"http://127.0.0.1:26658"`
	Token           string        `koanf:"token" help:"authorization token of those addresses that have none of their own; read for a full node, write for a sequencer"`
	HeaderNamespace string        `koanf:"header_namespace" help:"namespace of the headers, a name or 58 hexadecimal digits, with or without 0x; only for a genesis that names none"`
	DataNamespace   string        `koanf:"data_namespace" help:"namespace of the data, likewise"`
	StartHeight     uint64        `koanf:"start_height" help:"DA height from which a home without a block reads, not above that of the chain's first block; 0: the genesis' da_start_height"`
	BlockTime       time.Duration `koanf:"block_time" help:"time between the DA layer's blocks, the clock of all that waits for one; 0: measured"`
	CallTimeout     time.Duration `koanf:"call_timeout" help:"how long a request may go without a byte; a whole answer only has to come at 16 KiB/s" default:"30s"`
	Level           string        `koanf:"level" help:"how much of what it tells is proven: trust, prove-empty or prove" default:"prove-empty"`
	GasPrice        float64       `koanf:"gas_price" help:"first gas price of a submission, in utia per unit of gas; 0: the celestia-node's estimate"`
	MaxGasPrice     float64       `koanf:"max_gas_price" help:"what it is raised to at most when it is too low; 0: the celestia-node's own limit"`
	Priority        uint64        `koanf:"priority" help:"of the estimate, 1 to 3; 0: the celestia-node's default"`
	Keys            []string      `koanf:"keys" help:"names of the celestia-node's keys that pay, used in turn; none: its default key"`
	SubmitTimeout   time.Duration `koanf:"submit_timeout" help:"how long a submission may wait for its block; then it is looked for, and posted again if it is not there; 0: twelve block times, as da.block_time says or as measured, but 30s at least"`
	MaxSubmitBytes  uint64        `koanf:"max_submit_bytes" help:"bytes of the blobs of one submission, at most; its request is a third larger; a block that is larger is submitted alone" default:"2097152"`
}

// Address is that of an endpoint, with the bearer token that goes there and nowhere else. In the file it is a text, or
// {address, token} or {address, token_file}.
type Address = httpc.Endpoint

// Addresses are those of endpoints that can stand in for each other, the preferred one first. One alone may be
// written without a list.
type Addresses []Address

// At returns addresses without tokens.
func At(urls ...string) Addresses { return httpc.At(urls...) }

// In returns the addresses of a setting with the files of their tokens found, below a home if their paths are
// relative. Each must hold a token.
func (a Addresses) In(home, setting string) (Addresses, error) {
	var found Addresses
	for i, e := range a {
		e = e.In(home)
		if _, err := e.Open(); err != nil {
			return nil, fmt.Errorf("%s %s: %w", setting, httpc.Names(a)[i], err)
		}
		found = append(found, e)
	}
	return found, nil
}

// In returns the settings with the addresses found, as Addresses.In does.
func (c L1Config) In(home string) (L1Config, error) {
	var err1, err2, err3 error
	c.WS, err1 = c.WS.In(home, "l1.ws")
	c.HTTP, err2 = c.HTTP.In(home, "l1.http")
	c.Beacon, err3 = c.Beacon.In(home, "l1.beacon")
	return c, cmp.Or(err1, err2, err3)
}

// L1Config is about the L1 of a chain whose genesis names an inbox.
type L1Config struct {
	WS          Addresses     `koanf:"ws" help:"WebSocket address of an Ethereum node of the L1; may be repeated; for a genesis that names an inbox"`
	HTTP        Addresses     `koanf:"http" help:"HTTP address of one: for reading, and for news while no WebSocket works; may be repeated"`
	Beacon      Addresses     `koanf:"beacon" help:"address of a beacon API, for proposals whose content is in blobs; may be repeated"`
	KeyFile     string        `koanf:"key_file" help:"a file with the private key, in hexadecimal, of the L1 account that proposes; for the sequencer"`
	Blobs       bool          `koanf:"blobs" help:"put proposals into blobs instead of call data; the same as l1.content: blobs"`
	Content     string        `koanf:"content" help:"where the sequencer puts proposals: calldata; blobs, or auto, which is what costs less when one is sent: these two need l1.beacon on every node; empty: calldata, or what l1.blobs says"`
	MaxDelay    time.Duration `koanf:"max_delay" help:"how long a block may wait to be proposed with later ones, if they do not fill a proposal before; 0: none waits. A full node learns for its readiness how long they do, or is told with this"`
	TargetData  uint64        `koanf:"target_calldata" help:"bytes of a proposal in call data that is full: it waits for no more blocks" default:"120000"`
	TargetBlobs uint64        `koanf:"target_blobs" help:"blobs of a proposal in blobs that is full; never more than l1.max_blobs" default:"1"`
	MaxBlobs    uint64        `koanf:"max_blobs" help:"blobs of one proposal, at most; an L1 takes 6 in a transaction, or fewer" default:"6"`
	MaxFee      float64       `koanf:"max_fee" help:"gwei per gas that a transaction of the sequencer may cost, tip included; above it proposals wait until the L1 is cheaper; 0: 500" default:"500"`
	MaxTip      float64       `koanf:"max_tip" help:"gwei per gas of it for the maker of the L1's block, at most; 0: as much as l1.max_fee. Where the L1 asks for so much, a transaction may cost l1.max_fee at once: none could take its place" `
	MaxBlobFee  float64       `koanf:"max_blob_fee" help:"gwei per gas of blobs, at most; likewise; 0: 500" default:"500"`
	Resend      uint64        `koanf:"resend_blocks" help:"block times of the L1 after which a transaction that is in none is sent again with higher fees" default:"3"`
	Payload     uint64        `koanf:"payload" help:"version of the payloads in which blocks are proposed, 1 or 2; 2 takes a fifth of the bytes, and only once every node of the chain reads it: nodes of releases before this one find it void; init of a new chain sets 2; for the sequencer" default:"1"`
	CallTimeout time.Duration `koanf:"call_timeout" help:"how long a request may go without a byte of its answer" default:"10s"`
	Finality    string        `koanf:"finality" yaml:"number" help:"what of the L1 is final, so that no reorg takes it back: node, what the Ethereum node calls finalized, or a depth of at least 1, in blocks below the head; never what a block is, so nodes of one chain may differ" default:"node"`
	BlockTime   string        `koanf:"block_time" yaml:"number" help:"time between the L1's blocks, such as 12s, the clock of all that waits for one; on-demand: they have no rhythm, as those of a dev chain that mines with each transaction; empty: the slot time of a public L1, else measured"`
}

// EngineConfig is about execution.
type EngineConfig struct {
	Kind         string `koanf:"kind" help:"execution engine: kv, a key-value state for tests and demos; engineapi, any Ethereum execution client; evolve-evm, ev-reth, for Evolve's EVM chains; grpc, any engine that serves exec/grpc; evolve-grpc, any executor of an Evolve chain that serves evnode.v1.ExecutorService, over gRPC or Connect" default:"kv"`
	URL          string `koanf:"url" help:"of the execution client's Engine API, such as http://127.0.0.1:8551; for engineapi and evolve-evm"`
	EthURL       string `koanf:"eth_url" help:"of the execution client's public JSON-RPC, such as http://127.0.0.1:8545, which tells what waits in its pool; for a sequencer with evolve-evm"`
	JWTFile      string `koanf:"jwt_file" help:"a file with the secret of its Engine API, in hexadecimal"`
	GenesisFile  string `koanf:"genesis_file" help:"the genesis that the execution client was initialised with"`
	FeeRecipient string `koanf:"fee_recipient" help:"address that earns the fees of the blocks that a sequencer makes; with evolve-evm a part of every block, the same on all nodes of the chain"`
	Address      string `koanf:"address" help:"of the engine: host:port or unix:/path for grpc, http://host:port or unix:///path for evolve-grpc"`
}

// HTTPConfig is about the node's own endpoints.
type HTTPConfig struct {
	Address       string   `koanf:"address" help:"listen address of the node's HTTP endpoints; port 0 picks a free one" default:"127.0.0.1:7331"`
	Hosts         []string `koanf:"hosts" help:"names, beside localhost, by which requests may call the node, such as a reverse proxy's; on the loopback no other is answered, elsewhere any is if none is given"`
	Origins       []string `koanf:"origins" help:"origins, such as https://app.example, whose pages may ask from a browser and read the answers; none: no page may"`
	Proxies       []string `koanf:"proxies" help:"addresses or networks of reverse proxies, to which max_per_address does not apply"`
	Token         string   `koanf:"token" help:"what POST requests must carry as a bearer token; needed by a node that takes any and listens beyond the loopback"`
	TokenFile     string   `koanf:"token_file" help:"a file that holds the token, relative to the home; it is read again when it has changed"`
	TLSCert       string   `koanf:"tls_cert" help:"a file with the certificate chain in PEM, relative to the home: the endpoints are https then; read again when it has changed"`
	TLSKey        string   `koanf:"tls_key" help:"a file with the certificate's private key in PEM, relative to the home; likewise"`
	MaxConns      uint64   `koanf:"max_connections" help:"connections at a time; fewer if the process has not as many descriptors and 128 to spare" default:"1280"`
	MaxPerAddress uint64   `koanf:"max_per_address" help:"connections at a time of one address that is not the loopback's" default:"256"`
	MaxWaiting    uint64   `koanf:"max_waiting" help:"requests that wait at a time: those of /v1/wait and /v1/events, and of /v1/txs with wait" default:"1024"`
	AnswerBytes   uint64   `koanf:"answer_bytes" help:"bytes of answers that are kept in memory until they are read" default:"16777216"`
	Pprof         bool     `koanf:"pprof" help:"serve the profiles of Go's tools at /debug/pprof/, for whoever has the token"`
	BodyBytes     uint64   `koanf:"body_bytes" help:"bytes of requests that are kept in memory" default:"16777216"`
}

// SourceConfig is about another source than the one that the genesis names.
type SourceConfig struct {
	Node Addresses `koanf:"node" help:"HTTP address of a node of the chain whose safe blocks are followed in the place of the DA layer or the L1: this node is a replica; may be repeated; for a home that init made with --replica"`
}

// UnsafeConfig is about blocks that come before the canonical source has them.
type UnsafeConfig struct {
	From Addresses `koanf:"from" help:"HTTP address of another node of the chain, whose newest blocks are followed before the DA layer or the L1 has them; may be repeated"`
	Max  uint64    `koanf:"max" help:"how far above the safe head an unsafe block may be, on a DA layer" default:"20000"`
}

// GossipConfig is about the peers that blocks go to and come from before the canonical source has them. There are some
// if it says where to listen, or whom to dial. A node knows nothing of how that is done: package gossip does it.
type GossipConfig struct {
	Listen   []string `koanf:"listen" help:"multiaddr at which peers reach this node, such as /ip4/0.0.0.0/tcp/7400 or /ip4/0.0.0.0/udp/7400/quic-v1; may be repeated"`
	Peers    []string `koanf:"peers" help:"multiaddr of a peer, with its ID, such as /ip4/192.0.2.1/tcp/7400/p2p/ID, which its status names; may be repeated; each is dialled whenever it is not there"`
	KeyFile  string   `koanf:"key_file" help:"the key that names this node to its peers, relative to the home; it is made if it is not there" default:"gossip.key"`
	MaxPeers uint64   `koanf:"max_peers" help:"peers at a time; those of gossip.peers stay whatever their number" default:"50"`
}

// On reports whether there is any gossip.
func (c *GossipConfig) On() bool { return len(c.Listen) > 0 || len(c.Peers) > 0 }

// StreamConfig is about the stream of NATS JetStream in which the node's blocks are published. There is one if it says
// where. A node knows nothing of how that is done: packages stream/nats/publish and stream/nats/server do it.
type StreamConfig struct {
	URL             []string `koanf:"url" help:"URL of a NATS server with JetStream, such as nats://127.0.0.1:4222, in which the node's blocks are published; may be repeated, for the servers of one cluster"`
	CredentialsFile string   `koanf:"credentials_file" help:"a file with the credentials of a NATS user, as nsc writes it, relative to the home"`
	User            string   `koanf:"user" help:"name of a NATS user, with stream.password_file; of those who read, with stream.listen"`
	PasswordFile    string   `koanf:"password_file" help:"a file that holds the user's password, relative to the home"`
	TLSCA           string   `koanf:"tls_ca" help:"a file with the certificates, in PEM, that the server's is signed by, relative to the home; empty: those of the system"`
	TLSCert         string   `koanf:"tls_cert" help:"a file with a certificate chain in PEM, relative to the home: this node's for the server; the server's own, with stream.listen"`
	TLSKey          string   `koanf:"tls_key" help:"a file with the certificate's private key in PEM, likewise"`
	Embedded        bool     `koanf:"embedded" help:"publish in a NATS server of this process, which keeps the stream in the home, in the place of stream.url"`
	Listen          string   `koanf:"listen" help:"listen address of that server for those who read, with stream.password_file; empty: no port is opened"`
	Head            string   `koanf:"head" help:"up to which head blocks are published: safe or finalized; the same on all nodes that publish in one stream" default:"safe"`
	From            uint64   `koanf:"from" help:"height of the first block of a stream that is empty; 0: the oldest that the node has"`
	Replicas        uint64   `koanf:"replicas" help:"servers that keep the stream, if it is made by this node" default:"1"`
}

// On reports whether blocks are published.
func (c *StreamConfig) On() bool { return len(c.URL) > 0 || c.Embedded }

func (c *StreamConfig) check() error {
	for _, a := range c.URL {
		u, err := url.Parse(a)
		if err != nil || u.Host == "" || !strings.Contains(" nats tls ws wss ", " "+u.Scheme+" ") {
			return fmt.Errorf("stream.url %s is not a nats, tls, ws or wss URL such as nats://127.0.0.1:4222", redact.Refused(a))
		}
	}
	if c.Head != "" && c.Head != await.Safe.String() && c.Head != await.Finalized.String() {
		return fmt.Errorf("stream.head %q is not known: use safe or finalized; unsafe blocks are never published", c.Head)
	}
	return nil
}

// Fits says which of the settings do not go together.
func (c *StreamConfig) Fits() error {
	switch {
	case c.Embedded && len(c.URL) > 0:
		return fmt.Errorf("stream.embedded and stream.url are both set: a node publishes in one stream")
	case c.Embedded && (c.CredentialsFile != "" || c.TLSCA != "" || c.Replicas > 1):
		return fmt.Errorf("stream.credentials_file, stream.tls_ca and stream.replicas go with stream.url, not with stream.embedded")
	case c.Listen != "" && !c.Embedded:
		return fmt.Errorf("stream.listen goes with stream.embedded")
	case c.Listen != "" && c.PasswordFile == "":
		return fmt.Errorf("stream.listen needs stream.password_file: whoever connects there needs a password")
	case c.Listen == "" && c.Embedded && (c.PasswordFile != "" || c.TLSCert != ""):
		return fmt.Errorf("stream.password_file and stream.tls_cert go with stream.listen: without it nobody connects to the embedded server")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return fmt.Errorf("stream.tls_cert and stream.tls_key go together")
	case !c.Embedded && (c.User == "") != (c.PasswordFile == ""):
		return fmt.Errorf("stream.user and stream.password_file go together")
	case c.User != "" && c.CredentialsFile != "":
		return fmt.Errorf("stream.user and stream.credentials_file are both set: one of them says who publishes")
	case c.Replicas > 5:
		return fmt.Errorf("stream.replicas is %d: a stream has at most 5", c.Replicas)
	}
	return nil
}

// EvolveConfig is about the tools of an Evolve chain.
type EvolveConfig struct {
	RPC bool `koanf:"rpc" help:"answer, at http.address, what an ev-node's StoreService and ConfigService do, over Connect and, without TLS, gRPC, for explorers and tools of an Evolve chain"`
}

// IndexConfig is about what can be looked up beside blocks.
type IndexConfig struct {
	Txs string `koanf:"txs" help:"the transactions of blocks to come that can be found by their hash: all or none" default:"all"`
}

func (c *IndexConfig) indexesTxs() bool { return c.Txs != "none" }

func (c *IndexConfig) check() error {
	if c.Txs != "" && c.Txs != "all" && c.Txs != "none" {
		return fmt.Errorf("index.txs %q is not known: use all or none", c.Txs)
	}
	return nil
}

// TelemetryConfig is about traces of what is done with blocks, in OpenTelemetry's protocol.
type TelemetryConfig struct {
	OTLP  string  `koanf:"otlp" help:"where traces go, such as http://127.0.0.1:4318, or grpc://127.0.0.1:4317; https and grpcs with TLS; headers are those of OTEL_EXPORTER_OTLP_HEADERS; empty: there are none"`
	Ratio float64 `koanf:"ratio" help:"the part of the blocks that are traced, up to 1; the same ones on all nodes of the chain" default:"0.01"`
}

// Sampling returns the ratio, or its default.
func (c *TelemetryConfig) Sampling() float64 { return cmp.Or(c.Ratio, 0.01) }

func (c *TelemetryConfig) check() error {
	if c.Ratio < 0 || c.Ratio > 1 || c.Ratio != c.Ratio {
		return fmt.Errorf("telemetry.ratio %v is not from 0 to 1: 1 traces each block", c.Ratio)
	}
	if c.OTLP == "" {
		return nil
	}
	u, err := url.Parse(c.OTLP)
	if err != nil || u.Host == "" || !strings.Contains(" http https grpc grpcs ", " "+u.Scheme+" ") {
		return fmt.Errorf("telemetry.otlp %s is not an http, https, grpc or grpcs URL such as http://127.0.0.1:4318 or grpc://127.0.0.1:4317", redact.Refused(c.OTLP))
	}
	if err := httpc.CheckPort(c.OTLP); err != nil {
		return fmt.Errorf("telemetry.otlp %s: %w", redact.Refused(c.OTLP), err)
	}
	if u.RawQuery != "" || u.Fragment != "" || strings.HasPrefix(u.Scheme, "grpc") && strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("telemetry.otlp %s has more than the exporter sends: a key belongs into OTEL_EXPORTER_OTLP_HEADERS", redact.Refused(c.OTLP))
	}
	return nil
}

// LogConfig is about logging.
type LogConfig struct {
	Level  string `koanf:"level" help:"debug, info, warn or error; behind it others for modules, as in info,follow=debug,engine=warn: node, follow, da, l1, syncer, sequencer, gossip, stream, engine, store, http; headrace log changes it while the node runs" default:"info"`
	Format string `koanf:"format" help:"text or json" default:"text"`
	Blocks string `koanf:"blocks" help:"each: a line for each block; a duration such as 10s: one for all blocks of so long; none" default:"each"`
}

// Default returns the configuration with its defaults.
func Default() Config {
	return Config{
		Sequencer: SequencerConfig{KeyFile: "sequencer.key", BlockTime: time.Second, LazyInterval: time.Minute, MaxPending: 1000, Recover: 30 * time.Second},
		DA:        DAConfig{Kind: "celestia", Address: At("http://127.0.0.1:26658"), CallTimeout: 30 * time.Second, Level: da.ProveEmpty.String(), MaxSubmitBytes: 2 << 20},
		L1: L1Config{
			CallTimeout: 10 * time.Second, Finality: "node", TargetData: 120_000, TargetBlobs: 1, MaxBlobs: defaultMaxBlobs, MaxFee: 500, MaxBlobFee: 500, Resend: 3, Payload: 1,
		},
		Unsafe: UnsafeConfig{Max: maxUnsafeBlocks},
		Gossip: GossipConfig{KeyFile: "gossip.key", MaxPeers: 50},
		Stream: StreamConfig{Head: "safe", Replicas: 1},
		Engine: EngineConfig{Kind: "kv"},
		HTTP: HTTPConfig{
			Address: "127.0.0.1:7331", MaxConns: 1280, MaxPerAddress: 256, MaxWaiting: maxWaiting, AnswerBytes: 16 << 20, BodyBytes: 16 << 20,
		},
		Index:     IndexConfig{Txs: "all"},
		Telemetry: TelemetryConfig{Ratio: 0.01},
		Log:       LogConfig{Level: "info", Format: "text", Blocks: "each"},
	}
}

// Validate reports the first thing wrong, and what to do about it.
func (c *Config) Validate() error {
	if len(c.DA.Address) == 0 {
		return fmt.Errorf("da.address is empty: name at least one celestia-node, for example http://127.0.0.1:26658")
	}
	for _, e := range []struct {
		key              string
		addresses        Addresses
		schemes, example string
	}{
		{"da.address", c.DA.Address, " http https ws wss ", "an http, https, ws or wss URL such as http://127.0.0.1:26658"},
		{"l1.ws", c.L1.WS, " ws wss ", "a URL such as ws://127.0.0.1:8546"},
		{"l1.http", c.L1.HTTP, " http https ", "a URL such as http://127.0.0.1:8545"},
		{"l1.beacon", c.L1.Beacon, " http https ", "a URL such as http://127.0.0.1:5052"},
		{"source.node", c.Source.Node, " http https ", "a URL such as http://127.0.0.1:7331"},
		{"unsafe.from", c.Unsafe.From, " http https ", "a URL such as http://127.0.0.1:7331"},
	} {
		for _, a := range e.addresses {
			u, err := url.Parse(a.URL)
			if err != nil || u.Host == "" || !strings.Contains(e.schemes, " "+u.Scheme+" ") {
				return fmt.Errorf("%s %s is not %s", e.key, redact.Refused(a.URL), e.example)
			}
			if err := a.Check(); err != nil {
				return fmt.Errorf("%s %s: %w", e.key, a, err)
			}
		}
	}
	for _, e := range []struct{ key, address string }{{"engine.url", c.Engine.URL}, {"engine.eth_url", c.Engine.EthURL}} {
		if err := httpc.CheckPort(e.address); err != nil {
			return fmt.Errorf("%s %s: %w", e.key, redact.Refused(e.address), err)
		}
	}
	_, port, err := net.SplitHostPort(c.HTTP.Address)
	if err != nil {
		return fmt.Errorf("http.address %q is not host:port: %w", c.HTTP.Address, err)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("http.address %q: the port is neither a number up to 65535 nor a service's name", c.HTTP.Address)
	}
	for _, t := range []struct{ key, token string }{{"da.token", c.DA.Token}, {"http.token", c.HTTP.Token}} {
		if err := httpc.CheckToken(t.token); err != nil {
			return fmt.Errorf("%s %w", t.key, err)
		}
	}
	for _, n := range []struct{ key, name string }{{"da.header_namespace", c.DA.HeaderNamespace}, {"da.data_namespace", c.DA.DataNamespace}} {
		if _, err := namespace(n.name); err != nil {
			return fmt.Errorf("%s: %w", n.key, err)
		}
	}
	if err := c.Log.check(); err != nil {
		return err
	}
	if err := c.Telemetry.check(); err != nil {
		return err
	}
	if err := c.Index.check(); err != nil {
		return err
	}
	if err := c.Stream.check(); err != nil {
		return err
	}
	for _, o := range c.HTTP.Origins {
		if err := httpd.CheckOrigin(o); err != nil {
			return fmt.Errorf("http.origins: %w", err)
		}
	}
	if err := c.DA.checkKind(); err != nil {
		return err
	}
	if _, err := c.L1.Pace(); err != nil {
		return err
	}
	if _, err := c.L1.depth(); err != nil {
		return err
	}
	if c.IsReplica() && c.Sequencer.Enabled {
		return errReplicaMakesNone
	}
	if c.IsReplica() && c.Stream.On() {
		return errReplicaPublishesNothing
	}
	if err := c.L1.checkFees(); err != nil {
		return err
	}
	switch c.Engine.Kind {
	case "kv":
	case "engineapi":
		if c.Engine.URL == "" || c.Engine.JWTFile == "" || c.Engine.GenesisFile == "" {
			return fmt.Errorf("engine.kind is engineapi: set engine.url, engine.jwt_file and engine.genesis_file")
		}
	case "evolve-evm":
		switch {
		case c.Engine.URL == "" || c.Engine.JWTFile == "" || c.Engine.GenesisFile == "" || c.Engine.FeeRecipient == "":
			return fmt.Errorf("engine.kind is evolve-evm: set engine.url, engine.jwt_file, engine.genesis_file and engine.fee_recipient: the one that all nodes of the chain have, 0x and 40 zeros if they name none")
		case c.Sequencer.Enabled && c.Engine.EthURL == "":
			return fmt.Errorf("engine.kind is evolve-evm: set engine.eth_url, from which a sequencer takes what waits in the execution client's pool")
		}
	case "grpc":
		if c.Engine.Address == "" {
			return fmt.Errorf("engine.kind is grpc: set engine.address, host:port or unix:/path")
		}
		if strings.ContainsAny(c.Engine.Address, "@?#") { // gRPC would take it for a host, and repeat it
			return fmt.Errorf("engine.address is neither host:port nor unix:/path")
		}
	case evolveGRPC:
		if err := checkExecutor(c.Engine.Address); err != nil {
			return err
		}
	default:
		return fmt.Errorf("engine.kind %q is not known: use kv, engineapi, evolve-evm, grpc or evolve-grpc", c.Engine.Kind)
	}
	if c.Sequencer.BlockTime < 0 || c.Sequencer.Recover < 0 || c.DA.BlockTime < 0 || c.DA.CallTimeout < 0 || c.DA.SubmitTimeout < 0 || c.L1.CallTimeout < 0 || c.L1.MaxDelay < 0 {
		return fmt.Errorf("sequencer.block_time, sequencer.recover, da.block_time, da.call_timeout, da.submit_timeout, l1.call_timeout and l1.max_delay must not be negative")
	}
	if c.DA.Priority > 3 {
		return fmt.Errorf("da.priority %d is none of 1, 2 and 3, nor 0 for the celestia-node's default", c.DA.Priority)
	}
	if c.L1.Payload > l1.CompactVersion { // 0 is 1
		return fmt.Errorf("l1.payload %d is neither 1 nor 2", c.L1.Payload)
	}
	return nil
}

// check refuses what is no logger.
func (c *LogConfig) check() error {
	if _, err := c.Levels(); err != nil {
		return err
	}
	if c.Format != "" && c.Format != "text" && c.Format != "json" {
		return fmt.Errorf("log.format %q is not known: use text or json", c.Format)
	}
	_, err := c.blocks()
	return err
}

// noBlocks is the time between lines about blocks of a log that has none.
const noBlocks = -1

// blocks returns the time between two lines about blocks; 0: each has one; noBlocks: none has.
func (c *LogConfig) blocks() (time.Duration, error) {
	switch c.Blocks {
	case "", "each":
		return 0, nil
	case "none":
		return noBlocks, nil
	}
	d, err := time.ParseDuration(c.Blocks)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("log.blocks %q is neither each, nor none, nor a duration such as 10s", c.Blocks)
	}
	return d, nil
}

// onDemand is the block time of a source whose blocks have no rhythm.
const onDemand = -1

// Pace returns the time between the L1's blocks: 0 if it is to be found out; negative: they have no rhythm.
func (c *L1Config) Pace() (time.Duration, error) {
	switch c.BlockTime {
	case "", "0":
		return 0, nil
	case "on-demand":
		return onDemand, nil
	}
	d, err := time.ParseDuration(c.BlockTime)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("l1.block_time %q is neither a duration such as 12s, nor on-demand", c.BlockTime)
	}
	return d, nil
}

// depth returns how many blocks below its head the L1 is final; 0: as far as its node says.
func (c *L1Config) depth() (uint64, error) {
	if c.Finality == "" || c.Finality == "node" {
		return 0, nil
	}
	depth, err := strconv.ParseUint(c.Finality, 10, 64)
	if err != nil || depth == 0 {
		return 0, fmt.Errorf("l1.finality %q is neither node nor a depth of at least 1: were the newest block final, the first reorg would be the end", c.Finality)
	}
	return depth, nil
}

// Verified returns the level of verification; the default for "".
func (c *DAConfig) Verified() (l da.Level, err error) {
	if c.Level != "" {
		err = l.UnmarshalText([]byte(c.Level))
	}
	return l, err
}

// Namespaces returns the header and data namespaces as a new home of the chain reads them: the genesis' own, which
// every node of the chain shares, or the configuration's for a genesis without.
func (c *Config) Namespaces(g *block.Genesis) (header, data da.Namespace, err error) {
	read := da.NamespaceOf
	if g.DA != nil {
		read = inGenesis
	}
	return c.namespaces(g, read)
}

// namespaces returns the namespaces, whose names read is given.
func (c *Config) namespaces(g *block.Genesis, read func(string) (da.Namespace, error)) (header, data da.Namespace, err error) {
	h, d := c.DA.HeaderNamespace, c.DA.DataNamespace
	if g.DA != nil {
		if h != "" && h != g.DA.HeaderNamespace || d != "" && d != g.DA.DataNamespace {
			return header, data, fmt.Errorf("da.header_namespace and da.data_namespace differ from the genesis, which names %q and %q: leave them out of the configuration", g.DA.HeaderNamespace, g.DA.DataNamespace)
		}
		h, d = g.DA.HeaderNamespace, g.DA.DataNamespace
	}
	if h == "" {
		return header, data, fmt.Errorf("neither the genesis nor the configuration names the chain's namespaces: set da.header_namespace and da.data_namespace")
	}
	d = cmp.Or(d, h)
	if header, err = read(h); err != nil {
		return header, data, err
	}
	data, err = read(d)
	return header, data, err
}

// inGenesis reads a namespace that a genesis names. With 0x before it, every node has taken it for a name so far, and
// some may run so: what a genesis means is the same for all nodes of its chain.
func inGenesis(s string) (da.Namespace, error) {
	if n, err := da.NamespaceOf(s); err != nil || !strings.HasPrefix(strings.ToLower(s), "0x") {
		return n, err
	}
	return da.Namespace{}, fmt.Errorf("namespace %q in a genesis %w, without 0x before them", s, da.ErrLooksHex)
}

// namespace reads a namespace as every version has: 58 hexadecimal digits, or anything else as a name.
func namespace(s string) (da.Namespace, error) {
	if len(s) == 58 {
		return da.ParseNamespace(s)
	}
	return da.NamespaceFromName(s), nil
}
