package httpd

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"headrace/internal/moment"
)

// listener keeps the number of connections within its limits.
type listener struct {
	net.Listener
	limits  Limits
	max     int // connections, without the probes' share
	proxies []netip.Prefix

	mu      sync.Mutex // guards the rest
	count   int        // without the probes' share
	by      map[netip.Addr]int
	waiting list.List // *conn without a request, the one that waits longest first
	probes  list.List // *conn of the probes' share, the oldest first
}

func newListener(l net.Listener, limits Limits, proxies []netip.Prefix) *listener {
	free := descriptors() - limits.Probes
	return &listener{Listener: l, limits: limits, max: max(1, min(limits.Connections, free)), proxies: proxies, by: map[netip.Addr]int{}}
}

// keptBack is how many descriptors connections leave to the store, the engine and our own sockets.
const keptBack = 128

// descriptors returns how many connections the process has descriptors for. Go has raised the soft limit to the hard
// one by now.
func descriptors() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 1 << 30
	}
	open, err := os.ReadDir("/dev/fd")
	used := len(open)
	if err != nil {
		used = 64
	}
	return int(min(limit.Cur, 1<<30)) - keptBack - used
}

// Accept returns the next connection that is within the limits; those that are not are closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		k, out := l.admit(c)
		if out != nil {
			_ = out.Conn.Close()
		}
		if k != nil {
			return k, nil
		}
		_ = c.Close()
	}
}

// sendBuffer bounds what the system holds of an answer that is not read: that is memory too.
const sendBuffer = 128 << 10

// admit counts a connection, and returns one that has to make room for it, and which is no longer counted. It returns
// nil if there is no room.
func (l *listener) admit(c net.Conn) (k, out *conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(sendBuffer)
	}
	k = &conn{Conn: c, l: l, from: addressOf(c.RemoteAddr())}
	k.move()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.by[k.from] >= l.limits.PerAddress && !l.isTrusted(k.from):
		if out = l.longest(func(o *conn) bool { return o.from == k.from }); out == nil {
			return nil, nil
		}
	case l.count < l.max:
	default:
		if out = l.longest(func(*conn) bool { return true }); out != nil {
			break
		}
		if l.limits.Probes == 0 {
			return nil, nil
		}
		k.probe = true
		if first := l.probes.Front(); l.probes.Len() >= l.limits.Probes {
			out = first.Value.(*conn)
		}
	}
	if out != nil {
		l.forget(out)
	}
	if k.probe {
		k.inProbes = l.probes.PushBack(k)
		return k, out
	}
	l.count++
	l.by[k.from]++
	k.inWaiting = l.waiting.PushBack(k)
	return k, out
}

// longest returns the connection that has waited longest for a request, of those that of holds for; nil if none waits.
func (l *listener) longest(of func(*conn) bool) *conn {
	for e := l.waiting.Front(); e != nil; e = e.Next() {
		if k := e.Value.(*conn); of(k) {
			return k
		}
	}
	return nil
}

// isTrusted reports whether an address stands for many clients, or for the host's own programs.
func (l *listener) isTrusted(a netip.Addr) bool {
	return a.IsLoopback() || slices.ContainsFunc(l.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// forget must be called with mu held. Whoever is forgotten already is not forgotten again.
func (l *listener) forget(k *conn) {
	switch {
	case k.gone:
		return
	case k.probe:
		l.probes.Remove(k.inProbes)
	default:
		l.count--
		if l.by[k.from]--; l.by[k.from] == 0 {
			delete(l.by, k.from)
		}
		l.wait(k, false)
	}
	k.gone = true
}

// wait notes whether a connection waits for a request. It must be called with mu held.
func (l *listener) wait(k *conn, waits bool) {
	switch {
	case waits && k.inWaiting == nil:
		k.inWaiting = l.waiting.PushBack(k)
	case !waits && k.inWaiting != nil:
		l.waiting.Remove(k.inWaiting)
		k.inWaiting = nil
	}
}

// addressOf is whose connection it is; an IPv6 host has a /64 of addresses at least.
func addressOf(a net.Addr) netip.Addr {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip := t.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		p, _ := ip.Prefix(64) // 64 fits an IPv6 address
		return p.Addr()
	}
	return ip
}

type connKey struct{}

// conn is a connection that is counted until it is closed.
type conn struct {
	net.Conn
	l     *listener
	from  netip.Addr
	probe bool        // serves probes alone
	moved moment.Last // when a byte came or went last
	until moment.Last // a deadline that was set for writes; never: none

	// guarded by l.mu
	gone      bool
	inWaiting *list.Element
	inProbes  *list.Element
}

// ours is the connection below TLS.
func ours(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return c.(*conn)
}

func (k *conn) move() { k.moved.Now() }

// become notes what net/http does with the connection.
func (k *conn) become(state http.ConnState) {
	k.l.mu.Lock()
	defer k.l.mu.Unlock()
	if !k.probe && !k.gone {
		k.l.wait(k, state == http.StateNew || state == http.StateIdle)
	}
}

// Close closes the connection, which then no longer counts.
func (k *conn) Close() error {
	k.l.mu.Lock()
	k.l.forget(k)
	k.l.mu.Unlock()
	return k.Conn.Close()
}

// CloseWrite lets net/http say something last, and wait for the client to read it.
func (k *conn) CloseWrite() error {
	if c, ok := k.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

func (k *conn) Read(p []byte) (int, error) {
	n, err := k.Conn.Read(p)
	if n > 0 {
		k.move()
	}
	return n, err
}

// SetWriteDeadline and SetDeadline keep the deadline that somebody sets: Write has one of its own besides.
func (k *conn) SetWriteDeadline(t time.Time) error {
	k.until.Set(t)
	return k.Conn.SetWriteDeadline(t)
}

func (k *conn) SetDeadline(t time.Time) error {
	if err := k.SetWriteDeadline(t); err != nil {
		return err
	}
	return k.Conn.SetReadDeadline(t)
}

// piece is how much is written before the clock is looked at, in bytes.
const piece = 64 << 10

// Write writes p as fast as it is taken. It fails if nothing is taken for the time of a stall, and if what is taken
// is below the lowest rate: what counts is progress, and not how much there is to write.
func (k *conn) Write(p []byte) (done int, err error) {
	begun := time.Now()
	for first := true; first || done < len(p) && err == nil; first = false {
		var n int
		if err = k.Conn.SetWriteDeadline(k.due(begun, done)); err != nil {
			return done, err
		}
		n, err = k.Conn.Write(p[done:min(len(p), done+piece)])
		if done += n; n > 0 {
			k.move()
		}
	}
	return done, err
}

// due returns until when the next piece must have moved.
func (k *conn) due(begun time.Time, done int) time.Time {
	due := k.l.limits.due(begun, int64(done))
	if until := k.until.Load(); !until.IsZero() && until.Before(due) {
		return until
	}
	return due
}

// due returns until when the next part must have moved of what has begun to move, done bytes of it already.
func (l *Limits) due(begun time.Time, done int64) time.Time {
	stall := time.Now().Add(l.Stall)
	slow := begun.Add(l.Stall + time.Duration(float64(done)/float64(l.Rate)*float64(time.Second)))
	if slow.Before(stall) {
		return slow
	}
	return stall
}
