package l1_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"headrace/block"
	"headrace/da/local"
	"headrace/devnet"
	"headrace/devnet/proxy"
	"headrace/follow"
	"headrace/l1"
	"headrace/node"
	"headrace/watch"
)

// event is one call of a function of a node's observer.
type event struct {
	name string // "Source.Applied"
	args []any
}

// observed is all that a node's observer was told, in order.
type observed struct{ watch.Value[[]event] }

// observer returns one whose every function writes down its call, whatever it is: so it has those that nobody knows
// of here.
func (r *observed) observer() (o node.Observer) {
	r.fill("", reflect.ValueOf(&o).Elem())
	return o
}

func (r *observed) fill(prefix string, of reflect.Value) {
	for i := range of.NumField() {
		field, kind := of.Field(i), of.Type().Field(i)
		switch {
		case kind.Anonymous:
			r.fill(prefix, field)
		case field.Kind() == reflect.Struct:
			r.fill(prefix+kind.Name+".", field)
		default: // a func, or this panics
			field.Set(reflect.MakeFunc(field.Type(), func(in []reflect.Value) []reflect.Value {
				e := event{name: prefix + kind.Name}
				for _, arg := range in {
					e.args = append(e.args, arg.Interface())
				}
				r.Update(func(all []event) []event { return append(all, e) })
				return nil
			}))
		}
	}
}

