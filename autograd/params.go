package autograd

import (
	"cmp"
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

// Params is a named set of weights, or a view of such a set under a prefix ([Params.In]). Layers make their weights in
// it, tapes read them, and an optimizer changes them in [Params.Update].
//
// Any number of goroutines may share a Params between updates. All weights must be made before the first tape, because
// the place of each weight in a [Grads] is fixed from then on ([Params.Seal]).
type Params struct {
	prefix string
	set    *set
}

// set is the set of weights that all views of a Params share.
type set struct {
	seed    uint64
	params  []*Param
	names   []string // all names, also tied ones, in order of creation
	byName  map[string]*Param
	pending map[string]*Param // tied names for which no layer has asked yet
	size    int               // length of Grads.Data
	sealed  atomic.Bool       // no weight can be made any more
	version atomic.Uint64     // number of updates
	update  sync.Mutex
	number  uint64 // of the set among all sets of the program: Read locks several sets in this order
}

// sets is the number of sets that were made.
var sets atomic.Uint64

// Param is one weight: its name, its value and whether it is trained.
type Param struct {
	// Name is the full name, such as "rnn.weight_ih_l0".
	Name string
	// Value holds the numbers. Change them only in [Params.Update].
	Value *tensor.Tensor
	// Frozen weights get no gradient, and optimizers do not change them. Set Frozen between steps, not while a tape
	// runs.
	Frozen bool

	set    *set
	offset int // where the gradient begins in Grads.Data

	// Of a matrix:
	transposed *Derived[[]float32]
	packed     [2]*Derived[kernel.Matrix] // as the right-hand side of products: as it is, and transposed
}

// newParam returns a weight whose gradient begins at offset.
func (s *set) newParam(name string, value *tensor.Tensor, offset int) *Param {
	p := &Param{Name: name, Value: value, set: s, offset: offset}
	if shape := value.Shape(); len(shape) == 2 {
		p.transposed = NewDerived(&Params{set: s}, func(v *[]float32) { kernel.Transpose(sized(v, value.Len()), value.Data(), shape[0], shape[1], false) })
		for i := range p.packed {
			p.packed[i] = NewDerived(&Params{set: s}, func(m *kernel.Matrix) { pack(m, value.Data(), shape[0], shape[1], i == 1) })
		}
	}
	return p
}

// NewParams returns an empty set. The first values of a weight follow from seed and the name of the weight alone, not
// from the order in which layers are made.
func NewParams(seed uint64) *Params {
	return &Params{set: newSet(seed)}
}

func newSet(seed uint64) *set {
	return &set{seed: seed, byName: map[string]*Param{}, pending: map[string]*Param{}, number: sets.Add(1)}
}

// Seed returns the seed that the set was made with.
func (p *Params) Seed() uint64 { return p.set.seed }

// In returns a view of the same set under a longer prefix: a weight that is made in p.In("rnn") is named "rnn.<name>".
// In panics with a [*UsageError] if name is empty.
func (p *Params) In(name string) *Params {
	if name == "" {
		panic(&UsageError{Where: "autograd.Params.In", What: "empty name"})
	}
	return &Params{prefix: p.prefix + name + ".", set: p.set}
}

// Prefix returns the text that the view puts before a name: "" or a path that ends in a dot.
func (p *Params) Prefix() string { return p.prefix }

// New makes a weight of the given shape under the view's prefix and fills it by init. If the name was tied
// ([Params.Tie]), New instead returns the weight that the name is tied to, and does not change its values.
//
// New panics with a [*UsageError] if the name is empty or taken, if init is nil, or if the set is sealed
// ([Params.Seal]). It panics with a [*ShapeError] if the shape has no elements or differs from the shape of the tied
// weight.
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
	param := s.newParam(full, tensor.NewWeight(full, shape...), s.size)
	h := fnv.New64a()
	h.Write([]byte(full))
	init(rand.New(rand.NewPCG(s.seed, h.Sum64())), param.Value)
	s.size += (param.Value.Len() + slabAlign - 1) / slabAlign * slabAlign
	s.params = append(s.params, param)
	s.register(full, param)
	return param
}

