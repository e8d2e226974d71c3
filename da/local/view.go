package local

import (
	"context"
	"fmt"
	"sync"
	"time"

	"headrace/da"
	"headrace/da/fault"
	"headrace/follow"
	"headrace/internal/square"
	"headrace/watch"
)

// View is a chain as one endpoint tells it: truly, but for the faults in force. Several views of one chain are several endpoints of one
// network, each with faults of its own. Its methods are those of Chain, with these errors more: da.ErrSyncing, and square.ErrUnavailable for
// a block whose data the endpoint has lost.
type View struct {
	chain  *Chain
	faults *fault.Set
	head   *watch.Value[Head]

	mu     sync.Mutex // guards what follows
	paused *Head      // the head since a pause began
	other  *otherChain
}

// View returns the chain with faults, which may be nil. It lives as long as the chain. A fault already in force shows at the next block.
func (c *Chain) View(faults *fault.Set) *View {
	v := &View{chain: c, faults: faults, head: c.head}
	if faults == nil {
		return v
	}
	v.head = watch.New(c.head.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		v.head.Close(ErrClosed)
		return v
	}
	c.views = append(c.views, v)
	faults.OnChange(v.refresh)
	return v
}

// Faults returns the faults that the view was made with.
func (v *View) Faults() *fault.Set { return v.faults }

// refresh sets the head that the endpoint tells. It is called after each block and after each change of the faults.
func (v *View) refresh() {
	v.mu.Lock()
	defer v.mu.Unlock()
	head := v.chain.head.Load()
	height, tail := head.Height, v.chain.Tail()
	if f, is := v.faults.Is(fault.Syncing); is && f.From > 0 {
		height = min(height, f.From-1)
	}
	if f, is := v.faults.Is(fault.HeadBehind); is {
		height -= min(f.Depth, height)
	}
	height = max(height, tail)
	_, paused := v.faults.Is(fault.Pause)
	if f, is := v.faults.Is(fault.Syncing); is && f.From == 0 {
		paused = true // from here on
	}
	if !paused {
		v.paused = nil
	} else if v.paused == nil {
		now := v.head.Load()
		v.paused = &now
	}
	switch {
	case v.paused != nil && v.paused.Height <= height:
		head = *v.paused
	case height < head.Height || v.tellsOther(height):
		h, err := v.headAt(height)
		if err != nil {
			return // pruned meanwhile: the next block brings the next try
		}
		head = h
	}
	if head != v.head.Load() {
		v.head.Set(head)
	}
}

// headAt must be called with v.mu held.
func (v *View) headAt(height uint64) (Head, error) {
	if v.tellsOther(height) {
		rec, _, err := v.otherRecord(height)
		if err != nil {
			return Head{}, err
		}
		return rec.head(height), nil
	}
	rec, err := v.chain.history.record(height)
	if err != nil {
		return Head{}, err
	}
	return rec.head(height), nil
}

// ChainID returns the chain's name as the endpoint tells it.
func (v *View) ChainID() string {
	if f, is := v.faults.Is(fault.OtherChain); is && f.Text != "" {
		return f.Text
	}
	return v.chain.ChainID()
}

// Interval is Chain.Interval.
func (v *View) Interval() time.Duration { return v.chain.Interval() }

// Head returns the newest block that the endpoint tells of. It may go back.
func (v *View) Head() *watch.Value[Head] { return v.head }

// Making is Chain.Making.
func (v *View) Making() *watch.Value[bool] { return v.chain.Making() }

// Tail returns the lowest height that the endpoint has.
func (v *View) Tail() uint64 {
	tail := v.chain.Tail()
	if f, is := v.faults.Is(fault.BelowTail); is {
		tail = max(tail, min(f.To, v.head.Load().Height))
	}
	return tail
}

// WaitHeight returns once the endpoint has reached a height.
func (v *View) WaitHeight(ctx context.Context, height uint64) error {
	_, err := v.head.Wait(ctx, func(h Head) bool { return h.Height >= height })
	return err
}

// Prune is Chain.Prune: it prunes the chain, not the view alone.
func (v *View) Prune(below uint64) error { return v.chain.Prune(below) }

func (v *View) within(height uint64) error {
	if err := v.chain.within(height); err != nil {
		return err
	}
	tail, head := v.Tail(), v.head.Load().Height
	_, syncing := v.faults.Is(fault.Syncing)
	switch {
	case height > head && syncing:
		return fmt.Errorf("height %d: %w (head is %d)", height, da.ErrSyncing, head)
	case height > head:
		return fmt.Errorf("height %d: %w (head is %d)", height, da.ErrFuture, head)
	case height < tail:
		return fmt.Errorf("height %d: %w (tail is %d)", height, da.ErrPruned, tail)
	}
	return nil
}

// Header is Chain.Header.
func (v *View) Header(height uint64) (*square.ExtendedHeader, error) {
	if err := v.within(height); err != nil {
		return nil, err
	}
	if v.tellsOther(height) {
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.otherHeader(height)
	}
	return v.chain.Header(height)
}

// HeightOf is Chain.HeightOf. What a fault has put in the place of the chain's blocks counts once somebody has seen it.
func (v *View) HeightOf(hash [32]byte) (uint64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.other != nil {
		for i := range v.other.blocks {
			if v.other.blocks[i].hash == hash {
				return v.other.first + uint64(i), nil
			}
		}
	}
	return v.chain.HeightOf(hash)
}

