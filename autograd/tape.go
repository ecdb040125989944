package autograd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"unsafe"

	"github.com/unroll-go/unroll/tensor"
)

// Tape is one run of a model by one goroutine. It owns the values that the run computes, their gradients, the mode
// (training or inference) and the random numbers. [Tape.Reset] begins the next run in the same memory: node k of a run
// takes the buffers of node k of the run before, so a run allocates nothing once the shapes repeat. Use one tape for
// one model: a tape that alternates between two models allocates again wherever their operations differ.
type Tape struct {
	set      *set
	training bool
	grads    *Grads // nil for inference

	run     uint64 // the number of the run: how often the tape was reset
	version uint64 // version of the weights when the run began
	done    bool   // Backward has run
	err     error

	root     *Node   // the loss that Backward was called on
	rootGrad float32 // its gradient, with which the backward pass begins
	checking bool    // see Checking

	nodes    [generations][]*Node
	buffers  []buffers // element k is the memory of node k of every run
	count    int       // number of nodes in this run
	scratch  [][]float32
	taken    int // number of scratch slices in use
	ints     [][]int
	intsUsed int   // number of ints slices in use
	kept     []any // values of Reuse
	keptUsed int   // number of these values in use
	ops      []Op
	recorded int      // number of operations recorded in this run
	lists    []*Node  // operand lists of the run's operations, such as Concat, that take any number of operands
	products products // of matrices (matmul.go)

	weights []float32 // the argument of each call of SetWeight in this run
	terms   []Term    // memory for the terms of this run's nodes
	loss    []Term    // terms of the loss that BackwardScaled was called on with factors, and these factors
	scales  []float32

	seed   uint64
	stream uint64 // with seed, determines the random numbers of this run
	source *rand.PCG
	random *rand.Rand
	draws  uint64 // number of calls of Rand in this run

	inner, outer *Tape // the tape on which the functions of this tape's Recompute calls run; of that tape, this one
	busy         bool  // of an inner tape: a function runs, or its backward pass
	calls        int   // number of calls of Recompute in this run
}

// buffers is the memory that node k of a run takes over from node k of the run before.
type buffers struct{ data, grad []float32 }

// generations is the number of runs after which a Node is used again. A node that is kept after its run still holds the
// number of that run until then, so using it panics.
const generations = 4

// Node is a value on a tape: an input, a weight or the output of an operation. A node is valid until the tape's next
// [Tape.Reset]. Using it in one of the three runs after that panics with a [*UsageError].
type Node struct {
	tape     *Tape
	run      uint64
	place    int // index among the run's nodes
	shape    []int
	data     []float32
	grad     []float32 // nil until a consumer adds to it
	requires bool      // the node wants a gradient
	operand            // of matrix products
	maker    int       // 1 + the index of the recorded operation that computed the node; 0: none
	outer    *Node     // of an input of Recompute's function: the node that it stands for

	// The means that the node is computed from (weight.go).
	origin      int32  // the number of the SetWeight call whose mean the node is linear in, or unweighted, sumOfMeans or notLinear
	terms       []Term // the means, if origin is sumOfMeans
	nonlinearOp string // the name of the nonlinear operation, if origin is notLinear
}

// NewTape returns a tape for training: it records operations for [Node.Backward]. The random numbers of a run, such as
// the masks of dropout, follow from seed and the number of Resets. No weight can be made in p's set afterwards.
func NewTape(p *Params, seed uint64) *Tape {
	p.Seal()
	t := newTrainingTape(p.set)
	t.version, t.grads, t.seed = p.Version(), NewGrads(p), seed
	return t
}

// newTrainingTape returns a tape for training that has no gradients of weights yet.
func newTrainingTape(s *set) *Tape {
	t := &Tape{set: s, training: true, source: rand.NewPCG(0, 0)}
	t.random = rand.New(t.source)
	return t
}

// NewInference returns a tape for inference: it records no operations and keeps no gradients, and dropout is the
// identity on it. No weight can be made in p's set afterwards.
func NewInference(p *Params) *Tape {
	p.Seal()
	return &Tape{set: p.set, version: p.Version()}
}

// Reset ends the run and begins the next one. The nodes, scratch memory and recorded operations of the old run are no
// longer valid, and the gradients that its Backward computed are set to zero.
func (t *Tape) Reset() {
	if t.done {
		t.grads.Clear()
	}
	t.begin()
	t.stream = t.run
}

