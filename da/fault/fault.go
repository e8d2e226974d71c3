// Package fault describes how an endpoint of a data-availability layer misbehaves, so that developers meet on their
// desk what real nodes do.
//
// A Set holds the faults in force at one endpoint. They are added and taken away while it serves, from Go, by HTTP or
// by flags, and each can be limited to a namespace, a connection, a range of heights, a number of times, a
// probability or a duration. What a fault does is up to whoever serves: a chain that is reported wrongly by
// local.View, the wire by celestia's handler; both ask the same Set. Heights that nobody lies about are reported
// truly, and a fault ends at once when it is taken away.
//
// A Set's methods may be called at any time from any goroutine. Chance comes from a seed, so that one sequence of
// questions has one sequence of answers.
package fault

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"headrace/da"
)

// Kind names what goes wrong.
type Kind string

// What an endpoint reports of its chain.
const (
	HeadBehind    Kind = "head-behind"    // the head is Depth heights lower than it is: it goes back when the fault begins
	Pause         Kind = "pause"          // nothing new: the head stays; when the fault ends, all heights since come in a burst
	Syncing       Kind = "syncing"        // heights from From on, or from now on, are "syncing in progress"; the head stays below
	BelowTail     Kind = "below-tail"     // heights below To are pruned
	OtherChain    Kind = "other-chain"    // from height From on, blocks are those of another chain: other hashes, no blobs; Text is its id if that differs too
	FalseEmpty    Kind = "false-empty"    // blobs that are there are not reported; proofs fail with "data not available". All of it comes Delay (0) later, as of a node that looks for them elsewhere: a real one takes 2 minutes
	MissingBlob   Kind = "missing-blob"   // the last blob of a namespace at a height is left out
	CorruptBlob   Kind = "corrupt-blob"   // a bit of each blob is wrong; its commitment is reported unchanged
	HugeBlob      Kind = "huge-blob"      // a made-up blob of Size bytes (1 MiB) comes before the others
	SubmitReject  Kind = "submit-reject"  // a submission is refused, and not included
	SubmitLost    Kind = "submit-lost"    // a submission is included, and reported as failed
	SubmitTimeout Kind = "submit-timeout" // a submission is not included, and not answered either
)

// What happens on the wire.
const (
	Gap            Kind = "gap"             // events are left out of a subscription, which stays open
	Duplicate      Kind = "duplicate"       // each event comes twice
	Reorder        Kind = "reorder"         // an event comes after the next one
	Stall          Kind = "stall"           // a subscription stays open, and no events come
	ChannelClose   Kind = "channel-close"   // the server closes the subscription's channel, without a reason
	Disconnect     Kind = "disconnect"      // the connection breaks off
	HalfOpen       Kind = "half-open"       // the connection stays, and nothing is read or written any more
	Refuse         Kind = "refuse"          // an upgrade or a call is answered with Status (503) instead
	Unauthorized   Kind = "unauthorized"    // Refuse with 401
	RateLimited    Kind = "rate-limited"    // Refuse with 429
	NoSubscription Kind = "no-subscription" // upgrades fail, and calls go on over HTTP
	Latency        Kind = "latency"         // each answer and each event comes Delay (50 ms) later
	Bandwidth      Kind = "bandwidth"       // at most PerSecond bytes (1 MiB) a second to a connection
)

// kinds says of each kind what it does, for help texts, and which fields of a Fault mean something to it beside `for`.
var kinds = []struct {
	kind   Kind
	help   string
	fields string
}{
	{HeadBehind, "head goes back by `depth` (10) heights and stays behind", "depth"},
	{Pause, "no new heights; a burst of them when it ends", ""},
	{Syncing, "heights from `from` (the next one) on are still being synced", "from"},
	{BelowTail, "heights below `to` are pruned", "to"},
	{OtherChain, "another chain from height `from` (the first) on", "from text"},
	{FalseEmpty, "blobs are reported absent, proofs as not available, after `delay` (0s)", ofBlobs + " delay"},
	{MissingBlob, "the last blob of a namespace is left out", ofBlobs},
	{CorruptBlob, "a bit of each blob is wrong", ofBlobs},
	{HugeBlob, "a made-up blob of `size` (1048576) bytes", ofBlobs + " size"},
	{SubmitReject, "submissions are refused", byChance + " text"},
	{SubmitLost, "submissions are included but reported as failed", byChance + " text"},
	{SubmitTimeout, "submissions are neither included nor answered", byChance},
	{Gap, "events are left out of subscriptions", ofEvents},
	{Duplicate, "events come twice", ofEvents},
	{Reorder, "events come in the wrong order", ofEvents},
	{Stall, "subscriptions stay open but silent", ofEvents},
	{ChannelClose, "subscriptions are closed by the server", ofEvents},
	{Disconnect, "connections break off", ofConns},
	{HalfOpen, "connections stay but are dead", ofConns},
	{Refuse, "calls and upgrades answer HTTP `status` (503)", byChance + " status"},
	{Unauthorized, "calls and upgrades answer HTTP `status` (401)", byChance + " status"},
	{RateLimited, "calls and upgrades answer HTTP `status` (429)", byChance + " status"},
	{NoSubscription, "no WebSocket, HTTP only", byChance},
	{Latency, "answers and events come `delay` (50ms) later", ofConns + " delay"},
	{Bandwidth, "`per_second` (1048576) bytes a second to each connection", ofConns + " per_second"},
}

// The fields by which a fault can be limited.
const (
	byChance = "times rate"
	ofConns  = "conn " + byChance
	ofBlobs  = "namespace from to " + byChance
	ofEvents = "namespace conn from to " + byChance
)

// Kinds returns all kinds, those of the chain first.
func Kinds() []Kind {
	out := make([]Kind, len(kinds))
	for i, k := range kinds {
		out[i] = k.kind
	}
	return out
}

