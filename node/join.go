package node

// Join returns an observer that tells all of these. Where one of them alone has a function, that is called directly.
func Join(all ...Observer) (o Observer) {
	for _, next := range all {
		o.Applied = both1(o.Applied, next.Applied)
		o.Reverted = both2(o.Reverted, next.Reverted)
		o.Done = both4(o.Done, next.Done)
		o.EngineCalled = both3(o.EngineCalled, next.EngineCalled)
		s, n := &o.Source, &next.Source
		s.Subscribed = both1(s.Subscribed, n.Subscribed)
		s.News = both2(s.News, n.News)
		s.Ended = both2(s.Ended, n.Ended)
		s.Fetching = both2(s.Fetching, n.Fetching)
		s.Fetched = both4(s.Fetched, n.Fetched)
		s.Applying = both2(s.Applying, n.Applying)
		s.Applied = both2(s.Applied, n.Applied)
		s.Reverted = both1(s.Reverted, n.Reverted)
		s.Waiting = both2(s.Waiting, n.Waiting)
		s.Called = both4(s.Called, n.Called)
		s.Mode = both3(s.Mode, n.Mode)
		s.Paid = both1(s.Paid, n.Paid)
	}
	return o
}

func both1[A any](f, g func(A)) func(A) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A) { f(a); g(a) }
}

func both2[A, B any](f, g func(A, B)) func(A, B) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A, b B) { f(a, b); g(a, b) }
}

func both3[A, B, C any](f, g func(A, B, C)) func(A, B, C) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A, b B, c C) { f(a, b, c); g(a, b, c) }
}

func both4[A, B, C, D any](f, g func(A, B, C, D)) func(A, B, C, D) {
	switch {
	case f == nil:
		return g
	case g == nil:
		return f
	}
	return func(a A, b B, c C, d D) { f(a, b, c, d); g(a, b, c, d) }
}
