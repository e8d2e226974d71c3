package main

var postingGuards = []guard{
	{
		name: "what was sent is given time to arrive before it is looked for",
		file: "internal/sequencer/submit.go",
		from: "arrival, cancel := context.WithTimeout(ctx, q.cfg.Arrival)",
		to:   "arrival, cancel := context.WithTimeout(ctx, 0)",
		pkg:  "./internal/sequencer", test: "TestLateArrival",
	},
	{
		name: "heights are looked through from the newest one on",
		file: "internal/sequencer/submit.go",
		from: "return max(height, q.head()), nil",
		to:   "return min(height, q.head()), nil",
		pkg:  "./internal/sequencer", test: "TestLookFromTheNewestHead",
	},
	{
		name: "the look ends when everything was found",
		file: "internal/sequencer/submit.go",
		from: "there := func(s syncer.Status) bool { return s.Safe.Height >= to }",
		to:   "there := func(s syncer.Status) bool { return false }",
		pkg:  "./internal/sequencer", test: "TestLookEndsWhenFound",
	},
}
