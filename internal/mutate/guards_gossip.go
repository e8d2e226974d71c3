package main

// gossipGuards are about peers.
var gossipGuards = []guard{
	{
		name: "a peer's head goes back with it",
		file: "gossip/peers.go",
		from: "(item == nil || head.Height >= k.head.Height)", to: "head.Height >= k.head.Height",
		pkg: "./gossip", test: "TestHeadGoesBack",
	},
	{
		name: "a peer is left once",
		file: "gossip/peers.go",
		from: " && !(left && now.Before(b.until))", to: " && (left || true) && b.cause != k.cause+\"x\"",
		pkg: "./gossip", test: "TestFlood",
	},
	{
		name: "nobody is asked for the head of who has gone",
		file: "gossip/peers.go",
		from: "\tp.settle(block.Ref{}, nil)\n", to: "",
		pkg: "./gossip", test: "TestHeadGoesBack",
	},
	{
		name: "a message of a peer has the one encoding that blocks have",
		file: "gossip/blocks.go",
		from: "if !bytes.Equal(h.Encode(), header) {", to: "if false {",
		pkg: "./gossip", test: "TestOtherEncoding",
	},
	{
		name: "a block's lengths are in their shortest form",
		file: "block/whole.go",
		from: "case n+m != protowire.SizeBytes(len(header))+protowire.SizeBytes(len(data)):", to: "case false:",
		pkg: "./gossip", test: "TestGarbledCopies",
	},
	{
		name: "a peer's transactions are those that the header names",
		file: "gossip/blocks.go",
		from: "if sum := block.CommitmentOf(txs); !bytes.Equal(h.Header.DataHash, sum[:]) {", to: "if sum := block.CommitmentOf(txs); len(sum) == 0 {",
		pkg: "./gossip", test: "TestGarbledCopies",
	},
	{
		name: "a block is passed on once",
		file: "gossip/blocks.go",
		from: "if err == nil && !g.tally.add(item.Ref()) {", to: "if err == nil && !g.tally.add(item.Ref()) && false {",
		pkg: "./gossip", test: "TestVerdicts|TestGarbledCopies",
	},
	{
		name: "two blocks of a height are passed on, and no more",
		file: "gossip/gossip.go",
		from: "if len(at) >= mostForwarded {", to: "if false {",
		pkg: "./gossip", test: "TestVerdicts",
	},
	{
		name: "a peer with too many faults is left",
		file: "gossip/peers.go",
		from: "leave := k.faults >= leaveAt", to: "leave := false",
		pkg: "./gossip", test: "TestForgerIsLeft",
	},
	{
		name: "a peer that does not answer is passed over at the next try",
		file: "gossip/peers.go",
		from: "p.fault(id, wrong, follow.ErrStalled)", to: "_ = wrong",
		pkg: "./gossip", test: "TestSilentPeer",
	},
	{
		name: "a peer whose answers come to no end is passed over at the next try",
		file: "gossip/peers.go",
		from: "case isTimeout(failure) && !some:", to: "case isTimeout(failure) && false:",
		pkg: "./gossip", test: "TestSlowPeer",
	},
	{
		name: "a peer's heads are heard at a bounded rate",
		file: "gossip/range.go",
		from: "case <-time.After(heads / 2):", to: "case <-time.After(0):",
		pkg: "./gossip", test: "TestManyHeads",
	},
	{
		name: "the peers that are kept out are bounded",
		file: "gossip/peers.go",
		from: "if len(p.banned) <= mostBanned {", to: "if mostBanned > 0 {",
		pkg: "./gossip", test: "TestManyAreLeft",
	},
	{
		name: "an answer with a hole is a fault",
		file: "gossip/range.go",
		from: "case item.Height != at:", to: "case false:",
		pkg: "./gossip", test: "TestWrongAnswers",
	},
	{
		name: "an answer ends where it was asked to",
		file: "gossip/range.go",
		from: "case at >= to:", to: "case false:",
		pkg: "./gossip", test: "TestWrongAnswers",
	},
	{
		name: "a peer has so many answers at a time",
		file: "gossip/peers.go",
		from: "if p.inAll >= answersInAll || p.answers[id] >= answersEach {", to: "if false {",
		pkg: "./gossip", test: "TestBounds",
	},
	{
		name: "heads are told beside gossip",
		file: "gossip/range.go",
		from: "		g.peers.announce(p, head, nil)", to: "		_ = head",
		pkg: "./gossip", test: "TestLateJoiner|TestPartition",
	},
	{
		name: "the place among peers goes back with the node's head",
		file: "gossip/blocks.go",
		from: "if now.Unsafe.Height < was.Unsafe.Height {", to: "if false {",
		pkg: "./gossip", test: "TestGateOpens",
	},
	{
		name: "what came to be safe while a peer was asked for it is no failure",
		file: "gossip/peers.go",
		from: "errors.Is(err, node.ErrStale) && p.safe() >= from {", to: "false {",
		pkg: "./gossip", test: "TestOvertaken",
	},
	{
		name: "a port of gossip has one process",
		file: "gossip/gossip.go",
		from: "libp2p.Transport(tcp.NewTCPTransport, tcp.DisableReuseport())", to: "libp2p.Transport(tcp.NewTCPTransport)",
		pkg: "./gossip", test: "TestPortInUse",
	},
	{
		name: "a peer of the settings that is not there is told",
		file: "gossip/peers.go",
		from: "p.g.log.Warn(\"peer lost\", \"peer\", info.ID, \"err\", cause)", to: "_ = cause",
		pkg: "./gossip", test: "TestPeerOfTheSettingsIsTold",
	},
	{
		name: "a peer that has not told its head has not said what it has",
		file: "gossip/recover.go",
		from: "if !told {", to: "if !told && false {",
		pkg: "./gossip", test: "TestRecover",
	},
	{
		name: "what is not known while a peer of the settings is away is an error",
		file: "gossip/recover.go",
		from: "case g.isOfSettings(id):", to: "case false:",
		pkg: "./gossip", test: "TestRecover",
	},
}