// Tie makes name, under the view's prefix, a second name of the weight to. A layer that is made under this name
// afterwards shares the weight, and the gradients of both uses add up. [Params.All], and so an optimizer, finds the
// weight only under the prefix of its first name; [Params.Named] and files list it under both names.
//
// Tie panics with a [*UsageError] if the name is empty or taken, if the set is sealed, or if to belongs to another set.
// If no layer has made a weight of this name by then, [Params.Seal] panics.
func (p *Params) Tie(name string, to *Param) {
	p.checkNew(name)
	if to.set != p.set {
		panic(&UsageError{Where: p.prefix + name, What: "tied to " + to.Name + " of another Params"})
	}
	p.set.pending[p.prefix+name] = to
}

// checkNew panics if no weight of this name can be made.
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

// Seal declares the model complete: making a weight afterwards, under any view of the set, panics. The first tape,
// [Grads] or optimizer of a set seals it as well, because the place of each weight in a Grads is fixed from then on.
// Seal panics with a [*UsageError] if a name was tied ([Params.Tie]) and no layer has made a weight of this name.
func (p *Params) Seal() {
	for name := range p.set.pending {
		panic(&UsageError{Where: name, What: "tied, but no layer has made a weight of this name"})
	}
	p.set.sealed.Store(true)
}

