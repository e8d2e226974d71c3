package ethereum

import "time"

// ResendAfter is after how long the account sends a transaction again.
func (a *Account) ResendAfter() time.Duration { return a.resend() }

// RegainWithin is how long the account waits for an earlier transaction that a reorg took back.
func (a *Account) RegainWithin() time.Duration { return a.regain() }
