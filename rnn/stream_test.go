package rnn_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// TestOut: a layer's width is the last dimension of what it returns.
func TestOut(t *testing.T) {
	eachDirection(t, func(t *testing.T, n net) {
		params := autograd.NewParams(1)
		layer := n.make(params, 3, 8, 2)
		tape := autograd.NewInference(params)
		y, end := layer.Forward(tape.Input(random(1, 4, 2, 3)), rnn.Options{})
		h, _ := layer.Last(tape.Input(random(1, 4, 2, 3)), rnn.Options{})
		assert.Equal(t, n.directions()*n.out(8), layer.Out())
		assert.Equal(t, []int{4, 2, layer.Out()}, y.Shape())
		assert.Equal(t, []int{2, layer.Out()}, h.Shape())
		assert.Equal(t, n.directions()*end.H.Shape()[2], layer.Out())
		if !n.bidirectional {
			y, _ := layer.Step(tape.Input(random(1, 2, 3)), rnn.Carry{})
			assert.Equal(t, []int{2, layer.Out()}, y.Shape())
		}
	})
}

// TestALayerHoldsNoState: two streams through one layer and one tape, step by step in turn, do not see each other, and a Carry
// does not outlive its run.
func TestALayerHoldsNoState(t *testing.T) {
	const steps, input, hidden = 5, 3, 4
	for _, k := range kinds {
		params := autograd.NewParams(3)
		layer := k.make(params, input, hidden, 2)
		tape := autograd.NewInference(params)
		x := random(1, steps, 2, input)
		whole, _ := layer.Forward(tape.Input(x), rnn.Options{})
		want := append([]float32(nil), whole.Data()...)
		streams := []*rnn.State{layer.NewState(1), layer.NewState(1)}
		var carry rnn.Carry
		for s := range steps {
			for i, state := range streams {
				tape.Reset()
				y, next := layer.Step(tape.Input(tensor.Of(x.Data()[(s*2+i)*input:][:input], 1, input)), state.Carry(tape, 0, 1))
				state.Set(next, 0)
				width := layer.Out()
				bits(t, want[(s*2+i)*width:][:width], y.Data(), "%s, step %d", k.name, s)
				carry = next
			}
		}
		tape.Reset()
		assert.ErrorContains(t, autograd.Try(func() { layer.Step(tape.Input(random(1, 1, input)), carry) }),
			"a node of run 10 used in run 11; what outlives a run is kept as plain numbers, such as rnn.State")
	}
}

// series is a dataset of windows over rows parallel series: example i is window i/rows of series i%rows.
type series struct {
	x    *tensor.Tensor // [steps, rows, input]
	long int            // steps of a window
}

func (s series) Len() int { return s.x.Dim(0) / s.long * s.x.Dim(1) }

func (s series) Gather(rows []int, into *dataset.Batch) error {
	batch, input := s.x.Dim(1), s.x.Dim(2)
	into.X = tensor.New(s.long, len(rows), input)
	for i, row := range rows {
		for step := range s.long {
			copy(into.X.Data()[(step*len(rows)+i)*input:][:input], s.x.Data()[((row/batch*s.long+step)*batch+row%batch)*input:])
		}
	}
	return nil
}

// TestWindowsOfAStream: windows that hand the state on as plain numbers, in shards with rows of their own, add up to the
// gradient of one run over all steps with the same cuts.
func TestWindowsOfAStream(t *testing.T) {
	const steps, window, rows, input, hidden = 12, 4, 6, 3, 5
	for _, k := range kinds {
		x := random(1, steps, rows, input)
		params := autograd.NewParams(3)
		layer := k.make(params, input, hidden, 2)
		tape := autograd.NewTape(params, 0)
		y, end := layer.Forward(tape.Input(x), rnn.Options{Truncate: window})
		require.NoError(t, autograd.Sum(autograd.Mul(y, y)).Backward())

		state := layer.NewState(rows)
		step := train.NewStep(params, func(tape *autograd.Tape, b *dataset.Batch) *autograd.Node {
			n := b.X.Dim(1)
			y, end := layer.Forward(tape.Input(b.X), rnn.Options{Start: state.Carry(tape, b.First, n)})
			state.Set(end, b.First)
			l := autograd.Sum(autograd.Mul(y, y))
			l.SetWeight(1) // a sum, not a mean
			return l
		})
		step.Shards, step.Workers = 3, 2
		sum := make([]float32, len(tape.Grads().Data))
		for batch := range dataset.Batches(series{x, window}, rows) {
			_, err := step.Run(batch)
			require.NoError(t, err)
			for i, g := range step.Grads().Data {
				sum[i] += 3 * g // Run takes the mean of the three shards
			}
		}
		want := make([]float64, len(sum))
		for i, g := range tape.Grads().Data {
			want[i] = float64(g)
		}
		assert.LessOrEqual(t, reference.MaxRelErr(sum, want), 1e-5, k.name)
		for row := range rows {
			bits(t, append(stateOf(end.H, row), stateOf(end.C, row)...), stateRow(state, row), fmt.Sprint(k.name, row))
		}
	}
}
