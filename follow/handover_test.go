package follow_test

import (
	"context"
	"testing"
	"testing/synctest"

	"headrace/follow"
)

// In a reorg to the same height, the endpoint that leads goes down a height first, and another is at the new head
// already, which nobody listened to. When that one takes the lead, its head is the news.
func TestLeadIsHandedOverWithItsHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, low, head := follow.Ref{Height: 10, Hash: follow.Hash{1}}, follow.Ref{Height: 9, Hash: follow.Hash{2}}, follow.Ref{Height: 10, Hash: follow.Hash{3}}
		var a, b announcer
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []follow.Ref
		done := make(chan error, 1) // the subscription's end
		a.head.Set(old)
		go func() {
			done <- follow.Best[string](&a, &b).Subscribe(ctx, func(u follow.Update[string]) { got = append(got, u.Head) })
		}()
		for _, step := range []struct {
			by   *announcer
			says follow.Ref
		}{{&a, old}, {&b, old}, {&b, head}, {&a, low}, {&a, head}} {
			synctest.Wait()
			step.by.head.Set(step.says)
		}
		synctest.Wait()
		cancel()
		<-done
		if n := len(got); n == 0 || got[n-1] != head {
			t.Errorf("announced %v, want %v last: no endpoint will announce it again", got, head)
		}
	})
}
