package nats_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"headrace/await"
	"headrace/internal/nettest"
	"headrace/ref"
	"headrace/stream/nats"
)

// observed is told each request to the server's API of streams whose subject begins so.
func observed(t *testing.T, s *server, subject string) <-chan *natsgo.Msg {
	t.Helper()
	requests := make(chan *natsgo.Msg, 1000) // by the client library
	conn := s.dial().Conn()
	if _, err := conn.ChanSubscribe(subject, requests); err != nil {
		t.Fatal(err)
	}
	if err := conn.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	return requests
}

func arrives[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Minute):
		t.Fatal(what + " does not come")
	}
	return v
}

// Which chain there is can be asked before its stream, or the server, is there. Why it takes so long is told once.
func TestOnlyChainWaits(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{false, true} {
		s := startServer(t)
		if away {
			s.stop()
		}
		opt := quick
		if opt.Attempt = time.Minute; away {
			opt.Attempt = time.Second
		}
		lost := make(chan error, 100) // by OnlyChain
		opt.Lost = func(err error) { lost <- err }
		type answer struct {
			chain string
			err   error
		}
		got := make(chan answer, 1) // by the goroutine below
		js := s.dial()
		go func() {
			chain, err := nats.OnlyChain(t.Context(), js, opt)
			got <- answer{chain, err}
		}()
		why := arrives(t, lost, "that there is nothing yet").Error()
		if want := map[bool]string{false: "there is no stream of a chain", true: "no connection to a NATS server"}[away]; !strings.Contains(why, want) {
			t.Errorf("got %q, want %q", why, want)
		}
		if away {
			s.start()
			for range 2 { // it has seen that there is none
				arrives(t, observed(t, s, "$JS.API.STREAM.NAMES"), "a request")
			}
		}
		w := s.newWriter()
		if a := arrives(t, got, "an answer"); a.err != nil || a.chain != chain {
			t.Errorf("got %q, %v, want %s", a.chain, a.err, chain)
		}
		if len(lost) > 0 {
			t.Errorf("got another reason: %v", <-lost)
		}
		const other = "0123456789abcdef"
		if _, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: nats.StreamName(other), Subjects: nats.Subjects(other)}); err != nil {
			t.Fatal(err)
		}
		several := (*nats.SeveralError)(nil)
		if _, err := nats.OnlyChain(t.Context(), js, quick); !errors.As(err, &several) || !slices.Equal(several.Chains, []string{other, chain}) {
			t.Errorf("got %v, want that there are two", err)
		}
	}
}

// patiently asks with a wait that is doubled until the error says so: a busy server may not have answered within a shorter one.
func patiently(t *testing.T, says string, ask func(wait time.Duration) error) {
	t.Helper()
	for wait := 300 * time.Millisecond; ; wait *= 2 {
		err := ask(wait)
		if err != nil && strings.Contains(err.Error(), says) {
			return
		}
		if err == nil || wait > time.Minute {
			t.Errorf("got %v, want %q", err, says)
			return
		}
	}
}

