package node

import (
	"reflect"

	"headrace/internal/derive"
)

// goOn adds to what s counts what was counted before the home was opened anew: for whoever looks, all of it is since
// the start of the process.
func (o *opened) goOn(s *Status) {
	before := o.before
	if before == nil {
		return
	}
	addCounts(&s.Counts, &before.Counts)
	addCounts(&s.Source.Calls, &before.Source.Calls)
	s.Skipped = s.Skipped.(derive.Counts).Plus(before.Skipped.(derive.Counts))
	for i := range s.Source.Endpoints {
		e := &s.Source.Endpoints[i]
		for _, was := range before.Source.Endpoints {
			if was.Address == e.Address && was.Role == e.Role {
				e.Calls, e.Errors = e.Calls+was.Calls, e.Errors+was.Errors
			}
		}
	}
	now, was := s.Sequencer, before.Sequencer
	if now == nil || was == nil {
		return
	}
	now.Submitted = max(now.Submitted, was.Submitted)
	now.Failures += was.Failures
	if now.Posted != nil && was.Posted != nil {
		now.Posted.CallData.plus(&was.Posted.CallData)
		now.Posted.Blobs.plus(&was.Posted.Blobs)
	}
	now.Pool.Refused += was.Pool.Refused
	if o.kv == nil && o.opt.Engine == nil { // else it has the pool of before
		now.Pool.Dropped += was.Pool.Dropped
	}
}

// addCounts adds the fields of one struct of counts, and of those in it, to those of another: none that is new in it can
// be forgotten.
func addCounts[T any](to, counts *T) {
	addFields(reflect.ValueOf(to).Elem(), reflect.ValueOf(counts).Elem())
}

func addFields(to, counts reflect.Value) {
	for i := range to.NumField() {
		f, c := to.Field(i), counts.Field(i)
		if f.Kind() == reflect.Struct {
			addFields(f, c)
			continue
		}
		f.SetUint(f.Uint() + c.Uint())
	}
}
