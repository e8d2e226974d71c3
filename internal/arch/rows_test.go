package arch_test

// row says which packages of ours a package may import, and why no others. "da/..." is da and all below it.
type row struct{ may, why string }

// rows, from the bottom up.
var rows = map[string]row{
	// Leaves: types, contracts and small tools.
	"watch": {"", "everyone waits with it, so it knows nothing of what is waited for"},
	"ref":   {"", "everyone names blocks with it, so it knows nothing of what they hold"},
	"block": {"ref", "it is a format: values and pure functions, of use without a node"},
	"da":    {"", "it is the contract that every DA client and DA server agrees on, so it must not depend on one of them"},
	"l1":    {"ref", "it is the contract that every L1 client agrees on, so it must not depend on one of them"},

	"contracts": {"", "artifacts of the inbox contract and nothing else"},

	"internal/moment":        {"", "when something was says nothing of what it was"},
	"internal/logs":          {"", "which lines are shown goes by their module and level, whatever they say"},
	"internal/logs/logstest": {"", "it is for tests, and knows nothing of who logs what"},
	"internal/edge":          {"", "what is said, and to whom, is not its business: it counts"},
	"internal/batch":         {"", "how much to ask for goes by what worked, whatever is asked of whom"},
	"internal/redact":        {"", "everybody's texts go through it, so it knows nothing of what they are about"},
	"internal/httpc":         {"internal/moment internal/redact", "it makes connections to any endpoint; what is asked there is not its business"},
	"internal/jsonrpc":       {"internal/httpc internal/httpd internal/moment internal/redact", "a protocol: it must not know whose methods it carries"},
	"internal/latetest":      {"", "it is for tests, and knows nothing of what is waited for"},
	"internal/nettest":       {"", "it is for tests, and knows nothing of what is tested"},
	"internal/page":          {"", "it is files for a browser; what they ask for is served beside it"},
	"internal/httpd":         {"internal/moment", "it bounds what strangers cost, whatever they ask for"},
	"internal/disk":          {"", "it makes a file system fail once and for good; what is stored on it is not its business"},
	"internal/disk/disktest": {"internal/disk", "a disk that fails on demand, for the tests of whoever stores"},
	"internal/keyfile":       {"block", "it encrypts keys; who signs with them is not its business"},
	"internal/square":        {"da follow", "Celestia's mathematics, without sockets, so that client and server can both trust it"},

	// Following: heights and hashes only.
	"follow":            {"ref watch internal/edge", "sockets are below it in a source, blocks above it in a sink: it sees heights and hashes"},
	"follow/position":   {"follow", "a file of a few bytes: what it is the position of is not its business"},
	"follow/followtest": {"follow watch", "a suite for any source must not favour one"},

	// Sources.
	"da/fault":    {"da watch", "it says what goes wrong; whoever serves makes it so"},
	"da/local":    {"da da/fault follow watch internal/square internal/disk", "a chain, not a node: whoever follows it comes from above"},
	"da/celestia": {"da da/fault da/local follow watch internal/edge internal/httpc internal/httpd internal/jsonrpc internal/redact internal/square", "a protocol between two parties; the rollup's blocks are opaque bytes to it"},
	"l1/local":    {"l1 follow watch", "a chain, not a node: whoever follows it comes from above"},
	"l1/ethereum": {"l1 l1/ethereum/inbox follow watch contracts internal/batch internal/edge internal/httpc internal/redact", "a client; payloads are opaque bytes to it"},

	"l1/ethereum/inbox": {"contracts", "generated bindings"},

	"l1/compact": {"l1 block exec", "a format: what follows from an engine's rules it asks the engine's codec, by its contract"},

	// Engines.
	"exec":                        {"block", "the contract that any engine, in any language, is written against"},
	"exec/exectest":               {"exec block", "a suite for any engine must not favour one"},
	"exec/kv":                     {"exec block internal/disk", "an engine knows blocks, and nothing of where they come from"},
	"exec/grpc":                   {"exec block exec/grpc/... exec/internal/links", "an engine knows blocks, and nothing of where they come from"},
	"exec/grpc/execv1":            {"", "generated messages"},
	"exec/internal/gen":           {"", "it generates code, and is no part of any program"},
	"exec/internal/gen/cmd":       {"exec/internal/gen", "it generates code, and is no part of any program"},
	"exec/internal/links":         {"", "connections, whatever is called over them"},
	"exec/evolve":                 {"exec block internal/disk", "an engine knows blocks, and nothing of where they come from; nor how an executor is called"},
	"exec/evolve/evgrpc":          {"exec/evolve exec/evolve/evgrpc/evnodev1 exec/internal/links", "it carries calls; what they mean is the engine's"},
	"exec/evolve/evgrpc/evnodev1": {"", "generated messages"},
	"exec/evolve/evolvetest":      {"exec/evolve exec/evolve/evgrpc exec/evolve/evgrpc/evnodev1", "an executor knows no blocks of ours"},
	"exec/engineapi":              {"exec block watch internal/disk internal/edge internal/httpc internal/redact", "an engine knows blocks, and nothing of where they come from"},
	"internal/derive":             {"block da exec l1 l1/compact", "pure: no I/O and no clock, or I3 could not be shown"},
	"internal/store":              {"block da l1 internal/disk", "it stores what it is given; only the syncer decides what that is"},

	"internal/evrpc": {"block da exec/evolve/evgrpc/evnodev1 internal/httpd internal/store", "it reads what the store has; how blocks come there is not its business"},

	// The node.
	"internal/syncer":    {"block da l1 exec follow watch internal/derive internal/edge internal/store", "one mutex and no goroutine: whoever brings items or blocks comes from above"},
	"internal/sequencer": {"block da l1 l1/compact exec follow watch internal/derive internal/edge internal/syncer", "it makes and posts blocks through the syncer's section; it must not reach around it to the store"},
	"node": {"block da da/celestia l1 l1/ethereum exec exec/kv exec/grpc exec/engineapi exec/evolve exec/evolve/evgrpc follow watch await internal/derive internal/edge internal/logs internal/evrpc internal/httpc internal/httpd internal/page internal/redact internal/store internal/syncer internal/sequencer",
		"it puts the parts together; dev chains and the command line are for those who run it"},
	"internal/doctor": {"node block da da/celestia follow l1 l1/ethereum exec/grpc exec/engineapi exec/evolve/evgrpc internal/httpc internal/redact",
		"it asks what a node would ask, by the same clients; how its findings are shown is the command's"},

	"internal/syncer/syncertest": {"block da da/local exec exec/kv follow watch internal/derive internal/store internal/syncer", "a syncer with everything around it, for the tests of whoever uses one"},

	// Around the node.
	"await":                        {"ref watch follow internal/httpc internal/redact", "it waits for any node, so it must not need ours"},
	"await/ethereum":               {"await watch internal/batch internal/httpc internal/redact", "it waits for any Ethereum client, so it must not need ours"},
	"devnet/program":               {"", "it runs programs; which, and what for, is not its business"},
	"devnet/geth":                  {"devnet/program", "a process; what it is used for is not its business"},
	"devnet/geth/gethtest":         {"devnet/geth", "it builds geth with the tests, and nothing else"},
	"devnet/evreth":                {"devnet/geth", "an execution client; what it is used for is not its business"},
	"devnet/localda":               {"da internal/jsonrpc watch", "a DA layer; whose blobs it holds is not its business"},
	"devnet/beacon":                {"devnet/geth exec/engineapi watch", "a consensus for one L1; the rollup above it is not its business"},
	"devnet/devchain":              {"devnet/program", "a process; what it is used for is not its business"},
	"devnet/devchain/devchaintest": {"devnet/devchain", "it skips a test that has no chain, and nothing else"},
	"devnet/proxy":                 {"", "it carries bytes between any two sockets"},
	"devnet": {"devnet/... node block da da/fault da/local da/celestia l1 l1/local l1/ethereum exec exec/kv exec/engineapi follow watch await contracts internal/keyfile",
		"a test bed stands on what users have: the node's public face, never the parts inside it"},
	"telemetry":                   {"node block follow da/fault da/local da/celestia internal/edge internal/redact", "it shows a node, and a dev DA layer, to operators' tools by what their public faces tell, as any other program could"},
	"gossip":                      {"node block follow await watch", "it brings blocks to a node by the node's public face, as any other program could: a node knows nothing of peers"},
	"stream/nats":                 {"ref follow watch await stream/nats/internal/leader internal/edge internal/redact", "readers of a stream have no node in their process: what both sides agree on, and what readers need"},
	"stream/nats/publish":         {"node block ref follow await watch stream/nats stream/nats/internal/leader internal/edge internal/redact", "it publishes a node's blocks by the node's public face, as any other program could: a node knows nothing of streams"},
	"stream/nats/internal/leader": {"", "one request to a server: what its messages are is not its business"},
	"stream/nats/server":          {"internal/edge", "a server, whatever is in its streams: who does not embed one needs none of it"},
	"examples/index":              {"da da/celestia follow follow/position", "an example has what its user has: public packages, and few of them"},
	"examples/stream":             {"ref await stream/nats", "an example has what its user has: public packages, and few of them"},
	"examples/engine":             {"block exec exec/grpc", "an example has what its user has: public packages, and few of them"},
	"internal/mutate":             {"", "it takes guards out of any package, and needs none of them to do so"},
	"cmd/headrace": {"node gossip stream/nats/... devnet/... await await/ethereum block da da/fault da/local da/celestia follow l1 l1/compact l1/ethereum internal/doctor internal/httpc internal/httpd internal/keyfile internal/page internal/redact telemetry watch",
		"the command line is one more user of the public packages: what it needs, a program that embeds a node needs too"},
}

