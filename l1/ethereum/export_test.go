package ethereum

import "time"

// ResendAfter is after how long the account sends a transaction again.
func (a *Account) ResendAfter() time.Duration { return a.resend() }
