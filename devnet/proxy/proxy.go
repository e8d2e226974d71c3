// Package proxy is a slow or broken link for tests: a TCP proxy on the loopback that adds latency to what clients send,
// and lets only so many bytes a second through to them. It can cut its connections, freeze them, or swallow what is sent.
//
// Bytes keep their order. A Proxy owns its goroutines; Run waits for all of them.
package proxy

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Proxy forwards connections to a target. All methods are safe for concurrent use.
type Proxy struct {
	target   string
	listener net.Listener

	mu     sync.Mutex // guards the rest
	delay  time.Duration
	rate   int           // bytes a second to clients; 0: as many as there are
	free   time.Time     // when the link to clients is free again
	passed uint64        // bytes that have gone to clients
	thaw   chan struct{} // not nil while frozen; closed by the thaw
	conns  map[net.Conn]struct{}
	refuse bool

	swallowed map[net.Conn]struct{} // of conns, those that are dead
}

// New opens a port of the loopback that forwards to target (host:port), delaying each byte on its way to the target
// by delay.
func New(target string, delay time.Duration) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open proxy: %w", err)
	}
	return &Proxy{target: target, listener: l, delay: delay, conns: map[net.Conn]struct{}{}, swallowed: map[net.Conn]struct{}{}}, nil
}

// Address returns host:port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// SetDelay changes the delay of what is sent from now on.
func (p *Proxy) SetDelay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// SetRate bounds how many bytes a second go to clients from now on, on all connections together. 0 is no bound.
func (p *Proxy) SetRate(bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate, p.free = bytes, time.Time{}
}

// Passed returns how many bytes have gone to clients.
func (p *Proxy) Passed() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed
}

// turn takes the link to clients for n bytes, and returns when they have passed.
func (p *Proxy) turn(n int) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed += uint64(n)
	if p.rate == 0 {
		return time.Time{}
	}
	if now := time.Now(); p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(n) * time.Second / time.Duration(p.rate))
	return p.free
}

// Cut ends all connections abruptly, and refuses new ones while refuse is true.
func (p *Proxy) Cut(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
	for c := range p.conns {
		_ = c.Close()
	}
}

// Freeze stops all bytes in both directions, with the connections open, until it is called with false.
func (p *Proxy) Freeze(frozen bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case frozen && p.thaw == nil:
		p.thaw = make(chan struct{})
	case !frozen && p.thaw != nil:
		close(p.thaw)
		p.thaw = nil
	}
}

// Run forwards until ctx ends, and returns its error.
func (p *Proxy) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() {
		<-ctx.Done()
		_ = p.listener.Close()
		p.Cut(true)
	})
	for {
		client, err := p.listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return err
		}
		wg.Go(func() { p.forward(ctx, client) })
	}
}

// forward joins client to a new connection to the target until either ends.
func (p *Proxy) forward(ctx context.Context, client net.Conn) {
	defer client.Close()
	var d net.Dialer
	server, err := d.DialContext(ctx, "tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.track(client, server) {
		return
	}
	defer p.untrack(client, server)
	var wg sync.WaitGroup
	wg.Go(func() { p.pipe(ctx, server, client, true); _ = server.Close(); _ = client.Close() })
	wg.Go(func() {
		p.pipe(ctx, client, server, false)
		_ = server.Close()
		if !p.swallows(client) {
			_ = client.Close()
		}
	})
	wg.Wait()
}

func (p *Proxy) track(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = struct{}{}
	}
	return !p.refuse
}

func (p *Proxy) untrack(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
		delete(p.swallowed, c)
	}
}

// chunk is what was read at once, and when it may go on.
type chunk struct {
	bytes []byte
	due   time.Time
}

// pipe copies src to dst, each chunk at its due time. Reading goes on meanwhile, so the delay is latency and costs no
// bandwidth.
func (p *Proxy) pipe(ctx context.Context, dst, src net.Conn, delayed bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	chunks := make(chan chunk, 1024) // sent and closed by the reader below
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer close(chunks)
		for {
			buf := make([]byte, 32<<10)
			n, err := src.Read(buf)
			if n > 0 {
				select {
				case chunks <- chunk{buf[:n], p.due(delayed)}:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	for c := range chunks {
		if p.send(ctx, dst, c, delayed) != nil {
			break
		}
	}
	_ = src.Close() // frees the reader
}

// send writes a chunk, to clients in pieces that connections which share a slow link take turns with.
func (p *Proxy) send(ctx context.Context, dst net.Conn, c chunk, delayed bool) error {
	for rest := c.bytes; len(rest) > 0; {
		piece := rest
		if !delayed {
			piece = rest[:min(len(rest), p.piece())]
			c.due = p.turn(len(piece))
		}
		rest = rest[len(piece):]
		if err := p.hold(ctx, c.due); err != nil {
			return err
		}
		if p.swallows(dst) {
			continue
		}
		if _, err := dst.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// piece returns how many bytes go at once: what the link carries in 50 ms, or a packet.
func (p *Proxy) piece() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate == 0 {
		return 32 << 10
	}
	return max(p.rate/20, 1400)
}

func (p *Proxy) due(delayed bool) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !delayed {
		return time.Time{}
	}
	return time.Now().Add(p.delay)
}

// hold waits until due, and while frozen.
func (p *Proxy) hold(ctx context.Context, due time.Time) error {
	if wait := time.Until(due); wait > 0 {
		timer := time.NewTimer(wait) // the latency that this proxy is for
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for {
		p.mu.Lock()
		thaw := p.thaw
		p.mu.Unlock()
		if thaw == nil {
			return ctx.Err()
		}
		select {
		case <-thaw:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