// dependency says which of our packages may import the packages of somebody else's module.
type dependency struct{ path, only, why string }

var foreign = []dependency{
	{"github.com/coder/websocket/...", "internal/jsonrpc node devnet/proxy", "sockets are opened in one place per protocol"},
	{"github.com/gorilla/websocket/...", "l1/ethereum", "go-ethereum's RPC client dials with it"},
	{"github.com/cockroachdb/pebble/v2/...", "internal/store internal/disk/... internal/syncer/syncertest exec/kv exec/engineapi exec/evolve da/local", "whoever stores does it alone: nobody else may know the files"},
	{"github.com/celestiaorg/go-square/... github.com/celestiaorg/nmt/... github.com/celestiaorg/rsmt2d/... github.com/klauspost/reedsolomon/...", "internal/square", "Celestia's squares have one face here"},
	{"github.com/ethereum/go-ethereum/...", "l1/ethereum/... exec/engineapi devnet/... await/ethereum contracts", "go-ethereum is the far end of a socket, except where its processes are run"},
	{"github.com/holiman/uint256/...", "l1/ethereum exec/engineapi devnet/...", "numbers as go-ethereum's types have them"},
	{"github.com/golang-jwt/jwt/v5/...", "exec/engineapi da/celestia", "only these two protocols carry such tokens"},
	{"github.com/gofrs/flock/...", "devnet/program", "what is obtained once is obtained by one process at a time"},
	{"google.golang.org/protobuf/...", "block exec/grpc/... exec/internal/gen exec/evolve/evgrpc/... internal/evrpc", "only these wire formats are protobuf"},
	{"google.golang.org/grpc/... google.golang.org/genproto/googleapis/rpc/...", "exec/grpc/... exec/evolve/evgrpc/evnodev1 exec/evolve/evolvetest telemetry", "gRPC is the transport of an engine, and of a collector of traces, and its own library is what an executor may be served by"},
	{"connectrpc.com/connect/... connectrpc.com/grpcreflect/...", "exec/evolve/evgrpc exec/evolve/evolvetest internal/evrpc", "the protocol of Evolve's executors, and of what its tools ask for"},
	{"github.com/bufbuild/protocompile/...", "exec/internal/gen", "the proto file is compiled where its code is generated"},
	{"github.com/decred/dcrd/dcrec/secp256k1/v4/...", "block", "signatures are a part of the block format"},
	{"filippo.io/edwards25519", "block", "signatures are a part of the block format"},
	{"filippo.io/age/...", "internal/keyfile", "one format of encrypted keys"},
	{"github.com/prometheus/client_golang/... go.opentelemetry.io/otel/... github.com/go-logr/logr", "telemetry", "parts are observed through structs of funcs, and the node through its own; what those tell, one package turns into figures"},
	{"github.com/spf13/cobra/... github.com/spf13/pflag/... github.com/knadh/koanf/... golang.org/x/term/...", "cmd/headrace", "flags, files and terminals are the command's; a package takes a struct"},
	{"golang.org/x/crypto/...", "block exec/kv internal/keyfile", "hashes and ciphers belong to the formats that use them"},
	{"golang.org/x/time/...", "da/celestia da/local node", "rates are limited where strangers are served"},
	{"github.com/klauspost/compress/...", "internal/store internal/jsonrpc da/celestia l1/compact", "compression belongs to a store's or a wire's format"},
	{"github.com/libp2p/go-libp2p/... github.com/libp2p/go-libp2p-pubsub/... github.com/multiformats/go-multiaddr/... github.com/marcopolo/simnet/... golang.org/x/sync/...", "gossip", "peers are reached in one place: who does not gossip needs none of it"},
	{"github.com/nats-io/... github.com/synadia-io/orbit.go/...", "stream/nats/... examples/stream", "a stream is written and read in one place: who has none needs none of it"},
	{"modernc.org/sqlite", "examples/stream", "it is there to show what a user's own store is"},
	{"github.com/cenkalti/backoff/v5/...", "follow", "there is one way to back off"},
}

