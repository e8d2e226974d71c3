package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"headrace/internal/httpc"
	"headrace/internal/redact"
	"headrace/node"
)

// ErrNoPassphrase is what Options.Key returns where the passphrase was not given.
var ErrNoPassphrase = errors.New("no passphrase was given")

// home is what needs no network but the node's own address.
func (d *doctor) home() *patient {
	return &patient{checks: []check{
		{name: "config", run: d.checkConfig},
		{name: "genesis", run: d.checkGenesis},
		{name: "namespaces", needs: []string{"config", "genesis"}, run: d.checkNamespaces},
		{name: "home", run: d.checkHome},
		{name: "store", needs: []string{"namespaces", "home"}, run: d.checkStore},
		{name: "key", needs: []string{"config", "genesis"}, run: d.checkKey},
		{name: "disk", needs: []string{"home"}, run: d.checkDisk},
		{name: "space", needs: []string{"home"}, run: d.checkSpace},
		{name: "tls", needs: []string{"config"}, run: d.checkTLS},
		{name: "descriptors", needs: []string{"config"}, run: d.checkDescriptors},
		{name: "node", needs: []string{"config", "genesis", "tls"}, run: d.checkNode},
	}}
}

// byCause is what to do about a failure of the machine, or else what fits any other one.
func byCause(err error, otherwise string) string {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "run it as the user that the node runs as, or give this one the right"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free space: a node that cannot write stops until it can"
	case errors.Is(err, syscall.EROFS):
		return "mount it for writing"
	}
	return otherwise
}

func (d *doctor) checkConfig(context.Context) (f *finding) {
	config, err := d.opt.Config()
	if errors.Is(err, fs.ErrNotExist) {
		return fail(makeHome, "%v", err)
	}
	if err != nil {
		return fail(byCause(err, "mend config.yaml, the environment or the flags; headrace start --help lists the settings"), "%v", err)
	}
	d.config = config
	switch {
	case config.Sequencer.Enabled:
		return ok("a sequencer's")
	case config.IsReplica():
		return ok("a replica's")
	}
	return ok("a full node's")
}

func (d *doctor) checkGenesis(context.Context) *finding {
	genesis, err := d.opt.Genesis()
	const remedy = "copy the genesis.json that all nodes of the chain have into the home"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(remedy+"; one that has no config.yaml either is made with headrace init", "%v", err)
	case err != nil:
		return fail(byCause(err, remedy), "%v", err)
	}
	d.genesis = genesis
	return ok("chain %q", genesis.ChainID)
}

// checkNamespaces compares what the configuration says of the source with the genesis.
func (d *doctor) checkNamespaces(context.Context) *finding {
	if d.config.IsReplica() {
		return ok("none is read: this home is a replica's")
	}
	if g := d.genesis.L1; g != nil {
		switch c := &d.config.L1; {
		case len(c.WS)+len(c.HTTP) == 0:
			return fail("set l1.ws, l1.http or both to an Ethereum node of that chain", "the genesis names an inbox on the L1 with chain id %d, and no endpoint of it is set", g.ChainID)
		case c.Blobs && len(c.Beacon) == 0:
			return fail("set l1.beacon to the beacon API of a consensus node of the L1", "l1.blobs puts proposals into blobs, and no beacon API is set that they could be read from")
		}
		return ok("inbox %s on the L1 with chain id %d", g.Inbox, g.ChainID)
	}
	header, data, err := d.config.Namespaces(d.genesis)
	if err != nil {
		return fail("the genesis names the chain's namespaces: leave da.header_namespace and da.data_namespace out; only for a genesis without, set them as the chain's other nodes have them", "%v", err)
	}
	return ok("headers in %s, data in %s", header, data)
}

func (d *doctor) checkHome(context.Context) *finding {
	info, err := os.Stat(d.opt.Home)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(makeHome, "%s is not there", d.opt.Home)
	case err != nil:
		return fail(byCause(err, makeHome), "%v", err)
	case !info.IsDir():
		return fail("name a directory with --home", "%s is a file", d.opt.Home)
	}
	return ok("%s", d.opt.Home)
}

// makeHome is what to do where no home is.
const makeHome = "make one with headrace init, or name another with --home"

// checkStore looks whose store the home has, and how far it is.
func (d *doctor) checkStore(context.Context) *finding {
	at, err := node.Peek(node.Options{Home: d.opt.Home, Genesis: d.genesis, Config: d.config})
	switch {
	case errors.Is(err, node.ErrDamaged):
		return fail("stop the node and run: headrace repair --home "+d.opt.Home, "%v", err)
	case err != nil:
		return fail(byCause(err, "use the genesis and the namespaces that the home was made with, or another home"), "%v", err)
	}
	d.at = at
	if !at.There {
		return ok("no node has run here yet: the source is read from height %d on", at.Position.Height+1)
	}
	return ok("on the disk the source has been applied up to height %d: a node that runs may be further", at.Position.Height)
}

