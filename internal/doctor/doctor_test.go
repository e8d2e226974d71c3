package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"headrace/block"
	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/internal/doctor"
	"headrace/node"
)

// everywhere are the checks that each chain on a DA layer has.
var everywhere = []string{"config", "genesis", "namespaces", "home", "store", "disk", "space", "descriptors", "node", "reachable", "token", "network", "synced", "history", "links", "news", "clock", "latency"}

// TestHealthy: nothing is found where nothing is wrong: before a node has run, and beside one that runs.
func TestHealthy(t *testing.T) {
	t.Parallel()
	for _, sequencer := range []bool{true, false} {
		t.Run(map[bool]string{true: "sequencer", false: "full node"}[sequencer], func(t *testing.T) {
			t.Parallel()
			w := newWard(t, sequencer, celestia.HandlerOptions{})
			checks := everywhere
			if sequencer {
				checks = append([]string{"key", "funds"}, everywhere...)
			}
			healthy(t, w.opt, checks...)
			w.run(10, nil)
			healthy(t, w.opt, checks...)
		})
	}
}

// TestNetworkNotKnown: an endpoint that is behind what the node has applied is not called one of the node's chain, and what
// else can be told of it is.
func TestNetworkNotKnown(t *testing.T) {
	t.Parallel()
	w := newWard(t, true, celestia.HandlerOptions{})
	w.run(3, nil)
	at, err := node.Peek(node.Options{Home: w.opt.Home, Genesis: w.genesis, Config: w.config})
	if err != nil {
		t.Fatal(err)
	}
	w.fault(fault.Fault{Kind: fault.Syncing, From: at.Position.Height - 1})
	r, text := examine(t, w.opt)
	told := false
	for _, l := range r.Lines {
		switch l.Check {
		case "network":
			told = l.State == doctor.Skipped && strings.Contains(l.Text, "cannot be told before it is there")
		case "history", "links":
			if l.State != doctor.OK {
				t.Errorf("got %+v, want it looked at all the same", l)
			}
		}
	}
	if !told {
		t.Errorf("got\n%s\nwant that the network is not known", text)
	}
}

