package autograd

import (
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/tensor"
)

// Params is a named set of weights, or the view of it under a prefix. Layers make their
// weights in it, tapes read them, an optimizer changes them in [Params.Update].
//
// Between updates a Params may be shared by any number of goroutines. All weights
// must be made before the first tape: their place in [Grads] is fixed from then on.
type Params struct {
	prefix string
	set    *set
}

// set is what all views of a Params share.
type set struct {
	seed    uint64
	params  []*Param
	names   []string // every name in order of creation, tied ones too
	byName  map[string]*Param
	pending map[string]*Param // tied names that no layer has made yet
	size    int               // length of a gradient slab
	sealed  atomic.Bool       // a slab of that length exists
	version atomic.Uint64
	update  sync.Mutex
}

// Param is one weight: a name, its value and whether it learns.
type Param struct {
	// Name is the full name, such as "rnn.weight_ih_l0".
	Name string
	// Value holds the numbers. Change them in [Params.Update] only.
	Value *tensor.Tensor
	// Frozen weights get no gradient and are left alone by optimizers. Set it between
	// steps, not while a tape runs.
	Frozen bool

	set    *set
	offset int // of its gradient in a slab
}

// NewParams returns an empty set. First values follow from seed and the name of
// each weight alone, not from the order in which layers are made.
func NewParams(seed uint64) *Params {
	return &Params{set: &set{seed: seed, byName: map[string]*Param{}, pending: map[string]*Param{}}}
}

// Seed returns the seed that the set was made with.
func (p *Params) Seed() uint64 { return p.set.seed }

// In returns the view of the same set under a longer prefix: what is made in
// p.In("rnn") is named "rnn.<name>". It panics with a [*UsageError] if name is empty.
func (p *Params) In(name string) *Params {
	if name == "" {
		panic(&UsageError{Where: "autograd.Params.In", What: "empty name"})
	}
	return &Params{prefix: p.prefix + name + ".", set: p.set}
}

// Prefix returns what the view puts before a name: "" or a path that ends in a dot.
func (p *Params) Prefix() string { return p.prefix }

// New makes a weight of the given shape under the view's prefix and fills it by init. Under a name that was
// tied ([Params.Tie]) it returns the weight it is tied to and leaves its value. It panics with a
// [*UsageError] if the name is taken or empty or if a weight would be new and a tape exists already, and with
// a [*ShapeError] if the shape has no elements or is not that of the tied weight.
func (p *Params) New(name string, init Init, shape ...int) *Param {
	full := p.prefix + name
	s := p.set
	if tied := s.pending[full]; tied != nil {
		if !slices.Equal(tied.Value.Shape(), shape) {
			panic(&ShapeError{Where: full, Got: fmt.Sprintf("shape %v", shape),
				Want: fmt.Sprintf("%v as %s, which it is tied to", tied.Value.Shape(), tied.Name)})
		}
		delete(s.pending, full)
		s.register(full, tied)
		return tied
	}
	p.checkNew(name)
	if init == nil {
		panic(&UsageError{Where: full, What: "its Init is nil"})
	}
	if n, ok := tensor.TrySize(shape); !ok || n == 0 {
		panic(&ShapeError{Where: full, Got: fmt.Sprintf("shape %v", shape), Want: "dimensions of at least 1 whose product fits an int"})
	}
	param := &Param{Name: full, Value: tensor.NewWeight(full, shape...), set: s, offset: s.size}
	h := fnv.New64a()
	h.Write([]byte(full))
	init(rand.New(rand.NewPCG(s.seed, h.Sum64())), param.Value)
	s.size += (param.Value.Len() + slabAlign - 1) / slabAlign * slabAlign
	s.params = append(s.params, param)
	s.register(full, param)
	return param
}

