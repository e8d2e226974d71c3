package main

// streamReadGuards are about those who read a stream of NATS.
var streamReadGuards = []guard{
	{
		name: "a reorg from another block than the reader's is waited out",
		file: "stream/nats/consumer.go",
		from: "case m.IsReorg() && m.From != at:", to: "case false:",
		pkg: "./stream/nats", test: "TestReadDoesNotGoBackToAVoidBranch",
	},
	{
		name: "nothing is undone before a publisher has gone on with the other branch",
		file: "stream/nats/consumer_seek.go",
		from: "if last.Final < at.Height {", to: "if false {",
		pkg: "./stream/nats", test: "TestReadDoesNotGoBackToAVoidBranch",
	},
	{
		name: "a block is given to the sink behind its parent alone",
		file: "stream/nats/consumer.go",
		from: "case height == at.Height+1 && (at.Hash.IsZero() || m.Parent == at.Hash):", to: "case height == at.Height+1:",
		pkg: "./stream/nats", test: "TestReadGoesOnByANode",
	},
	{
		name: "a stream in which a block does not follow is no reorg",
		file: "stream/nats/consumer_seek.go",
		from: "case common.Block == at:", to: "case false:",
		pkg: "./stream/nats", test: "TestReadGoesOnByANode",
	},
	{
		name: "a block that was looked for in vain is not looked for for ever",
		file: "stream/nats/consumer.go",
		from: "if r.hole.height == early.height {", to: "if false {",
		pkg: "./stream/nats", test: "TestReadGoesBackAfterReorgsThatItMissed",
	},
	{
		name: "what became of the reader's block stands behind it in the stream",
		file: "stream/nats/consumer_seek.go",
		from: "return ours.last + 1, nil", to: "return next + 0*ours.last, nil",
		pkg: "./stream/nats", test: "TestReadGoesBackAfterReorgsThatItMissed",
	},
	{
		name: "a foreign message at a block's subject does not hide the block",
		file: "stream/nats/consumer_seek.go",
		from: "case ours && f.Whole():", to: "case ours || true:",
		pkg: "./stream/nats", test: "TestReadPassesOverForeignMessages",
	},
	{
		name: "what the sink came to is asked, and not guessed",
		file: "stream/nats/consumer.go",
		from: "at, err := r.sink.Last(ctx)\n\tif err != nil {\n\t\treturn endError{err}", to: "at, err := ref.Ref{}, error(nil)\n\tif err != nil {\n\t\treturn endError{err}",
		pkg: "./stream/nats", test: "TestReadAsksASinkThatFailed",
	},
	{
		name: "a final branch of a node is left by an older block",
		file: "stream/nats/consumer.go",
		from: "if known.Height < step || known.Hash.IsZero() {", to: "if true {",
		pkg: "./stream/nats", test: "TestReadGoesOnByANode",
	},
	{
		name: "a reorg goes to a block that is there",
		file: "stream/nats/check.go",
		from: "if m.Follows(c.stands) && (!m.IsReorg() || c.has(m.Block)) {", to: "if m.Follows(c.stands) {",
		pkg: "./stream/nats", test: "TestCheckFindsEachDamage",
	},
	{
		name: "a message id is looked at",
		file: "stream/nats/check.go",
		from: `if id := first(header[HeaderID]); id != m.ID() && `, to: `if id := first(header[HeaderID]); false && `,
		pkg: "./stream/nats", test: "TestCheckFindsEachDamage",
	},
	{
		name: "what is damaged itself is no hole",
		file: "stream/nats/check.go",
		from: "if d.goesOn.Kind != Hole || missing > d.attached {", to: "if missing >= 0 {",
		pkg: "./stream/nats", test: "TestCheckFindsEachDamage",
	},
	{
		name: "a block's body is the block that its headers name",
		file: "stream/nats/check.go",
		from: "if part.is != part.should {", to: "if false {",
		pkg: "./stream/nats", test: "TestCheckFindsEachDamage",
	},
	{
		name: "a stream is compared with a node's chain",
		file: "stream/nats/check.go",
		from: "e.Block.Hash != ours.Hash {", to: "false {",
		pkg: "./stream/nats", test: "TestCheckComparesWithANode",
	},
	{
		name: "a whole block's transactions are no number",
		file: "await/state.go",
		from: "case said.Txs[0] == '[':", to: "case false:",
		pkg: "./await", test: "TestEventsOfWholeBlocks",
	},
	{
		name: "a stream that is not there yet is waited for",
		file: "stream/nats/consumer.go",
		from: `return errors.New("there is no stream of a chain: does a node publish one?")`, to: `return endError{errors.New("there is no stream of a chain: does a node publish one?")}`,
		pkg: "./stream/nats", test: "TestOnlyChainWaits",
	},
	{
		name: "a right that is missing is not waited for",
		file: "stream/nats/consumer.go",
		from: "case errors.Is(err, ErrRefused) && (!r.read || errors.Is(err, ErrDenied)):", to: "case false:",
		pkg: "./stream/nats", test: "TestReadEndsWhereItIsRefused",
	},
	{
		name: "a password that is wrong for a while ends no reader",
		file: "stream/nats/consumer.go",
		from: "case errors.Is(err, ErrRefused) && (!r.read || errors.Is(err, ErrDenied)):", to: "case errors.Is(err, ErrRefused):",
		pkg: "./stream/nats", test: "TestReadGoesOnAfterALateRefusal",
	},
	{
		name: "a check asks its node before it reads a stream",
		file: "stream/nats/check.go",
		from: "_, err := c.nodeState(ctx)\n", to: "err := error(nil)\n",
		pkg: "./stream/nats", test: "TestCheckWaits",
	},
	{
		name: "a reorg is undone before the next block comes",
		file: "stream/nats/consumer_seek.go",
		from: "case stands.Height <= at.Height:", to: "case stands.Height < at.Height && !r.vouched:\n\t\treturn next, nil\n\tcase stands.Height <= at.Height:",
		pkg: "./stream/nats", test: "TestReadUndoesBeforeTheNextBlock",
	},
	{
		name: "what is above a void block is void",
		file: "stream/nats/consumer.go",
		from: "case !ok || hash != m.From.Hash:", to: "case true || !ok || hash != m.From.Hash:",
		pkg: "./stream/nats", test: "TestReadUndoesWhatIsAboveAVoidBlock",
	},
	{
		name: "what a sink has forgotten the stream's history knows",
		file: "stream/nats/consumer_seek.go",
		from: "if known && hash == Forgotten {", to: "if false {",
		pkg: "./stream/nats", test: "TestReadGoesBackNoFurtherThanItMust",
	},
	{
		name: "what a sink has forgotten is no other block",
		file: "stream/nats/consumer.go",
		from: "sinks != Forgotten && ", to: "",
		pkg: "./stream/nats", test: "TestReadKeepsWhatItHasForgotten",
	},
	{
		name: "a slow sink has few bytes sent ahead",
		file: "stream/nats/consumer.go",
		from: "jetstream.PullMaxMessagesWithBytesLimit(r.opt.Buffer, most)", to: "jetstream.PullMaxMessages(r.opt.Buffer+0*most)",
		pkg: "./stream/nats", test: "TestReadHoldsFewBytes",
	},
}
