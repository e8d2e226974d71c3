// Package contracts holds the rollup's inbox contract: its source Inbox.sol, and the artifact Inbox.json that the Solidity compiler made of it
// (compiler version, ABI, bytecode to deploy and as deployed, and the compiler's metadata, which names the source by hash). Its tests show
// that source, metadata, bytecode and the Go bindings in l1/ethereum/inbox belong together. build.sh makes the artifact and the bindings anew.
package contracts

import _ "embed"

//go:generate ./build.sh

// Source is the source of the contract Inbox.
//
//go:embed Inbox.sol
var Source []byte

// V1 is the artifact of the contract's version 1, of the inboxes that were deployed with it: they go on as they are. It never changes.
//
//go:embed testdata/inbox-v1.json
var V1 []byte

// Artifact is what the compiler made of Source, as JSON, for tools that deploy or call the contract.
//
//go:embed Inbox.json
var Artifact []byte
