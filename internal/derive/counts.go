package derive

import "encoding/json"

// Reason says why a blob, or an authentic half, came to nothing. None of them is an error: anyone may post to a namespace (I9).
type Reason uint8

// The reasons.
const (
	none       Reason = iota
	Garbage           // not a header or data at all
	OtherChain        // of another chain
	Stale             // at or below the tip
	Stranger          // not signed with the proposer's key
	Malformed         // a header whose hashes are not hashes, or data without transactions
	Plain             // a header without an envelope on a chain that uses them
	Forged            // claims to be the proposer's, but a signature does not verify
	Duplicate         // of something that waits already, or in the same item
	Superseded        // authentic, but another candidate for its height, or another form of it, was first
	Legacy            // a header of an older format, whose signatures are over fields that are no more
	numReasons
)

var reasonNames = [numReasons]string{"", "garbage", "other_chain", "stale", "stranger", "malformed", "plain", "forged", "duplicate", "superseded", "legacy"}

func (r Reason) String() string { return reasonNames[r] }

// Counts counts by reason.
type Counts [numReasons]uint64

// Plus returns the sum.
func (c Counts) Plus(o Counts) Counts {
	for i := range o {
		c[i] += o[i]
	}
	return c
}

// Map returns the counts that are not zero, by the reason's name.
func (c Counts) Map() map[string]uint64 {
	m := make(map[string]uint64)
	for i, n := range c {
		if n != 0 {
			m[reasonNames[i]] = n
		}
	}
	return m
}

// Each calls f with every reason's name and its count.
func (c Counts) Each(f func(reason string, n uint64)) {
	for i := Garbage; i < numReasons; i++ {
		f(i.String(), c[i])
	}
}

// MarshalJSON writes the counts that are not zero, by name.
func (c Counts) MarshalJSON() ([]byte, error) { return json.Marshal(c.Map()) }
