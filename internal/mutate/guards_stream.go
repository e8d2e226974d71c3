package main

// streamGuards are about publishing a stream.
var streamGuards = []guard{
	{
		name: "a server that does not answer keeps nobody from those that do",
		file: "stream/nats/publish/dial.go",
		from: "overtake(errOvertaken)", to: "_ = errOvertaken",
		pkg: "./stream/nats/publish", test: "TestDialPassesTheDeadBy",
	},
	{
		name: "a server that is slow has all its time in the end",
		file: "stream/nats/publish/dial.go",
		from: "d.cut[address] = true", to: "d.cut[address] = false",
		pkg: "./stream/nats/publish", test: "TestDialSparesTheSlow",
	},
	{
		name: "dialling ends with who wants it",
		file: "stream/nats/publish/dial.go",
		from: "ctx, done := context.WithTimeout(ctx, d.wait)", to: "ctx, done := context.WithTimeout(context.WithoutCancel(ctx), d.wait)",
		pkg: "./stream/nats/publish", test: "TestDialEnds",
	},
	{
		name: "a message names the last sequence that it expects",
		file: "stream/nats/publish/session.go",
		from: "jetstream.WithExpectLastSequence(f.seq), jetstream.WithRetryAttempts(0))", to: "jetstream.WithRetryAttempts(0))",
		pkg: "./stream/nats/publish", test: "TestThree",
	},
	{
		name: "the parts of a block name the last sequence that they expect",
		file: "stream/nats/publish/session.go",
		from: "m.Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(first, 10))", to: "",
		pkg: "./stream/nats/publish", test: "TestParts",
	},
	{
		name: "a message that the server takes for one of before gets another id",
		file: "stream/nats/publish/session.go",
		from: "if s.duplicate == id {", to: "if false {",
		pkg: "./stream/nats/publish", test: "TestReorg",
	},
	{
		name: "a reorg is published only by who stands further on the source",
		file: "stream/nats/publish/decide.go",
		from: "s.p.opt.Head == await.Safe && !final && beyond", to: "s.p.opt.Head == await.Safe && !final && (beyond || true)",
		pkg: "./stream/nats/publish", test: "TestTwoForks|TestBehind",
	},
	{
		name: "what another node has published as final is never taken back",
		file: "stream/nats/publish/decide.go",
		from: "s.p.opt.Head == await.Safe && !final && beyond", to: "s.p.opt.Head == await.Safe && (!final || true) && beyond",
		pkg: "./stream/nats/publish", test: "TestFinalIsNotTakenBack",
	},
	{
		name: "two nodes that disagree about a final block publish no more",
		file: "stream/nats/publish/decide.go",
		from: "case stands.Height <= st.Heads.Finalized.Height:", to: "case false:",
		pkg: "./stream/nats/publish", test: "TestDisagree",
	},
	{
		name: "a reorg goes back to a block that both have",
		file: "stream/nats/publish/decide.go",
		from: "			if here == at {", to: "			if here.Height == at.Height && at != from {",
		pkg: "./stream/nats/publish", test: "TestReorg",
	},
	{
		name: "half of a batch is no block",
		file: "stream/nats/message.go",
		from: "	if m.Part < m.Parts {", to: "	if false {",
		pkg: "./stream/nats/publish", test: "TestParts",
	},
	{
		name: "an idle stream is looked at",
		file: "stream/nats/publish/session.go",
		from: "		case <-probe.C:\n			s.at = nil", to: "		case <-probe.C:",
		pkg: "./stream/nats/publish", test: "TestPurgedAndDeleted",
	},
	{
		name: "a stream up to another head is not written",
		file: "stream/nats/publish/stream.go",
		from: "[]string{nats.MetaFormat, nats.MetaGenesis, nats.MetaHead}", to: "[]string{nats.MetaFormat, nats.MetaGenesis}",
		pkg: "./stream/nats/publish", test: "TestAnotherStream",
	},
	{
		name: "a block that does not follow the one before is not published",
		file: "stream/nats/publish/session.go",
		from: "if !first && item.Parent != after.Hash {", to: "if !first && item.Parent != after.Hash && false {",
		pkg: "./stream/nats/publish", test: "TestChangesMeanwhile",
	},
	{
		name: "a message that no publisher has written is passed over",
		file: "stream/nats/publish/stream.go",
		from: "errors.Is(err, nats.ErrNotOurs) && passed < mostForeign", to: "false && passed < mostForeign",
		pkg: "./stream/nats/publish", test: "TestForeignMessage",
	},
	{
		name: "what is in flight is bounded in bytes",
		file: "stream/nats/publish/session.go",
		from: "f.bytes+size > maxFlight", to: "false",
		pkg: "./stream/nats/publish", test: "TestFlight",
	},
	{
		name: "who connects to the embedded server may publish nothing",
		file: "stream/nats/server/server.go",
		from: ", Permissions: reading()}", to: "}",
		pkg: "./stream/nats/server", test: "TestReaders",
	},
	{
		name: "who connects to the embedded server cannot ask for the names of others' consumers",
		file: "stream/nats/server/server.go",
		from: `"$JS.API.CONSUMER.INFO.*.*"`, to: `"$JS.API.CONSUMER.>"`,
		pkg: "./stream/nats/server", test: "TestReaders",
	},
	{
		name: "who connects to the embedded server has no answer written into the stream",
		file: "stream/nats/server/server.go",
		from: "Username: l.reader, Account: of,", to: "Username: l.reader,",
		pkg: "./stream/nats/server", test: "TestReadersWriteNothing",
	},
	{
		name: "while there is no connection the state says why",
		file: "stream/nats/publish/line.go",
		from: "p.unreached(why, tries-seen, lasts)", to: "p.unreached(errDown, tries-seen, lasts)",
		pkg: "./stream/nats/publish", test: "TestCauseOfNoConnection",
	},
	{
		name: "what the server does not permit is the cause",
		file: "stream/nats/publish/publish.go",
		from: "p.opt.Servers.hide(l.explain(err))", to: "p.opt.Servers.hide(err)",
		pkg: "./stream/nats/publish", test: "TestCauseOfRefusal",
	},
	{
		name: "what was final for who published it is not taken back by a reorg that goes below it",
		file: "stream/nats/publish/decide.go",
		from: "if to.Height < at.last.Final {", to: "if false {",
		pkg: "./stream/nats/publish", test: "TestFinalBelowIsNotTakenBack",
	},
	{
		name: "where the tip is at its limit the fee is, too",
		file: "l1/ethereum/send.go",
		from: "{a.opt.MaxTip.Cmp(a.opt.MaxFee) < 0, \"l1.max_tip\", f.tip, a.opt.MaxTip}", to: "{false, \"l1.max_tip\", f.tip, a.opt.MaxTip}",
		pkg: "./l1/ethereum", test: "TestFeesAboveTheLimits",
	},
}
