// Command customcell trains a recurrence that the library does not have: the update gate RNN of Collins, Sohl-Dickstein & Sussillo (2017,
// "Capacity and trainability in recurrent neural networks"), which has a single gate g,
//
//	c_t = tanh(W_c·x_t + U_c·h_(t-1) + b_c)
//	g_t = sigmoid(W_g·x_t + U_g·h_(t-1) + b_g)
//	h_t = g_t*h_(t-1) + (1-g_t)*c_t
//
//	go run ./examples/customcell
//
// The program writes it in two forms. The composed form is an rnn.Cell: a few lines compute one step from operations of package autograd, so that
// any idea is quickly tried. The fused form is an rnn.FusedCell: the names of its weights, which products they take part in, and two functions for
// what happens to a unit on the way forward and on the way back. From these the library makes a layer with stacks, directions, lengths, truncation,
// streaming and regularisation, as fast as its own. The program checks the gradients of both forms, compares their times and trains both on a task of
// memory: to name the one symbol of 50 that was flagged.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// updateGate returns the fused form with h units. A row of sums holds h sums for c and h sums for g; each is the product with the input plus the product
// with the state. Apply overwrites the sums with c and g, and Backprop computes the gradients of the sums.
func updateGate(h int) rnn.FusedCell {
	return rnn.FusedCell{
		Name: "UGRNN", Hidden: h, Sums: 2 * h,
		Direct: true, // h_t depends on h_(t-1) also without a product
		Weights: []rnn.Weight{
			{Name: "weight_ih", Shape: []int{2 * h, rnn.InputWidth}},
			{Name: "weight_hh", Shape: []int{2 * h, h}},
			{Name: "bias", Shape: []int{2 * h}},
		},
		Stages: []rnn.Stage{{
			Terms: []rnn.Term{
				{Weight: "weight_ih", Bias: "bias", Rows: 2 * h, Source: rnn.FromInput},
				{Weight: "weight_hh", Rows: 2 * h, Source: rnn.FromState},
			},
			Apply: func(f *rnn.Frame) {
				for row := range f.Rows() {
					c, g, before, next := f.Sums(row)[:h], f.Sums(row)[h:], f.HBefore(row), f.H(row)
					rnn.Tanh(c, c)
					rnn.Sigmoid(g, g)
					for j := range next {
						next[j] = c[j] + float32(g[j]*(before[j]-c[j])) // the conversion rounds the product, so that every platform gives the same bits
					}
				}
			},
			Backprop: func(f *rnn.Frame) {
				for row := range f.Rows() {
					c, g, dc, dg := f.Sums(row)[:h], f.Sums(row)[h:], f.DSums(row)[:h], f.DSums(row)[h:]
					before, dh := f.HBefore(row), f.DH(row)
					for j, d := range dh {
						dc[j] = float32(d*(1-g[j])) * (1 - float32(c[j]*c[j]))
						dg[j] = float32(d*(before[j]-c[j])) * float32(g[j]*(1-g[j]))
						dh[j] = d * g[j]
					}
				}
			},
		}},
	}
}

// composed is the other form, an rnn.Cell. weightIH [In,2*hidden] and weightHH [hidden,2*hidden] are the weights of a fused layer, transposed once for
// all steps.
type composed struct {
	weightIH, weightHH, bias *autograd.Node
	hidden                   int
}

// Step computes the state after a step, which is also the output, from the input x [B,In] and the state before, h [B,hidden].
func (c composed) Step(x, h *autograd.Node) (y, next *autograd.Node) {
	sums := autograd.AddMatMul(autograd.AddMatMul(c.bias, x, c.weightIH), h, c.weightHH)
	candidate := autograd.Tanh(autograd.Slice(sums, 1, 0, c.hidden))
	gate := autograd.Sigmoid(autograd.Slice(sums, 1, c.hidden, 2*c.hidden))
	next = autograd.Add(candidate, autograd.Mul(gate, autograd.Sub(h, candidate)))
	return next, next
}

// recurrent is both forms with the same weights.
type recurrent struct {
	fused                    *rnn.Fused
	weightIH, weightHH, bias *autograd.Param
	hidden                   int
}

func newRecurrent(p *autograd.Params, input, hidden int) recurrent {
	fused := rnn.NewFused(p, updateGate(hidden), rnn.FusedConfig{Input: input})
	return recurrent{fused, p.Get("weight_ih_l0"), p.Get("weight_hh_l0"), p.Get("bias_l0"), hidden}
}

// read returns the state [B,hidden] after the last step of x [T,B,In].
func (r recurrent) read(x *autograd.Node, fused bool) *autograd.Node {
	if fused {
		h, _ := r.fused.Last(x, rnn.Options{})
		return h
	}
	t := x.Tape()
	transposed := func(w *autograd.Param) *autograd.Node { return autograd.Transpose(t.Param(w), 0, 1) }
	cell := composed{transposed(r.weightIH), transposed(r.weightHH), t.Param(r.bias), r.hidden}
	_, h := rnn.Unroll(cell, x, t.Input(tensor.New(x.Shape()[1], r.hidden)))
	return h
}

