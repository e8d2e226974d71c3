// Package inbox holds the Go bindings of the contract Inbox: packing of calls, unpacking of results, events and errors. It is generated
// by contracts/build.sh from contracts/Inbox.sol; a test in package contracts shows that they belong together.
package inbox