// Tie makes name, under the view's prefix, another name of the weight to: the layer that is made under that
// name afterwards shares it, and its gradients add up. The weight keeps its first name: it is among the
// weights of that name's prefix alone ([Params.All], optimizers), but under both in [Params.Named] and in
// files. It panics with a [*UsageError] if the name is taken or to belongs to another set; and so does the
// first tape if no layer has made the name by then.
func (p *Params) Tie(name string, to *Param) {
	p.checkNew(name)
	if to.set != p.set {
		panic(&UsageError{Where: p.prefix + name, What: "tied to " + to.Name + " of another Params"})
	}
	p.set.pending[p.prefix+name] = to
}

func (p *Params) checkNew(name string) {
	full, s := p.prefix+name, p.set
	switch {
	case name == "":
		panic(&UsageError{Where: "autograd.Params", What: "a weight without a name under prefix \"" + p.prefix + "\""})
	case s.byName[full] != nil || s.pending[full] != nil:
		panic(&UsageError{Where: full, What: "a weight of this name exists already"})
	case s.sealed.Load():
		panic(&UsageError{Where: full, What: "made after the first tape, step or optimizer; make all weights before"})
	}
}

// Seal says that the model is complete: a weight made afterwards, anywhere in the set, is a panic. The first tape, gradient or
// optimizer of a set seals it, too, because the place of each weight in a [Grads] is fixed from then on. It panics with a
// [*UsageError] if a name was tied ([Params.Tie]) and no layer has made a weight of this name.
func (p *Params) Seal() {
	for name := range p.set.pending {
		panic(&UsageError{Where: name, What: "tied, but no layer has made a weight of this name"})
	}
	p.set.sealed.Store(true)
}

// Clone returns a copy of the whole set under the same prefix: weights of the same names, ties, values and Frozen, none of them
// shared. Layers go on using the set that they were made in; a clone keeps values, such as the best so far or their running
// mean, to be handed back with [Params.CopyFrom].
func (p *Params) Clone() *Params {
	p.set.update.Lock()
	defer p.set.update.Unlock()
	s := &set{seed: p.set.seed, size: p.set.size, byName: map[string]*Param{}, pending: map[string]*Param{}}
	copies := map[*Param]*Param{}
	for _, from := range p.set.params {
		value := tensor.NewWeight(from.Name, from.Value.Shape()...)
		copy(value.Data(), from.Value.Data())
		to := &Param{Name: from.Name, Value: value, Frozen: from.Frozen, set: s, offset: from.offset}
		copies[from], s.params = to, append(s.params, to)
	}
	for _, name := range p.set.names {
		s.register(name, copies[p.set.byName[name]])
	}
	for name, to := range p.set.pending {
		s.pending[name] = copies[to]
	}
	s.sealed.Store(p.set.sealed.Load())
	return &Params{prefix: p.prefix, set: s}
}

func (s *set) register(name string, p *Param) {
	s.names = append(s.names, name)
	s.byName[name] = p
}

// All returns the weights whose first name is under the view's prefix, in order of creation, each once.
func (p *Params) All() iter.Seq[*Param] {
	return func(yield func(*Param) bool) {
		for _, param := range p.set.params {
			if strings.HasPrefix(param.Name, p.prefix) && !yield(param) {
				return
			}
		}
	}
}

// Named returns every name under the view's prefix with its weight, in order of creation: a weight that
// is tied appears under each of its names.
func (p *Params) Named() iter.Seq2[string, *Param] {
	return func(yield func(string, *Param) bool) {
		for _, name := range p.set.names {
			if strings.HasPrefix(name, p.prefix) && !yield(name, p.set.byName[name]) {
				return
			}
		}
	}
}

// Get returns the weight of that name under the view's prefix, or nil.
func (p *Params) Get(name string) *Param { return p.set.byName[p.prefix+name] }

// Count returns the number of weights' elements under the view's prefix.
func (p *Params) Count() int {
	n := 0
	for param := range p.All() {
		n += param.Value.Len()
	}
	return n
}

// Update runs write, the only place where values may be changed, and raises the
// version by which packed copies of them ([Derived]) know that they are out of date. No tape of
// the set may run meanwhile: a tape that ran before cannot go Backward afterwards. Updates of one set wait for
// each other; write must not call Update or CopyFrom itself.
func (p *Params) Update(write func()) {
	p.set.update.Lock()
	defer p.set.update.Unlock()
	defer p.set.version.Add(1)
	write()
}

