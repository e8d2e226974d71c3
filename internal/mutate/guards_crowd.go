package main

// crowdGuards are about many who wait for the same node: what they share, and what wakes them.
var crowdGuards = []guard{
	{
		name: "a block is read and written down once for all who listen",
		file: "node/events.go",
		from: "\t\ts.shared.keep(s.shape, e)\n", to: "",
		pkg: "./node", test: "TestOneEventForAll",
	},
	{
		name: "an event is shared by those who have asked for the same shape",
		file: "node/shared.go",
		from: "e := s.events[eventKey{height, shape}].Value()", to: "e := s.events[eventKey{height: height}].Value()",
		pkg: "./node", test: "TestOneEventForAll",
	},
	{
		name: "a shared event counts for each who sends it",
		file: "node/events.go",
		from: "err = hold.Grow(ctx, int64(cap(event.text)))", to: "err = nil",
		pkg: "./node", test: "TestSharedEventsCount",
	},
	{
		name: "an event is of the heads of now",
		file: "node/shared.go",
		from: "if e == nil || !e.holds(heads) {", to: "if e == nil {",
		pkg: "./node", test: "TestSharedEventsOfNow",
	},
	{
		name: "what was final is shared by those who come later, too",
		file: "node/shared.go",
		from: "e.safe && e.ref.Height <= e.heads.Finalized.Height", to: "false",
		pkg: "./node", test: "TestSharedEventsOfNow",
	},
	{
		name: "what was not final is shared under the same heads alone",
		file: "node/shared.go",
		from: "e.safe && e.ref.Height <= e.heads.Finalized.Height", to: "e.safe",
		pkg: "./node", test: "TestSharedEventsOfNow",
	},
	{
		name: "a block that has become safe is read again",
		file: "node/shared.go",
		from: "case !e.safe && was <= heads.Safe.Height:", to: "case false:",
		pkg: "./node", test: "TestSharedEventsOfNow",
	},
	{
		name: "a stream goes on with a shared event of its own branch alone",
		file: "node/shared.go",
		from: "c.anyHash || e.parent != c.at.Hash ||", to: "c.anyHash ||",
		pkg: "./node", test: "TestSharedEventsAreExact",
	},
	{
		name: "a reorg ends what is shared",
		file: "node/events.go",
		from: "\t\ts.shared.forget() //", to: "\t\t//",
		pkg: "./node", test: "TestSharedEventsBeforeTheStatus",
	},
	{
		name: "whoever is at the head reads nothing",
		file: "node/events.go",
		from: "if s.isAt(heads) {", to: "if false {",
		pkg: "./node", test: "TestSharedEventsOfNow",
	},
	{
		name: "a level wakes those first who wait for the least",
		file: "watch/level.go",
		from: "return h[i].n < h[j].n", to: "return h[i].n > h[j].n",
		pkg: "./watch", test: "TestLevel",
	},
	{
		name: "a level forgets those who have gone",
		file: "watch/level.go",
		from: "\t\theap.Remove(&l.waiting, w.at)\n", to: "",
		pkg: "./watch", test: "TestLevelForgets",
	},
	{
		name: "the end of a level wakes all",
		file: "watch/level.go",
		from: "(l.closed || ", to: "(false || ",
		pkg: "./watch", test: "TestLevel",
	},
	{
		name: "a part that stays the same wakes nobody",
		file: "watch/watch.go",
		from: "v.Load() != now || v.at.IsZero()", to: "true",
		pkg: "./watch", test: "TestPart",
	},
	{
		name: "a part ends with its Value",
		file: "watch/watch.go",
		from: "\tfor _, p := range w.parts {\n\t\tp.Close(err)\n", to: "\tfor range w.parts {\n",
		pkg: "./watch", test: "TestPart",
	},
	{
		name: "the place of a client who has left is free",
		file: "node/park.go",
		from: "return errors.Is(err, os.ErrDeadlineExceeded)", to: "return errors.Is(err, os.ErrDeadlineExceeded) || true",
		pkg: "./node", test: "TestParkedWait",
	},
	{
		name: "a wait that lasts keeps little memory",
		file: "node/wait.go",
		from: "&& n.park(w, r, g, done) {", to: "&& false {",
		pkg: "./node", test: "TestMemoryOfACrowd",
	},
	{
		name: "a wait that was parked is answered when its number is reached",
		file: "node/park.go",
		from: "func() { _ = p.SetReadDeadline(time.Unix(1, 0)) }", to: "func() {}",
		pkg: "./node", test: "TestParkedWait",
	},
}
