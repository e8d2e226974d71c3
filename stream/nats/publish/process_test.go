package publish

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"headrace/node"
	"headrace/stream/nats/server"
)

// processEnv has a process of this test be a publisher: it is URL USER SECRET BLOCKS.
const processEnv = "HEADRACE_TEST_PUBLISHER"

// runProcess publishes until the process is killed.
func runProcess(at string) {
	var url, user, secret string
	var blocks uint64
	if _, err := fmt.Sscan(at, &url, &user, &secret, &blocks); err != nil {
		panic(err)
	}
	m := newMemory()
	m.set(blocks, blocks, blocks)
	p, err := New(Options{Genesis: testGenesis, Servers: Servers{URLs: []string{url}, User: user, Password: secret}, Probe: 200 * time.Millisecond})
	if err != nil {
		panic(err)
	}
	panic(p.run(context.Background(), m))
}

// serverEnv has a process of this test be a server of NATS, with the configuration in that file.
const serverEnv = "HEADRACE_TEST_NATS"

// runServer serves until the process is killed.
func runServer(config string) {
	o, err := natsserver.ProcessConfigFile(config)
	if err != nil {
		panic(err)
	}
	s, err := natsserver.NewServer(o)
	if err != nil {
		panic(err)
	}
	s.ConfigureLogger()
	s.Start()
	select {}
}

// child starts a process of this test with a variable more in its environment, and returns what ends it.
func child(t *testing.T, variable, value string) (p *os.Process, kill func()) {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), variable+"="+value)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	t.Cleanup(kill)
	return c.Process, kill
}

// TestStopped: a publisher that is stopped in the middle of what it sends, by SIGSTOP, and goes on when another one has
// taken its place, adds nothing twice.
func TestStopped(t *testing.T) {
	const blocks = 20_000
	h := newHost(t, server.Options{Listen: "127.0.0.1:0", Password: "a password of readers", NoSync: true})
	m := newMemory()
	m.set(blocks, blocks, blocks)
	at := h.servers()
	var processes []*os.Process
	for range 2 {
		p, _ := child(t, processEnv, fmt.Sprintf("%s %s %s %d", at.URLs[0], at.User, at.Password, blocks))
		processes = append(processes, p)
	}
	signal := func(p *os.Process, s syscall.Signal) {
		if err := p.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	r := newReader(t, at)
	for i := range uint64(8) {
		r.waitsPast(1 + i*blocks/20)
		signal(processes[i%2], syscall.SIGSTOP)
		r.waitsPast(1 + i*blocks/20 + blocks/40) // the other one goes on
		signal(processes[i%2], syscall.SIGCONT)
	}
	r.eventually(m, blocks)
	r.wants(m, 1, blocks)
	last := publishing(t, m, Options{Servers: at})
	last.until(t, "there", func(s node.Stream) bool { return s.State == node.StreamPublishing })
	if s := last.Streaming(); s.Counts.Published > 0 {
		t.Errorf("got %+v of one who found all there", s)
	}
}

// waitsPast waits until the stream stands at a height, or above.
func (r *reader) waitsPast(height uint64) {
	r.t.Helper()
	sub, err := r.conn.SubscribeSync(fmt.Sprintf("hr.%s.>", testName))
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	ctx := bounded(r.t)
	for {
		if at, err := r.stands(ctx, patience); err == nil && at.Height >= height {
			return
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		_, err := sub.NextMsgWithContext(short)
		cancel()
		if err != nil && ctx.Err() != nil {
			r.t.Fatalf("the stream does not come to block %d", height)
		}
	}
}
