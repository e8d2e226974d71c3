// Package evolvetest has an Evolve executor for tests, which is hard to please: its state is on disk when it answers, it
// refuses a height that is neither its last nor its next one, it does not look at the root before, and its genesis state
// is not empty. Transactions are "key=value"; anything else is nonsense, and passed over. The root shows how many were
// executed, so it differs when a block was executed twice.
package evolvetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"headrace/exec/evolve"
)

// Options of Open. The zero value is an executor that is durable and right.
type Options struct {
	// Lags has it lose its last block at a kill: its state is written with the next one.
	Lags bool
	// Salt is a part of its genesis state: two executors with different ones are two applications.
	Salt string
	// Dump has its roots be those of the application that ev-node is tested with: all that was ever set, and at which
	// heights, as text. Its genesis state is empty, and so is that one's root.
	Dump bool
	// Load is how many transactions each GetTxs makes up.
	Load int
}

// Executor is an evolve.Executor with its state in a file.
type Executor struct {
	path string
	opt  Options

	mu      sync.Mutex
	states  states
	made    uint64   // transactions by Load
	queue   [][]byte // for GetTxs, which returns each once
	Calls   []string // ExecuteTxs and InitChain, with heights
	Final   uint64
	Refuses error // by ExecuteTxs; nil: it does not
}

// states are the last two, so that the last block can be executed again.
type states struct {
	Started      bool
	Before, Last state
}

type state struct {
	Height   uint64
	Executed uint64
	Time     time.Time
	Pairs    map[string]string
}

var _ evolve.Executor = (*Executor)(nil)

// Open opens the executor whose state is in the file path; "" keeps it in memory.
func Open(path string, opt Options) (*Executor, error) {
	x := &Executor{path: path, opt: opt}
	raw, err := os.ReadFile(path)
	if path == "" || errors.Is(err, os.ErrNotExist) {
		return x, nil
	}
	if err != nil {
		return nil, err
	}
	return x, json.Unmarshal(raw, &x.states)
}

// save writes the states, whole or not at all.
func (x *Executor) save() error {
	if x.path == "" {
		return nil
	}
	raw, err := json.Marshal(x.states)
	if err != nil {
		return err
	}
	if err := os.WriteFile(x.path+".new", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(x.path+".new", x.path)
}

func (x *Executor) root(s *state) []byte {
	if x.opt.Dump {
		return s.dump()
	}
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %d\n", s.Height, s.Executed, s.Time.UnixNano())
	for _, key := range slices.Sorted(maps.Keys(s.Pairs)) {
		fmt.Fprintf(h, "%q=%q\n", key, s.Pairs[key])
	}
	return h.Sum(nil)
}

func (s *state) dump() (text []byte) {
	for _, key := range slices.Sorted(maps.Keys(s.Pairs)) {
		text = fmt.Appendf(text, "%s:%s;", key, s.Pairs[key])
	}
	return text
}

// InitChain implements evolve.Executor.
func (x *Executor) InitChain(_ context.Context, genesisTime time.Time, initialHeight uint64, chainID string) ([]byte, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.Calls = append(x.Calls, "init")
	genesis := state{Height: initialHeight - 1, Time: genesisTime.UTC(), Pairs: map[string]string{"chain": chainID, "salt": x.opt.Salt}}
	if x.opt.Dump {
		clear(genesis.Pairs)
	}
	if !x.states.Started {
		x.states = states{true, genesis, genesis}
		if err := x.save(); err != nil {
			return nil, err
		}
	}
	return x.root(&genesis), nil
}

// Submit puts a transaction into the queue.
func (x *Executor) Submit(tx []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.queue = append(x.queue, tx)
}

// GetTxs implements evolve.Executor.
func (x *Executor) GetTxs(context.Context) ([][]byte, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	txs := x.queue
	x.queue = nil
	for i := range x.opt.Load {
		x.made++
		tx := fmt.Appendf(nil, "key%d=%d.%d", x.made%17, os.Getpid(), x.made)
		if i == 0 {
			tx = bytes.Replace(tx, []byte("="), []byte(" nonsense "), 1)
		}
		txs = append(txs, tx)
	}
	return txs, nil
}

// ExecuteTxs implements evolve.Executor.
func (x *Executor) ExecuteTxs(_ context.Context, txs [][]byte, height uint64, at time.Time, _ []byte) (evolve.Result, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.Calls = append(x.Calls, fmt.Sprint(height))
	on := x.states.Last
	switch {
	case x.Refuses != nil:
		return evolve.Result{}, x.Refuses
	case !x.states.Started:
		return evolve.Result{}, errors.New("there is no genesis state: InitChain was not called")
	case height == on.Height && x.states.Before.Height < height:
		on = x.states.Before
	case height != on.Height+1:
		return evolve.Result{}, fmt.Errorf("block %d is neither the last one nor the next one: the last one is %d", height, on.Height)
	}
	next := state{height, on.Executed, at.UTC(), maps.Clone(on.Pairs)}
	for _, tx := range txs {
		if key, value, ok := bytes.Cut(tx, []byte("=")); ok {
			if x.opt.Dump {
				key = fmt.Appendf(nil, "/height/%d/%s", height, key)
			}
			next.Pairs[string(key)] = string(value)
			next.Executed++
		}
	}
	was := x.states
	x.states.Before, x.states.Last = on, next
	save := x.states
	if x.opt.Lags { // what is on disk is the block before
		if save = was; on.Height == was.Before.Height {
			save.Last = on
		}
	}
	now := x.states
	x.states = save
	err := x.save()
	x.states = now
	return evolve.Result{Root: x.root(&next)}, err
}

// SetFinal implements evolve.Executor.
func (x *Executor) SetFinal(_ context.Context, height uint64) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if height > x.states.Last.Height {
		return fmt.Errorf("block %d is above the last one, %d", height, x.states.Last.Height)
	}
	x.Final = height
	return nil
}

// GetExecutionInfo implements evolve.Executor.
func (x *Executor) GetExecutionInfo(context.Context) (evolve.Info, error) { return evolve.Info{}, nil }

// FilterTxs implements evolve.Executor: "later=" waits, "never=" goes.
func (x *Executor) FilterTxs(_ context.Context, txs [][]byte, maxBytes, _ uint64, _ bool) (answer []evolve.Filtered, _ error) {
	size := uint64(0)
	for _, tx := range txs {
		size += uint64(len(tx))
		switch {
		case bytes.HasPrefix(tx, []byte("never=")):
			answer = append(answer, evolve.Removed)
		case bytes.HasPrefix(tx, []byte("later=")), maxBytes > 0 && size > maxBytes:
			answer = append(answer, evolve.Postponed)
		default:
			answer = append(answer, evolve.Taken)
		}
	}
	return answer, nil
}

// Height returns that of the last block.
func (x *Executor) Height() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.states.Last.Height
}
