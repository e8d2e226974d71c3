package main

var syncerGuards = []guard{
	{
		name: "a verdict is given twice, or it is none",
		file: "internal/syncer/engine.go",
		from: "errors.Is(err, exec.ErrInvalid) && !invalid:", to: "errors.Is(err, exec.ErrInvalid) && invalid:",
		pkg: "./internal/syncer", test: "TestVerdictGivenOnceIsNone",
	},
	{
		name: "an engine that has lost blocks within a proposal gets them again",
		file: "internal/syncer/engine.go",
		from: "lost, s.engineKnown = true, false", to: "lost = true",
		pkg: "./internal/syncer", test: "TestEngineFailsWithinAProposal",
	},
	{
		name: "also the blocks of the proposal that are not stored",
		file: "internal/syncer/l1.go",
		from: "for i := range p.append {", to: "for i := range p.append[:0] {",
		pkg: "./internal/syncer", test: "TestEngineFailsWithinAProposal",
	},
	{
		name: "and not the blocks that gave way to it",
		file: "internal/syncer/l1.go",
		from: "if p.truncate != nil {\n\t\tif", to: "if false {\n\t\tif",
		pkg: "./internal/syncer", test: "TestEngineFailsWithinAProposal",
	},
	{
		name: "proofs of heights that were set back meanwhile",
		file: "internal/syncer/prove.go",
		from: "\tfor i, u := range work {\n\t\tu.proven =", to: "\tfor i, u := range d.unproven[:min(len(work), len(d.unproven))] {\n\t\tu.proven =",
		pkg: "./internal/syncer", test: "TestProofOfHeightsSetBackMeanwhile",
	},
	{
		name: "a proof of other claims about the same block",
		file: "internal/syncer/prove.go",
		from: "\t\tu.proven = errs[i] == nil\n", to: "\t\tfor _, v := range d.unproven {\n\t\t\tv.proven = v.proven || v.ref == u.ref && errs[i] == nil\n\t\t}\n",
		pkg: "./internal/syncer", test: "TestProofOfAnEarlierReading",
	},
	{
		name: "a proof that succeeded is not asked for again",
		file: "internal/syncer/prove.go",
		from: "if !u.proven && len(work) < batch {", to: "if len(work) < batch {",
		pkg: "./internal/syncer", test: "TestOneFailingProof",
	},
	{
		name: "what was not proven is read again by the next start",
		file: "internal/syncer/da.go",
		from: "st.Proven != st.Position {", to: "st.Proven.Height > st.Position.Height {",
		pkg: "./internal/syncer", test: "TestRecordedHomesDA",
	},
	{
		name: "an engine that is away stays in the status",
		file: "internal/syncer/syncer.go",
		from: "if s.engineKnown || now.Stage.Name", to: "if true || now.Stage.Name",
		pkg: "./internal/syncer", test: "TestEngineAwayIsTold",
	},
	{
		name: "reverts of one reorg count as one, those of the next as another",
		file: "internal/syncer/l1.go",
		from: "\tk.reverting = false\n", to: "",
		pkg: "./internal/syncer", test: "TestRecordedHomesL1",
	},
	{
		name: "a revert keeps what the L1 has finalized",
		file: "internal/syncer/l1.go",
		from: ", Finalized: in.Finalized}", to: "}",
		pkg: "./internal/syncer", test: "TestRecordedHomesL1",
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
		from: "errors.Join(fmt.Errorf(\"replay block %d: %w\", height, err), s.revertTo(ctx, height-1))", to: "err",
		pkg: "./internal/syncer", test: "TestReplayGivesTheStoredRoot",
	},
	{
		name: "offers wait within their bytes",
		file: "internal/syncer/offer.go",
		from: "for o.bytes > maxOffered && o.order.Len() > 1 {", to: "for false {",
		pkg: "./internal/syncer", test: "TestOffersAreBounded",
	},
	{
		name: "an offer was built on its parent's state root",
		file: "internal/syncer/offer.go",
		from: "!bytes.Equal(b.Header.Header.AppHash, rec.Root) {", to: "false {",
		pkg: "./internal/syncer", test: "TestSpoiledOffers",
	},
}
