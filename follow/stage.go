package follow

import "fmt"

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
	StageRevert: {"revert", "the endpoint serves another chain than the one followed, or its L1 takes back what it called final",
		"name an endpoint of the right chain; on an L1 that does so, set l1.finality to a depth"},
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