// checkKey compares the key that signs blocks with the proposer that the genesis names.
func (d *doctor) checkKey(ctx context.Context) *finding {
	if !d.config.Sequencer.Enabled {
		return nil
	}
	key, err := d.opt.Key(ctx, d.config)
	switch {
	case errors.Is(err, ErrNoPassphrase):
		return warn("set sequencer.passphrase_file, or HEADRACE_PASSPHRASE, as for headrace start", "the key was not compared with the proposer: %v", err)
	case err != nil:
		return fail(byCause(err, "a sequencer needs sequencer.key_file and its passphrase"), "%v", err)
	}
	if own := key.Public().Address(); !bytes.Equal(own, d.genesis.ProposerAddress) {
		return fail("put the key of that proposer at sequencer.key_file; without it the node can only follow: sequencer.enabled false", "its address is %x, and the genesis names the proposer %x", own, d.genesis.ProposerAddress)
	}
	return ok("it is the proposer's")
}

// slowSync is what a write may take to be on the disk. A sequencer waits for it with each block.
const slowSync = 100 * time.Millisecond

// checkDisk measures how long a small write takes until it is on the disk.
func (d *doctor) checkDisk(ctx context.Context) *finding {
	const remedy = "the node must be able to write to its home: free space, mount it for writing, or run as the home's owner"
	f, err := os.CreateTemp(d.opt.Home, ".headrace-doctor-*")
	if err != nil {
		return fail(byCause(err, remedy), "make a file in the home: %v", err)
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	var took []time.Duration
	for ctx.Err() == nil && len(took) < 16 {
		began := time.Now()
		_, err := f.Write(make([]byte, 4<<10))
		if err == nil {
			err = d.opt.Sync(f)
		}
		if err != nil {
			return fail(byCause(err, remedy), "write to the home: %v", err)
		}
		took = append(took, time.Since(began))
	}
	typical, worst := percentiles(took)
	if typical > slowSync {
		return warn("put the home on a local SSD: commits wait for the disk", "a write takes %s to be on the disk, at worst %s", round(typical), round(worst))
	}
	return ok("a write takes %s to be on the disk, at worst %s", round(typical), round(worst))
}

// percentiles returns the median and the 99th percentile, which of less than a hundred is the largest.
func percentiles(of []time.Duration) (p50, p99 time.Duration) {
	if len(of) == 0 {
		return 0, 0
	}
	of = slices.Sorted(slices.Values(of))
	return of[(len(of)-1)/2], of[(len(of)-1)*99/100+min(1, (len(of)-1)*99%100)]
}

// round leaves two or three digits of a duration.
func round(d time.Duration) time.Duration {
	for unit := time.Microsecond; ; unit *= 10 {
		if d < 100*unit || unit >= time.Second {
			return d.Round(unit)
		}
	}
}

// The free space below which a node is warned, and is about to stop.
const (
	littleSpace = 2 << 30
	leastSpace  = 256 << 20
)

func (d *doctor) checkSpace(context.Context) *finding {
	const remedy = "free some, or move the home: a node that cannot write stops until it can"
	n, err := d.opt.Free(d.opt.Home)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return skip("free space is not known on this system")
	case err != nil:
		return skip("free space is not known: %v", err)
	case n < leastSpace:
		return fail(remedy, "%d MiB are free", n>>20)
	case n < littleSpace:
		return warn(remedy, "%d MiB are free", n>>20)
	}
	return ok("%d GiB are free", n>>30)
}

// checkNode asks whoever listens at the node's own address.
func (d *doctor) checkNode(ctx context.Context) *finding {
	const busy = "stop that program, or set http.address to another port"
	host, port, err := net.SplitHostPort(d.config.HTTP.Address)
	if err != nil || port == "0" {
		return ok("http.address has a port that is chosen at the start: a node that runs is not looked for")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if d.cert != nil {
		scheme = "https"
	}
	address := scheme + "://" + net.JoinHostPort(host, port)
	status, err := d.askNode(ctx, address)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return ok("none runs at %s", address)
	case errors.Is(err, errNoNode):
		return fail(busy, "%s: %v", address, err)
	case err != nil:
		return warn("headrace status --node says more", "%s: %v", address, err)
	case status.ChainID != d.genesis.ChainID:
		return fail(busy, "%s is a node of the chain %q", address, status.ChainID)
	case !status.Ready:
		return warn("headrace status says what it waits for", "it runs, and is not ready: %s", status.Reason)
	}
	return ok("it runs, and is ready")
}

var errNoNode = errors.New("another program listens there")

// askNode asks a node for the part of its status that is of interest.
func (d *doctor) askNode(ctx context.Context, address string) (status struct {
	ChainID string `json:"chain_id"`
	Ready   bool   `json:"ready"`
	Reason  string `json:"reason"`
}, err error) {
	client := httpc.New(httpc.Options{TLS: d.ownCert()})
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/v1/status", nil)
	if err != nil {
		return status, redact.Error(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		if strings.Contains(err.Error(), "malformed HTTP") {
			return status, fmt.Errorf("%w, which speaks no HTTP", errNoNode)
		}
		return status, redact.Error(err)
	}
	defer resp.Body.Close()
	err = json.NewDecoder(io.LimitReader(resp.Body, 16<<20)).Decode(&status)
	if resp.StatusCode != http.StatusOK || err != nil || status.ChainID == "" {
		return status, fmt.Errorf("%w: it answered %s", errNoNode, resp.Status)
	}
	return status, nil
}
