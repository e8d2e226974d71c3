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
	{
		name: "an error object in unknown words is no verdict on a transaction",
		file: "l1/ethereum/account.go",
		from: "return row.means\n\t\t}\n\t}\n\treturn unsure",
		to:   "return row.means\n\t\t}\n\t}\n\treturn refused",
		pkg:  "./l1/ethereum", test: "TestSentInVain",
	},
	{
		name: "what nobody lets through was not sent",
		file: "l1/ethereum/account.go",
		from: "case unreached(err), slices.Contains(letsNothingThrough, status(err)):",
		to:   "case unreached(err):",
		pkg:  "./l1/ethereum", test: "TestSentInVain",
	},
	{
		name: "the account's nonce is of the block that the inbox's state is of",
		file: "l1/ethereum/propose.go",
		from: "p.at.nonceAt(ctx, p.from, head)",
		to:   "p.at.nonce(ctx, p.from)",
		pkg:  "./l1/ethereum", test: "TestNonceOfTheSameBlock",
	},
	{
		name: "a proposal that is too large is made smaller",
		file: "internal/sequencer/propose.go",
		from: "part.tooBig(l1.Size(draft.Blocks), time.Now())",
		to:   "",
		pkg:  "./internal/sequencer", test: "TestProposalTooBig",
	},
	{
		name: "a block that is too big for a proposal even alone is named",
		file: "internal/sequencer/propose.go",
		from: "err = q.stuck(draft.last, l1.Size(draft.Blocks), err)",
		to:   "",
		pkg:  "./internal/sequencer", test: "TestProposalTooBig",
	},
}