// Blobs is Chain.Blobs.
func (v *View) Blobs(height uint64, ns da.Namespace) ([]da.Blob, error) {
	if err := v.within(height); err != nil {
		return nil, err
	}
	if v.tellsOther(height) {
		return nil, nil
	}
	t := fault.Target{Height: height, Namespace: ns}
	if _, hit := v.faults.Hit(fault.FalseEmpty, t); hit {
		return nil, nil
	}
	blobs, err := v.chain.Blobs(height, ns)
	if err != nil {
		return nil, err
	}
	return v.distort(blobs, t)
}

// Search returns how long the endpoint looks for the data of a namespace at a height before it says that there is none.
func (v *View) Search(height uint64, ns da.Namespace) time.Duration {
	f, _ := v.faults.At(fault.FalseEmpty, fault.Target{Height: height, Namespace: ns})
	return time.Duration(f.Delay)
}

// distort applies the faults that change a namespace's blobs. It does not write to blobs.
func (v *View) distort(blobs []da.Blob, t fault.Target) ([]da.Blob, error) {
	if len(blobs) > 0 {
		if _, hit := v.faults.Hit(fault.MissingBlob, t); hit {
			blobs = blobs[:len(blobs)-1]
		}
	}
	if len(blobs) > 0 {
		if _, hit := v.faults.Hit(fault.CorruptBlob, t); hit {
			blobs = corrupt(blobs)
		}
	}
	if f, hit := v.faults.Hit(fault.HugeBlob, t); hit {
		huge, err := madeUp(t.Namespace, f.Size)
		if err != nil {
			return nil, err
		}
		blobs = append([]da.Blob{huge}, blobs...)
	}
	return blobs, nil
}

func corrupt(blobs []da.Blob) []da.Blob {
	out := append([]da.Blob(nil), blobs...)
	for i := range out {
		data := append([]byte(nil), out[i].Data...)
		data[len(data)/2] ^= 1
		out[i].Data = data
	}
	return out
}

// madeUp returns a blob that is not in the square, right in itself.
func madeUp(ns da.Namespace, size int) (da.Blob, error) {
	b := da.Blob{Namespace: ns, Data: make([]byte, size), Index: 1}
	for i := range b.Data {
		b.Data[i] = byte(i * i >> 8)
	}
	var err error
	b.Commitment, err = square.Commitment(&b)
	return b, err
}

// Square is Chain.Square.
func (v *View) Square(height uint64) (*square.Square, error) {
	if err := v.within(height); err != nil {
		return nil, err
	}
	if v.tellsOther(height) {
		return square.Build()
	}
	if _, lost := v.faults.Hit(fault.FalseEmpty, fault.Target{Height: height}); lost {
		return nil, square.ErrUnavailable
	}
	return v.chain.Square(height)
}

// NamespaceData returns the data of a namespace with its proofs: of Square, for faults that are limited to a namespace.
func (v *View) NamespaceData(height uint64, ns da.Namespace) ([]square.NamespaceRow, error) {
	if _, lost := v.faults.Hit(fault.FalseEmpty, fault.Target{Height: height, Namespace: ns}); lost && v.within(height) == nil {
		return nil, square.ErrUnavailable
	}
	sq, err := v.Square(height)
	if err != nil {
		return nil, err
	}
	return sq.NamespaceData(ns)
}

// Submit is Chain.Submit.
func (v *View) Submit(ctx context.Context, blobs []da.Blob) (uint64, error) {
	if f, hit := v.faults.Hit(fault.SubmitReject, fault.Target{}); hit {
		return 0, fmt.Errorf("%w: %s", da.ErrRejected, text(f, "refused by a fault"))
	}
	if _, hit := v.faults.Hit(fault.SubmitTimeout, fault.Target{}); hit {
		_, err := v.chain.head.Wait(ctx, func(Head) bool { return false })
		return 0, fmt.Errorf("submit blobs: %w", err)
	}
	height, err := v.chain.Submit(ctx, blobs)
	if err != nil {
		return 0, err
	}
	if f, hit := v.faults.Hit(fault.SubmitLost, fault.Target{}); hit {
		return 0, fmt.Errorf("%w: %s", da.ErrUnknownOutcome, text(f, "answer lost by a fault"))
	}
	return height, nil
}

func text(f fault.Fault, def string) string {
	if f.Text != "" {
		return f.Text
	}
	return def
}

// Source is Chain.Source, with the view's faults.
func (v *View) Source(namespaces ...da.Namespace) follow.Source[da.Block] {
	return &source{v, namespaces}
}

func (v *View) item(height uint64, namespaces []da.Namespace) (follow.Item[da.Block], error) {
	var item follow.Item[da.Block]
	h, err := v.Header(height)
	if err != nil {
		return item, err
	}
	item = follow.Item[da.Block]{Height: height, Hash: h.Header.Hash(), Parent: h.Header.Parent(), Data: da.Block{Height: height, Time: h.Header.Time}}
	for _, ns := range namespaces {
		blobs, err := v.Blobs(height, ns)
		if err != nil {
			return item, err
		}
		item.Data.Blobs = append(item.Data.Blobs, blobs...)
	}
	item.Size = item.Data.Size()
	return item, nil
}
