package follow_test

import (
	"errors"
	"slices"
	"testing"

	"headrace/follow"
)

// TestWaysThatOverlap: of two ways to a source's news the one that began later counts once it is heard. What the earlier
// one still says, and that it ends, does not count any more.
func TestWaysThatOverlap(t *testing.T) {
	var modes []string
	h := follow.NewHealth("here", "news", &follow.Observer{Mode: func(_, mode string, _ error) { modes = append(modes, mode) }})
	expect := func(head uint64, mode string) {
		t.Helper()
		if st := h.Status(); st.Head != head || st.Mode != mode || st.Live != (mode != "") {
			t.Errorf("got head %d, mode %q, live %v; want %d, %q", st.Head, st.Mode, st.Live, head, mode)
		}
	}
	polling := h.Listen()
	polling.Heard(1, "polling")
	expect(1, "polling")
	refused := h.Listen()
	refused.Silent(errors.New("refused"))
	expect(1, "polling") // which goes on beside a subscription that was never heard
	socket := h.Listen()
	polling.Heard(2, "polling")
	expect(2, "polling")
	socket.Heard(3, "websocket")
	expect(3, "websocket")
	polling.Heard(2, "polling") // on its way when the subscription took over
	expect(3, "websocket")
	polling.Silent(nil)
	expect(3, "websocket")
	socket.Silent(errors.New("cut"))
	expect(3, "")
	again := h.Listen()
	again.Heard(4, "polling")
	expect(4, "polling")
	later := h.Listen()
	later.Heard(5, "websocket")
	later.Silent(errors.New("cut")) // before the earlier one has ended
	again.Heard(6, "polling")
	expect(6, "polling")
	if want := []string{"polling", "websocket", "", "polling", "websocket", "", "polling"}; !slices.Equal(modes, want) {
		t.Errorf("told of modes %q, want %q", modes, want)
	}
}
