package batch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"headrace/internal/batch"
)

// run makes requests until the endpoint, which bears up to limit, has answered one, and returns their number.
func run(s *batch.Size, limit int) (requests int) {
	for {
		n := s.Get()
		requests++
		if n <= limit {
			s.Worked(n)
			return requests
		}
		if !s.Failed(n) {
			return requests
		}
	}
}

// Whatever an endpoint bears is found, and what it does not bear is seldom tried again.
func TestLimit(t *testing.T) {
	for _, limit := range []int{1, 10, 100, 128} {
		synctest.Test(t, func(t *testing.T) {
			s := batch.New(16, 128)
			for range 100 {
				run(s, limit)
			}
			if n := s.Get(); n > limit || 2*n <= limit {
				t.Errorf("limit %d: got %d", limit, n)
			}
			again := func() (failed int) {
				for range 1000 {
					failed += run(s, limit) - 1
				}
				return failed
			}
			if failed := again(); failed != 0 {
				t.Errorf("limit %d: %d requests of 1000 were for nothing", limit, failed)
			}
			time.Sleep(11 * time.Minute)
			want := 1
			if limit == 128 {
				want = 0
			}
			if failed := again(); failed != want {
				t.Errorf("limit %d: after a rest, %d requests of 1000 were for nothing, want %d", limit, failed, want)
			}
			time.Sleep(11 * time.Minute)
			if failed := again(); failed != 0 {
				t.Errorf("limit %d: the rest does not grow: %d requests of 1000 were for nothing", limit, failed)
			}
			time.Sleep(24 * time.Hour)
			for range 100 {
				run(s, 128)
			}
			if n := s.Get(); n < min(128, 2*limit) {
				t.Errorf("limit %d is gone: got %d", limit, n)
			}
		})
	}
}

// An outage leaves the size as it was, and so does one that ends between a request and the single call after it.
func TestOutage(t *testing.T) {
	s := batch.New(16, 128)
	for range 20 {
		run(s, 128)
	}
	for range 60 {
		if got := run(s, 0); got != 2 {
			t.Fatalf("got %d requests to find that nobody is there, want 2", got)
		}
	}
	if n := s.Get(); n != 128 {
		t.Errorf("after an outage: got %d, want 128", n)
	}
	s.Failed(128)
	for range 5 {
		run(s, 128)
	}
	if n := s.Get(); n != 128 {
		t.Errorf("after an outage that has just ended: got %d, want 128", n)
	}
}
