package main

// decodeGuards are about the order in which what strangers send is looked at: the gate, the signatures, and only then
// what costs more; and about where that is done.
var decodeGuards = []guard{
	{
		name: "the canonical encoding has no byte more",
		file: "block/blob.go",
		from: "same, rest := len(d.raw) == d.size(), d.raw", to: "same, rest := len(d.raw) >= d.size(), d.raw",
		pkg: "./block", test: "TestDataBlobIsWhatItDecodesTo",
	},
	{
		name: "the canonical encoding begins as it does",
		file: "block/blob.go",
		from: "d.writeMeta(match)\n", to: "rest = rest[sizePrefixed(dataMetadata, d.metaSize()):]\n",
		pkg: "./block", test: "TestDataBlobIsWhatItDecodesTo",
	},
	{
		name: "the canonical encoding ends as it does",
		file: "block/blob.go",
		from: "d.writeTail(match)\n", to: "\n",
		pkg: "./block", test: "TestDataBlobIsWhatItDecodesTo",
	},
	{
		name: "a piece of transactions is as it is in the canonical encoding",
		file: "block/blob.go",
		from: "case r.at-from == sizePrefixed(dataTxs, len(f.bytes)):", to: "case r.at > from:",
		pkg: "./block", test: "TestDataBlobIsWhatItDecodesTo",
	},
	{
		name: "the canonical form keeps nothing of what it came in",
		file: "block/blob.go",
		from: "c.keep(&p)\n", to: "c.keep(&p)\n\tc.signature, c.signer = d.signature, d.signer\n",
		pkg: "./block", test: "TestCanonicalKeepsNothing",
	},
	{
		name: "what is checked is told apart by its signature",
		file: "block/blob.go",
		from: "[][]byte{c.sum, d.signature, ", to: "[][]byte{c.sum, ",
		pkg: "./block", test: "TestCheckIDs",
	},
	{
		name: "what is checked is told apart by its key's encoding",
		file: "block/blob.go",
		from: "d.signer.PubKey} {", to: "} {",
		pkg: "./block", test: "TestCheckIDs",
	},
	{
		name: "data is copied when it is known to be the proposer's",
		file: "internal/derive/verify.go",
		from: "check := key.CheckData(d)", to: "check := key.CheckData(d.Canonical())",
		pkg: "./internal/derive", test: "TestForgedDataTakesNoMemory",
	},
	{
		name: "transactions are listed when their block is built",
		file: "internal/derive/verify.go",
		from: "out := &half{data: d, commitment: d.Commitment()}", to: "out := &half{data: d, commitment: d.Commitment()}\n\t_ = d.Data()",
		pkg: "./internal/derive", test: "TestWaitingDataTakesItsBytes",
	},
	{
		name: "an item that was verified for a chain that is further",
		file: "internal/derive/derive.go",
		from: "if v.known.exceeds(d.Known()) {", to: "if false {",
		pkg: "./internal/derive", test: "TestKnownAhead",
	},
	{
		name: "items are verified outside of the section",
		file: "internal/syncer/da.go",
		from: "verified := item.Data.Result()", to: "d.mu.Lock()\n\tverified := item.Data.Result()\n\td.mu.Unlock()",
		pkg: "./internal/syncer", test: "TestVerifiedOutsideOfTheSection",
	},
	{
		name: "an item that was verified for a chain that is further is verified again",
		file: "internal/syncer/da.go",
		from: "for errors.Is(err, derive.ErrAhead) {", to: "for false {",
		pkg: "./internal/syncer", test: "TestVerifiedOutsideOfTheSection",
	},
	{
		name: "proposals are verified outside of the section",
		file: "internal/syncer/l1.go",
		from: "opened := k.open(item.Data.Messages)", to: "k.mu.Lock()\n\topened := k.open(item.Data.Messages)\n\tk.mu.Unlock()",
		pkg: "./internal/syncer", test: "TestProposalsAreVerifiedOutsideOfTheSection",
	},
	{
		name: "a core is left for who makes blocks",
		file: "internal/syncer/syncer.go",
		from: "max(runtime.GOMAXPROCS(0)-1, 1)", to: "runtime.GOMAXPROCS(0)+1",
		pkg: "./internal/syncer", test: "TestACoreIsLeft",
	},
	{
		name: "items are verified on all cores but one",
		file: "internal/syncer/da.go",
		from: "d.verify(func() {\n\t\tst := d.cfg.Store.State()", to: "func(f func()) { f() }(func() {\n\t\tst := d.cfg.Store.State()",
		pkg: "./internal/syncer", test: "TestACoreIsLeft",
	},
	{
		name: "offers are verified on all cores but one",
		file: "internal/syncer/offer.go",
		from: "o.s.verify(func() { b, err", to: "func(f func()) { f() }(func() { b, err",
		pkg: "./internal/syncer", test: "TestACoreIsLeft",
	},
	{
		name: "the gate comes before an offer is looked at",
		file: "internal/syncer/offer.go",
		from: "if err := o.Gate(); err != nil {\n\t\treturn Refused", to: "if err := error(nil); err != nil {\n\t\treturn Refused",
		pkg: "./internal/syncer", test: "TestGateComesFirst",
	},
	{
		name: "the canonical chain is past an offer before its signatures are looked at",
		file: "internal/syncer/offer.go",
		from: "if err := o.within(h.Header.Height); err != nil {", to: "if err := error(nil); err != nil {",
		pkg: "./internal/syncer", test: "TestGateComesFirst",
	},
	{
		name: "the gate comes before the body of an offer",
		file: "node/unsafe.go",
		from: "if err := o.offers().Gate(); err != nil {", to: "if err := error(nil); err != nil {",
		pkg: "./node", test: "TestGateBeforeBody",
	},
	{
		name: "the bodies of offers are weighed",
		file: "node/unsafe.go",
		from: "size := int64(maxUnsafe)", to: "size := int64(0)",
		pkg: "./node", test: "TestOffersAreWeighed",
	},
	{
		name: "who offers does not wait for ever",
		file: "node/unsafe.go",
		from: "r.Context(), offerTime,", to: "r.Context(), time.Hour,",
		pkg: "./node", test: "TestOffersAreWeighed",
	},
	{
		name: "the body of an offer is decoded in place",
		file: "node/unsafe.go",
		from: "out := text[:0] //", to: "out := []byte(nil) //",
		pkg: "./node", test: "TestFloodOfOffers",
	},
}