// TestBesideANode: the home is its node's, and is looked at all the same.
func TestBesideANode(t *testing.T) {
	t.Parallel()
	w := newWard(t, true, celestia.HandlerOptions{})
	w.config.HTTP.Address = freeAddress(t)
	n, err := node.New(node.Options{Home: w.opt.Home, Genesis: w.genesis, Config: w.config, Key: w.key})
	if err != nil {
		t.Fatal(err)
	}
	goRun(t, n.Run)
	if _, err := n.Wait(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	r, text := examine(t, w.opt)
	if r.Warn != 0 || r.Fail != 0 || r.Skip != 0 || !strings.Contains(text, "it runs, and is ready") || !strings.Contains(text, "the source has been applied up to height") {
		t.Errorf("got\n%s", text)
	}
	before := n.Status().Load().Heads.Safe.Height
	if _, err := n.Wait(t.Context(), before+3); err != nil {
		t.Errorf("the node does not go on: %v", err)
	}
}

// freeAddress returns an address of the loopback that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestPlanted: each thing that can be wrong is found, is named with its remedy, and makes nothing else fail.
func TestPlanted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		full    bool
		handler celestia.HandlerOptions
		plant   func(*ward)
		want    want
	}{
		"a setting that makes no sense": {plant: func(w *ward) {
			w.config.DA.Level = "believe"
		}, want: want{"config", doctor.Fail, "da.level", "config.yaml"}},
		"a log level of no module": {plant: func(w *ward) {
			w.config.Log.Level = "info,folow=debug"
		}, want: want{"config", doctor.Fail, `log.level names a module "folow"`, "config.yaml"}},
		"a log of some blocks": {plant: func(w *ward) {
			w.config.Log.Blocks = "some"
		}, want: want{"config", doctor.Fail, `log.blocks "some"`, "config.yaml"}},
		"few descriptors": {plant: func(w *ward) {
			w.opt.Descriptors = func() (uint64, error) { return 1024, nil }
		}, want: want{"descriptors", doctor.Warn, "1024 descriptors here, and http.max_connections, the store and the engine need 1440", "LimitNOFILE"}},
		"hardly any descriptors": {plant: func(w *ward) {
			w.opt.Descriptors = func() (uint64, error) { return 200, nil }
		}, want: want{"descriptors", doctor.Fail, "a node needs 256 at the least", "LimitNOFILE"}},
		"no genesis": {plant: func(w *ward) {
			w.opt.Genesis = func() (*block.Genesis, error) { return nil, os.ErrNotExist }
		}, want: want{"genesis", doctor.Fail, "does not exist", "copy the genesis.json"}},
		"a configuration that may not be read": {plant: func(w *ward) {
			w.opt.Config = func() (node.Config, error) { return node.Config{}, fmt.Errorf("config.yaml: %w", os.ErrPermission) }
		}, want: want{"config", doctor.Fail, "permission denied", "run it as the user that the node runs as"}},
		"no configuration": {plant: func(w *ward) {
			w.opt.Config = func() (node.Config, error) { return node.Config{}, fmt.Errorf("config.yaml: %w", os.ErrNotExist) }
		}, want: want{"config", doctor.Fail, "does not exist", "make one with headrace init"}},
		"a genesis that may not be read": {plant: func(w *ward) {
			w.opt.Genesis = func() (*block.Genesis, error) { return nil, os.ErrPermission }
		}, want: want{"genesis", doctor.Fail, "permission denied", "run it as the user that the node runs as"}},
		"a home that is a file": {plant: func(w *ward) {
			w.opt.Home = filepath.Join(w.opt.Home, "file")
			if err := os.WriteFile(w.opt.Home, nil, 0o600); err != nil {
				w.Fatal(err)
			}
		}, want: want{"home", doctor.Fail, "is a file", "name a directory"}},
		"a key that may not be read": {plant: func(w *ward) {
			w.opt.Key = func(context.Context, node.Config) (*block.PrivateKey, error) { return nil, os.ErrPermission }
		}, want: want{"key", doctor.Fail, "permission denied", "run it as the user that the node runs as"}},
		"a disk to be read alone": {plant: func(w *ward) {
			w.opt.Sync = func(*os.File) error { return syscall.EROFS }
		}, want: want{"disk", doctor.Fail, "read-only", "mount it for writing"}},
		"namespaces beside the genesis'": {plant: func(w *ward) {
			w.config.DA.DataNamespace = "other-data"
		}, want: want{"namespaces", doctor.Fail, "differ from the genesis", "leave da.header_namespace"}},
		"no home": {plant: func(w *ward) {
			w.opt.Home = filepath.Join(w.opt.Home, "none")
		}, want: want{"home", doctor.Fail, "is not there", "headrace init"}},
		"the home of another chain": {plant: func(w *ward) {
			w.run(1, nil)
			w.genesis = genesisOf("another", w.key)
		}, want: want{"store", doctor.Fail, `its chain id is "ward", not "another"`, "the genesis and the namespaces that the home was made with"}},
		"a home with other namespaces": {plant: func(w *ward) {
			w.genesis.DA = nil
			w.config.DA.HeaderNamespace = "one"
			w.run(1, nil)
			w.config.DA.HeaderNamespace = "two"
		}, want: want{"store", doctor.Fail, "its source is", "the genesis and the namespaces that the home was made with"}},
		"a damaged store": {plant: func(w *ward) {
			w.run(1, nil)
			if err := os.WriteFile(filepath.Join(w.opt.Home, "store", "DAMAGED"), []byte("a block"), 0o600); err != nil {
				w.Fatal(err)
			}
		}, want: want{"store", doctor.Fail, "corrupt", "headrace repair --home"}},
		"another key": {plant: func(w *ward) {
			other := newKey(w.T)
			w.opt.Key = func(context.Context, node.Config) (*block.PrivateKey, error) { return other, nil }
		}, want: want{"key", doctor.Fail, "and the genesis names the proposer", "the key of that proposer"}},
		"no key": {plant: func(w *ward) {
			w.opt.Key = func(context.Context, node.Config) (*block.PrivateKey, error) {
				return nil, errors.New("there is no key file")
			}
		}, want: want{"key", doctor.Fail, "there is no key file", "sequencer.key_file"}},
		"no passphrase": {plant: func(w *ward) {
			w.opt.Key = func(context.Context, node.Config) (*block.PrivateKey, error) { return nil, doctor.ErrNoPassphrase }
		}, want: want{"key", doctor.Warn, "not compared", "HEADRACE_PASSPHRASE"}},
		"a key that takes for ever": {plant: func(w *ward) {
			w.opt.Timeout = time.Second
			w.opt.Key = func(ctx context.Context, _ node.Config) (*block.PrivateKey, error) {
				select {
				case <-w.Context().Done():
				case <-time.After(15 * time.Second): // so that the test ends, and fails, if it is waited for
				}
				return nil, ctx.Err()
			}
		}, want: want{"key", doctor.Fail, "did not end within 1s", "--timeout"}},
		"a full disk": {plant: func(w *ward) {
			w.opt.Sync = func(*os.File) error { return syscall.ENOSPC }
		}, want: want{"disk", doctor.Fail, "no space left", "free space"}},
		"a slow disk": {plant: func(w *ward) {
			w.opt.Sync = func(*os.File) error { time.Sleep(110 * time.Millisecond); return nil }
		}, want: want{"disk", doctor.Warn, "to be on the disk", "SSD"}},
		"little space": {plant: func(w *ward) {
			w.opt.Free = func(string) (uint64, error) { return 1 << 30, nil }
		}, want: want{"space", doctor.Warn, "1024 MiB are free", "free some"}},
		"no space": {plant: func(w *ward) {
			w.opt.Free = func(string) (uint64, error) { return 100 << 20, nil }
		}, want: want{"space", doctor.Fail, "100 MiB are free", "free some"}},
		"another program at the node's port": {plant: func(w *ward) {
			w.config.HTTP.Address = served(w.T, http.NotFoundHandler())
		}, want: want{"node", doctor.Fail, "another program listens there: it answered 404", "http.address"}},
		"another chain's node at the node's port": {plant: func(w *ward) {
			w.config.HTTP.Address = served(w.T, says(`{"chain_id":"stranger","ready":true}`))
		}, want: want{"node", doctor.Fail, `the chain "stranger"`, "http.address"}},
		"a node that is not ready": {plant: func(w *ward) {
			w.config.HTTP.Address = served(w.T, says(`{"chain_id":"ward","ready":false,"reason":"catching up"}`))
		}, want: want{"node", doctor.Warn, "not ready: catching up", "headrace status"}},
		"nobody listens": {plant: func(w *ward) {
			w.config.DA.Address = node.At("http://planted:planted@" + freeAddress(w.T) + "/planted")
		}, want: want{"reachable", doctor.Fail, "connection refused", "da.address must name a celestia-node"}},
		"nobody answers": {plant: func(w *ward) {
			w.opt.Timeout = time.Second
			w.config.DA.Address = node.At("http://" + blackHole(w.T))
		}, want: want{"reachable", doctor.Fail, "", "da.address must name a celestia-node"}},
		"no celestia-node": {plant: func(w *ward) {
			w.config.DA.Address = node.At("http://" + served(w.T, http.NotFoundHandler()))
		}, want: want{"reachable", doctor.Fail, "404", "da.address must name a celestia-node"}},
		"a node that limits": {plant: func(w *ward) {
			w.fault(fault.Fault{Kind: fault.RateLimited})
		}, want: want{"reachable", doctor.Fail, "slow down", "raise the limit"}},
		"no file of the token": {plant: func(w *ward) {
			w.config.DA.Address[0].TokenFile = "none"
		}, want: want{"reachable", doctor.Fail, "token_file", "the file of its token"}},
		"no token": {full: true, plant: func(w *ward) {
			w.config.DA.Token = ""
		}, want: want{"token", doctor.Fail, "it must allow to read", "celestia bridge auth read"}},
		"a token that is over": {plant: func(w *ward) {
			w.config.DA.Token, _ = celestia.NewToken(secret, celestia.Write, -time.Hour)
		}, want: want{"token", doctor.Fail, "it must allow to write", "celestia bridge auth write"}},
		"a token that only reads": {plant: func(w *ward) {
			w.config.DA.Token = token(w.T, celestia.Read)
		}, want: want{"token", doctor.Fail, "a sequencer needs one that allows to write", "celestia bridge auth write"}},
		"another network": {full: true, plant: func(w *ward) {
			w.run(8, nil)
			other := daLayer(w.T, devnet.DAOptions{Chain: local.Options{ChainID: "another"}})
			for other.Chain().Head().Load().Height < 200 {
				if _, err := other.Chain().Produce(); err != nil {
					w.Fatal(err)
				}
			}
			w.config.DA.Address = node.At(other.URL())
		}, want: want{"network", doctor.Fail, "and the node has applied", "of another network"}},
		"an endpoint that is behind": {full: true, plant: func(w *ward) {
			w.run(12, nil)
			w.fault(fault.Fault{Kind: fault.HeadBehind, Depth: w.da.Chain().Head().Load().Height - 5})
		}, want: want{"synced", doctor.Warn, "and the node has applied", "wait until it has caught up"}},
		"an endpoint that has forgotten": {plant: func(w *ward) {
			w.fault(fault.Fault{Kind: fault.BelowTail, To: 5})
		}, want: want{"history", doctor.Fail, "from 5 on, and the node needs 1", "archival"}},
		"data that is lost": {plant: func(w *ward) {
			if _, err := w.da.Chain().Submit(w.Context(), []da.Blob{{Namespace: w.headers(), Data: []byte("blob"), Index: -1}}); err != nil {
				w.Fatal(err)
			}
			w.genesis.DAStartHeight = w.da.Chain().Head().Load().Height
			w.fault(fault.Fault{Kind: fault.FalseEmpty})
		}, want: want{"history", doctor.Fail, "cannot be read", "an endpoint that keeps more"}},
		"a start that is not there": {plant: func(w *ward) {
			w.genesis.DAStartHeight = 1_000_000
		}, want: want{"history", doctor.Fail, "from height 1000000 on, and the head is", "da_start_height"}},
		"headers that do not link": {plant: func(w *ward) {
			head := w.da.Chain().Head().Load().Height
			w.fault(fault.Fault{Kind: fault.OtherChain, From: head - 4, To: head - 2})
		}, want: want{"links", doctor.Fail, "names the parent", "it mixes chains"}},
		"a chain that stands still": {plant: func(w *ward) {
			w.fault(fault.Fault{Kind: fault.Pause})
		}, want: want{"news", doctor.Fail, "no new height within", "another endpoint"}},
		"a subscription that is silent": {plant: func(w *ward) {
			w.fault(fault.Fault{Kind: fault.Stall})
		}, want: want{"news", doctor.Fail, "no new height within", "another endpoint"}},
		"no WebSocket": {plant: func(w *ward) {
			w.fault(fault.Fault{Kind: fault.NoSubscription})
		}, want: want{"news", doctor.Warn, "polling alone", "Upgrade"}},
		"a clock that is ahead": {plant: func(w *ward) {
			w.opt.Now = func() time.Time { return time.Now().Add(time.Hour) }
		}, want: want{"clock", doctor.Fail, "ahead", "NTP"}},
		"a clock that is behind": {plant: func(w *ward) {
			w.opt.Now = func() time.Time { return time.Now().Add(-time.Hour) }
		}, want: want{"clock", doctor.Fail, "behind", "NTP"}},
		"a clock that is a little ahead": {plant: func(w *ward) {
			w.opt.Now = func() time.Time { return time.Now().Add(30 * time.Second) }
		}, want: want{"clock", doctor.Warn, "ahead", "NTP"}},
		"an endpoint that is far away": {plant: func(w *ward) {
			w.fault(fault.Fault{Kind: fault.Latency, Delay: fault.Duration(700 * time.Millisecond)})
		}, want: want{"latency", doctor.Warn, "(p50)", "nearer"}},
		"an account with nothing": {handler: celestia.HandlerOptions{Poor: true}, plant: func(*ward) {}, want: want{"funds", doctor.Fail, "nothing to pay with", "send utia"}},
		"endpoints of two networks": {full: true, plant: func(w *ward) {
			other := daLayer(w.T, devnet.DAOptions{Chain: local.Options{ChainID: "another"}})
			w.config.DA.Address = append(w.config.DA.Address, node.At(other.URL())...)
		}, want: want{"agreement", doctor.Fail, `of "another"`, "take the other out"}},
		"one endpoint behind another": {full: true, plant: func(w *ward) {
			var faults fault.Set
			behind := celestia.NewHandler(w.da.Chain().View(&faults), celestia.HandlerOptions{Faults: &faults})
			if _, err := faults.Add(fault.Fault{Kind: fault.HeadBehind, Depth: 8}); err != nil {
				w.Fatal(err)
			}
			server := httptest.NewServer(behind)
			w.Cleanup(func() { _ = behind.Close(); server.Close() })
			w.config.DA.Address = append(w.config.DA.Address, node.At(server.URL)...)
		}, want: want{"agreement", doctor.Warn, "is at height", "passed over"}},
		"no engine": {plant: func(w *ward) {
			w.config.Engine.Kind, w.config.Engine.Address = "grpc", freeAddress(w.T)
		}, want: want{"engine", doctor.Fail, "connection refused", "start the engine"}},
		"no executor": {plant: func(w *ward) {
			w.config.Engine.Kind, w.config.Engine.Address = "evolve-grpc", "http://"+freeAddress(w.T)
		}, want: want{"engine", doctor.Fail, "connection refused", "start the executor"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWard(t, !c.full, c.handler)
			c.plant(w)
			finds(t, w.opt, c.want)
		})
	}
}

// served runs a web server until the test ends, and returns its host and port.
func served(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) })
}

// blackHole returns an address where connections are taken, and nothing is answered.
func blackHole(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// TestNothingIsPosted: a doctor of a sequencer posts nothing, whatever it asks.
func TestNothingIsPosted(t *testing.T) {
	t.Parallel()
	w := newWard(t, true, celestia.HandlerOptions{})
	examine(t, w.opt)
	head := w.da.Chain().Head().Load().Height
	header, data, err := w.config.Namespaces(w.genesis)
	if err != nil {
		t.Fatal(err)
	}
	for h := uint64(1); h <= head; h++ {
		for _, ns := range []da.Namespace{header, data} {
			if blobs, err := w.da.Chain().Blobs(h, ns); err != nil || len(blobs) > 0 {
				t.Errorf("height %d: got %d blobs, %v, want none", h, len(blobs), err)
			}
		}
	}
}
