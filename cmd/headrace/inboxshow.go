package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"headrace/l1"
	"headrace/l1/ethereum"
)

func newInboxShow() *cobra.Command {
	var which inboxFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show (--home DIR | --inbox ADDRESS --l1.http URL) [flags]",
		Short: "Show an inbox's proposals, queue and settings, as of the L1's head",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, _, err := which.open(cmd.Context(), cmd.Flags())
			if err != nil {
				return err
			}
			defer client.Close()
			v, err := look(cmd.Context(), client)
			if err != nil {
				return noInbox(err)
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
			}
			_, err = io.WriteString(cmd.OutOrStdout(), v.text())
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	which.add(flags)
	flags.BoolVar(&asJSON, "json", false, "print one line of JSON")
	flags.AddFlagSet(l1Flags("call_timeout"))
	return cmd
}

// inboxView is what inbox show prints.
type inboxView struct {
	ChainID       uint64       `json:"chain_id"`
	Inbox         l1.Address   `json:"inbox"`
	Owner         l1.Address   `json:"owner"`
	Proposers     []l1.Address `json:"proposers"` // null: the endpoint does not search so far back
	NextID        uint64       `json:"next_id"`
	LastBlock     uint64       `json:"last_block"`
	LastProposal  l1.Hash      `json:"last_proposal"`
	FinalizedID   uint64       `json:"finalized_id"`
	FinalizedHash l1.Hash      `json:"finalized_hash"`
	ForcedHead    uint64       `json:"forced_head"`
	ForcedTail    uint64       `json:"forced_tail"`
	ForcedDelay   string       `json:"forced_delay"` // "1h", "90s"
	Version       int          `json:"version"`
	ForcedWait    int          `json:"forced_wait"`          // proposals, from when it is due, in one of which an item is that is queued now
	ForcedMax     int          `json:"forced_max,omitempty"` // of version 1; what follows is of version 2

	ForcedRoom    int         `json:"forced_room,omitempty"`
	ForcedWaiting int         `json:"forced_waiting"` // bytes of room
	ForcedFee     uint64      `json:"forced_fee"`     // gas a byte
	PriceGas      uint64      `json:"forced_price_gas"`
	PriceETH      json.Number `json:"forced_price_eth"`
	EarnedETH     json.Number `json:"earned_eth"`
}

// typical is the length in bytes of the item whose price is shown: it has one small transaction.
const typical = 200

func look(ctx context.Context, c *ethereum.Client) (v inboxView, err error) {
	state, err := c.State(ctx, l1.Hash{})
	if err != nil {
		return v, err
	}
	settings, err := c.Settings(ctx)
	if err != nil {
		return v, err
	}
	v = inboxView{
		ChainID: c.ChainID(), Inbox: c.Inbox(), NextID: state.NextID, LastBlock: state.LastBlock, LastProposal: state.LastProposal,
		FinalizedID: state.FinalizedID, FinalizedHash: state.FinalizedHash, ForcedHead: state.ForcedHead, ForcedTail: state.ForcedTail,
		ForcedDelay: seconds(settings.ForcedDelay), ForcedMax: settings.ForcedMax, ForcedRoom: settings.ForcedRoom, Version: settings.Version(),
	}
	pricing, err := c.Pricing(ctx)
	if err != nil {
		return v, err
	}
	v.ForcedWait = settings.Wait(int(min(state.ForcedTail-state.ForcedHead, math.MaxInt32)), min(pricing.Waiting, math.MaxInt32))
	v.ForcedWaiting, v.ForcedFee, v.EarnedETH = pricing.Waiting, pricing.GasPerByte, json.Number(eth(pricing.Earned))
	price, err := c.ForcedFee(ctx, typical)
	if err != nil {
		return v, err
	}
	v.PriceGas, v.PriceETH = price.Gas, json.Number(eth(price.Wei))
	if v.Owner, err = c.Owner(ctx); err != nil {
		return v, err
	}
	if v.Proposers, err = c.Proposers(ctx); errors.Is(err, ethereum.ErrNotKnown) {
		v.Proposers, err = nil, nil
	}
	return v, err
}

// seconds writes a number of seconds as a duration, however many there are: anybody may deploy a contract.
func seconds(n uint64) string {
	if n > math.MaxInt64/uint64(time.Second) {
		return fmt.Sprintf("%ds", n)
	}
	return shortDuration(time.Duration(n) * time.Second)
}

// within says in which proposals an item is that is queued now.
func (v *inboxView) within() string {
	if v.ForcedWait == 1 {
		return "the next proposal"
	}
	return fmt.Sprintf("one of the next %d proposals", v.ForcedWait)
}

func (v *inboxView) text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s "+format+"\n", append([]any{name}, args...)...)
	}
	line("inbox", "%s on L1 chain %d, version %d", v.Inbox, v.ChainID, v.Version)
	line("owner", "%s", v.Owner)
	switch {
	case v.Proposers == nil:
		line("proposers", "not known: the endpoint does not search so far back")
	case len(v.Proposers) == 0:
		line("proposers", "none: nobody may propose")
	}
	for _, p := range v.Proposers {
		line("proposer", "%s", p)
	}
	if v.NextID == 1 {
		line("proposals", "none yet")
	} else {
		line("proposals", "%d, the last in L1 block %d, %s", v.NextID-1, v.LastBlock, v.LastProposal)
	}
	if v.FinalizedID > 0 {
		line("proven", "up to proposal %d, rollup block %s", v.FinalizedID, v.FinalizedHash)
	}
	line("queue", "%d forced items, [%d, %d)", v.ForcedTail-v.ForcedHead, v.ForcedHead, v.ForcedTail)
	if v.Version == 1 {
		line("forced", "due after %s, at most %d in a proposal", v.ForcedDelay, v.ForcedMax)
		line("wait", "once it is due, an item that is queued now is in %s", v.within())
		return b.String()
	}
	line("forced", "due after %s, at most %d bytes in a proposal, %d wait", v.ForcedDelay, v.ForcedRoom, v.ForcedWaiting)
	line("fee", "%d gas a byte while nothing waits; for %d bytes now %d gas at base fee, %s ETH", v.ForcedFee, typical, v.PriceGas, v.PriceETH)
	line("wait", "once it is due, an item that is queued now is in %s", v.within())
	line("earned", "%s ETH, for the owner to withdraw", v.EarnedETH)
	return b.String()
}
