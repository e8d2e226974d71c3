package main

// handGuards are those of an operator's hand on a sequencer.
var handGuards = []guard{
	{
		name: "a sequencer that was stopped stays so over a restart",
		file: "internal/sequencer/hand.go",
		from: "h.is.Set(Held{Stopped: note.Since})", to: "_ = note",
		pkg: "./internal/sequencer", test: "TestStop$",
	},
	{
		name: "a stop waits for the block under way",
		file: "internal/sequencer/hand.go",
		from: "defer func() { <-h.making }()", to: "<-h.making",
		pkg: "./internal/sequencer", test: "TestStopWaitsForTheBlock",
	},
	{
		name: "no block is made after a stop, whatever its maker waited for then",
		file: "internal/sequencer/hand.go",
		from: "	if !h.is.Load().Stopped.IsZero() {\n		return false, nil", to: "	if false {\n		return false, nil",
		pkg: "./internal/sequencer", test: "TestStopWhileThereIsNoRoom",
	},
	{
		name: "what cannot be noted is no stop",
		file: "internal/sequencer/hand.go",
		from: "if err := h.note(now); err != nil {", to: "if err := h.note(now); err != nil && false {",
		pkg: "./internal/sequencer", test: "TestStopIsNotedFirst",
	},
	{
		name: "an operator ends the pause after a failure",
		file: "internal/sequencer/submit.go",
		from: "return h.Asks != q.asks", to: "return false",
		pkg: "./internal/sequencer", test: "TestPostEndsAPause",
	},
	{
		name: "nothing is posted before what it needs is prepared",
		file: "internal/sequencer/submit.go",
		from: "if err := q.prepared(ctx); err != nil {", to: "if err := ctx.Err(); err != nil {",
		pkg: "./internal/sequencer", test: "TestPrepare$",
	},
	{
		name: "what blobs need is set up at the start",
		file: "node/l1.go",
		from: "if account.MayUseBlobs() {", to: "if false {",
		pkg: "./node", test: "TestBlobsArePrepared",
	},
}
