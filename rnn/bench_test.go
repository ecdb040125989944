package rnn_test

import (
	"fmt"
	"testing"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
)

// BenchmarkTruncatedLast trains on the last output of 1,000 steps, by full backpropagation through time and
// cut to the last 100 steps, and reports the time and the memory of activations.
func BenchmarkTruncatedLast(b *testing.B) {
	const steps, batch, input, hidden = 1000, 10, 28, 150
	for _, k := range kinds {
		for _, truncate := range []int{0, 100} {
			b.Run(fmt.Sprintf("%s/truncate=%d", k.name, truncate), func(b *testing.B) {
				params := autograd.NewParams(1)
				layer := k.make(params, input, hidden, 1)
				x := random(1, steps, batch, input)
				tape := autograd.NewTape(params, 0)
				b.ReportAllocs()
				for b.Loop() {
					tape.Reset()
					h, _ := layer.Last(tape.Input(x), rnn.Options{Truncate: truncate})
					if err := autograd.Sum(h).Backward(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(tape.Bytes())/1e6, "activations-MB")
			})
		}
	}
}

// BenchmarkStep is one streaming step of one sequence.
func BenchmarkStep(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			params := autograd.NewParams(1)
			layer := k.make(params, 28, 150, 1)
			tape, state, x := autograd.NewInference(params), layer.NewState(1), random(1, 1, 28)
			b.ReportAllocs()
			for b.Loop() {
				tape.Reset()
				_, next := layer.Step(tape.Input(x), state.Carry(tape, 0, 1))
				state.Set(next, 0)
			}
		})
	}
}

// BenchmarkDocuments trains on sequences of 1 to 100 steps in three ways: padded to 100 steps, padded and with lengths, and one after the other in
// rows of 100 steps with resets. The figure to compare is the time for each step of a sequence.
func BenchmarkDocuments(b *testing.B) {
	const steps, batch, input, hidden = 100, 128, 28, 150
	lengths := make([]int, batch)
	total := 0
	for i := range lengths {
		lengths[i] = 1 + i*steps/batch
		total += lengths[i]
	}
	resets := make([]bool, steps*batch)
	for row := range batch {
		for t := lengths[row] % steps; t < steps; t += lengths[(row+t)%batch] {
			resets[t*batch+row] = true
		}
	}
	x := random(1, steps, batch, input)
	for _, k := range kinds {
		if k.name != "lstm" && k.name != "gru" {
			continue
		}
		params := autograd.NewParams(1)
		layer := k.make(params, input, hidden, 1)
		tape := autograd.NewTape(params, 0)
		for _, c := range []struct {
			name  string
			o     rnn.Options
			steps int
		}{{"padded", rnn.Options{}, total}, {"lengths", rnn.Options{Lengths: lengths}, total}, {"resets", rnn.Options{Resets: resets}, steps * batch}} {
			b.Run(k.name+"/"+c.name, func(b *testing.B) {
				for b.Loop() {
					tape.Reset()
					y, _ := layer.Forward(tape.Input(x), c.o)
					if err := autograd.Sum(y).Backward(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.steps), "ns/step")
			})
		}
	}
}
