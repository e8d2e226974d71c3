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
}
