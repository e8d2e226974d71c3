package main

// Every stage is told for what it is, since when it is, and never of a chain that is well.
var stagesGuards = []guard{
	{
		name: "an account that may not propose stands in the way",
		file: "internal/sequencer/propose.go",
		from: "err = q.refused(err)",
		to:   "",
		pkg:  "./internal/sequencer", test: "TestProposerRefused",
	},
	{
		name: "a chain that was never idle may be a lazy one",
		file: "node/ready.go",
		from: "	if r.Busy {\n",
		to:   "	if false && r.Busy {\n",
		pkg:  "./node", test: "TestChainStands",
	},
	{
		name: "what the section is stuck at stands since its first failure",
		file: "internal/syncer/syncer.go",
		from: "case st.StageSince.IsZero():",
		to:   "default:",
		pkg:  "./internal/syncer", test: "TestStageStandsSinceItsFirstFailure",
	},
	{
		name: "the loop stands since the first failure of both",
		file: "node/ready.go",
		from: "if !w.Since.IsZero() && w.Since.Before(first) {",
		to:   "if !w.Since.IsZero() {",
		pkg:  "./node", test: "TestLoopStandsSinceItsFirstFailure",
	},
	{
		name: "an endpoint that others overtake is silent",
		file: "follow/best.go",
		from: "			other.health.overtaken(u.Head.Height)\n",
		to:   "",
		pkg:  "./follow", test: "TestSilentSince",
	},
	{
		name: "an endpoint that speaks is not silent, though it is behind",
		file: "follow/health.go",
		from: "h.st.Live, h.st.Silent = height, now, true, time.Time{}",
		to:   "h.st.Live, h.st.Silent = height, now, true, h.st.Silent",
		pkg:  "./follow", test: "TestSilentSince",
	},
	{
		name: "no endpoint is called silent for what is late by chance",
		file: "node/status.go",
		from: "if now.Sub(of[i].Silent) < bound {",
		to:   "if now.Sub(of[i].Silent) < 0 {",
		pkg:  "./node", test: "TestSilentEndpoint",
	},
}
