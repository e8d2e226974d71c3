package fault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"headrace/da"
	"headrace/da/fault"
)

var (
	one = da.NamespaceFromName("one")
	two = da.NamespaceFromName("two")
)

func add(t testing.TB, s *fault.Set, f fault.Fault) int {
	t.Helper()
	id, err := s.Add(f)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestHit(t *testing.T) {
	at := func(h uint64) fault.Target { return fault.Target{Height: h, Namespace: one, Conn: 3} }
	for _, c := range []struct {
		name string
		f    fault.Fault
		t    fault.Target
		want bool
	}{
		{"everywhere", fault.Fault{Kind: fault.Gap}, at(5), true},
		{"other kind", fault.Fault{Kind: fault.Stall}, at(5), false},
		{"namespace", fault.Fault{Kind: fault.Gap, Namespace: &one}, at(5), true},
		{"other namespace", fault.Fault{Kind: fault.Gap, Namespace: &two}, at(5), false},
		{"connection", fault.Fault{Kind: fault.Gap, Conn: 3}, at(5), true},
		{"other connection", fault.Fault{Kind: fault.Gap, Conn: 2}, at(5), false},
		{"first height", fault.Fault{Kind: fault.Gap, From: 5, To: 6}, at(5), true},
		{"before", fault.Fault{Kind: fault.Gap, From: 6}, at(5), false},
		{"after", fault.Fault{Kind: fault.Gap, From: 3, To: 5}, at(5), false},
	} {
		var s fault.Set
		add(t, &s, c.f)
		if _, got := s.Hit(fault.Gap, c.t); got != c.want {
			t.Errorf("%s: got hit %t, want %t", c.name, got, c.want)
		}
	}
	var none *fault.Set
	if _, hit := none.Hit(fault.Gap, at(1)); hit || len(none.List()) != 0 {
		t.Error("a nil set has a fault")
	}
	none.Clear()
}

func TestTimesAndRate(t *testing.T) {
	var s fault.Set
	told := 0
	s.OnChange(func() { told++ })
	add(t, &s, fault.Fault{Kind: fault.Gap, Times: 3})
	hits := 0
	for range 10 {
		if _, hit := s.Hit(fault.Gap, fault.Target{}); hit {
			hits++
		}
	}
	if hits != 3 || len(s.List()) != 0 || told != 2 {
		t.Errorf("got %d hits, faults %v, told %d times; want 3, none, 2", hits, s.List(), told)
	}
	sequence := func(seed uint64) string {
		var s fault.Set
		s.Seed(seed)
		add(t, &s, fault.Fault{Kind: fault.Gap, Rate: 0.3})
		out := ""
		for range 1000 {
			_, hit := s.Hit(fault.Gap, fault.Target{})
			out += map[bool]string{true: "x", false: "."}[hit]
		}
		return out
	}
	if a, b := sequence(7), sequence(7); a != b {
		t.Error("the same seed gives different hits")
	}
	n := 0
	for _, c := range sequence(8) {
		if c == 'x' {
			n++
		}
	}
	if n < 230 || n > 370 {
		t.Errorf("got %d hits of 1000 at a rate of 0.3", n)
	}
}

func TestForAndRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s fault.Set
		var told atomic.Int32
		s.OnChange(func() { told.Add(1) })
		add(t, &s, fault.Fault{Kind: fault.Stall, For: fault.Duration(time.Second)})
		id := add(t, &s, fault.Fault{Kind: fault.Pause})
		time.Sleep(1001 * time.Millisecond)
		synctest.Wait()
		if got := s.List(); len(got) != 1 || got[0].ID != id || told.Load() != 3 {
			t.Errorf("got %v, told %d times, want the pause alone, 3", got, told.Load())
		}
		if !s.Remove(id) || s.Remove(id) {
			t.Error("Remove does not say whether the fault was in force")
		}
		add(t, &s, fault.Fault{Kind: fault.Stall, For: fault.Duration(time.Hour)})
		s.Clear() // stops the timer too, or the bubble would not end
		if _, is := s.Is(fault.Stall); is {
			t.Error("a fault is in force after Clear")
		}
	})
}

func TestParse(t *testing.T) {
	f, err := fault.Parse("latency,delay=70ms,conn=2,rate=0.5,from=10,to=20,for=1m,times=4")
	if err != nil {
		t.Fatal(err)
	}
	want := fault.Fault{Kind: fault.Latency, Delay: fault.Duration(70 * time.Millisecond), Conn: 2, Rate: 0.5, From: 10, To: 20, For: fault.Duration(time.Minute), Times: 4}
	if f != want {
		t.Errorf("got %+v, want %+v", f, want)
	}
	for _, status := range []string{"200", "599"} {
		if _, err := fault.Parse("refuse,status=" + status); err != nil {
			t.Error(err)
		}
	}
	if f, err := fault.Parse("gap,namespace=" + one.String()); err != nil || f.Namespace == nil || *f.Namespace != one {
		t.Errorf("got %+v, %v, want the namespace", f, err)
	}
	for _, bad := range []string{"", "gap,", "gap,from", "gap,from=x", "gap,from=1,from=2", "gap,colour=red", "lie", "gap,from=3,to=2", "gap,rate=2",
		"gap,namespace=12", "below-tail", "latency,delay=5", "gap,kind=stall", "refuse,status=199", "refuse,status=600", "gap,from=1e3x", "huge-blob,size=99999999999", "latency,namespace=" + one.String()} {
		if f, err := fault.Parse(bad); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, f)
		}
	}
	for _, k := range fault.Kinds() {
		if _, err := fault.Parse(string(k) + ",to=9"); err != nil {
			t.Error(err)
		}
	}
}

