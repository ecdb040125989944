package main

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/tensor"
)

// A problem draws its sequences itself, each from its number, and so has as many as anybody wants. Trained on each sequence once, a network cannot learn
// any by heart: its training loss is its loss on unseen sequences.
type problem interface {
	dataset.Source
	// sizes returns the number of steps of a sequence, the number of answers, which are due at the last steps, the features of a step, and the
	// outputs of an answer.
	sizes() (steps, answers, features, outputs int)
	// loss compares the answers [answers,B,outputs] with a batch.
	loss(answers *autograd.Node, b *dataset.Batch) *autograd.Node
	// chance is the loss of the best answers that need no memory.
	chance() float64
}

// copying is the copy problem: the first steps show random symbols, and after a long silence the network must name them in their order. The symbol of step
// s is due at step lag+s. It is one of 8, so that the cross-entropy of guessing is ln 8.
type copying struct {
	lag, symbols int
	seed         uint64
}

const (
	alphabet = 8
	recall   = alphabet // the feature that announces, one step before, that the answers are due; in silence all features are 0
)

func (p copying) sizes() (steps, answers, features, outputs int) {
	return p.lag + p.symbols, p.symbols, alphabet + 1, alphabet
}

func (p copying) Len() int { return math.MaxInt }

func (p copying) Gather(rows []int, into *dataset.Batch) error {
	steps, _, features, _ := p.sizes()
	into.X = zeros(into.X, steps, len(rows), features)
	into.Labels = slices.Repeat([]int32{loss.Ignore}, steps*len(rows))
	x := into.X.Data()
	for b, row := range rows {
		random := rand.New(rand.NewPCG(p.seed, uint64(row)))
		for s := range p.symbols {
			symbol := random.IntN(alphabet)
			x[(s*len(rows)+b)*features+symbol] = 1
			into.Labels[(p.lag+s)*len(rows)+b] = int32(symbol)
		}
		x[((p.lag-1)*len(rows)+b)*features+recall] = 1
	}
	return nil
}

func (p copying) loss(answers *autograd.Node, b *dataset.Batch) *autograd.Node {
	return loss.SparseSoftmaxCrossEntropy(answers, b.Labels[p.lag*answers.Shape()[1]:])
}

func (p copying) chance() float64 { return math.Log(alphabet) }

// adding is the adding problem: a step shows a random number between 0 and 1 and a mark. Two steps are marked, one in each half of the sequence, and at the
// last step the sum of their numbers is due. Its variance is 1/6, the squared error of always answering 1.
type adding struct {
	steps int
	seed  uint64
}

func (p adding) sizes() (steps, answers, features, outputs int) { return p.steps, 1, 2, 1 }

func (p adding) Len() int { return math.MaxInt }

func (p adding) Gather(rows []int, into *dataset.Batch) error {
	into.X, into.Target = zeros(into.X, p.steps, len(rows), 2), zeros(into.Target, 1, len(rows), 1)
	x, half := into.X.Data(), p.steps/2
	for b, row := range rows {
		random := rand.New(rand.NewPCG(p.seed, uint64(row)))
		for t := range p.steps {
			x[(t*len(rows)+b)*2] = random.Float32()
		}
		for _, t := range []int{random.IntN(half), half + random.IntN(p.steps-half)} {
			step := x[(t*len(rows)+b)*2:]
			step[1] = 1
			into.Target.Data()[b] += step[0]
		}
	}
	return nil
}

func (p adding) loss(answers *autograd.Node, b *dataset.Batch) *autograd.Node {
	return loss.MSE{}.Of(answers, b.Target)
}

func (p adding) chance() float64 { return 1.0 / 6 }

// zeros returns t, or a new tensor if that is nil, with this shape and all elements 0.
func zeros(t *tensor.Tensor, shape ...int) *tensor.Tensor {
	if t == nil {
		t = new(tensor.Tensor)
	}
	t.Resize(shape...)
	t.Zero()
	return t
}
