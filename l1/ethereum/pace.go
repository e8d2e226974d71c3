package ethereum

import "time"

// slots are the slot times of the L1s that are known by their chain ids. A slot may stay empty, so what is measured
// may be more, and for a while it may be anything.
var slots = map[uint64]time.Duration{
	1:        12 * time.Second, // Ethereum
	11155111: 12 * time.Second, // Sepolia
	17000:    12 * time.Second, // Holesky
	560048:   12 * time.Second, // Hoodi
	100:      5 * time.Second,  // Gnosis
	10200:    5 * time.Second,  // Chiado
}

// BlockTime returns the time between two blocks of the L1: given, known or measured. 0: not known yet, or there is none.
func (c *Client) BlockTime() time.Duration { return c.read.Pace() }

// pollAgain returns when to look again at the head of an endpoint that is polled: often enough to see each block.
func (e *endpoint) pollAgain() time.Duration {
	const least = 100 * time.Millisecond
	poll := e.client.opt.Poll
	if pace := e.health.Status().Pace; pace > 0 {
		poll = min(poll, max(pace/2, least))
	}
	return poll
}

// resend returns after how long a transaction that is not included is sent again: a few blocks without it are no sign
// of anything.
func (a *Account) resend() time.Duration {
	const slot, least = 12 * time.Second, 2 * time.Second
	blocks := time.Duration(a.opt.ResendBlocks)
	switch pace := a.client.BlockTime(); {
	case a.opt.Resend > 0:
		return a.opt.Resend
	case pace > 0:
		return max(blocks*pace, least)
	}
	return blocks * slot
}

// regain returns how long an earlier transaction of the account, which a reorg took back, may be missing before it is
// gone for good: as long as one may take to be included. A dev chain that is put back to a snapshot brings none back.
func (a *Account) regain() time.Duration {
	const onDemand = 6 * time.Second
	if a.client.opt.BlockTime < 0 {
		return min(onDemand, a.resend())
	}
	return a.resend()
}
