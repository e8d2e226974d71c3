package proxy

import "net"

// Swallow makes every connection that is open now a dead one, as a NAT or a load balancer does that has forgotten it:
// what is sent on it is taken and goes nowhere, and its end is never told. New connections work.
func (p *Proxy) Swallow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		p.swallowed[c] = struct{}{}
	}
}

// swallows reports whether a connection is dead.
func (p *Proxy) swallows(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, dead := p.swallowed[c]
	return dead
}
