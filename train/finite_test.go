package train_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// TestNotFinite has a number become NaN or infinite in every way there is. The step names the place, the gradient is zero,
// and the next batch is as if nothing had been.
func TestNotFinite(t *testing.T) {
	const n, steps, spoilt = 120, 5, 77 // 4 shards of 30 rows
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	const example = "row 77 of the batch, example 77 of the source"
	type parts struct {
		p     *autograd.Params
		cell  rnn.Layer
		dense *layers.Dense
	}
	elman := func(p *autograd.Params) rnn.Layer {
		return rnn.NewElman(p.In("rnn"), rnn.ElmanConfig{Input: 3, Hidden: 4, ReLU: true, Init: rnn.PyTorch})
	}
	for name, c := range map[string]struct {
		cell  func(p *autograd.Params) rnn.Layer
		spoil func(s *dataset.Tensors, m *parts)
		loss  func(m *parts, t *autograd.Tape, b *dataset.Batch, y *autograd.Node) *autograd.Node
		want  []string
	}{
		"infinite input": {elman, func(s *dataset.Tensors, m *parts) { s.X.Data()[(spoilt*steps+4)*3+1] = inf }, nil,
			[]string{"train: autograd: loss is not finite: ", "the first on the tape is +Inf, feature 1 of the input, in layer 0 of rnn", ": step 4 of " + example}},
		"infinite input of tanh": {func(p *autograd.Params) rnn.Layer {
			return rnn.NewElman(p.In("rnn"), rnn.ElmanConfig{Input: 3, Hidden: 4})
		},
			func(s *dataset.Tensors, m *parts) { s.X.Data()[(spoilt*steps+4)*3+1] = inf }, nil,
			[]string{"train: autograd: gradient is not finite; the first in the backward pass, through recurrent layer rnn, is NaN, element ",
				"of the gradient of weight rnn.weight_ih_l0, at steps 1 to 4; the first in its forward pass is +Inf, feature 1 of the input, in layer 0 of rnn", ": step 4 of " + example}},
		"input and target": {elman, func(s *dataset.Tensors, m *parts) {
			s.X.Data()[spoilt*steps*3] = nan
			s.Target.Data()[2*spoilt], s.Target.Data()[2*spoilt+1] = nan, nan
		}, nil,
			[]string{"train: autograd: gradient is not finite; ", "the first in the forward pass is NaN, feature 0 of the input, in layer 0 of rnn", ": step 0 of " + example}},
		"weight": {elman, func(_ *dataset.Tensors, m *parts) {
			m.p.Update(func() { m.dense.Weight.Value.Data()[3] = nan })
		}, nil,
			[]string{"train: autograd: loss is not finite: NaN; the first on the tape is NaN, element 3 of weight dense.weight of shape [2 4]"}},
		"learning rate": {elman, func(s *dataset.Tensors, m *parts) {
			step := train.NewStep(m.p, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
				return autograd.Scale(autograd.Sum(t.Param(m.dense.Weight)), 100)
			})
			if _, err := step.Run(dataset.Rows{Source: s, Index: []int{0}}); err != nil {
				panic(err)
			}
			optim.NewSGD(m.p, 1e38).Step(step.Grads())
		}, nil,
			[]string{"train: autograd: loss is not finite: ", "; the first on the tape is -Inf, element 0 of weight dense.weight of shape [2 4]"}},
		"exploding state": {elman, func(s *dataset.Tensors, m *parts) {
			m.p.Update(func() { m.p.Get("rnn.weight_hh_l0").Value.Data()[0] = 1e20 })
			for i := range steps {
				s.X.Data()[(spoilt*steps+i)*3] = 1e10
			}
		}, nil,
			[]string{"train: autograd: loss is not finite: ", "the first on the tape is +Inf, unit 0 of the state h after the step, in layer 0 of rnn"}},
		"backward alone": {elman, func(s *dataset.Tensors, m *parts) { s.Target.Data()[2*spoilt] = 1e10 },
			func(m *parts, t *autograd.Tape, b *dataset.Batch, y *autograd.Node) *autograd.Node {
				return autograd.Mean(steep(y, b.Target))
			},
			[]string{"train: autograd: gradient is not finite; the first in the backward pass, through steep, is ", "Inf, element 34 of the gradient of the output of layers.Dense dense.weight of shape [30 2]", ": " + example}},
		"log of 0": {elman, func(s *dataset.Tensors, m *parts) {}, func(m *parts, t *autograd.Tape, b *dataset.Batch, y *autograd.Node) *autograd.Node {
			zero := t.New(y.Shape()...)
			for i := range zero.Data() {
				zero.Data()[i] = 1
			}
			if i := spoilt - b.First; 0 <= i && i < b.Rows() {
				zero.Data()[2*i] = 0
			}
			return autograd.Mean(autograd.Log(autograd.Mul(autograd.Exp(y), zero)))
		},
			[]string{"train: autograd: loss is not finite: -Inf; the first on the tape is -Inf, element 34 of the output of autograd.Log of shape [30 2]", ": " + example}},
	} {
		for workers := 1; workers <= 3; workers++ {
			t.Run(fmt.Sprint(name, workers), func(t *testing.T) {
				m := parts{p: autograd.NewParams(1)}
				m.cell = c.cell(m.p)
				m.dense = layers.NewDense(m.p.In("dense"), 4, 2)
				source := &dataset.Tensors{X: tensor.New(n, steps, 3), Target: tensor.New(n, 2)}
				for i := range source.X.Data() {
					source.X.Data()[i] = float32(math.Sin(float64(7 * i)))
				}
				step := train.NewStep(m.p, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
					h, _ := m.cell.Last(t.Input(b.X), rnn.Options{})
					if y := m.dense.Forward(h); c.loss != nil {
						return c.loss(&m, t, b, y)
					} else {
						return loss.MSE{}.Of(y, b.Target)
					}
				})
				step.Workers = workers
				index := make([]int, n)
				for i := range index {
					index[i] = i
				}
				c.spoil(source, &m)
				got, err := step.Run(dataset.Rows{Source: source, Index: index})
				require.ErrorIs(t, err, autograd.ErrNotFinite)
				for _, want := range c.want {
					assert.ErrorContains(t, err, want)
				}
				assert.Zero(t, got)
				assert.Zero(t, step.Weight())
				assert.Zero(t, step.Grads().Norm())
			})
		}
	}
}