// Help returns what a kind does in a few words; "" for one that there is not.
func (k Kind) Help() string {
	for _, d := range kinds {
		if d.kind == k {
			return d.help
		}
	}
	return ""
}

// Fields returns the names of the fields that mean something to a kind, as in JSON.
func (k Kind) Fields() []string {
	for _, d := range kinds {
		if d.kind == k {
			return append(strings.Fields(d.fields), "for")
		}
	}
	return nil
}

// perNamespace reports whether a kind happens to a namespace, and can be limited to one.
func (k Kind) perNamespace() bool { return slices.Contains(k.Fields(), "namespace") }

// Fault is one thing that goes wrong, and where. The zero value of a field that limits it means: everywhere, always.
type Fault struct {
	ID   int  `json:"id,omitempty"` // given by Add
	Kind Kind `json:"kind"`

	// Where and when.
	Namespace *da.Namespace `json:"namespace,omitempty"`
	Conn      int           `json:"conn,omitempty"`  // number of the connection, from 1
	From      uint64        `json:"from,omitempty"`  // heights [From, To)
	To        uint64        `json:"to,omitempty"`    // 0 is no end
	Times     int           `json:"times,omitempty"` // it ends after so many hits
	Rate      float64       `json:"rate,omitempty"`  // probability of a hit, in (0, 1); 0 is always
	For       Duration      `json:"for,omitempty"`   // it ends after this time

	// How.
	Depth     uint64   `json:"depth,omitempty"`      // heights: 10
	Size      int      `json:"size,omitempty"`       // bytes: 1 MiB
	Delay     Duration `json:"delay,omitempty"`      // of Latency: 50 ms; of FalseEmpty: how long the endpoint looks for what it has lost, 0
	PerSecond int      `json:"per_second,omitempty"` // bytes: 1 MiB
	Status    int      `json:"status,omitempty"`     // HTTP: 503
	Text      string   `json:"text,omitempty"`       // of an error, or the other chain's id
}

// Target is what a question to a Set is about. What does not apply is zero, and a fault limited to something of it
// does not hit then.
type Target struct {
	Height    uint64
	Namespace da.Namespace
	Conn      int
}

// Check returns an error for a fault that cannot be.
func (f *Fault) Check() error {
	if f.Kind.Help() == "" {
		return fmt.Errorf("there is no fault %q: there are %s", f.Kind, allKinds())
	}
	switch {
	case f.To != 0 && f.To <= f.From:
		return fmt.Errorf("fault %s: from %d to %d, exclusive, are no heights", f.Kind, f.From, f.To)
	case f.Rate < 0 || f.Rate > 1:
		return fmt.Errorf("fault %s: rate %v is not from 0 to 1", f.Kind, f.Rate)
	case f.Times < 0 || f.For < 0 || f.Delay < 0 || f.Size < 0 || f.PerSecond < 0 || f.Conn < 0:
		return fmt.Errorf("fault %s: a number is below zero", f.Kind)
	case f.Kind == BelowTail && f.To == 0:
		return fmt.Errorf("fault %s needs to, the height of the tail", f.Kind)
	case f.Namespace != nil && !f.Kind.perNamespace():
		return fmt.Errorf("fault %s happens to all namespaces alike", f.Kind)
	case f.Size > 64<<20:
		return fmt.Errorf("fault %s: size is more than 64 MiB", f.Kind)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("fault %s: status %d is none that ends a request: 200 to 599", f.Kind, f.Status)
	}
	return nil
}

// allKinds is all kinds with commas between.
func allKinds() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// withDefaults fills in how, where it is left open.
func (f Fault) withDefaults() Fault {
	f.Depth = cmp.Or(f.Depth, 10)
	f.Size = cmp.Or(f.Size, 1<<20)
	if f.Delay == 0 && f.Kind == Latency {
		f.Delay = Duration(50 * time.Millisecond)
	}
	f.PerSecond = cmp.Or(f.PerSecond, 1<<20)
	if f.Status == 0 {
		f.Status = map[Kind]int{Unauthorized: 401, RateLimited: 429}[f.Kind]
	}
	f.Status = cmp.Or(f.Status, 503)
	return f
}

// covers reports whether t is where the fault is. Heights are a range only for kinds that happen at a height.
func (f *Fault) covers(t Target) bool {
	switch {
	case f.Namespace != nil && *f.Namespace != t.Namespace:
		return false
	case f.Conn != 0 && f.Conn != t.Conn:
		return false
	case f.From > t.Height || f.To != 0 && f.To <= t.Height:
		return false
	}
	return true
}

// Duration is a time.Duration that JSON has as text, like "1.5s".
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the duration as time.Duration's String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 500ms, 2s or 1m", text)
	}
	*d = Duration(v)
	return nil
}

// faultJSON is Fault with its namespace as hexadecimal digits.
type faultJSON struct {
	plain
	Namespace string `json:"namespace,omitempty"`
}

type plain Fault

// MarshalJSON writes the fields that are set.
func (f Fault) MarshalJSON() ([]byte, error) {
	j := faultJSON{plain: plain(f)}
	if f.Namespace != nil {
		j.Namespace = f.Namespace.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes. A field that there is not is an error.
func (f *Fault) UnmarshalJSON(data []byte) error {
	var j faultJSON
	if err := unmarshalStrict(data, &j); err != nil {
		return fmt.Errorf("read fault: %w", err)
	}
	*f = Fault(j.plain)
	f.Namespace = nil
	if j.Namespace != "" {
		ns, err := da.ParseNamespace(j.Namespace)
		if err != nil {
			return fmt.Errorf("read fault: namespace: %w", err)
		}
		f.Namespace = &ns
	}
	return f.Check()
}
