package main

var syncerGuards = []guard{
	{
		name: "a verdict is given twice, or it is none",
		file: "internal/syncer/l1.go",
		from: "if errors.Is(err, exec.ErrInvalid) { // a verdict", to: "if false { // a verdict",
		pkg: "./internal/syncer", test: "TestVerdictGivenOnceIsNone",
	},
	{
		name: "proofs of heights that were set back meanwhile",
		file: "internal/syncer/prove.go",
		from: " || s.unproven[0].ref != work[0].ref", to: "",
		pkg: "./internal/syncer", test: "TestProofOfHeightsSetBackMeanwhile",
	},
	{
		name: "a replay gives the stored root",
		file: "internal/syncer/engine.go",
		from: "if !bytes.Equal(root, rec.Root) {", to: "if false {",
		pkg: "./internal/syncer", test: "TestReplayGivesTheStoredRoot",
	},
	{
		name: "a replay that gave another root is taken back",
		file: "internal/syncer/engine.go",
		from: "errors.Join(err, s.cfg.Engine.Revert(ctx, height-1))", to: "err",
		pkg: "./internal/syncer", test: "TestReplayGivesTheStoredRoot",
	},
	{
		name: "offers wait within their bytes",
		file: "internal/syncer/offer.go",
		from: "for o.bytes > maxOffered && len(o.order) > 1 {", to: "for false {",
		pkg: "./internal/syncer", test: "TestOffersAreBounded",
	},
	{
		name: "an offer was built on its parent's state root",
		file: "internal/syncer/offer.go",
		from: "!bytes.Equal(b.Header.Header.AppHash, rec.Root) {", to: "false {",
		pkg: "./internal/syncer", test: "TestSpoiledOffers",
	},
}
