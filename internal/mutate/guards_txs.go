package main

// txsGuards are about where a transaction is, and about who has sent it and waits.
var txsGuards = []guard{
	{
		name: "the places of transactions go with their block",
		file: "internal/store/commit.go",
		from: "s.dropTxs(batch, from, to), ", to: "",
		pkg: "./internal/store", test: "TestIndexIsThatOfTheBlocks",
	},
	{
		name: "an index that began later is not whole",
		file: "internal/store/txs.go",
		from: "if err == nil && ok && len(list) >= len(st.Unsafe.Hash) && block.Hash(list[:len(st.Unsafe.Hash)]) == st.Unsafe.Hash {",
		to:   "if _ = list; err == nil {",
		pkg:  "./internal/store", test: "TestIndexThatBeganLater",
	},
	{
		name: "a place that an earlier version left is not told",
		file: "internal/store/txs.go",
		from: "return len(list) >= at+n && block.Hash(list[:n]) == m.hash && block.Hash(list[at:at+n]) == tx, nil",
		to:   "return at >= 0 && list != nil, nil",
		pkg:  "./internal/store", test: "TestPlacesThatWereLeft",
	},
	{
		name: "the places that are looked at are bounded",
		file: "internal/store/txs.go",
		from: "if most--; most < 0 {", to: "if most--; false {",
		pkg: "./internal/store", test: "TestPlacesAreBounded",
	},
	{
		name: "a damaged index keeps no block from being repaired",
		file: "internal/store/repair.go",
		from: "\t\tif err != nil {\n\t\t\tbreak\n\t\t}\n\t}\n\treturn copying\n", to: "\t\tif err != nil {\n\t\t\treturn err\n\t\t}\n\t}\n\treturn copying\n",
		pkg: "./internal/store", test: "TestRepairOfAnIndexedStore",
	},
	{
		name: "who waits for a head is not told before",
		file: "node/sent.go",
		from: "if sub.at != nil && sub.at.block.Height <= heads.of(w.head).Height {", to: "if sub.at != nil {",
		pkg: "./node", test: "TestSubmissionsInAReorg",
	},
	{
		name: "a place has one submission",
		file: "node/sent.go",
		from: "if !once && p.used {", to: "if false {",
		pkg: "./node", test: "TestEachSubmissionHasItsPlace",
	},
	{
		name: "a place is of a block that was not there when it was sent",
		file: "node/sent.go",
		from: "(once || sub.number <= p.block.begun)", to: "true",
		pkg: "./node", test: "TestSubmissionsInAnyOrder",
	},
	{
		name: "a place that is somebody's is not gone through again",
		file: "node/sent.go",
		from: "\tq.places = slices.DeleteFunc(q.places, func(p *txPlace) bool { return p.used })\n}", to: "}",
		pkg: "./node", test: "TestTheSameManyTimes",
	},
	{
		name: "a block that comes again is no news",
		file: "node/sent.go",
		from: "s.gone[ref.Hash]; again {", to: "s.gone[ref.Hash]; again && false {",
		pkg: "./node", test: "TestSubmissionsInAReorg",
	},
	{
		name: "a reorg puts a wait back",
		file: "node/sent.go",
		from: "\t\ts.in[n-1].at = nil\n", to: "",
		pkg: "./node", test: "TestSubmissionsInAReorg",
	},
	{
		name: "a refused transaction has no turn",
		file: "node/sent.go",
		from: "\tdefer s.mu.Unlock()\n\ts.remove(sub)\n", to: "\tdefer s.mu.Unlock()\n",
		pkg: "./node", test: "TestSubmissionsInAnyOrder",
	},
	{
		name: "what nobody waits for is bounded",
		file: "node/sent.go",
		from: "if old.turn > 0 && s.waits[old] == nil {", to: "if false {",
		pkg: "./node", test: "TestSubmissionsAreBounded",
	},
	{
		name: "what is executed once may have been there before",
		file: "node/sent.go",
		from: "\t\ts.findEarlier(o, q, sub.hash)\n", to: "",
		pkg: "./node", test: "TestSubmissionsInAnyOrder",
	},
	{
		name: "who waits holds no room for bodies",
		file: "node/send.go",
		from: "ask.taken = func() { httpd.Forget(r) }", to: "ask.taken = nil",
		pkg: "./node", test: "TestSendersGiveBackTheirBodies",
	},
	{
		name: "those who send and wait are counted",
		file: "node/send.go",
		from: "done := n.long.begin(&n.waiters)", to: "done := func() {}",
		pkg: "./node", test: "TestSendersAreCounted",
	},
	{
		name: "what is in no index is not called unknown",
		file: "node/txs.go",
		from: "if from <= oldest {", to: "if from <= oldest || true {",
		pkg: "./node", test: "TestNoIndexOfTransactions",
	},
	{
		name: "a receipt is of the block that is asked for",
		file: "exec/engineapi/receipt.go",
		from: " || of.BlockHash != in {", to: " {",
		pkg: "./exec/engineapi", test: "TestSuite/TransactionHashes",
	},
	{
		name: "a block that was signed before a crash is no news for who sends after it",
		file: "node/sent.go",
		from: "s.gone[last.Ref.Hash] = lookedAt{Ref: last.Ref}", to: "_ = last",
		pkg: "./node", test: "TestSubmissionsAfterACrash",
	},
}
