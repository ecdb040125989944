// Command customcell trains a recurrence that the library does not have: the minGRU of Feng et al. (2024, "Were RNNs all
// we needed?"), whose gate z depends on the input alone,
//
//	z_t = sigmoid(W_z·x_t + b_z)
//	c_t = W_c·x_t + b_c
//	h_t = (1-z_t)*h_(t-1) + z_t*c_t
//
//	go run ./examples/customcell
//
// The program writes it in two forms. The composed form is an rnn.Cell: a few lines compute one step from operations
// of package autograd, so that any idea is quickly tried. The fused form computes z and c of all steps with two matrix products and
// then the recurrence in one operation, for which the program supplies the gradient. It has fewer and longer operations, and is
// faster where a single step has little to compute. The program checks the gradients of both forms, compares their times
// and trains both on a task of memory: to name the one symbol of 50 that was flagged.
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

// minGRU holds the weights, which are the same for both forms.
type minGRU struct{ gate, candidate *layers.Dense }

func newMinGRU(p *autograd.Params, input, hidden int) minGRU {
	return minGRU{layers.NewDense(p.In("gate"), input, hidden), layers.NewDense(p.In("candidate"), input, hidden)}
}

// Step is the composed form, the method of an rnn.Cell: from the input x [B,input] and the state before, h [B,hidden] or nil for
// zeros, it computes the state after the step, which is also the output.
func (m minGRU) Step(x, h *autograd.Node) (y, next *autograd.Node) {
	z, c := autograd.Sigmoid(m.gate.Forward(x)), m.candidate.Forward(x)
	if h == nil {
		next = autograd.Mul(z, c)
	} else {
		next = autograd.Add(h, autograd.Mul(z, autograd.Sub(c, h)))
	}
	return next, next
}

// Forward is the fused form: from the input x [T,B,input] it computes the states after all steps, [T,B,hidden].
func (m minGRU) Forward(x *autograd.Node) *autograd.Node {
	return follow(autograd.Sigmoid(m.gate.Forward(x)), m.candidate.Forward(x))
}

// follow computes h_t = h_(t-1) + z_t*(c_t - h_(t-1)) for all steps, from h = 0, for z and c of shape [T,B,hidden].
func follow(z, c *autograd.Node) *autograd.Node {
	t := autograd.TapeOf("follow", z, c)
	h := t.New(z.Shape()...)
	o := followOp{z, c, h, t.Scratch(len(h.Data()) / z.Shape()[0])}
	before := o.zeros()
	for i := range z.Shape()[0] {
		z, c, h := o.step(z.Data(), i), o.step(c.Data(), i), o.step(h.Data(), i)
		for j, b := range before {
			h[j] = b + float32(z[j]*(c[j]-b)) // the conversion rounds the product, so that every platform gives the same bits
		}
		before = h
	}
	if z.RequiresGrad() || c.RequiresGrad() {
		autograd.Record(t, o, h)
	}
	return h
}

// followOp is the operation on the tape: it holds what Backward needs.
type followOp struct {
	z, c, h *autograd.Node
	row     []float32 // scratch for one step, B*hidden numbers
}

// zeros returns the state before the first step.
func (o followOp) zeros() []float32 {
	clear(o.row)
	return o.row
}

// step returns the part of v that belongs to step i; v has T*B*hidden numbers.
func (o followOp) step(v []float32, i int) []float32 { return v[i*len(o.row):][:len(o.row)] }

// Backward goes through the steps from the last to the first. The gradient of h_t has two parts: the gradient of the output
// at step t, and dh, which step t+1 computed.
func (o followOp) Backward() {
	all := o.h.Grad()
	if all == nil {
		return
	}
	dh, zero := o.h.Tape().Scratch(len(o.row)), o.zeros()
	clear(dh)
	for i := o.h.Shape()[0] - 1; i >= 0; i-- {
		before := zero
		if i > 0 {
			before = o.step(o.h.Data(), i-1)
		}
		back(dh, o.step(all, i), before, o.step(o.z.Data(), i), o.step(o.c.Data(), i),
			o.step(o.z.AccumulateGrad(), i), o.step(o.c.AccumulateGrad(), i))
	}
}

// back is Backward of one step. dy is the gradient of the step's output; dh is the gradient of the state after the step on
// entry, and of the state before the step on return. Slices of equal length spare the loop its bounds checks.
func back(dh, dy, before, z, c, dz, dc []float32) {
	n := len(dh)
	dy, before, z, c, dz, dc = dy[:n], before[:n], z[:n], c[:n], dz[:n], dc[:n]
	for j, d := range dh {
		d += dy[j]
		dz[j] += float32(d * (c[j] - before[j]))
		dc[j] += float32(d * z[j])
		dh[j] = d * (1 - z[j])
	}
}

// prove returns an error if a gradient of either form is wrong, or if their states differ.
func prove() error {
	params := autograd.NewParams(1)
	cell := newMinGRU(params, 3, 5)
	x := params.New("x", autograd.Normal(1), 7, 2, 3)
	for name, states := range map[string]func(x *autograd.Node) *autograd.Node{
		"fused":    cell.Forward,
		"composed": func(x *autograd.Node) *autograd.Node { h, _ := rnn.Unroll(cell, x, nil); return h },
	} {
		err := gradcheck.Check(params, func(t *autograd.Tape) *autograd.Node {
			return gradcheck.Project(states(t.Param(x)))
		}, gradcheck.Options{})
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	t := autograd.NewInference(params)
	composed, _ := rnn.Unroll(cell, t.Input(x.Value), nil)
	for i, h := range cell.Forward(t.Input(x.Value)).Data() {
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

// model reads a sequence with a minGRU, in the fused or the composed form, and classifies its last state.
type model struct {
	params *autograd.Params
	cell   minGRU
	head   *layers.Dense
	fused  bool
}

func newModel(seed uint64, fused bool) model {
	params := autograd.NewParams(seed)
	return model{params, newMinGRU(params.In("rnn"), symbols+1, hidden), layers.NewDense(params.In("head"), hidden, symbols), fused}
}

func (m model) classify(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
	x := t.Input(b.X)
	var h *autograd.Node
	if m.fused {
		all := m.cell.Forward(x)
		h = autograd.Reshape(autograd.Slice(all, 0, steps-1, steps), all.Shape()[1:]...)
	} else {
		_, h = rnn.Unroll(m.cell, x, nil)
	}
	return m.head.Forward(h)
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
