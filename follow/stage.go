package follow

import (
	"cmp"
	"fmt"
)

// Stage is what a node is at, or stuck at, of the way from the source to the blocks and back: every kind of waiting
// that it reports. The zero Stage: none.
type Stage uint8

// The stages. The follower's own come first; the others are its sink's, of those who make blocks, and of a node as a
// whole.
const (
	StageSubscribe Stage = iota + 1
	StageFetch
	StageApply
	StageRevert
	StageCheck

	StageEngine
	StageReplay
	StageDerive
	StageClock
	StageRoot
	StageExecute
	StageProve
	StageProduce
	StageSubmit

	StageHead
	StageCatchUp
	StageChain
	StagePost
	StageEndpoint
	StageSource
	StageUnsafe
	StageDisk
	StageStream

	stages // how many there are, with the zero one
)

// stageTexts is what is said of the stages, wherever something is said of them: the word, what it means that something
// waits there, and what to do. docs/READINESS.md has the same rows.
var stageTexts = [stages]struct{ word, means, remedy string }{
	StageSubscribe: {"subscribe", "no news of the layer's head can be had from any endpoint",
		"see that an endpoint runs at its address and takes the token; name a second one"},
	StageFetch: {"fetch", "a height that was announced cannot be read",
		"see the endpoint's last error in the status; name a second endpoint that has the height"},
	StageApply: {"apply", "a height that was read cannot be taken in",
		"do what the cause says; it is tried again without being read again"},
	StageRevert: {"revert", "the endpoint serves another chain than the one followed, its chain has begun anew, or its L1 takes back what it called final",
		"name an endpoint of the right chain; if its chain has begun anew, begin with a new home; on an L1 that does so, set l1.finality to a depth"},
	StageCheck: {"check", "the endpoint contradicts itself about a height that this node has",
		"use another endpoint: behind this one there may be several that differ"},

	StageEngine: {"engine", "the execution engine does not answer, or not as it should",
		"start it, and see that engine.url or engine.address and its secret are right"},
	StageReplay: {"replay", "the engine has lost blocks, and gets the stored ones again",
		"nothing: it is over when the engine is where the store is"},
	StageDerive: {"derive", "a part of the next block has not been posted, or is kept from this node",
		"see whether the sequencer posts; if other nodes have the block, use another endpoint, or start from a lower height"},
	StageClock: {"clock", "the next block's time is ahead of this machine's clock",
		"set this machine's clock; if it is right, the sequencer's is not"},
	StageRoot: {"root", "the engine's state is another one than the chain's",
		"run the proposer's engine, in its version and with its genesis, on an empty directory"},
	StageExecute: {"execute", "the engine refuses the next block, or does not finish it",
		"see the engine's log; an engine of another version may refuse what the proposer's has made"},
	StageProve: {"prove", "what was applied is not shown to be complete: the endpoint may keep something back",
		"use another endpoint: this one has lost data, or cannot prove it"},
	StageProduce: {"produce", "no block is made here",
		"do what the cause says: as a rule it follows from another row"},
	StageSubmit: {"submit", "blocks were sent to the layer and refused, or not answered for",
		"see that the endpoint's token may write, its account may post and has funds, and the gas price is high enough"},

	StageHead: {"head", "the layer has nothing new: it stands still, or the endpoint does",
		"ask another endpoint for its head; if that goes on, use it"},
	StageCatchUp: {"catch-up", "the node is behind the layer's head, and comes nearer",
		"wait: rate and time left are in the status; if it does not come nearer, the endpoint or the engine is too slow"},
	StageChain: {"chain", "the layer goes on, and the chain does not: no new block for three times its own pace",
		"see whether the sequencer runs and posts; if other nodes have newer blocks, use another endpoint"},
	StagePost: {"post", "blocks made here are not on the layer yet, for longer than posting should take",
		"see what submissions fail of; if they do not, more is made than the layer takes"},
	StageEndpoint: {"endpoint", "an endpoint fails or is silent; the node is ready as long as another one of its kind serves",
		"see the endpoint's last error, and mend or replace it"},
	StageSource: {"source", "the node that this replica follows is not ready itself",
		"see that node's own status; name a second one in source.node"},
	StageUnsafe: {"unsafe", "unsafe only: new blocks come from the sequencer or another node, and nothing comes from the layer",
		"bring the layer's endpoint back, or name a second one; until then the layer may yet have others than the blocks above the safe head"},
	StageDisk: {"disk", "a write has failed, or what is stored is damaged",
		"make room, or mend the disk; what is damaged is told with the command that repairs it"},
	StageStream: {"stream", "the node's blocks are not published in their stream; the node is ready all the same, unless another one has published another block as final",
		"see the cause: the stream's server, its credentials, or a node that has blocks which this one has not; if two nodes disagree about a final block, find out which one is right"},
}

