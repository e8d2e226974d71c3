package main

// softGuards are about blocks that come before the canonical source has them.
var softGuards = []guard{
	{
		name: "a block under another's id is no reason to ask again at once",
		file: "node/streamed.go",
		from: "if errors.Is(err, ErrFar) && n.Takes(e.ref.Height) == nil {", to: "if false {",
		pkg: "./node", test: "TestHostileStreams",
	},
	{
		name: "an unsafe block is not too far above the safe head",
		file: "internal/syncer/offer.go",
		from: "case o.most > 0 && height > safe+o.most:", to: "case false:",
		pkg: "./internal/syncer", test: "TestOffersAreNear",
	},
	{
		name: "of two unsafe blocks the preferred one stays",
		file: "internal/syncer/offer.go",
		from: "if b.compare(rankOf(&at.Block.Header)) <= 0 {", to: "if false {",
		pkg: "./internal/syncer", test: "TestReplaysOfTwoBlocks",
	},
	{
		name: "of two unsafe blocks at the same time the greater hash is preferred",
		file: "internal/syncer/offer.go",
		from: "bytes.Compare(r.id[:], other.id[:])", to: "1",
		pkg: "./internal/syncer", test: "TestReplaysOfTwoBlocks",
	},
	{
		name: "an unsafe block that the engine refused is not tried again",
		file: "internal/syncer/offer.go",
		from: "if err := o.unfit[b.hash]; err != nil {", to: "if err := error(nil); err != nil {",
		pkg: "./internal/syncer", test: "TestReplaysOfAnInvalidBlock",
	},
	{
		name: "an unsafe header has its envelope",
		file: "internal/syncer/offer.go",
		from: "if len(h.EnvelopeSignature) == 0 && o.envelopes() {", to: "if false {",
		pkg: "./internal/syncer", test: "TestGarbledOffers",
	},
	{
		name: "of data that nobody has signed the transactions alone count",
		file: "internal/syncer/offer.go",
		from: "if bare || len(b.Data.Txs) == 0 {", to: "if len(b.Data.Txs) == 0 {",
		pkg: "./internal/syncer", test: "TestGarbledOffers",
	},
	{
		name: "a header names its data, which nobody has signed",
		file: "internal/syncer/offer.go",
		from: "if err := a.Names(h, d); err != nil {", to: "if err := error(nil); err != nil {",
		pkg: "./internal/syncer", test: "TestGarbledOffers",
	},
	{
		name: "what waits goes on when the DA layer has its parent",
		file: "internal/syncer/da.go",
		from: "d.Offers.again(ctx)", to: "_ = ctx",
		pkg: "./internal/syncer", test: "TestOffersBesideADALayer",
	},
	{
		name: "evidence is kept of one pair a height",
		file: "internal/syncer/twice.go",
		from: "if known || full", to: "if known && false || full",
		pkg: "./internal/syncer", test: "TestReplaysOfTwoBlocks",
	},
	{
		name: "evidence is bounded",
		file: "internal/syncer/twice.go",
		from: "pairs = pairs[1:]", to: "_ = pairs",
		pkg: "./internal/syncer", test: "TestEvidenceIsBounded",
	},
	{
		name: "evidence that there is no room for gives no alarm again",
		file: "internal/syncer/twice.go",
		from: "if known || full && at == 0 {", to: "if known {",
		pkg: "./internal/syncer", test: "TestEvidenceIsBounded",
	},
	{
		name: "a block that a sequencer drops for a forced transaction is no evidence",
		file: "internal/syncer/twice.go",
		from: "s.byDesign != nil && s.byDesign(a, b)", to: "false",
		pkg: "./internal/syncer", test: "TestDroppedForAForcedItem",
	},
	{
		name: "a second block without a forced transaction is evidence on an L1 too",
		file: "internal/syncer/twice.go",
		from: "return k.forced.any(a.Data.Txs)", to: "return true",
		pkg: "./internal/syncer", test: "TestDroppedForAForcedItem",
	},
	{
		name: "a sequencer takes back what its key has signed",
		file: "node/opened.go",
		from: "TakeBack: o.takeBack,", to: "",
		pkg: "./node", test: "TestTakesBackWhatItSigned",
	},
	{
		name: "an older copy that is trusted takes back what its key has signed",
		file: "internal/sequencer/sequencer.go",
		from: "if doubt != \"\" && !empty {", to: "if false {",
		pkg: "./node", test: "TestTakesBackWhatItSigned",
	},
	{
		name: "what another sequencer signs and does not post begins the wait of a copy anew",
		file: "internal/sequencer/sequencer.go",
		from: "case now.Unsafe != seen.Unsafe:", to: "case false:",
		pkg: "./node", test: "TestCopyOfASequencerThatDoesNotPost",
	},
	{
		name: "forced transactions are known after a restart",
		file: "internal/syncer/l1.go",
		from: "if k.forced, err = loadForced(cfg.Store); err != nil {", to: "if err != nil {",
		pkg: "./internal/syncer", test: "TestDroppedForAForcedItem",
	},
	{
		name: "forced transactions of each block of the L1 are known after a restart",
		file: "internal/syncer/twice.go",
		from: "f.pages++", to: "f.pages = 1",
		pkg: "./internal/syncer", test: "TestDroppedForAForcedItem",
	},
	{
		name: "beyond the loopback no block is taken without a token",
		file: "node/beside.go",
		from: "o.closed = errOpenOffers", to: "_ = errOpenOffers",
		pkg: "./node", test: "TestUnsafeNeedsAToken",
	},
	{
		name: "an event of another node's stream is bounded",
		file: "node/streamed.go",
		from: "if *size > maxEvent {", to: "if false {",
		pkg: "./node", test: "TestHostileStreams",
	},
	{
		name: "a forged block in a stream does not keep the next one out",
		file: "node/streamed.go",
		from: "if errors.Is(err, errForged) && forged < maxForged {", to: "if false {",
		pkg: "./node", test: "TestGarbledStream",
	},
	{
		name: "what another node sends is bounded while this one does not get on",
		file: "node/streamed.go",
		from: "if since += size; since > maxUseless {", to: "if since += size; since < 0 {",
		pkg: "./node", test: "TestHostileStreams",
	},
	{
		name: "a node with unsafe blocks alone is not ready",
		file: "node/ready.go",
		from: "return append(v.unsafeOnly(bound, out), out...)", to: "return out",
		pkg: "./node", test: "TestFollowsAnotherNode",
	},
}