// Clone returns a copy of the whole set, viewed under the same prefix. The copy has the same names, ties, values and
// Frozen fields and shares no memory with p. Layers continue to use the set in which they were made; a clone is for
// keeping values, such as the best weights so far or a running mean of the weights, and [Params.CopyFrom] brings them
// back.
func (p *Params) Clone() *Params {
	p.set.update.Lock()
	defer p.set.update.Unlock()
	s := newSet(p.set.seed)
	s.size = p.set.size
	copies := map[*Param]*Param{}
	for _, from := range p.set.params {
		value := tensor.NewWeight(from.Name, from.Value.Shape()...)
		copy(value.Data(), from.Value.Data())
		to := s.newParam(from.Name, value, from.offset)
		to.Frozen = from.Frozen
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

// register adds a name for a weight.
func (s *set) register(name string, p *Param) {
	s.names = append(s.names, name)
	s.byName[name] = p
}

// All returns the weights whose first name is under the view's prefix, each once, in order of creation.
func (p *Params) All() iter.Seq[*Param] {
	return func(yield func(*Param) bool) {
		for _, param := range p.set.params {
			if strings.HasPrefix(param.Name, p.prefix) && !yield(param) {
				return
			}
		}
	}
}

// Named returns all names under the view's prefix, each with its weight, in order of creation. A tied weight appears
// under each of its names.
func (p *Params) Named() iter.Seq2[string, *Param] {
	return func(yield func(string, *Param) bool) {
		for _, name := range p.set.names {
			if strings.HasPrefix(name, p.prefix) && !yield(name, p.set.byName[name]) {
				return
			}
		}
	}
}

// Get returns the weight of this name under the view's prefix, or nil if there is none.
func (p *Params) Get(name string) *Param { return p.set.byName[p.prefix+name] }

// Count returns the number of values of all weights under the view's prefix.
func (p *Params) Count() int {
	n := 0
	for param := range p.All() {
		n += param.Value.Len()
	}
	return n
}

// Update calls write, which may change the values of weights; values must not be changed elsewhere. Update raises the
// version of the set, so values that are computed from the weights ([Derived]) are computed again. No tape of the set
// may run during an Update, and a tape whose run began before it can no longer go Backward. Updates of one set wait for
// each other; write must not call Update or CopyFrom of the set.
func (p *Params) Update(write func()) {
	p.set.update.Lock()
	defer p.set.update.Unlock()
	defer p.set.version.Add(1)
	write()
}

// Read calls read between two calls of [Params.Update] of the given sets. A goroutine may so copy weights, or an optimizer's
// state, while another goroutine trains. Several views of one set count once. read must not call
// Update, CopyFrom, Clone or Read of the sets.
func Read(read func(), of ...*Params) {
	var locked []*set
	for _, p := range of {
		if !slices.Contains(locked, p.set) {
			locked = append(locked, p.set)
		}
	}
	slices.SortFunc(locked, func(a, b *set) int { return cmp.Compare(a.number, b.number) }) // in one order: no deadlock
	for _, s := range locked {
		s.update.Lock()
		defer s.update.Unlock()
	}
	read()
}

// Version returns the version of the weights, a number that every [Params.Update] raises.
func (p *Params) Version() uint64 { return p.set.version.Load() }

// CopyFrom copies the values of the weights under q's prefix to the weights of the same names under p's prefix; the
// prefixes are not part of the names that are compared. It is for taking a snapshot of q between two of its updates,
// which a server uses while training continues.
//
// CopyFrom returns an error that lists all differences, and changes nothing, if a name or a shape differs or if names
// that are tied in p have different values in q.
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

// slabAlign is the alignment of each weight's gradient in Grads.Data, in float32: one cache line.
const slabAlign = kernel.Align / 4

// Grads holds one gradient of all weights of a Params. All gradients are in one slice, Data, so that adding, scaling,
// clipping and clearing are single loops over it. The few unused elements between two weights are 0.
type Grads struct {
	Data []float32
	set  *set

	preserved [][]float32 // the arguments of Tape.Preserve in the last run
	copies    []float32   // what they held, one after the other
}

// NewGrads returns gradients of zero for all weights of p's set, whatever p's prefix is. No weight can be made in the
// set afterwards.
func NewGrads(p *Params) *Grads {
	p.Seal()
	return &Grads{Data: kernel.Alloc(p.set.size), set: p.set}
}

// Of returns the gradient of one weight, in the order of the weight's values. The slice is part of Data. Of panics with
// a [*UsageError] if the weight belongs to another set.
func (g *Grads) Of(p *Param) []float32 {
	if p.set != g.set {
		panic(&UsageError{Where: p.Name, What: "a weight of another Params than this gradient"})
	}
	end := p.offset + p.Value.Len()
	return g.Data[p.offset:end:end]
}

// Norm returns the Euclidean norm of Data, the gradient of all weights as one vector, added in float64.
func (g *Grads) Norm() float64 { return kernel.Norm(g.Data) }

// Restore brings back the values that the last run with this gradient preserved ([Tape.Preserve]), and forgets them.
func (g *Grads) Restore() {
	end := len(g.copies)
	for i := len(g.preserved) - 1; i >= 0; i-- { // the first copy of a value counts
		values := g.preserved[i]
		end -= len(values)
		copy(values, g.copies[end:])
	}
	g.forget()
}

func (g *Grads) forget() {
	clear(g.preserved)
	g.preserved, g.copies = g.preserved[:0], g.copies[:0]
}

// Clear sets all gradients to zero.
func (g *Grads) Clear() { clear(g.Data) }

// Derived is a value that is computed from weights, such as a copy of them that is packed for a matrix product. It is
// computed at the first Get after each [Params.Update]: once, even if several goroutines call Get at the same time.
type Derived[T any] struct {
	set   *set
	build func(*T)
	mu    sync.Mutex
	built atomic.Uint64 // 1 + the version of the weights that value was computed from; 0: not computed yet
	value T
}

// NewDerived returns a Derived of p's weights. build computes the value; it receives the previous value, whose memory
// it should reuse.
func NewDerived[T any](p *Params, build func(*T)) *Derived[T] {
	return &Derived[T]{set: p.set, build: build}
}

// Get returns the value for the current weights. It is read-only and valid until the next Update.
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
