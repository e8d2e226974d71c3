package main

var pauseGuards = []guard{
	{
		name: "a submission is tried again at once when the source is back",
		file: "internal/sequencer/submit.go",
		from: "err := backoff.Sleep(ctx, wake)",
		to:   "err := backoff.Sleep(ctx, nil)",
		pkg:  "./internal/sequencer", test: "TestPauseEndsWhenTheSourceIsBack",
	},
	{
		name: "a source that is there all the time ends no pause",
		file: "internal/sequencer/submit.go",
		from: "_, err := q.cfg.Source.Wait(bounded, func(s follow.State) bool { return !s.Subscribed })",
		to:   "var err error",
		pkg:  "./internal/sequencer", test: "TestPauseEndsWhenTheSourceIsBack",
	},
	{
		name: "a refused size is remembered when blocks would be dropped for it",
		file: "internal/sequencer/portion.go",
		from: "p.limit >= p.most || now.Sub(p.walled) < wall",
		to:   "p.limit >= p.most",
		pkg:  "./internal/sequencer", test: "TestPortionIsWholeAgain",
	},
}