// light are the packages that need no module of others, neither themselves nor by way of what they import: who uses
// one gets nothing else with it.
var light = []struct{ name, why string }{
	{"ref", "everyone names blocks with it"},
	{"watch", "everyone waits with it"},
	{"follow", "what keeps a sink in step is of use to any chain, whatever it is written with"},
	{"await", "waiting for a height needs no Ethereum client: await/ethereum has what does"},
}

// purity says which parts of the standard library a package does without.
type purity struct{ name, never, why string }

var pure = []purity{
	{"internal/derive", "os net/... time io/fs syscall math/rand math/rand/v2 crypto/rand", "the blocks are a function of the items alone (I3): no I/O, no clock, no chance"},
	{"watch", "os net/... syscall", "it is a value and a lock"},
	{"follow", "os net/... syscall", "sockets and files are its source's and its sink's"},
	{"internal/syncer", "os net/... syscall", "sockets are below it and files are the store's"},
	{"da", "os net/... syscall", "a contract does nothing"},
	{"exec", "os net/... syscall", "a contract does nothing"},
}

// oneFile says in which file of node alone a package may be known.
var oneFile = map[string]string{
	"da/celestia":    "da.go",
	"l1/ethereum":    "l1.go",
	"exec/engineapi": "engine.go",
	"exec/grpc":      "engine.go",
	"exec/evolve":    "engine.go",

	"exec/evolve/evgrpc": "engine.go",
	"internal/evrpc":     "evolverpc.go",
}

// since1970 names the files that make a number of a time, and what they do with it. It has no monotonic clock in it: a
// machine's clock that is put right by a day would make what is measured by such a number a day old, or of tomorrow.
// What happened last for others to look at is a moment.Last; all else is a time.Time.
var since1970 = map[string]string{
	"block/genesis.go":                         "the start of a chain, as it is written",
	"da/local/seal.go":                         "the time of a block, as it is stored",
	"exec/exectest/exectest.go":                "the time of a block",
	"exec/evolve/evolvetest/evolvetest.go":     "the time of a block",
	"internal/sequencer/clock.go":              "the time of a block",
	"internal/sequencer/mark.go":               "compared with what the file system wrote",
	"internal/syncer/produce.go":               "the time of a block",
	"internal/syncer/syncertest/syncertest.go": "the start of a chain",
	"node/upstream.go":                         "the start of a chain",
	"telemetry/export.go":                      "shown to others",
	"telemetry/status.go":                      "shown to others",
}
