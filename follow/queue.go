package follow

// queue holds pushed items in rising height until their turn, within a bound in bytes (I6). It is not safe for concurrent use.
type queue[T any] struct {
	limit   int
	bytes   int
	items   []Item[T]
	dropped uint64
}

// push adds the newest item. One at or below a height already held starts another fork: what was held from there on is forgotten, to be fetched if it
// is wanted after all. When the queue is full the oldest go; the newest always stays.
func (q *queue[T]) push(it Item[T]) {
	for len(q.items) > 0 && q.items[len(q.items)-1].Height >= it.Height {
		q.popBack()
	}
	q.items = append(q.items, it)
	q.bytes += it.Size
	for q.bytes > q.limit && len(q.items) > 1 {
		q.popFront()
		q.dropped++
	}
}

// unread puts back an item that could not be applied, so that it is tried again without a fetch.
func (q *queue[T]) unread(it Item[T]) {
	q.trim(it.Height)
	if len(q.items) > 0 && q.bytes+it.Size > q.limit {
		return
	}
	q.items = append([]Item[T]{it}, q.items...)
	q.bytes += it.Size
}

// trim forgets the items at or below height.
func (q *queue[T]) trim(height uint64) {
	for len(q.items) > 0 && q.items[0].Height <= height {
		q.popFront()
	}
}

// at returns the item at height, if it is the lowest one held.
func (q *queue[T]) at(height uint64) (Item[T], bool) {
	if len(q.items) > 0 && q.items[0].Height == height {
		return q.items[0], true
	}
	return Item[T]{}, false
}

// lowest returns the lowest height held.
func (q *queue[T]) lowest() (uint64, bool) {
	if len(q.items) == 0 {
		return 0, false
	}
	return q.items[0].Height, true
}

func (q *queue[T]) popFront() {
	q.bytes -= q.items[0].Size
	q.items[0] = Item[T]{} // let go of the data
	q.items = q.items[1:]
}

func (q *queue[T]) popBack() {
	n := len(q.items) - 1
	q.bytes -= q.items[n].Size
	q.items[n] = Item[T]{}
	q.items = q.items[:n]
}