// prove returns an error if a gradient of either form is wrong, or if their states differ.
func prove() error {
	params := autograd.NewParams(1)
	cell := newRecurrent(params, 3, 5)
	x := params.New("x", autograd.Normal(1), 7, 2, 3)
	for _, fused := range []bool{true, false} {
		err := gradcheck.Check(params, func(t *autograd.Tape) *autograd.Node {
			return gradcheck.Project(cell.read(t.Param(x), fused))
		}, gradcheck.Options{})
		if err != nil {
			return fmt.Errorf("fused is %v: %w", fused, err)
		}
	}
	t := autograd.NewInference(params)
	composed := cell.read(t.Input(x.Value), false)
	for i, h := range cell.read(t.Input(x.Value), true).Data() {
		if d := h - composed.Data()[i]; d > 1e-6 || d < -1e-6 {
			return fmt.Errorf("state %d: %v fused, %v composed", i, h, composed.Data()[i])
		}
	}
	return nil
}

const (
	symbols = 8
	steps   = 50
	hidden  = 32
)

// recall draws n sequences of symbols. One symbol of each is flagged, and it is the label of the sequence.
func recall(seed uint64, n int) *dataset.Tensors {
	r := rand.New(rand.NewPCG(seed, 0))
	x, labels := tensor.New(n, steps, symbols+1), make([]int32, n)
	for i := range n {
		flagged := r.IntN(steps)
		for s := range steps {
			step, symbol := x.Data()[(i*steps+s)*(symbols+1):], r.IntN(symbols)
			if step[symbol] = 1; s == flagged {
				step[symbols], labels[i] = 1, int32(symbol)
			}
		}
	}
	return &dataset.Tensors{X: x, Labels: labels}
}

// model reads a sequence, in the fused or the composed form, and classifies its last state.
type model struct {
	params *autograd.Params
	cell   recurrent
	head   *layers.Dense
	fused  bool
}

func newModel(seed uint64, fused bool) model {
	params := autograd.NewParams(seed)
	return model{params, newRecurrent(params.In("rnn"), symbols+1, hidden), layers.NewDense(params.In("head"), hidden, symbols), fused}
}

func (m model) classify(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	return m.head.Forward(m.cell.read(t.Input(b.X), m.fused))
}

// learn trains for some epochs and returns the time that each took.
func (m model) learn(source dataset.Source, epochs int, seed uint64) (took []time.Duration, err error) {
	step := train.NewStep(m.params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.SparseSoftmaxCrossEntropy(m.classify(t, b), b.Labels)
	})
	adam := optim.NewAdam(m.params, 0.01)
	for epoch := range epochs {
		start := time.Now()
		for rows := range dataset.Shuffled(source, 100, seed, uint64(epoch)) {
			if _, err := step.Run(rows); err != nil {
				return nil, err
			}
			adam.Step(step.Grads())
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}

// read returns the time that inference takes for a batch of one sequence.
func (m model) read() time.Duration {
	const times = 1000
	t, b := autograd.NewInference(m.params), dataset.Batch{X: tensor.New(steps, 1, symbols+1)}
	start := time.Now()
	for range times {
		t.Reset()
		m.classify(t, &b)
	}
	return time.Since(start) / times
}

func (m model) accuracy(source dataset.Source) (float64, error) {
	top := metrics.TopK{K: 1}
	err := train.Evaluate(m.params, source, 256, m.classify, func(logits *autograd.Node, b *dataset.Batch) {
		top.Add(logits.Data(), b.Labels)
	})
	return top.Value(), err
}

func run(epochs int, seed uint64) error {
	if err := prove(); err != nil {
		return err
	}
	fmt.Println("gradients : right in both forms; their states agree")
	learning, unseen := recall(seed, 4000), recall(seed+1, 1000)
	var took, alone [2]time.Duration // of the median epoch, and of one sequence
	var m model
	for i, fused := range []bool{false, true} {
		m = newModel(seed, fused)
		all, err := m.learn(learning, epochs, seed)
		if err != nil {
			return err
		}
		slices.Sort(all)
		took[i], alone[i] = all[len(all)/2], m.read()
	}
	fmt.Println("an epoch of training : composed", took[0].Round(time.Millisecond), "fused", took[1].Round(time.Millisecond))
	fmt.Println("reading one sequence : composed", alone[0].Round(time.Microsecond), "fused", alone[1].Round(time.Microsecond))
	accuracy, err := m.accuracy(unseen)
	fmt.Printf("accuracy : %.4f of %d unseen sequences (by chance %.4f)\n", accuracy, unseen.Len(), 1.0/symbols)
	return err
}

func main() {
	epochs := flag.Int("epochs", 10, "passes over the sequences")
	seed := flag.Uint64("seed", 42, "seed of the weights and the sequences")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		fmt.Fprintf(os.Stderr, "error: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	case *epochs < 1:
		fmt.Fprintf(os.Stderr, "error: -epochs is %d, want at least 1\n", *epochs)
		os.Exit(2)
	}
	if err := run(*epochs, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