// atReplicas is what is said in the place of stageTexts of a replica, whose source is other nodes: source.node.
// docs/READINESS.md has the same rows.
var atReplicas = [stages]struct{ means, remedy string }{
	StageSubscribe: {"no news of the safe head can be had from any node of source.node",
		"see that a node of this chain runs at its address and takes the token; name a second one in source.node"},
	StageFetch: {"a block that a node of source.node has announced cannot be had",
		"see that node's last error in the status; name a second one in source.node that has the block"},
	StageRevert: {"a node of source.node has another block in the place of one that is final here",
		"find out which of the two is right; name a node of the right chain in source.node, or begin with a new home"},
	StageCheck: {"a node of source.node contradicts itself about a block that this replica has",
		"name another node in source.node: behind this address there may be several that differ"},
	StageDerive: {"the next block of a node of source.node is the proposer's, and does not continue this chain",
		"name another node in source.node; if that has the same block, the proposer has signed what is none"},
	StageHead: {"the nodes of source.node tell nothing new of the layer",
		"see their own status; name one in source.node that reads the layer"},
	StageCatchUp: {"the replica is behind the head of the nodes of source.node, and comes nearer",
		"wait: rate and time left are in the status; if it does not come nearer, those nodes, the link to them, or the engine are too slow"},
	StageEndpoint: {"a node of source.node fails or is silent; the replica is ready as long as another one of them serves",
		"see its last error, and mend it, or name another one in source.node"},
	StageUnsafe: {"unsafe only: new blocks come from the sequencer or another node, and the nodes of source.node have nothing new from the layer",
		"see their own status; name one in source.node that reads the layer; until then it may yet have others than the blocks above the safe head"},
}

// AtReplica says what Means and Remedy do of a stage at which a replica waits.
func (s Stage) AtReplica() (means, remedy string) {
	if s < stages {
		means, remedy = atReplicas[s].means, atReplicas[s].remedy
	}
	return cmp.Or(means, s.Means()), cmp.Or(remedy, s.Remedy())
}

// String returns the stage's word, the same as in JSON.
func (s Stage) String() string {
	if s >= stages {
		return fmt.Sprintf("stage %d", uint8(s))
	}
	return stageTexts[s].word
}

// Means says what it means that something waits at the stage; "" for none.
func (s Stage) Means() string {
	if s >= stages {
		return ""
	}
	return stageTexts[s].means
}

// Remedy says what to do about something that waits at the stage; "" for none.
func (s Stage) Remedy() string {
	if s >= stages {
		return ""
	}
	return stageTexts[s].remedy
}

// Stages returns all stages.
func Stages() []Stage {
	all := make([]Stage, 0, stages-1)
	for s := Stage(1); s < stages; s++ {
		all = append(all, s)
	}
	return all
}

// MarshalText writes the stage's word.
func (s Stage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word of a stage.
func (s *Stage) UnmarshalText(word []byte) error {
	for i, t := range stageTexts {
		if t.word == string(word) {
			*s = Stage(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no stage", word)
}
