package celestia

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"headrace/internal/jsonrpc"
	"headrace/internal/square"
)

// fixed is a method without parameters whose answer costs nothing.
func fixed(level Level, f func() any) jsonrpc.Method {
	return jsonrpc.Method{Level: level, Bind: func(*jsonrpc.Args) jsonrpc.Run {
		return func(context.Context) (any, error) { return f(), nil }
	}}
}

func (h *Handler) nodeMethods(m map[string]jsonrpc.Method) {
	m["node.Ready"] = fixed(Read, func() any { return true })
	info := jsonrpc.Raw(`{"type":"Bridge","api_version":""}`)
	if h.opt.OldAPI {
		info = jsonrpc.Raw(`{"type":1,"api_version":""}`)
	}
	m["node.Info"] = fixed(Admin, func() any { return info })
	m["node.AuthVerify"] = one(Admin, "string", func(_ context.Context, token string) (any, error) {
		return verifyToken(h.tokens, token)
	})
	m["node.AuthNew"] = one(Admin, "[]auth.Permission", func(_ context.Context, names few[string]) (any, error) {
		return h.newToken(names, 0)
	})
	m["node.AuthNewWithExpiry"] = two(Admin, "[]auth.Permission", "time.Duration", func(_ context.Context, names few[string], lifetime time.Duration) (any, error) {
		return h.newToken(names, lifetime)
	})
	m["node.LogLevelSet"] = two(Admin, "string", "string", func(_ context.Context, _, level string) (any, error) {
		if !slices.Contains([]string{"debug", "info", "warn", "error", "dpanic", "panic", "fatal"}, strings.ToLower(level)) {
			return nil, fmt.Errorf("unrecognized level: %q", level)
		}
		return nil, nil // there are none of a node's loggers here
	})
	m["das.SamplingStats"] = fixed(Read, func() any {
		head := strconv.FormatUint(h.chain.Head().Load().Height, 10)
		return jsonrpc.Raw(`{"head_of_sampled_chain":` + head + `,"head_of_catchup":` + head + `,"network_head_height":` + head + `,"concurrency":0,"catch_up_done":true,"is_running":true}`)
	})
	m["das.WaitCatchUp"] = fixed(Read, func() any { return nil })
}

func (h *Handler) newToken(names []string, lifetime time.Duration) (any, error) {
	level := Public
	for _, n := range names {
		l, err := ParseLevel(n)
		if err != nil {
			return nil, err
		}
		level = max(level, l)
	}
	return NewToken(h.tokens, level, lifetime)
}

const nothing = `{"denom":"utia","amount":"0"}`

// stateMethods are those that read. The dev chain has one account, and moves no money.
func (h *Handler) stateMethods(m map[string]jsonrpc.Method) {
	balance := `{"denom":"utia","amount":"999999999661"}`
	if h.opt.Poor {
		balance = nothing
	}
	m["state.AccountAddress"] = fixed(Read, func() any { return square.AccountAddress })
	m["state.Balance"] = fixed(Read, func() any { return jsonrpc.Raw(balance) })
	m["state.BalanceForAddress"] = one(Read, "state.Address", func(_ context.Context, of address) (any, error) {
		if string(of) != square.AccountAddress {
			return jsonrpc.Raw(nothing), nil
		}
		return jsonrpc.Raw(balance), nil
	})
	unsupported := func(context.Context) (any, error) {
		return nil, errors.New("this development server moves no money: post blobs by blob.Submit")
	}
	m["state.Transfer"] = jsonrpc.Method{Params: 3, Level: Write, Bind: func(*jsonrpc.Args) jsonrpc.Run { return unsupported }}
	m["state.SubmitPayForBlob"] = jsonrpc.Method{Params: 2, Level: Write, Bind: func(a *jsonrpc.Args) jsonrpc.Run {
		_ = jsonrpc.Arg[[]libraryBlob](a, "[]*share.Blob")
		return unsupported
	}}
}

// libraryBlob is a blob in a request as Celestia's own library writes one.
type libraryBlob struct{}

func (*libraryBlob) UnmarshalJSON(data []byte) error { return square.CheckLibraryJSON(data) }

// address is an account's address in a request.
type address string

func (a *address) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, (*string)(a)); err != nil {
		return err
	}
	if err := square.CheckAddress(string(*a)); err != nil {
		return fmt.Errorf("address must be a valid account or validator address: %w", err)
	}
	return nil
}

// peerID is the name of the node that the server stands for, as libp2p writes one: of an Ed25519 key that nobody has.
const peerID = "12D3KooWLdLaSCp47PrE8ffEUR4h9KWUYnvggnWkqT3rF4iZ6Uqu"

// peer is a peer's name in a request: the names of Ed25519 and RSA keys begin so, and are in base 58.
type peer string

const base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

func (p *peer) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, (*string)(p)); err != nil {
		return err
	}
	known := strings.HasPrefix(string(*p), "12D3KooW") || strings.HasPrefix(string(*p), "Qm")
	if !known || strings.Trim(string(*p), base58) != "" { // it goes into answers as it is
		return errors.New("failed to parse peer ID: invalid cid: cid too short")
	}
	return nil
}

// p2pMethods are those that read. A server of one chain has no peers, listens for none, and moves no bytes to any.
func p2pMethods(m map[string]jsonrpc.Method) {
	const bandwidth = `{"TotalIn":0,"TotalOut":0,"RateIn":0,"RateOut":0}`
	const resources = `{"NumStreamsInbound":0,"NumStreamsOutbound":0,"NumConnsInbound":0,"NumConnsOutbound":0,"NumFD":0,"Memory":0}`
	for name, answer := range map[string]string{
		"Info":             `{"ID":"` + peerID + `","Addrs":["/ip4/127.0.0.1/tcp/0"]}`,
		"Peers":            `[]`,
		"NATStatus":        `0`,
		"BandwidthStats":   bandwidth,
		"ResourceState":    `{"System":` + resources + `,"Transient":` + resources + `,"Services":{},"Protocols":{},"Peers":{}}`,
		"ListBlockedPeers": `[]`,
	} {
		m["p2p."+name] = fixed(Admin, func() any { return jsonrpc.Raw(answer) })
	}
	of := func(params int, answer string) jsonrpc.Method {
		m := one(Admin, "peer.ID", func(_ context.Context, id peer) (any, error) {
			return jsonrpc.Raw(strings.ReplaceAll(answer, "$ID", string(id))), nil
		})
		m.Params = params // those behind it make no difference
		return m
	}
	m["p2p.PeerInfo"] = of(1, `{"ID":"$ID","Addrs":[]}`)
	m["p2p.Connectedness"] = of(1, `0`)
	m["p2p.IsProtected"] = of(2, `false`)
	m["p2p.BandwidthForPeer"] = of(1, bandwidth)
	text := func(answer string) jsonrpc.Method {
		return one(Admin, "string", func(context.Context, string) (any, error) { return jsonrpc.Raw(answer), nil })
	}
	m["p2p.BandwidthForProtocol"] = text(bandwidth)
	m["p2p.PubSubPeers"] = text(`[]`)
}
