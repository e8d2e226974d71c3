package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"headrace/await"
	"headrace/node"
	"headrace/stream/nats"
)

// runStream prints the events of a stream as run does those of a node.
func (t *tail) runStream(ctx context.Context) error {
	sink := &tailSink{take: t.take}
	if t.From > 0 {
		sink.at.Height = t.From - 1
	}
	if t.After != "" {
		var err error
		if sink.at, sink.final, err = nats.ParseCursor(t.After); err != nil {
			return usagef("--after: %w", err)
		}
		sink.known = []await.Ref{sink.at}
	}
	js, stop, err := t.stream.open(ctx)
	if err != nil {
		return err
	}
	defer stop()
	skipped := 0
	opt := nats.ReadOptions{Lost: t.Lost, Skipped: func(uint64, error) { skipped++ }}
	defer func() {
		if skipped > 0 {
			fmt.Fprintf(t.stderr, "headrace tail: messages of the stream that are no publisher's, and were passed over: %d\n", skipped)
		}
	}()
	if opt.Lost == nil {
		opt.Lost = func(err error) {
			fmt.Fprintf(t.stderr, "headrace tail: %s: trying again\n", oneLine(t.at.clean(t.stream.clean(js, err))))
		}
	}
	if t.at.named {
		if opt.Node, err = t.at.client(); err != nil {
			return t.at.clean(err)
		}
	}
	err = t.stream.find(ctx, js, opt)
	if err == nil && t.From == 0 && t.After == "" {
		var cursor string
		if sink.at, cursor, err = nats.Head(ctx, js, t.stream.chain, opt); err == nil && cursor != "" {
			_, sink.final, err = nats.ParseCursor(cursor)
			sink.known = []await.Ref{sink.at}
		}
	}
	if err == nil {
		err = nats.Read(ctx, js, t.stream.chain, sink, opt)
	}
	if ctx.Err() != nil || errors.Is(err, errEnough) {
		return nil
	}
	if usage := (usageError{}); errors.As(err, &usage) {
		return err
	}
	if e := (*await.Error)(nil); errors.As(err, &e) {
		err = e.Cause
	}
	return t.at.clean(t.stream.clean(js, err))
}

// remembered is how many of the blocks that it has printed tail knows, to find where a branch left.
const remembered = 256

// tailSink is a nats.Sink that prints.
type tailSink struct {
	take  func(await.Event) error
	at    await.Ref
	final uint64      // what is not above it is the chain's, whatever its hash
	known []await.Ref // that were printed: the last is at
	moves bool        // an event was printed
}

// Last implements nats.Sink.
func (s *tailSink) Last(context.Context) (await.Ref, error) { return s.at, nil }

// At implements nats.Sink. Of blocks that are final, and of those before the first one, any is right.
func (s *tailSink) At(_ context.Context, height uint64) (hash await.Hash, ok bool, err error) {
	switch {
	case s.at.Hash.IsZero(): // none has been taken: whatever is before the first one is right
		return await.Hash{}, true, nil
	case height == s.at.Height:
		return s.at.Hash, true, nil
	case height <= s.final:
		return await.Hash{}, true, nil
	case len(s.known) > 0 && height >= s.known[0].Height && height <= s.at.Height:
		return s.known[height-s.known[0].Height].Hash, true, nil
	}
	return nats.Forgotten, true, nil
}

// Apply implements nats.Sink.
func (s *tailSink) Apply(_ context.Context, b nats.Block) error {
	e := await.Event{Kind: "block", ID: b.Cursor, Block: new(await.Block)}
	var err error
	if e.Data, err = inShort(b.Body); err == nil {
		err = json.Unmarshal(e.Data, e.Block)
	}
	if err != nil {
		return fmt.Errorf("read block %d: %w", b.Height, err)
	}
	if err := s.take(e); err != nil {
		return err
	}
	s.moved(b.Ref, b.Cursor)
	return nil
}

// Undo implements nats.Sink.
func (s *tailSink) Undo(_ context.Context, u nats.Undo) error {
	if !s.moves && u.To.Height < s.final { // At knows no block up to there, and has called any right
		return fmt.Errorf("%w: block %d %s is not in the stream, and by its id block %d is final", nats.ErrForeign, u.From.Height, u.From.Hash, s.final)
	}
	data, err := json.Marshal(node.ReorgEvent{From: u.From, To: u.To})
	if err != nil {
		return err
	}
	if err := s.take(await.Event{Kind: "reorg", ID: u.Cursor, Data: data, Reorg: &await.Reorg{From: u.From, To: u.To}}); err != nil {
		return err
	}
	for len(s.known) > 0 && s.known[len(s.known)-1].Height >= u.To.Height {
		s.known = s.known[:len(s.known)-1]
	}
	s.moved(u.To, u.Cursor)
	return nil
}

func (s *tailSink) moved(to await.Ref, cursor string) {
	if n := len(s.known); n > 0 && s.known[n-1].Height+1 != to.Height {
		s.known = s.known[:0]
	}
	if len(s.known) >= 2*remembered {
		s.known = append(s.known[:0], s.known[len(s.known)-remembered:]...)
	}
	s.at, s.known, s.moves = to, append(s.known, to), true
	if _, final, err := nats.ParseCursor(cursor); err == nil {
		s.final = max(s.final, final)
	}
}

// inShort is the data of a block's event, from the whole block.
func inShort(body []byte) (json.RawMessage, error) {
	var b struct {
		node.BlockEvent
		Txs    json.RawMessage   `json:"txs"`
		Hashes []json.RawMessage `json:"tx_hashes"` // the engine's own transactions have none
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	b.BlockEvent.Txs = len(b.Hashes)
	return json.Marshal(b.BlockEvent)
}