// A wait for what is not there ends when its time is over, with what is not there.
func TestWaitsEnd(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opt := quick
	js := s.dial()
	patiently(t, "there is no stream of a chain", func(wait time.Duration) error {
		opt.Wait = wait
		_, err := nats.OnlyChain(t.Context(), js, opt)
		return err
	})
	patiently(t, "there is no stream hr-", func(wait time.Duration) error {
		opt.Wait = wait
		_, _, err := nats.Head(t.Context(), js, chain, opt)
		return err
	})
	s.stop()
	opt.Wait = 300 * time.Millisecond
	if _, err := nats.Chains(t.Context(), s.dial(), opt); err == nil || !strings.Contains(err.Error(), "no answer for 300ms") {
		t.Errorf("got %v, want that there is no server", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("over")
	cancel(over)
	if _, err := nats.OnlyChain(ctx, s.dial(), quick); !errors.Is(err, over) {
		t.Errorf("got %v, want the context's cause", err)
	}
}

// A check waits for its stream as long as it is told to, and asks the node first.
func TestCheckWaits(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	asked := observed(t, s, "$JS.API.STREAM.INFO.>")
	js := s.dial()
	dead, err := await.OpenNode(await.Endpoint{URL: "http://" + nettest.FreeAddress(t)}, await.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	patiently(t, "refused", func(wait time.Duration) error {
		_, err := nats.Check(t.Context(), js, chain, nats.CheckOptions{Node: dead, Wait: wait})
		if err == nil || !strings.Contains(err.Error(), "no answer for "+wait.String()) {
			t.Errorf("got %v, want that the node does not answer", err)
		}
		return err
	})
	if len(asked) > 0 {
		t.Errorf("the server is asked before the node: %s", (<-asked).Subject)
	}
	patiently(t, "there is no stream hr-", func(wait time.Duration) error {
		_, err := nats.Check(t.Context(), js, chain, nats.CheckOptions{Wait: wait})
		return err
	})
	for len(asked) > 0 {
		<-asked
	}
	type answer struct {
		report nats.Report
		err    error
	}
	got := make(chan answer, 1) // by the goroutine below
	go func() {
		report, err := nats.Check(t.Context(), js, chain, nats.CheckOptions{Wait: 2 * time.Minute})
		got <- answer{report, err}
	}()
	arrives(t, asked, "the first look at a stream that is not there")
	s.newWriter()
	if a := arrives(t, got, "the report"); a.err != nil || a.report.Damages != 1 || a.report.Found[0].Kind != nats.Empty {
		t.Errorf("got %+v, %v, want a stream with nothing in it", a.report, a.err)
	}
}

// permitted is what docs/STREAM.md says that a reader must be permitted to publish to.
var permitted = []string{
	"$JS.API.STREAM.NAMES", "$JS.API.STREAM.INFO." + nats.StreamName(chain), "$JS.API.STREAM.MSG.GET." + nats.StreamName(chain),
	"$JS.API.CONSUMER.CREATE." + nats.StreamName(chain) + ".>", "$JS.API.CONSUMER.MSG.NEXT." + nats.StreamName(chain) + ".>",
	"$JS.API.CONSUMER.DELETE." + nats.StreamName(chain) + ".>",
}

// may is a user who may publish and subscribe to some subjects.
func may(name string, publish, subscribe []string) *natsserver.User {
	return &natsserver.User{Username: name, Password: "of-" + name, Permissions: &natsserver.Permissions{
		Publish: &natsserver.SubjectPermission{Allow: publish}, Subscribe: &natsserver.SubjectPermission{Allow: subscribe},
	}}
}

// With a wrong password, and without any one of the permissions that a reader needs, nothing is waited for: it is said. With all
// of them, and no more, a reader has each block.
func TestReadEndsWhereItIsRefused(t *testing.T) {
	t.Parallel()
	inbox := []string{"_INBOX.>"}
	users := []*natsserver.User{{Username: "admin", Password: "of-admin"}, may("reader", permitted, inbox), may("deaf", permitted, []string{"other"})}
	for i := range permitted[:5] { // a consumer that is not deleted goes by itself
		users = append(users, may(permitted[i], slices.Concat(permitted[:i], permitted[i+1:]), inbox))
	}
	s := startServer(t, users...)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 10)...)
	opt := quick
	opt.Attempt = time.Second
	whole := func(user string) error {
		js := s.dialAs(user, "of-"+user)
		if found, err := nats.OnlyChain(t.Context(), js, opt); err != nil || found != chain {
			return err
		}
		b := newTable(1)
		r := read(t, js, b, opt)
		defer r.stop()
		select {
		case <-reached(t, b, trunk.at(10)):
			return nil
		case <-r.done:
			return r.err
		}
	}
	if err := whole("reader"); err != nil {
		t.Errorf("a reader: %v", err)
	}
	if err := whole("deaf"); !errors.Is(err, nats.ErrRefused) || !strings.Contains(err.Error(), `Subscription to "_INBOX.`) {
		t.Errorf("without answers: got %v, want that it is refused", err)
	}
	for _, without := range permitted[:5] {
		if err := whole(without); !errors.Is(err, nats.ErrRefused) || !strings.Contains(err.Error(), strings.TrimSuffix(without, ">")) {
			t.Fatalf("without %s: got %v, want that it is refused", without, err)
		}
	}
	for _, without := range permitted[1:5] {
		_, err := nats.Check(t.Context(), s.dialAs(without, "of-"+without), chain, nats.CheckOptions{Wait: time.Minute})
		if checks := !strings.Contains(without, "MSG.GET"); checks != errors.Is(err, nats.ErrDenied) {
			t.Errorf("a check without %s: got %v", without, err)
		}
	}
	js := s.dialAs("reader", "another")
	if _, err := nats.OnlyChain(t.Context(), js, opt); !errors.Is(err, nats.ErrRefused) || strings.Contains(err.Error(), "another") {
		t.Errorf("with another password: got %v, want that it is refused", err)
	}
	if err := read(t, js, newTable(1), opt).ends(t); !errors.Is(err, nats.ErrRefused) {
		t.Errorf("with another password: got %v, want that it is refused", err)
	}
	if _, err := nats.Check(t.Context(), js, chain, nats.CheckOptions{Wait: time.Minute}); !errors.Is(err, nats.ErrRefused) {
		t.Errorf("with another password: got %v, want that it is refused", err)
	}
}

// Others who use the connection, and do what its user may not, do not end a reader: neither while the stream that it waits for
// is not there, nor later.
func TestReadGoesOnBesideOthers(t *testing.T) {
	t.Parallel()
	s := startServer(t, &natsserver.User{Username: "admin", Password: "of-admin"}, may("reader", permitted, []string{"_INBOX.*", "_INBOX.*.*"}))
	js := s.dialAs("reader", "of-reader")
	nc := js.Conn()
	if _, err := nc.SubscribeSync("_INBOX.of.another.user"); err != nil {
		t.Fatal(err)
	}
	if err := nc.FlushTimeout(time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := nc.LastError(); !errors.Is(err, natsgo.ErrPermissionViolation) {
		t.Fatalf("got %v, want that it may not be subscribed to", err)
	}
	opt := quick
	lost := make(chan error, 1) // by Read
	opt.Lost = func(err error) { lost <- err }
	b := &asked{newTable(1), make(chan struct{}, 1)}
	r := read(t, js, b, opt)
	looks := func(n int) {
		t.Helper()
		for range n {
			select {
			case <-b.looks:
			case <-r.done:
				t.Fatalf("got %v, want that it is tried again", r.err)
			case <-time.After(time.Minute):
				t.Fatal("it does not try again")
			}
		}
	}
	looks(3) // after what was denied before
	if err := arrives(t, lost, "why it waits"); !strings.Contains(err.Error(), "there is no stream hr-") {
		t.Errorf("got %v, want that there is no stream", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	others := make(chan struct{}) // closed when they have ended
	go func() {
		defer close(others)
		for ctx.Err() == nil {
			_ = nc.Publish("$JS.API.STREAM.PURGE."+nats.StreamName(chain), nil)
			_ = nc.FlushTimeout(time.Minute)
		}
	}()
	defer func() {
		cancel()
		<-others
	}()
	looks(10) // while more is denied
	w := s.newWriter()
	w.publish(trunk.blocks(1, 10)...)
	b.until(t, trunk[:10])
}

// asked is a table that tells when Read looks for its place.
type asked struct {
	*table
	looks chan struct{} // by Last
}

func (a *asked) Last(ctx context.Context) (ref.Ref, error) {
	select {
	case a.looks <- struct{}{}:
	default:
	}
	return a.table.Last(ctx)
}

// A password that is right no more while the servers' configuration changes costs time only.
func TestReadGoesOnAfterALateRefusal(t *testing.T) {
	t.Parallel()
	user := may("reader", permitted, []string{"_INBOX.>"})
	s := startServer(t, &natsserver.User{Username: "admin", Password: "of-admin"}, user)
	w := s.newWriter()
	w.publish(trunk.blocks(1, 10)...)
	js := s.dialAs("reader", "of-reader")
	b := &asked{newTable(1), make(chan struct{}, 1)}
	r := read(t, js, b, quick)
	b.until(t, trunk[:10])
	tries := js.Conn().StatusChanged(natsgo.RECONNECTING)
	defer js.Conn().RemoveStatusListener(tries)
	s.stop()
	user.Password = "another"
	s.start()
	for said := ""; !strings.Contains(strings.ToLower(said), "authorization violation"); {
		arrives(t, tries, "a refusal")
		if err := js.Conn().LastError(); err != nil {
			said = err.Error()
		}
	}
	for range 3 { // one of those was refused as a whole
		select {
		case <-b.looks:
		case <-r.done:
			t.Fatalf("got %v, want that it is tried again", r.err)
		case <-time.After(time.Minute):
			t.Fatal("it does not try again")
		}
	}
	s.stop()
	user.Password = "of-reader"
	s.start()
	w.publish(trunk.blocks(11, 20)...)
	b.until(t, trunk[:20])
}

// The page names each of these permissions and no other, and the compose file gives them.
func TestPagesNameThePermissions(t *testing.T) {
	page, err := os.ReadFile("../../docs/STREAM.md")
	if err != nil {
		t.Fatal(err)
	}
	compose, err := os.ReadFile("../../docs/stream.compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, named, _ := strings.Cut(string(page), "A reader needs to publish to ")
	if got := strings.Count(named, "$JS.API"); got != len(permitted) {
		t.Errorf("the page names %d subjects, want %d", got, len(permitted))
	}
	for _, subject := range permitted {
		short := strings.TrimSuffix(strings.Replace(subject, nats.StreamName(chain), "hr-CHAIN", 1), ".hr-CHAIN.>")
		if !strings.Contains(named, "`"+short+"`") {
			t.Errorf("the page does not name %s", short)
		}
		given := strings.Replace(strings.Replace(subject, "."+nats.StreamName(chain)+".>", ".>", 1), nats.StreamName(chain), "*", 1)
		if !strings.Contains(string(compose), `"$`+given+`"`) {
			t.Errorf("the compose file does not give %s", given)
		}
	}
}