// Start is [Tape.Reset] for a training step that is divided among several tapes: the gradients of the run go to g,
// which Start sets to zero, and the random numbers follow from seed alone. Start panics with a [*UsageError] on an
// inference tape and if g belongs to another Params.
func (t *Tape) Start(seed uint64, g *Grads) {
	switch {
	case !t.training:
		panic(&UsageError{Where: "autograd.Tape.Start", What: "called on an inference tape"})
	case g.set != t.set:
		panic(&UsageError{Where: "autograd.Tape.Start", What: "the gradient is that of another Params"})
	}
	g.Clear()
	t.grads = g
	t.begin()
	t.seed, t.stream = seed, 0
}

// Preserve remembers values outside of the tape that the model is about to change, as rnn.State.Set does with the rows of a
// state. Afterwards [Grads.Restore] can bring them back: train.Step does so if a Run returns an error, and before it
// computes a batch a second time. It does not after train.ErrNothingCounted. On an inference tape, Preserve does nothing.
func (t *Tape) Preserve(values []float32) {
	if g := t.grads; g != nil {
		g.preserved = append(g.preserved, values)
		g.copies = append(g.copies, values...)
	}
}

func (t *Tape) begin() {
	if t.outer != nil {
		panic(&UsageError{Where: "autograd.Tape", What: "the tape of a Recompute begins no run; only Recompute does that"})
	}
	t.run++
	t.version = t.set.version.Load()
	t.done = false
	if t.rewind(); t.grads != nil {
		t.grads.forget()
	}
}

// rewind begins to use the memory of the tape anew.
func (t *Tape) rewind() {
	t.count, t.taken, t.intsUsed, t.keptUsed, t.recorded, t.draws, t.calls, t.lists = 0, 0, 0, 0, 0, 0, 0, t.lists[:0]
	t.products.begin()
	t.weights, t.terms, t.loss, t.scales = t.weights[:0], t.terms[:0], nil, nil
	t.err, t.checking = nil, false
}

// Training reports whether the tape records operations.
func (t *Tape) Training() bool { return t.training }

// Grads returns the gradients of all weights, which [Node.Backward] computes. It is nil for an inference tape. While Backward runs,
// the Backward of an operation may add to the gradients, but they lack parts that the tape adds later.
func (t *Tape) Grads() *Grads { return t.grads }

// Rand returns the random numbers for one operation. They follow from the tape's seed, the number of Resets and the
// number of earlier calls of Rand in this run, and are valid until the next call. Rand panics with a [*UsageError] on
// an inference tape, where nothing is random.
func (t *Tape) Rand() *rand.Rand {
	if !t.training {
		panic(&UsageError{Where: "autograd.Tape.Rand", What: "called on an inference tape"})
	}
	t.source.Seed(t.seed, t.stream<<20|t.draws)
	t.draws++
	return t.random
}

// Fail notes an error in the data of the run, such as a label out of range, from which the model cannot learn.
// [Tape.Err] and [Node.Backward] return the first error of the run.
func (t *Tape) Fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// Err returns the first error of the run ([Tape.Fail]), or nil. On an inference tape, where no Backward checks it, Err
// also returns a [*UsageError] if the weights were changed since the run began, because the outputs may then mix old
// and new weights. Call Err after reading the outputs.
func (t *Tape) Err() error {
	if t.err == nil && !t.training && t.version != t.set.version.Load() {
		return &UsageError{Where: "autograd.Tape", What: "weights were changed since the run began; run the model again"}
	}
	return t.err
}

// Bytes returns the size of the memory that the tape holds for the values and gradients of nodes and for scratch, also
// within [Recompute]. The gradients of the weights, and the copies of matrices that are packed for products, are not included.
func (t *Tape) Bytes() int {
	n := 0
	for _, b := range t.buffers {
		n += cap(b.data) + cap(b.grad)
	}
	for _, s := range t.scratch {
		n += cap(s)
	}
	bytes := 4 * n
	for _, s := range t.ints {
		bytes += cap(s) * int(unsafe.Sizeof(0))
	}
	if t.inner != nil {
		bytes += t.inner.Bytes()
	}
	return bytes
}

// Input puts v on the tape as data that needs no gradient. The tape borrows v: do not change v before the run ends.
// Input panics with a [*UsageError] if v is nil.
func (t *Tape) Input(v *tensor.Tensor) *Node {
	if v == nil {
		panic(&UsageError{Where: "autograd.Tape.Input", What: "the tensor is nil; a batch of tokens has IDs and no X"})
	}
	n := t.node(v.Shape())
	n.data = v.Data()
	return n
}

// Leaf puts v on the tape as data that needs a gradient; [Node.Grad] returns this gradient after Backward. The tape
// borrows v as [Tape.Input] does.
func (t *Tape) Leaf(v *tensor.Tensor) *Node {
	n := t.Input(v)
	n.requires = t.training
	return n
}

