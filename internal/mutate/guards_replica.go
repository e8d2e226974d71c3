package main

// replicaGuards are about nodes that follow other nodes.
var replicaGuards = []guard{
	{
		name: "a replica's block is signed by the proposer, whoever sends it",
		file: "internal/syncer/replica.go",
		from: "if err := a.Header(h); err != nil {", to: "if err := error(nil); err != nil {",
		pkg: "./node", test: "TestReplicaOfLiars",
	},
	{
		name: "a node is not ahead because it says so",
		file: "node/replica.go",
		from: "at, err := m.headAt(ctx, t.safe)", to: "at, err := t.safe, error(nil)",
		pkg: "./node", test: "TestReplicaOfLiars",
	},
	{
		name: "a home's positions stay of one kind",
		file: "node/replica.go",
		from: "if !errors.As(err, &other) {", to: "if !errors.As(err, &other) || true {",
		pkg: "./node", test: "TestReplicaRefusals",
	},
	{
		name: "a replica does not know how far the layer was read",
		file: "node/wait.go",
		from: "if n.opt.isReplica() && (", to: "if false && (",
		pkg: "./node", test: "TestReplicaRefusals",
	},
	{
		name: "a replica is not ready if no node is that it follows",
		file: "node/ready.go",
		from: "add(v.relayed(bound)...)", to: "_ = v.relayed",
		pkg: "./node", test: "TestReplicaReadiness",
	},
	{
		name: "replicas in a circle are not ready by each other's word",
		file: "node/replica.go",
		from: "if at.IsZero() || !at.After(h.by[by].at) {", to: "if at.IsZero() {",
		pkg: "./node", test: "TestReplicaReadiness",
	},
	{
		name: "a copy whose envelope was taken is no replica's block",
		file: "internal/syncer/replica.go",
		from: "if err == nil && !r.reverts && !item.Data.envelope && r.cfg.Store.State().EnvelopesOnly {", to: "if false {",
		pkg: "./internal/syncer", test: "TestReplicaChecks",
	},
	{
		name: "a replica takes nothing back that is final",
		file: "internal/syncer/replica.go",
		from: "if !r.reverts || st.Safe.Height <= st.Finalized.Height {", to: "if false {",
		pkg: "./internal/syncer", test: "TestReplicaReverts",
	},
	{
		name: "a block without a signature is the one that the next names",
		file: "internal/syncer/replica.go",
		from: "got != next.Parent || ", to: "got == next.Hash || ",
		pkg: "./internal/syncer", test: "TestReplicaOfBareBlocks",
	},
	{
		name: "a block without a signature is no unsafe one",
		file: "internal/syncer/replica.go",
		from: "bare := len(last.Block.Header.Signature) == 0", to: "bare := len(last.Block.Header.Signature) < 0",
		pkg: "./internal/syncer", test: "TestReplicaOfBareBlocks",
	},
	{
		name: "what to do is said of a replica's own sources",
		file: "node/status.go",
		from: "remedyOf(s.Mode, v.stage)", to: "v.stage.Remedy()",
		pkg: "./node", test: "TestReplica$",
	},
	{
		name: "a replica's lost block is read from the nodes that it follows",
		file: "node/replica.go",
		from: "found.bare = append(found.bare,", to: "_ = append(found.bare,",
		pkg: "./node", test: "TestRottenBlockOfAReplica",
	},
	{
		name: "a replica calls final what it has itself",
		file: "internal/syncer/replica.go",
		from: "!ok || here != at {\n\t\treturn nil\n\t}\n\tif err", to: "false {\n\t\treturn nil\n\t} else if _ = ok; here == at || true {\n\t}\n\tif err",
		pkg: "./internal/syncer", test: "TestReplicaReverts",
	},
}
