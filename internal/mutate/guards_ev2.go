package main

// ev2Guards keep what an ev-node's operator meets from being taken for more than it is.
var ev2Guards = []guard{
	{
		name: "a local-da is for nobody who wants proofs",
		file: "node/da.go",
		from: "		if level != da.Trust {", to: "		if level != da.Trust && false {",
		pkg: "./node", test: "TestLocalDARefused",
	},
	{
		name: "a client of a local-da promises no proofs",
		file: "da/celestia/client.go",
		from: "	if opt.LocalDA && opt.Level != da.Trust {", to: "	if opt.LocalDA && opt.Level != da.Trust && false {",
		pkg: "./da/celestia", test: "TestLocalDARefused",
	},
	{
		name: "a height of a local-da is known by what it holds",
		file: "da/celestia/localda.go",
		from: "		sum.Write(digest[:])\n", to: "		_ = digest\n",
		pkg: "./da/celestia", test: "TestLocalDA",
	},
	{
		name: "what follows a height of a local-da follows what it holds now",
		file: "da/celestia/localda.go",
		from: "	_, parent, err := e.localBlobs(ctx, from-1)\n", to: "	_, parent, err := e.localBlobs(ctx, 0)\n",
		pkg: "./da/celestia", test: "TestLocalDA",
	},
	{
		name: "a celestia-node is not taken for a local-da",
		file: "da/celestia/localda.go",
		from: "	if err == nil {\n		return 0, fmt.Errorf(\"it has header", to: "	if err == nil && false {\n		return 0, fmt.Errorf(\"it has header",
		pkg: "./da/celestia", test: "TestLocalDARefused",
	},
	{
		name: "that a chain is another one counts from when it was seen to end below",
		file: "node/ready.go",
		from: "		w.Since = below //", to: "		//",
		pkg: "./node", test: "TestBelowWhatWasRead",
	},
	{
		name: "another chain is named by the item that shows it",
		file: "follow/follower.go",
		from: "there.Height, there.Hash, ours.Hash, err)", to: "last.Height, there.Hash, ours.Hash, err)",
		pkg: "./follow", test: "TestAnotherChainStalls",
	},
	{
		name: "a local-da that has begun anew is noticed",
		file: "node/ready.go",
		from: "add(v.anew()...)", to: "",
		pkg: "./node", test: "TestLocalDA$",
	},
	{
		name: "nothing is posted that is built on another state than the engine's",
		file: "internal/sequencer/submit.go",
		from: "		return !s.Diverged && (", to: "		return (",
		pkg: "./internal/sequencer", test: "TestNothingIsPostedOnAnotherState",
	},
	{
		name: "nothing is proposed that is built on another state than the engine's",
		file: "internal/sequencer/propose.go",
		from: "			return !s.Diverged && (", to: "			lost = lost || s.Diverged // so that ripen is not asked, which would say it again\n			return (",
		pkg: "./internal/sequencer", test: "TestNothingIsProposedOnAnotherState",
	},
	{
		name: "an ev-node's chain is not executed by our own application without a word",
		file: "cmd/headrace/init.go",
		from: "		if g.DA == nil && !isSet(\"engine.kind\") {", to: "		if g.DA == nil && !isSet(\"engine.kind\") && false {",
		pkg: "./cmd/headrace", test: "TestScripts/evolve",
	},
	{
		name: "a lazy sequencer with nothing to do is not paused",
		file: "internal/sequencer/sequencer.go",
		from: "		backoff.Reset()\n		q.pause(\"\")\n		switch {\n		case head != before:\n			last = time.Now()\n		case q.cfg.Lazy:\n			q.idle(ctx, last.Add(q.cfg.LazyInterval))\n		}\n",
		to:   "		backoff.Reset()\n		switch {\n		case head != before:\n			last = time.Now()\n		case q.cfg.Lazy:\n			q.idle(ctx, last.Add(q.cfg.LazyInterval))\n		}\n		q.pause(\"\")\n",
		pkg:  "./internal/sequencer", test: "TestLazyAfterAFailure",
	},
}