// TestNotFiniteInTwoPhases: the search scales the gradients of the shards as the Run did. Multiplied by the number of rows that count,
// the gradient of shard 0 would be infinite, too.
func TestNotFiniteInTwoPhases(t *testing.T) {
	p := autograd.NewParams(1)
	w := p.New("w", autograd.Constant(1), 1)
	step := train.NewStep(p, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		x := autograd.Mul(t.Input(b.X), t.Param(w))
		first, second := autograd.Mean(steep(x, b.X)), autograd.Mean(x)
		first.SetWeight(float32(b.Rows()))
		second.SetWeight(float32(1 + b.First))
		return autograd.Add(first, second)
	})
	step.Shards = 2
	source := &dataset.Tensors{X: tensor.New(32, 1)}
	source.X.Data()[3], source.X.Data()[20] = 1e3, 1e10
	_, err := step.Run(dataset.Rows{Source: source, Index: numbers(32)})
	assert.ErrorIs(t, err, autograd.ErrNotFinite)
	assert.ErrorContains(t, err, "through steep, is +Inf, element 4 of the gradient of the output of autograd.Mul of shape [16 1]: row 20 of the batch")
}

// steep is an operation that is 0, and whose derivative is 1e30 times the square of by.
func steep(x *autograd.Node, by *tensor.Tensor) *autograd.Node {
	y := x.Tape().New(x.Shape()...)
	clear(y.Data())
	autograd.Record(x.Tape(), steepOp{x, y, by}, y)
	return y
}

type steepOp struct {
	x, y *autograd.Node
	by   *tensor.Tensor
}

func (o steepOp) String() string { return "steep" }

func (o steepOp) Backward() {
	for i, d := range o.y.Grad() {
		o.x.AccumulateGrad()[i] += d * 1e30 * o.by.Data()[i] * o.by.Data()[i]
	}
}
