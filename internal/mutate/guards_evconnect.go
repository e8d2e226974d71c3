package main

// evconnectGuards are of executors that are called over gRPC and Connect.
var evconnectGuards = []guard{
	{
		name: "a connection to an executor is made once",
		file: "exec/evolve/evgrpc/link.go",
		from: "if conn != nil {",
		to:   "if conn != nil && conn.Err() == nil {",
		pkg:  "./exec/evolve/evgrpc", test: "TestRestartIsNoticed",
	},
	{
		name: "a client of an executor that is closed makes no connection",
		file: "exec/evolve/evgrpc/link.go",
		from: "if t.closed {",
		to:   "if false {",
		pkg:  "./exec/evolve/evgrpc", test: "TestClosed",
	},
	{
		name: "what is not in the protocol's form is not an executor's",
		file: "exec/evolve/evgrpc/link.go",
		from: "case !c.way.isAnswer(resp):",
		to:   "case false:",
		pkg:  "./exec/evolve/evgrpc", test: "TestGatewayIsNoExecutor",
	},
	{
		name: "an error of Connect has a code",
		file: "exec/evolve/evgrpc/link.go",
		from: " && code.UnmarshalText([]byte(said.Code)) == nil",
		to:   " && (code == 0 || true)",
		pkg:  "./exec/evolve/evgrpc", test: "TestForeignJSON",
	},
	{
		name: "an executor that keeps no connection is refused",
		file: "exec/evolve/evgrpc/link.go",
		from: "case resp.Close && resp.ProtoMajor == 1:",
		to:   "case false:",
		pkg:  "./exec/evolve/evgrpc", test: "TestConnectionsMustLast",
	},
	{
		name: "an executor is found in whatever form it is served",
		file: "exec/evolve/evgrpc/evgrpc.go",
		from: "case isDial(err) || ctx.Err() != nil:",
		to:   "case true:",
		pkg:  "./exec/evolve/evgrpc", test: "TestAnotherForm",
	},
	{
		name: "codes of what stands before an executor are no verdicts",
		file: "exec/evolve/evgrpc/evgrpc.go",
		from: "return connect.IsWireError(err) && !slices.Contains(silent, connect.CodeOf(err))",
		to:   "return connect.IsWireError(err) && !slices.Contains(silent[:3], connect.CodeOf(err))",
		pkg:  "./exec/evolve/evgrpc", test: "TestGatewayIsNoExecutor",
	},
	{
		name: "that a method is missing is believed of an executor that answers",
		file: "exec/evolve/evgrpc/evgrpc.go",
		from: "case x.isThere(ctx, l, w) != nil:",
		to:   "case false:",
		pkg:  "./exec/evolve/evgrpc", test: "TestGatewayIsNoExecutor",
	},
	{
		name: "a block whose answer is too large may be executed",
		file: "exec/evolve/evgrpc/evgrpc.go",
		from: " && method != evnodev1.ExecutorService_ExecuteTxs_FullMethodName:",
		to:   ":",
		pkg:  "./exec/evolve/evgrpc", test: "TestAnswers",
	},
}