// names returns what there is to call: the functions, and Done with each step.
func names(t *testing.T) (all []string) {
	t.Helper()
	var walk func(prefix string, of reflect.Type)
	walk = func(prefix string, of reflect.Type) {
		for i := range of.NumField() {
			switch f := of.Field(i); {
			case f.Anonymous:
				walk(prefix, f.Type)
			case f.Type.Kind() == reflect.Struct:
				walk(prefix+f.Name+".", f.Type)
			default:
				all = append(all, prefix+f.Name)
			}
		}
	}
	walk("", reflect.TypeFor[node.Observer]())
	file, err := parser.ParseFile(token.NewFileSet(), "../../internal/syncer/syncer.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Type != nil {
			if kind, ok := v.Type.(*ast.Ident); ok && kind.Name == "Step" {
				all = append(all, "Done "+strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`))
			}
		}
		return true
	})
	return all
}

func (e event) String() string {
	if step, ok := e.arg(0).(node.Step); ok {
		return e.name + " " + string(step)
	}
	return e.name
}

func (e event) arg(i int) any {
	if i < 0 || i >= len(e.args) {
		return nil
	}
	return e.args[i]
}

// failed reports whether the last argument is an error.
func (e event) failed() bool { err, _ := e.arg(len(e.args) - 1).(error); return err != nil }

// until waits for an event.
func (r *observed) until(t *testing.T, what string, pred func(event) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := r.Wait(ctx, func(all []event) bool { return slices.ContainsFunc(all, pred) }); err != nil {
		t.Fatalf("not told of %s: %v", what, err)
	}
}

// called is an event of a request that succeeded.
func called(method string) func(event) bool {
	return func(e event) bool { return e.name == "Source.Called" && e.arg(0) == method && !e.failed() }
}

// check fails the test unless the events are those of a node that works, on the right edges.
func (r *observed) check(t *testing.T) {
	t.Helper()
	all := r.Load()
	modes := map[string]string{}
	done, stale := map[node.Step]bool{}, false // steps that have succeeded for the next block, or for the one that was applied last
	var items []follow.Ref                     // that the sink has
	for i, e := range all {
		if took, ok := e.arg(len(e.args) - 2).(time.Duration); ok && took < 0 {
			t.Errorf("%v took %s", e, took)
		}
		switch e.name {
		case "Done":
			if !e.failed() {
				step := e.args[0].(node.Step)
				if stale && (step == "execute" || step == "commit") { // blocks of one proposal are stored together
					done["execute"], done["commit"], stale = false, false, false
				}
				done[step] = true
			}
		case "Applied":
			a := e.args[0].(node.Applied)
			if !done["commit"] || !a.Promoted && !done["execute"] || a.Safe && !done["derive"] {
				t.Errorf("event %d: block %d is applied, and it was not derived, executed and committed before: %v", i, a.Ref.Height, done)
			}
			stale = true
		case "Source.Applied":
			at := e.args[0].(follow.Ref)
			if n := len(items); n > 0 && at.Height != items[n-1].Height+1 {
				t.Errorf("event %d: item %d is applied after %d", i, at.Height, items[n-1].Height)
			}
			items = append(items, at)
			done["derive"] = false
		case "Source.Reverted":
			n := len(items) - 1
			if n < 0 || e.args[0] != items[n] {
				t.Fatalf("event %d: item %v is reverted; the sink has %v", i, e.args[0], items)
			}
			items = items[:n]
		case "Reverted":
			if from, to := e.args[0].(uint64), e.args[1].(uint64); to > from || !done["commit"] {
				t.Errorf("event %d: blocks from %d down to %d are reverted", i, from, to)
			}
		case "Source.Mode":
			address, mode := e.args[0].(string), e.args[1].(string)
			if was := modes[address]; was == mode || (mode == "") != e.failed() {
				t.Errorf("event %d: the news of %s comes by %q after %q, because of %v", i, address, mode, was, e.args[2])
			}
			modes[address] = mode
		case "Source.Waiting":
			if e.args[0] == e.args[1] {
				t.Errorf("event %d: still %+v", i, e.args[0])
			}
		case "Source.Fetched":
			if e.args[0].(uint64) >= e.args[1].(uint64) {
				t.Errorf("event %d: got a fetch of [%d, %d)", i, e.args[0], e.args[1])
			}
		}
	}
	for address, mode := range modes {
		if mode != "" {
			t.Errorf("the news of %s comes by %s after the end", address, mode)
		}
	}
}

// TestObserver: each function of a node's observer is called, with each step, where the thing happens.
func TestObserver(t *testing.T) {
	told, ran := map[string]int{}, 0
	parts := map[string]func(*testing.T, *observed){"DA": observeDA, "L1": observeL1, "proposer": observeProposer, "execution client": observeClient}
	for name, run := range parts {
		t.Run(name, func(t *testing.T) {
			r := new(observed)
			run(t, r)
			r.check(t)
			ran++
			for _, e := range r.Load() {
				told[e.name]++
				if e.name == "Done" {
					told[e.String()]++
				}
			}
		})
	}
	for _, name := range names(t) {
		if told[name] == 0 && ran == len(parts) {
			t.Errorf("nobody has called %s, of %v", name, slices.Sorted(maps.Keys(told)))
		}
	}
}

// observeDA runs a sequencer whose DA layer goes away and comes back.
func observeDA(t *testing.T, r *observed) {
	d, err := devnet.NewDA(devnet.DAOptions{Listen: "127.0.0.1:0", Chain: local.Options{Interval: 50 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	link, err := proxy.New(strings.TrimPrefix(d.URL(), "http://"), 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { _ = d.Run(ctx) })
	work.Go(func() { _ = link.Run(ctx) })
	link.Cut(true)

	key, err := block.GenerateKey(block.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	o := node.Options{Home: t.TempDir(), Config: node.Default(), Key: key, Observer: r.observer(), Genesis: &block.Genesis{
		ChainID: "observed", StartTime: time.Now().UTC(), InitialHeight: 1, DAStartHeight: 1, ProposerAddress: key.Public().Address(),
		DA: &block.GenesisDA{HeaderNamespace: "observed-headers", DataNamespace: "observed-data"},
	}}
	o.Config.DA.Address, o.Config.DA.Level = node.At("http://"+link.Address()), "prove"
	o.Config.HTTP.Address = "127.0.0.1:0"
	o.Config.Sequencer.Enabled, o.Config.Sequencer.BlockTime = true, 50*time.Millisecond
	n, err := node.New(o)
	if err != nil {
		t.Fatal(err)
	}
	work.Go(func() {
		if err := n.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	subscribing := func(w any) bool { return w.(follow.Waiting).Stage == follow.StageSubscribe }
	r.until(t, "a subscription that fails", func(e event) bool { return e.name == "Source.Waiting" && subscribing(e.args[1]) })
	link.Cut(false)
	r.until(t, "one that does not any more", func(e event) bool {
		return e.name == "Source.Waiting" && subscribing(e.args[0]) && e.args[1] == follow.Waiting{}
	})
	for _, method := range []string{"blob.Subscribe", "header.NetworkHead", "blob.Submit"} {
		r.until(t, method, called(method))
	}
	safe := func(e event) bool { return e.name == "Applied" && e.args[0].(node.Applied).Safe }
	r.until(t, "a safe block", safe)
	r.until(t, "a proof", func(e event) bool { return e.String() == "Done prove" && !e.failed() })
	link.Cut(true)
	r.until(t, "lost news", func(e event) bool { return e.name == "Source.Mode" && e.args[1] == "" })
	r.until(t, "a submission that fails", func(e event) bool { return e.String() == "Done post" && e.failed() })
	before := len(r.Load())
	link.Cut(false)
	ctx2, cancel2 := context.WithTimeout(t.Context(), patience)
	defer cancel2()
	if _, err := r.Wait(ctx2, func(all []event) bool { return slices.ContainsFunc(all[before:], safe) }); err != nil {
		t.Fatalf("no safe block after the DA layer was back: %v", err)
	}
	r.until(t, "a fetch of what was missed", func(e event) bool { return e.name == "Source.Fetched" && !e.failed() })
	cancel()
	work.Wait()
}

// observeL1 runs a node whose L1 reorganises, with a forced transaction that cannot be included.
func observeL1(t *testing.T, r *observed) {
	w := newWorld(t, chosen(t), l1.Settings{ForcedDelay: 3600}, 0)
	a := w.lightAuthor()
	m := w.light(func(o *node.Options) { o.Observer = r.observer() })
	root := w.propose(a.many(1)...)
	m.canonical(1, a.tip())
	for _, method := range []string{"eth_chainId", "eth_subscribe", "eth_getBlockByNumber"} {
		r.until(t, method, called(method))
	}
	w.propose(a.many(2)...)
	m.canonical(2, a.tip())
	a.back(1)
	w.reorg(root, 1)
	m.canonical(1, a.tip())
	r.until(t, "an item that is reverted", func(e event) bool { return e.name == "Source.Reverted" })
	w.mine(w.tx(3, 0, bindings.PackForce(l1.EncodeTxs([][]byte{[]byte("no pair")}))))
	b := a.next(a.tx())
	w.mine(w.proposal(1, b, w.payload(b)))
	if s := m.canonical(2, a.tip()); s.Proposal.Void != "" {
		t.Fatalf("got %+v, want the forced transaction exempt", s.Proposal)
	}
	r.until(t, "blocks that another one replaces", func(e event) bool {
		return e.name == "Reverted" && e.args[0] == uint64(3) && e.args[1] == uint64(2)
	})
	m.stop()
}

// observeProposer runs a sequencer until a proposal of it is paid for.
func observeProposer(t *testing.T, r *observed) {
	w := newWorld(t, chosen(t), l1.Settings{}, 0)
	sequencing := w.sequencing(50 * time.Millisecond)
	m := w.light(func(o *node.Options) { sequencing(o); o.Observer = r.observer() })
	w.check(w.inbox.WhileMining(w.ctx, 100*time.Millisecond, func(context.Context) error {
		r.until(t, "what a proposal has cost", func(e event) bool { return e.name == "Source.Paid" && e.args[0].(*big.Int).Sign() > 0 })
		return nil
	}))
	m.stop()
}

// observeClient runs a node with an execution client.
func observeClient(t *testing.T, r *observed) {
	w := newWorld(t, chosen(t), l1.Settings{}, 2)
	a := w.author()
	m := w.driveWith(func(o *node.Options) { o.Observer = r.observer() })
	w.propose(a.many(1)...)
	m.canonical(1, a.tip())
	m.executed(a.tip())
	for _, method := range []string{"engine_newPayload", "engine_forkchoiceUpdated", "eth_getBlockByNumber"} {
		r.until(t, method, func(e event) bool {
			return e.name == "EngineCalled" && strings.HasPrefix(e.args[0].(string), method) && !e.failed()
		})
	}
	m.stop()
}
