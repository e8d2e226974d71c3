package telemetry_test

import (
	"testing"
	"time"

	"headrace/block"
	"headrace/follow"
	"headrace/node"
	"headrace/telemetry"
)

// BenchmarkObserver measures what a height costs that brings a block, of all that is told of it: with figures, and with
// figures and traces that are not sampled.
func BenchmarkObserver(b *testing.B) {
	figures := telemetry.NewMetrics().Observer()
	traces, err := telemetry.NewTraces(telemetry.TraceOptions{Config: node.TelemetryConfig{OTLP: "http://127.0.0.1:1", Ratio: 1e-18}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(traces.Close)
	for name, o := range map[string]node.Observer{"metrics": figures, "traces": node.Join(figures, traces.Observer())} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			at := follow.Ref{Hash: follow.Hash{1}}
			for b.Loop() {
				at.Height++
				o.Source.News(at, true)
				o.Source.Called("blob.GetAll", 2, time.Millisecond, nil)
				o.Source.Called("header.GetRangeByHeight", 1, time.Millisecond, nil)
				if o.Source.Applying != nil {
					o.Source.Applying(at, true)
				}
				o.Done(node.StepDerive, at.Height, 0, nil)
				o.Done(node.StepExecute, at.Height, 0, nil)
				o.Done(node.StepCommit, at.Height, 0, nil)
				if o.Applied != nil {
					o.Applied(node.Applied{Ref: block.Ref{Height: at.Height, Hash: block.Hash{8: 255}}, Safe: true, Source: block.Ref(at)})
				}
				o.Done(node.StepProve, at.Height, 0, nil)
				o.Source.Applied(at, true)
			}
		})
	}
}
