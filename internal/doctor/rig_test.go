package doctor_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"headrace/block"
	"headrace/da"
	"headrace/da/celestia"
	"headrace/da/fault"
	"headrace/devnet"
	"headrace/internal/disk/disktest"
	"headrace/internal/doctor"
	"headrace/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret signs the tokens of the DA layers.
var secret = []byte("planted secret of the DA layer's tokens")

func token(t *testing.T, level celestia.Level) string {
	t.Helper()
	text, err := celestia.NewToken(secret, level, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// goRun calls run in the background until the test ends, or the function returned is called.
func goRun(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // run's result
	go func() { ended <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// interval is the block time of the DA layers here.
const interval = 200 * time.Millisecond

// daLayer runs a DA layer that has some blocks.
func daLayer(t *testing.T, opt devnet.DAOptions) *devnet.DA {
	t.Helper()
	opt.Listen = "127.0.0.1:0"
	if opt.Chain.Interval == 0 {
		opt.Chain.Interval = interval
	}
	d, err := devnet.NewDA(opt)
	if err != nil {
		t.Fatal(err)
	}
	for range 12 {
		if _, err := d.Chain().Produce(); err != nil {
			t.Fatal(err)
		}
	}
	goRun(t, d.Run)
	return d
}

// ward is whom the doctor looks at: a sequencer, or a full node, of a chain on a DA layer.
type ward struct {
	*testing.T
	da      *devnet.DA
	faults  *fault.Set
	config  node.Config
	genesis *block.Genesis
	key     *block.PrivateKey
	opt     doctor.Options
}

func newWard(t *testing.T, sequencer bool, handler celestia.HandlerOptions) *ward {
	t.Helper()
	w := &ward{T: t, faults: new(fault.Set), config: node.Default(), key: newKey(t)}
	handler.Secret, handler.Faults = secret, w.faults
	w.da = daLayer(t, devnet.DAOptions{Handler: handler})
	level := celestia.Read
	if sequencer {
		level = celestia.Write
	}
	w.config.DA.Address, w.config.DA.Token = node.At(w.da.URL()), token(t, level)
	w.config.HTTP.Address = "127.0.0.1:0"
	w.config.Sequencer.Enabled = sequencer
	w.genesis = genesisOf("ward", w.key)
	w.opt = w.options()
	return w
}

func (w *ward) options() doctor.Options {
	return doctor.Options{
		Home:    w.TempDir(),
		Config:  func() (node.Config, error) { return w.config, w.config.Validate() },
		Genesis: func() (*block.Genesis, error) { return w.genesis, nil },
		Key:     func(context.Context, node.Config) (*block.PrivateKey, error) { return w.key, nil },
	}
}

func newKey(t *testing.T) *block.PrivateKey {
	t.Helper()
	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func genesisOf(id string, key *block.PrivateKey) *block.Genesis {
	return &block.Genesis{
		ChainID: id, StartTime: time.Now().UTC(), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: id + "-headers", DataNamespace: id + "-data"},
	}
}

// headers is the namespace of the chain's headers.
func (w *ward) headers() da.Namespace {
	w.Helper()
	header, _, err := w.config.Namespaces(w.genesis)
	if err != nil {
		w.Fatal(err)
	}
	return header
}

// fault puts one in force.
func (w *ward) fault(f fault.Fault) {
	w.Helper()
	if _, err := w.faults.Add(f); err != nil {
		w.Fatal(err)
	}
}

// run runs the ward's node until it has followed the DA layer to a height.
func (w *ward) run(height uint64, change func(*node.Options)) {
	w.Helper()
	o := node.Options{Home: w.opt.Home, Genesis: w.genesis, Config: w.config, Key: w.key}
	if change != nil {
		change(&o)
	}
	n, err := node.New(o)
	if err != nil {
		w.Fatal(err)
	}
	stop := goRun(w.T, n.Run)
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute) // only for a test that hangs
	defer cancel()
	if s, err := n.Status().Wait(ctx, func(s node.Status) bool { return s.Source.Position.Height >= height }); err != nil {
		w.Fatalf("%v: %+v", err, s)
	}
	stop()
}

// examine returns the report as it is and as text, in which nothing planted may be.
func examine(t *testing.T, opt doctor.Options) (doctor.Report, string) {
	t.Helper()
	r := doctor.Examine(t.Context(), opt)
	var text bytes.Buffer
	if err := r.Write(&text); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "planted") || strings.Contains(text.String(), "eyJ") {
		t.Errorf("got a secret in\n%s", text.String())
	}
	return r, text.String()
}

// healthy fails the test unless all is well, and each of these checks was made.
func healthy(t *testing.T, opt doctor.Options, checks ...string) {
	t.Helper()
	before := disktest.Tree(t, opt.Home)
	r, text := examine(t, opt)
	if r.Warn != 0 || r.Fail != 0 || r.Skip != 0 {
		t.Errorf("got\n%s", text)
	}
	for _, name := range checks {
		if !slices.ContainsFunc(r.Lines, func(l doctor.Line) bool { return l.Check == name }) {
			t.Errorf("got no check %s in\n%s", name, text)
		}
	}
	if after := disktest.Tree(t, opt.Home); after != before {
		t.Errorf("got a home that was changed:\n%s\nwas\n%s", after, before)
	}
}

// want is what a misconfiguration must be told as.
type want struct {
	check  string
	state  doctor.State
	text   string // a part of it
	remedy string // a part of it
}

// finds fails the test unless the doctor finds exactly what is wrong, and nothing else.
func finds(t *testing.T, opt doctor.Options, w want) {
	t.Helper()
	r, text := examine(t, opt)
	found := 0
	for _, l := range r.Lines {
		switch {
		case l.State == doctor.OK || l.State == doctor.Skipped:
		case l.Check != w.check || l.State != w.state || !strings.Contains(l.Text, w.text) || !strings.Contains(l.Remedy, w.remedy) || l.Remedy == "":
			t.Errorf("got %+v, want only %+v", l, w)
		default:
			found++
		}
	}
	if found != 1 {
		t.Errorf("got it %d times, want %+v once, in\n%s", found, w, text)
	}
}