// Version returns a number that every [Params.Update] raises.
func (p *Params) Version() uint64 { return p.set.version.Load() }

// CopyFrom sets the weights under p's prefix to those of the same names, prefixes left out, under q's: a
// server keeps a snapshot while training goes on, between two updates of q. If a name or a shape differs, or
// names that are tied in p have different values in q, the error tells all differences and nothing is
// changed.
func (p *Params) CopyFrom(q *Params) error {
	var diffs []error
	differ := func(format string, args ...any) { diffs = append(diffs, fmt.Errorf(format, args...)) }
	values := map[*Param][]float32{}
	q.set.update.Lock()
	for name, to := range p.Named() {
		short := name[len(p.prefix):]
		from := q.Get(short)
		switch {
		case from == nil:
			differ("%s: missing in the source", short)
		case !slices.Equal(from.Value.Shape(), to.Value.Shape()):
			differ("%s: source has shape %v, want %v", short, from.Value.Shape(), to.Value.Shape())
		case values[to] != nil && !slices.Equal(values[to], from.Value.Data()):
			differ("%s: tied to %s, but their values in the source differ", short, to.Name)
		default:
			values[to] = slices.Clone(from.Value.Data())
		}
	}
	for name := range q.Named() {
		if short := name[len(q.prefix):]; p.Get(short) == nil {
			differ("%s: in the source alone", short)
		}
	}
	q.set.update.Unlock()
	if len(diffs) > 0 {
		return fmt.Errorf("autograd.CopyFrom: %w", errors.Join(diffs...))
	}
	p.Update(func() {
		for to, v := range values {
			copy(to.Value.Data(), v)
		}
	})
	return nil
}

// slabAlign is how many float32 a gradient's place in a slab is a multiple of: a cache line.
const slabAlign = kernel.Align / 4

// Grads is one gradient of all weights of a Params, in one slab: adding, scaling,
// clipping and clearing are single loops over Data, in which the few unused elements
// between two weights are 0.
type Grads struct {
	Data []float32
	set  *set
}

// NewGrads returns zeros for every weight of the set, whatever p's prefix. No weight can be
// made in it afterwards.
func NewGrads(p *Params) *Grads {
	p.Seal()
	return &Grads{Data: kernel.Alloc(p.set.size), set: p.set}
}

// Of returns the gradient of one weight, in the order of its values: the slab's own
// memory. It panics with a [*UsageError] if the weight belongs to another set.
func (g *Grads) Of(p *Param) []float32 {
	if p.set != g.set {
		panic(&UsageError{Where: p.Name, What: "a weight of another Params than this gradient"})
	}
	end := p.offset + p.Value.Len()
	return g.Data[p.offset:end:end]
}

// Norm returns the Euclidean norm of the gradient of all weights, summed in float64.
func (g *Grads) Norm() float64 { return kernel.Norm(g.Data) }

// Clear sets the gradient to zero.
func (g *Grads) Clear() { clear(g.Data) }

// Derived is a value computed from weights, such as a copy packed for a matrix
// product. It is computed when it is first asked for and again after each [Params.Update],
// once, under a lock, however many goroutines ask.
type Derived[T any] struct {
	set   *set
	build func(*T)
	mu    sync.Mutex
	built atomic.Uint64 // version of value plus one; 0: never
	value T
}

// NewDerived returns a value of p's weights. build fills it in and is handed the value
// of the version before, whose memory it should reuse.
func NewDerived[T any](p *Params, build func(*T)) *Derived[T] {
	return &Derived[T]{set: p.set, build: build}
}

// Get returns the value for the weights as they are. It is read-only and good until
// the next Update.
func (d *Derived[T]) Get() *T {
	want := d.set.version.Load() + 1
	if d.built.Load() != want {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.built.Load() != want {
			d.build(&d.value)
			d.built.Store(want)
		}
	}
	return &d.value
}
