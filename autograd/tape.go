package autograd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"unsafe"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// Tape is one run of a model by one goroutine: it owns what the run computes, its
// gradients, its mode and its randomness. [Tape.Reset] starts the next run in the same memory:
// the k-th node of a run takes the buffers of the k-th node of the run before, so that once
// shapes repeat a run allocates nothing. Use one tape a program: one that alternates
// between two models allocates anew wherever their operations differ.
type Tape struct {
	set      *set
	training bool
	grads    *Grads // nil for inference

	run     uint64 // counts Resets
	version uint64 // of the weights when the run began
	done    bool   // Backward has run
	err     error

	nodes    [generations][]*Node
	buffers  []buffers // of the k-th node of a run
	count    int       // nodes of this run
	scratch  [][]float32
	taken    int // scratch of this run
	ints     [][]int
	intsUsed int // of this run
	ops      []Op
	recorded int           // ops of this run
	lists    []*Node       // operands of the run's operations on any number of them
	packed   kernel.Matrix // the right-hand side of a product, while that is computed

	weights []float32 // one for each call of SetWeight
	terms   []Term    // of the run's sums of means
	loss    []Term    // of the loss whose Backward runs, and the factors of their gradients
	scales  []float32

	seed   uint64
	stream uint64 // of random numbers: the run
	source *rand.PCG
	random *rand.Rand
	draws  uint64 // Rand calls of this run
}

// buffers is the memory of the k-th node of a run.
type buffers struct{ data, grad []float32 }

// generations is how many runs the memory of a Node goes round in: one that is kept too long is told from
// those of the present run until it is their memory again.
const generations = 4

// Node is a value on a tape: the output of an operation, an input or a weight. It is good until the tape's
// next [Tape.Reset]; touched in one of the three runs after that, it panics with a [*UsageError].
type Node struct {
	tape     *Tape
	run      uint64
	place    int // among the run's nodes
	shape    []int
	data     []float32
	grad     []float32 // nil until a consumer adds to it
	requires bool
	maker    int // 1 + index of the op that made it; 0: none

	// How a loss counts (weight.go).
	origin int32  // the number of the SetWeight that the node is linear in, or plain, sum, bent
	terms  []Term // of a sum
	bender string // of a bent node: the operation
}

// NewTape returns a tape for training: it records operations for [Node.Backward]. What is
// random in a run (dropout) follows from seed and the number of Resets. No weight can be made in p's set
// afterwards.
func NewTape(p *Params, seed uint64) *Tape {
	t := newTape(p)
	t.training, t.grads, t.seed = true, NewGrads(p), seed
	t.source = rand.NewPCG(0, 0)
	t.random = rand.New(t.source)
	return t
}

// NewInference returns a tape that records nothing, keeps no gradients and on which
// dropout is the identity. No weight can be made in p's set afterwards.
func NewInference(p *Params) *Tape { return newTape(p) }

func newTape(p *Params) *Tape {
	p.Seal()
	return &Tape{set: p.set, version: p.Version()}
}

// Reset ends the run and begins the next: nodes, scratch and recorded operations of the
// old one are gone, and the gradients that its Backward computed are zero.
func (t *Tape) Reset() {
	if t.done {
		t.grads.Clear()
	}
	t.begin()
	t.stream = t.run
}

// Start is [Tape.Reset] for one part of a step that several tapes share: the run's gradients go to g, which is cleared, and
// what is random in it follows from seed alone. It panics with a [*UsageError] on an inference tape, and if g is that of
// another Params.
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

func (t *Tape) begin() {
	t.run++
	t.version = t.set.version.Load()
	t.count, t.taken, t.intsUsed, t.recorded, t.draws, t.lists = 0, 0, 0, 0, 0, t.lists[:0]
	t.weights, t.terms, t.loss, t.scales = t.weights[:0], t.terms[:0], nil, nil
	t.done, t.err = false, nil
}

// Training reports whether the tape records operations.
func (t *Tape) Training() bool { return t.training }

// Grads returns the gradients of all weights: those of the run after [Node.Backward]. It
// is nil for an inference tape.
func (t *Tape) Grads() *Grads { return t.grads }

// Rand returns the tape's random numbers for one operation. They follow from the tape's seed, the number of
// Resets and the number of earlier calls in this run. It is good until the next call. It panics with a
// [*UsageError] on an inference tape: nothing is random there.
func (t *Tape) Rand() *rand.Rand {
	if !t.training {
		panic(&UsageError{Where: "autograd.Tape.Rand", What: "called on an inference tape"})
	}
	t.source.Seed(t.seed, t.stream<<20|t.draws)
	t.draws++
	return t.random
}

// Fail notes that the run's data cannot be learnt from, such as a label out of range. The
// first error is what [Tape.Err] and [Node.Backward] return.
func (t *Tape) Fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// Err returns the run's first error, or nil. On an inference tape, whose run no Backward ends, it is a [*UsageError] if weights were
// changed since the run began: a part of the values may be those of the old weights and a part those of the new. Ask for it
// once the outputs have been read.
func (t *Tape) Err() error {
	if t.err == nil && !t.training && t.version != t.set.version.Load() {
		return &UsageError{Where: "autograd.Tape", What: "weights were changed since the run began; run the model again"}
	}
	return t.err
}

