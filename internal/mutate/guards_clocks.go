package main

// clocksGuards are about what goes by the source's own clock, and about a head that vanishes or is too final.
var clocksGuards = []guard{
	{
		name: "a burst is one sample with the gap before it",
		file: "follow/pace.go",
		from: "s.each() < p.samples[n-1].each()/burstRatio", to: "false",
		pkg: "./follow", test: "TestPace",
	},
	{
		name: "the pace is the median, not the last sample",
		file: "follow/pace.go",
		from: "return each[(len(each)-1)/2]", to: "return p.samples[len(p.samples)-1].each()",
		pkg: "./follow", test: "TestPace",
	},
	{
		name: "one interval is no pace",
		file: "follow/pace.go",
		from: "if len(p.samples) < paceLeast {", to: "if len(p.samples) < 1 {",
		pkg: "./follow", test: "TestPace",
	},
	{
		name: "what somebody knows of the pace is not measured over",
		file: "follow/health.go",
		from: "if h.pace.heard(height, now); h.fixed == 0 {", to: "if h.pace.heard(height, now); true {",
		pkg: "./follow", test: "TestPatience",
	},
	{
		name: "an endpoint that answers in silence says its head again",
		file: "da/celestia/subscribe.go",
		from: "\tif h.Height < before { // the node has gone back\n", to: "\tif h.Height == before {\n\t\treturn nil\n\t}\n\tif h.Height < before {\n",
		pkg: "./da/celestia", test: "TestSlowChain/websocket",
	},
	{
		name: "a poll waits no longer than silence is borne",
		file: "da/celestia/news.go",
		from: "context.WithTimeout(ctx, e.patience())", to: "context.WithCancel(ctx)",
		pkg: "./da/celestia", test: "TestSlowChain/polling",
	},
	{
		name: "a muted subscription is found out by the block time",
		file: "l1/ethereum/news.go",
		from: "time.NewTimer(e.health.Patience(opt.Silence))", to: "time.NewTimer(opt.Silence)",
		pkg: "./l1/ethereum", test: "TestMutedSubscription/by_the_block_time",
	},
	{
		name: "a transaction is sent again by the block time",
		file: "l1/ethereum/pace.go",
		from: "case pace > 0:", to: "case false:",
		pkg: "./l1/ethereum", test: "TestResendFollowsTheBlockTime",
	},
	{
		name: "an endpoint that stands still is no sign of life",
		file: "node/ready.go",
		from: "if v.blockTime < 0 { // nothing but that it answers", to: "if true { // nothing but that it answers",
		pkg: "./node", test: "TestReadinessByTheChainsClock",
	},
	{
		name: "two missed slots are no stall",
		file: "node/ready.go",
		from: "bound += blockTime / 2", to: "bound += 0",
		pkg: "./node", test: "TestReadinessByTheChainsClock",
	},
	{
		name: "the bound of readiness has a floor",
		file: "node/ready.go",
		from: "return max(bound, minStall)", to: "return bound",
		pkg: "./node", test: "TestReadinessByTheChainsClock",
	},
	{
		name: "an L1 on demand is asked whether it is there",
		file: "node/ready.go",
		from: "case v.blockTime < 0:", to: "case false:",
		pkg: "./node", test: "TestReadinessByTheChainsClock",
	},
	{
		name: "a depth of 0 is none",
		file: "node/config.go",
		from: "if err != nil || depth == 0 {", to: "if err != nil {",
		pkg: "./cmd/headrace", test: "TestWrongFiles",
	},
	{
		name: "what is deep enough is final",
		file: "internal/syncer/l1.go",
		from: "return k.Finalize(ctx, l1.Ref(ref))", to: "_ = ref\n\treturn nil",
		pkg: "./internal/syncer", test: "TestDepthIsNoBlocksMatter",
	},
	{
		name: "what is not deep enough is not",
		file: "internal/syncer/l1.go",
		from: "k.At(at - depth)", to: "k.At(at)",
		pkg: "./internal/syncer", test: "TestDepthIsNoBlocksMatter",
	},
	{
		name: "a proposal goes to the head where the position is gone",
		file: "internal/sequencer/propose.go",
		from: "if lost && q.cfg.Inbox != nil {", to: "if lost && false {",
		pkg: "./internal/sequencer", test: "TestHeadVanishes",
	},
	{
		name: "an endpoint below the position may only be late",
		file: "internal/sequencer/gone.go",
		from: "time.Since(q.gone.since) < patience", to: "false",
		pkg: "./internal/sequencer", test: "TestHeadVanishes",
	},
	{
		name: "an endpoint that is behind another has no say in what is gone",
		file: "l1/ethereum/reader.go",
		from: "case e.behind(h) > 0:", to: "case false:",
		pkg: "./l1/ethereum", test: "TestGone",
	},
	{
		name: "another block in the place of the position",
		file: "l1/ethereum/reader.go",
		from: "(there == nil || there.hash != common.Hash(at.Hash))", to: "there == nil",
		pkg: "./l1/ethereum", test: "TestGone",
	},
	{
		name: "an L1 endpoint that wants to be left alone is not asked",
		file: "l1/ethereum/rest.go",
		from: "if err := r.health.Resting(); err != nil {", to: "if err := r.health.Resting(); err != nil && false {",
		pkg: "./l1/ethereum", test: "TestRetryAfter",
	},
	{
		name: "what was not asked says nothing of an L1 endpoint",
		file: "l1/ethereum/endpoint.go",
		from: "case !errors.Is(err, follow.ErrResting):", to: "default:",
		pkg: "./l1/ethereum", test: "TestRetryAfter",
	},
	{
		name: "what fails again and again is said once",
		file: "internal/edge/edge.go",
		from: "due := !now.Before(e.next)", to: "due := true",
		pkg: "./internal/edge", test: "TestRepeats",
	},
	{
		name: "what is remembered of failures is bounded",
		file: "internal/edge/edge.go",
		from: "len(l.told) >= most", to: "false",
		pkg: "./internal/edge", test: "TestBounded",
	},
	{
		name: "what has not begun has not ended",
		file: "follow/follower.go",
		from: `if heard {
			what`, to: `if true {
			what`,
		pkg: "./follow", test: "TestSaidOnce",
	},
	{
		name: "what waits says since when",
		file: "node/ready.go",
		from: "w.Since = before[j].Since", to: "_ = before[j].Since",
		pkg: "./node", test: "TestWaitingSince",
	},
	{
		name: "a submission waits for its block, however slow the chain is",
		file: "internal/sequencer/sequencer.go",
		from: "return max(q.cfg.SubmitTimeout(), q.cfg.Patience())", to: "return q.cfg.SubmitTimeout()",
		pkg: "./internal/sequencer", test: "TestSlowDALayer",
	},
	{
		name: "a mempool forgets after a number of blocks",
		file: "node/da.go",
		from: "left > 0; left = flight() - time.Since(start)", to: "left > 0; left = 0 * time.Since(start)",
		pkg: "./node", test: "TestFlightGrows",
	},
	{
		name: "a wrong clock makes no sequencer that posts unready",
		file: "node/ready.go",
		from: "return o.seq.MadeAt(n.oldest.Ref, n.oldest.Made)", to: "return n.oldest.Made",
		pkg: "./node", test: "TestReadyWithAWrongClock",
	},
	{
		name: "blocks wait to be proposed by the monotonic clock",
		file: "internal/sequencer/policy.go",
		from: "latest = q.MadeAt(rec.Block.Ref(), rec.Block.Made()).Add(", to: "latest = rec.Block.Made().Add(",
		pkg: "./internal/sequencer", test: "TestOldByAWrongClock",
	},
	{
		name: "the age of a block from before the start is not one by a clock that is wrong",
		file: "internal/sequencer/made.go",
		from: "if !believed || header.After(m.other.at) {", to: "if false {",
		pkg: "./internal/sequencer", test: "TestMade",
	},
	{
		name: "when something happened last is by the monotonic clock",
		file: "internal/moment/moment.go",
		from: "return began.Add(time.Duration(d))", to: "return began.Add(time.Duration(d)).Round(0)",
		pkg: "./internal/moment", test: "TestClockThatIsPut",
	},
	{
		name: "a replica whose clock is behind believes that the time of a safe block has come",
		file: "internal/syncer/replica.go",
		from: "at.After(r.sourceTime) {", to: "at.IsZero() {",
		pkg: "./internal/syncer", test: "TestReplicaWithAClockBehind",
	},
}