func FuzzFault(f *testing.F) {
	f.Add([]byte(`{"kind":"gap","namespace":"` + one.String() + `","from":1,"to":2,"rate":0.1,"for":"1s","times":3}`))
	f.Add([]byte(`{"kind":"latency","delay":"50ms","conn":1,"per_second":7,"status":429,"text":"x","size":9,"depth":3,"id":4}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a, b fault.Fault
		if json.Unmarshal(raw, &a) != nil {
			return
		}
		j, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(j, &b); err != nil {
			t.Fatalf("cannot read %s: %v", j, err)
		}
		if again, _ := json.Marshal(b); string(again) != string(j) {
			t.Fatalf("got %s, want %s", again, j)
		}
	})
}

// Chaos of one seed is one history, leaves nothing behind, and others' faults alone.
func TestChaos(t *testing.T) {
	history := func(seed uint64) (out string) {
		synctest.Test(t, func(t *testing.T) {
			var s fault.Set
			mine := add(t, &s, fault.Fault{Kind: fault.Pause})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			c := fault.Chaos{Seed: seed, Namespaces: []da.Namespace{one, two}, Begin: func(f fault.Fault) {
				j, err := json.Marshal(f)
				if err != nil {
					t.Error(err)
				}
				out += fmt.Sprintln(time.Since(start), string(j))
			}}
			if err := c.Run(ctx, &s); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want DeadlineExceeded", err)
			}
			if got := s.List(); len(got) != 1 || got[0].ID != mine {
				t.Errorf("got %v after the chaos, want the fault that was there before", got)
			}
			s.Clear()
		})
		return out
	}
	a, b, c := history(1), history(1), history(2)
	if a != b || a == c || len(a) < 200 {
		t.Errorf("histories of seeds 1, 1 and 2 are\n%s\n%s\n%s", a, b, c)
	}
}

// TestErrorsAreWords: what is wrong with a fault is said in the words of who has sent it: without Go's types and slices.
func TestErrorsAreWords(t *testing.T) {
	for text, want := range map[string]string{
		`{"kind":"gapp"}`:                 `there is no fault "gapp": there are head-behind, pause, syncing, `,
		`{"kind":"gap","from":"x"}`:       "read fault: from is a JSON string, and not a whole number",
		`{"kind":"gap","from":-1}`:        "read fault: from is a JSON number -1, and not a whole number",
		`{"kind":"gap","rate":"x"}`:       "read fault: rate is a JSON string, and not a number",
		`{"kind":"gap","rate":2}`:         "fault gap: rate 2 is not from 0 to 1",
		`{"kind":"gap","from":9,"to":3}`:  "fault gap: from 9 to 3, exclusive, are no heights",
		`{"kind":"gap","for":3}`:          "read fault: for is a JSON number, and not a text such as 2s",
		`{"kind":"gap","for":"3"}`:        `read fault: "3" is not a duration such as 500ms, 2s or 1m`,
		`{"kind":"gap","depht":3}`:        `read fault: there is no field "depht"`,
		`{"kind":"gap","namespace":"zz"}`: `read fault: namespace: namespace "zz" is not 58 hexadecimal digits`,
		`[]`:                              "read fault: it is a JSON array, and not an object",
	} {
		var f fault.Fault
		err := f.UnmarshalJSON([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.ContainsAny(err.Error(), "[]{}") {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// TestFields: what a kind says of its fields holds: what its help names is among them, and each kind of a default is told.
func TestFields(t *testing.T) {
	for _, k := range fault.Kinds() {
		fields := k.Fields()
		for _, m := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(k.Help(), -1) {
			if !slices.Contains(fields, m[1]) {
				t.Errorf("%s: %q names %s, which is not among %v", k, k.Help(), m[1], fields)
			}
		}
		for _, name := range fields {
			switch name {
			case "depth", "size", "delay", "per_second", "status":
				if !strings.Contains(k.Help(), "`"+name+"` (") {
					t.Errorf("%s: the help %q does not say the default of %s", k, k.Help(), name)
				}
			}
		}
	}
	if got := fault.Kind("none").Fields(); got != nil {
		t.Errorf("got the fields %v of no kind", got)
	}
}