// Bytes returns the memory that the tape holds for activations, caches and gradients of nodes,
// without the gradients of the weights.
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
	return bytes
}

// Input puts v on the tape as data that wants no gradient. The tape borrows v: it must not
// change before the run ends. Input panics with a [*UsageError] if v is nil.
func (t *Tape) Input(v *tensor.Tensor) *Node {
	if v == nil {
		panic(&UsageError{Where: "autograd.Tape.Input", What: "the tensor is nil; a batch of tokens has IDs and no X"})
	}
	n := t.node(v.Shape())
	n.data = v.Data()
	return n
}

// Leaf is [Tape.Input] for data that wants a gradient, to be read with [Node.Grad] after
// Backward.
func (t *Tape) Leaf(v *tensor.Tensor) *Node {
	n := t.Input(v)
	n.requires = t.training
	return n
}

// Param puts a weight on the tape, for models composed of primitives. Its gradient
// is the weight's in [Tape.Grads].
func (t *Tape) Param(p *Param) *Node {
	if p.set != t.set {
		panic(&UsageError{Where: p.Name, What: "a weight of another Params than this tape"})
	}
	n := t.Input(p.Value)
	if n.requires = t.training && !p.Frozen; n.requires {
		n.grad = t.grads.Of(p)
	}
	return n
}

// New returns the output of an operation, its values undefined. It wants a gradient once it is handed
// to [Record].
func (t *Tape) New(shape ...int) *Node {
	size := tensor.Size(shape)
	n := t.node(shape)
	n.data = sized(&t.buffers[n.place].data, size)
	return n
}

// View returns a node whose values are data, memory that lasts for the run: another node's, or part of it.
func (t *Tape) View(data []float32, shape ...int) *Node {
	if size := tensor.Size(shape); size != len(data) {
		panic(&ShapeError{Where: "autograd.Tape.View", Got: fmt.Sprintf("%d values", len(data)), Want: fmt.Sprintf("the %d of shape %v", size, slices.Clone(shape))})
	}
	n := t.node(shape)
	n.data = data
	return n
}

// Scratch returns memory for n values that lasts for the run, for what an operation keeps for
// its Backward; taken in a Backward, it lasts until that returns. It is not cleared.
func (t *Tape) Scratch(n int) []float32 {
	if t.taken == len(t.scratch) {
		t.scratch = append(t.scratch, nil)
	}
	t.taken++
	return sized(&t.scratch[t.taken-1], n)
}

// ScratchInts is [Tape.Scratch] for whole numbers, such as lengths and places.
func (t *Tape) ScratchInts(n int) []int {
	if t.intsUsed == len(t.ints) {
		t.ints = append(t.ints, nil)
	}
	t.intsUsed++
	buf := &t.ints[t.intsUsed-1]
	if cap(*buf) < n {
		*buf = make([]int, n)
	}
	return (*buf)[:n]
}

// sized returns *buf with n elements, in its own memory if that is large enough.
func sized(buf *[]float32, n int) []float32 {
	if cap(*buf) < n || *buf == nil {
		*buf = kernel.Alloc(n)
	}
	*buf = (*buf)[:n]
	return *buf
}

// node returns the run's next node.
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
	n.run, n.grad, n.requires, n.maker, n.origin = t.run, nil, false, 0, plain
	n.shape = append(n.shape[:0], shape...)
	return n
}

var nan = float32(math.NaN())

// check panics if the node is of an earlier run.
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

// Data returns the values in row-major order: the node's memory.
func (n *Node) Data() []float32 {
	n.check()
	return n.data
}

// Shape returns the dimensions: the node's memory, not to be changed.
func (n *Node) Shape() []int {
	n.check()
	return n.shape
}

// Value returns the value of a node with one element. It panics with a [*ShapeError] for others.
func (n *Node) Value() float32 {
	n.check()
	n.single("autograd.Node.Value")
	return n.data[0]
}

func (n *Node) single(where string) {
	if len(n.data) != 1 {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("shape %v", slices.Clone(n.shape)), Want: "one value"})
	}
}

// Grad returns the gradient, or nil as long as no operation has added to it: an Op whose
// outputs have none returns at once. That of a weight ([Tape.Param]) is there from the start.
func (n *Node) Grad() []float32 {
	n.check()
	return n.grad
}

// RequiresGrad reports whether a gradient of the node is wanted: by itself (a Leaf, a
// weight that is not frozen) or by what it was computed from. An operation whose inputs and weights
// want none need not be recorded, and adds none to an input that wants none.
func (n *Node) RequiresGrad() bool {
	n.check()
	return n.requires
}

// AccumulateGrad returns the gradient for an Op's Backward to add to; it is zero when first asked
// for.
func (n *Node) AccumulateGrad() []float32 {
	n.check()
	if n.grad == nil {
		n.grad = sized(&n.tape.buffers[n.place].grad, len(n.data))
		clear(n.grad)
	}
	return n.grad
}