// Param puts a weight on the tape, for a model that is composed of single operations. The gradient of the node is the
// gradient of the weight in [Tape.Grads]. Param panics with a [*UsageError] if p belongs to another Params than the
// tape.
func (t *Tape) Param(p *Param) *Node {
	if p.set != t.set {
		panic(&UsageError{Where: p.Name, What: "a weight of another Params than this tape"})
	}
	n := t.Input(p.Value)
	if len(n.shape) == 2 {
		n.weight = p
	}
	if n.requires = t.training && !p.Frozen; n.requires {
		n.grad = t.grads.Of(p)
	}
	return n
}

// New returns a node of the given shape for the output of an operation. Its values are undefined until the operation
// writes them. [Record] marks it as needing a gradient.
func (t *Tape) New(shape ...int) *Node {
	size := tensor.Size(shape)
	n := t.node(shape)
	n.data = sized(&t.buffers[n.place].data, size)
	return n
}

// View returns a node whose values are data. The memory of data must last for the run: it is the memory of another
// node, or part of it. View panics with a [*ShapeError] if the shape has another number of elements than data.
func (t *Tape) View(data []float32, shape ...int) *Node {
	if size := tensor.Size(shape); size != len(data) {
		panic(&ShapeError{Where: "autograd.Tape.View", Got: fmt.Sprintf("%d values", len(data)), Want: fmt.Sprintf("the %d of shape %v", size, slices.Clone(shape))})
	}
	n := t.node(shape)
	n.data = data
	return n
}

// node returns the next node of the run, with the given shape and no values.
func (t *Tape) node(shape []int) *Node {
	nodes := &t.nodes[t.run%generations]
	if t.count == len(*nodes) {
		*nodes = append(*nodes, &Node{tape: t, place: t.count})
	}
	if t.count == len(t.buffers) {
		t.buffers = append(t.buffers, buffers{})
	}
	n := (*nodes)[t.count]
	t.count++
	n.run, n.grad, n.requires, n.maker, n.outer, n.origin = t.run, nil, false, 0, nil, unweighted
	n.operand = operand{}
	n.shape = append(n.shape[:0], shape...)
	return n
}

var nan = float32(math.NaN())

// check panics if the node belongs to an earlier run.
func (n *Node) check() {
	if n.run != n.tape.run {
		n.stale()
	}
}

func (n *Node) stale() {
	panic(&UsageError{Where: "autograd.Node", What: fmt.Sprintf("a node of run %d used in run %d; what outlives a run is kept as plain numbers, such as rnn.State",
		n.run, n.tape.run)})
}

// Tape returns the tape that the node is on.
func (n *Node) Tape() *Tape {
	n.check()
	return n.tape
}

// Data returns the values in row-major order. The slice is the node's own memory.
func (n *Node) Data() []float32 {
	n.check()
	return n.data
}

// Shape returns the dimensions. The slice is the node's own memory: do not change it.
func (n *Node) Shape() []int {
	n.check()
	return n.shape
}

// Value returns the value of a node with one element. It panics with a [*ShapeError] if the node has more or fewer.
func (n *Node) Value() float32 {
	n.check()
	n.single("autograd.Node.Value")
	return n.data[0]
}

// single panics if the node does not have exactly one element.
func (n *Node) single(where string) {
	if len(n.data) != 1 {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("shape %v", slices.Clone(n.shape)), Want: "one value"})
	}
}

// Grad returns the gradient, or nil if no operation has added to it so far. If the outputs of an operation have no
// gradient, its Backward has nothing to do. The gradient of a weight ([Tape.Param]) exists from the start.
func (n *Node) Grad() []float32 {
	n.check()
	return n.grad
}

// RequiresGrad reports whether the node needs a gradient: because it is a [Tape.Leaf] or a weight that is not frozen,
// or because it was computed from such a node. An operation is recorded only if one of its inputs or weights needs a
// gradient, and its Backward adds only to the gradients of inputs and weights that need one.
func (n *Node) RequiresGrad() bool {
	n.check()
	return n.requires
}

// AccumulateGrad returns the gradient for the Backward of an operation to add to. The first call in a run provides the
// memory and sets it to zero.
func (n *Node) AccumulateGrad() []float32 {
	grad, first := n.ownGrad()
	if first {
		clear(grad)
	}
	return grad
}

// ownGrad is [Node.AccumulateGrad] for a Backward that writes all elements of the gradient if it is the first one to contribute to it,
// and otherwise adds: if first is true, the values of grad are undefined.
func (n *Node) ownGrad() (grad []float32, first bool) {
	n.check()
	switch {
	case n.grad != nil:
	case n.outer != nil:
		n.grad, first = n.outer.ownGrad()
	default:
		n.grad, first = sized(&n.tape.buffers[n.place].grad, len(n.data)), true
	}
	return n.grad, first
}
