package main

// policyGuards are those of when the sequencer proposes to an inbox, and for how much.
var policyGuards = []guard{
	{
		name: "blocks wait for others until the oldest has waited long enough",
		file: "internal/sequencer/policy.go",
		from: "!time.Now().Before(latest) {", to: "true {",
		pkg: "./internal/sequencer", test: "TestProposedWhenOld",
	},
	{
		name: "a proposal is full by what it holds, and not by an estimate",
		file: "internal/sequencer/policy.go",
		from: "if err != nil || size >= q.cfg.Full {", to: "if err != nil || size >= 0 {",
		pkg: "./internal/sequencer", test: "TestProposedWhenFull",
	},
	{
		name: "no block waits for others where that would end in a pause",
		file: "internal/sequencer/policy.go",
		from: "case pending >= min(max(q.cfg.MaxPending/2, 1), l1.MaxBlocks):", to: "case pending >= l1.MaxBlocks:",
		pkg: "./internal/sequencer", test: "TestProposedBeforeAPause",
	},
	{
		name: "forced items are proposed before they are due",
		file: "internal/sequencer/policy.go",
		from: "if w.due > 0 || w.soon == 0 {", to: "if true {",
		pkg: "./internal/sequencer", test: "TestProposedForForcedItems",
	},
	{
		name: "what an operator wants proposed does not wait",
		file: "internal/sequencer/policy.go",
		from: "case held.Asked > s.Safe.Height:", to: "case false:",
		pkg: "./internal/sequencer", test: "TestProposedByHand",
	},
	{
		name: "a queue that cannot be read while blocks wait is no failed submission",
		file: "internal/sequencer/policy.go",
		from: "return false, ctx.Err()\n", to: "return false, err\n",
		pkg: "./internal/sequencer", test: "TestQueueUnreadWhileBlocksWait",
	},
	{
		name: "no block is dropped for a proposal that was cut for its price",
		file: "internal/sequencer/propose.go",
		from: "case due && draft.short && draft.cut && !whole:", to: "case false:",
		pkg: "./internal/sequencer", test: "TestProposalsAreWorthTheirPrice",
	},
	{
		name: "what the L1 asks for does not make proposals smaller",
		file: "internal/sequencer/propose.go",
		from: "case errors.Is(err, l1.ErrFeeCap):", to: "case false:",
		pkg: "./internal/sequencer", test: "TestFeeCapIsNoMatterOfSize",
	},
	{
		name: "a proposal that waits as it may is no reason at the sequencer",
		file: "node/ready.go",
		from: "ripe := made.Add(v.pace.delay)", to: "ripe := made",
		pkg: "./node", test: "TestHealthyIsReady/proposals_each_ten_minutes",
	},
	{
		name: "no tip is above its limit",
		file: "l1/ethereum/send.go",
		from: "[]*big.Int{a.opt.MaxTip, f.cap}", to: "[]*big.Int{f.cap}",
		pkg: "./l1/ethereum", test: "TestFeesAboveTheLimits",
	},
	{
		name: "a proposal that is sent again takes what has come meanwhile with it",
		file: "l1/ethereum/account.go",
		from: "if a.replace(try, r.sidecar != nil) && r.fuller != nil {", to: "if a.replace(try, r.sidecar != nil) && false {",
		pkg: "./l1/ethereum", test: "TestFullerInItsPlace",
	},
	{
		name: "a proposal goes on in the kind that waits in a pool",
		file: "l1/ethereum/propose.go",
		from: "a.kind.blobs, otherwise = !a.kind.blobs, true", to: "otherwise = true",
		pkg: "./l1/ethereum", test: "TestKindAfterARestart",
	},
	{
		name: "what nothing can take the place of has the other limits at once",
		file: "l1/ethereum/send.go",
		from: "if len(a.pinned(*f, blobs)) > 0 ||", to: "if",
		pkg: "./l1/ethereum", test: "TestNothingCanTakeItsPlace",
	},
	{
		name: "a full node learns how long blocks wait to be proposed together",
		file: "node/ready.go",
		from: "return max(v.sync.Rhythm.Waited-2*v.up.each(v.blockTime), 0)", to: "return 0",
		pkg: "./node", test: "TestHealthyIsReady/proposals_each_ten_minutes",
	},
	{
		name: "how long blocks wait by night is not forgotten by day",
		file: "internal/syncer/rhythm.go",
		from: "return max(w.before, w.long())", to: "return w.long()",
		pkg: "./internal/syncer", test: "TestRhythmOfWaits",
	},
	{
		name: "what can never be applied is read again where there is another head",
		file: "follow/follower.go",
		from: "|| f.kept.stale(item.Ref(), head)", to: "",
		pkg: "./follow", test: "TestKeptItemOfAFork",
	},
	{
		name: "a draft reads no more of a backlog than a proposal could hold",
		file: "internal/sequencer/propose.go",
		from: "len(blocks) < l1.MaxBlocks && room >= 0; h++ {", to: "len(blocks) < l1.MaxBlocks; h++ {",
		pkg: "./internal/sequencer", test: "TestBacklogInBytes",
	},
	{
		name: "a draft of version 1 encodes no more of a backlog than a proposal could hold",
		file: "internal/sequencer/propose.go",
		from: "i < len(blocks) && size <= limit; i++ {", to: "i < len(blocks); i++ {",
		pkg: "./internal/sequencer", test: "TestBacklogInBytes",
	},
	{
		name: "a search of a queue goes on where it was",
		file: "internal/syncer/forced.go",
		from: "goesOn := r.wanted != nil &&", to: "goesOn := false &&",
		pkg: "./internal/syncer", test: "TestSearch",
	},
	{
		name: "a search goes on only behind the block that it ended with",
		file: "internal/syncer/forced.go",
		from: "goesOn = rec.Block.Ref() == r.last", to: "goesOn = rec.Block != nil",
		pkg: "./internal/syncer", test: "TestSearch",
	},
	{
		name: "a search of another queue begins anew",
		file: "internal/syncer/forced.go",
		from: "&& &r.queue[0] == &queue[0]", to: "",
		pkg: "./internal/syncer", test: "TestSearch",
	},
	{
		name: "a search from another block begins anew",
		file: "internal/syncer/forced.go",
		from: "&& r.from == from", to: "",
		pkg: "./internal/syncer", test: "TestSearch",
	},
	{
		name: "a search notices that blocks are replaced while it reads",
		file: "internal/syncer/forced.go",
		from: "if r.last.Height >= from && !bytes.Equal(", to: "if false && !bytes.Equal(",
		pkg: "./internal/syncer", test: "TestSearch",
	},
	{
		name: "what is missing so far does not end a search",
		file: "internal/derive/l1.go",
		from: "left := maps.Clone(w.have)", to: "_ = maps.Clone(w.have); left := w.have",
		pkg: "./internal/syncer", test: "TestSearch",
	},
}
