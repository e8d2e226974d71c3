package follow

import "fmt"

// Stage is what a node is at, or stuck at, of the way from the source to the blocks and back: every kind of waiting
// that it reports. The zero Stage: none.
type Stage uint8

// The stages. The follower's own come first; the others are its sink's, and of those who make blocks.
const (
	StageSubscribe Stage = iota + 1 // to news of the source
	StageFetch                      // items
	StageApply                      // an item
	StageRevert                     // the last item
	StageCheck                      // whether a head below the position is a fork

	StageEngine  // the engine does not answer, or not as it should
	StageReplay  // the engine gets stored blocks again
	StageDerive  // blocks from items: something of the next one is missing
	StageClock   // the next block is too far ahead of it
	StageRoot    // the next block was built on another state root than the engine's
	StageExecute // the next block
	StageProve   // that what was applied is complete
	StageProduce // a block
	StageSubmit  // blocks to the source

	stages // how many there are, with the zero one
)

var stageWords = [stages]string{"",
	"subscribe", "fetch", "apply", "revert", "check",
	"engine", "replay", "derive", "clock", "root", "execute", "prove", "produce", "submit",
}

// String returns the stage's word, the same as in JSON.
func (s Stage) String() string {
	if s >= stages {
		return fmt.Sprintf("stage %d", uint8(s))
	}
	return stageWords[s]
}

// MarshalText writes the stage's word.
func (s Stage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word of a stage.
func (s *Stage) UnmarshalText(word []byte) error {
	for i, w := range stageWords {
		if w == string(word) {
			*s = Stage(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no stage", word)
}
