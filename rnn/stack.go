package rnn

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensor"
)

// FusedConfig says how many cells a [Fused] layer is made of and how it is regularised. Input must be given.
type FusedConfig struct {
	Input         int  // features of a step
	Layers        int  // stacked layers; 0: one
	Bidirectional bool // a second direction that reads each sequence from its end
	NoBias        bool // leaves out the weights that terms name as their Bias

	// These are probabilities, 0 or more and less than 1: see Regularisation in the package's text.
	Dropout          float32 // of the elements that a layer above the first reads
	RecurrentDropout float32 // of the state as the recurrent product reads it, the same units all through a sequence
	WeightDropout    float32 // of the elements of matrices that multiply the state
	Zoneout          float32 // that a unit of h keeps its value for a step
	ZoneoutCell      float32 // that a unit of c does

	Init Init // first values of the weights; the zero value is Glorot
}

// stack is a recurrent layer: one cell in several layers and directions, its weights, and these weights packed for products. A stack holds no
// state. See run for the way of a batch.
type stack struct {
	FusedConfig
	name       string // for errors
	plan       plan
	directions int
	weights    [][]*autograd.Param // [Layers*Dirs]: the weights of each layer and direction in the order of the cell's Weights; nil: left out
	forward    *autograd.Derived[[]pack]
	backward   *autograd.Derived[[]pack]
}

func newStack(p *autograd.Params, cell FusedCell, c FusedConfig) stack {
	if c.Layers == 0 {
		c.Layers = 1
	}
	name := nameOf(p, cell.Name)
	c.check(name, cell)
	s := stack{FusedConfig: c, name: name, plan: newPlan(name, cell), directions: 1}
	if c.Bidirectional {
		s.directions = 2
	}
	if c.WeightDropout > 0 && s.plan.recurrent < 0 {
		panic(&autograd.UsageError{Where: name, What: "WeightDropout is given, but not one matrix multiplies the state"})
	}
	for layer := range c.Layers {
		for d := range s.directions {
			in, suffix := c.Input, fmt.Sprintf("_l%d", layer)
			if layer > 0 {
				in = s.Out()
			}
			if d > 0 {
				suffix += "_reverse"
			}
			s.weights = append(s.weights, s.newWeights(p, in, suffix))
		}
	}
	s.forward = autograd.NewDerived(p, func(packs *[]pack) { s.pack(packs, nil, s.plan.packForward) })
	s.backward = autograd.NewDerived(p, func(packs *[]pack) { s.pack(packs, nil, s.plan.packBackward) })
	return s
}

// nameOf returns the name of a layer in errors: the prefix of its weights, or its kind.
func nameOf(p *autograd.Params, kind string) string {
	if prefix := strings.TrimSuffix(p.Prefix(), "."); prefix != "" {
		return prefix
	}
	return kind
}

// check panics with a [*autograd.UsageError] of name if the configuration cannot be.
func (c *FusedConfig) check(name string, cell FusedCell) {
	fail := func(format string, args ...any) {
		panic(&autograd.UsageError{Where: name, What: fmt.Sprintf(format, args...)})
	}
	const blocks = 8 // more than the rows of weight_ih for each unit
	_, fits := tensor.TrySize([]int{blocks, cell.Hidden, 2, max(c.Input, cell.Hidden)})
	if c.Input < 1 || cell.Hidden < 1 || c.Layers < 1 || !fits || c.Init < Glorot || c.Init > Keras {
		fail("Input %d, Hidden %d, Layers %d, Init %d; want positive sizes that memory can hold and a known Init",
			c.Input, cell.Hidden, c.Layers, c.Init)
	}
	for _, rate := range []struct {
		name string
		p    float32
	}{{"Dropout", c.Dropout}, {"RecurrentDropout", c.RecurrentDropout}, {"WeightDropout", c.WeightDropout},
		{"Zoneout", c.Zoneout}, {"ZoneoutCell", c.ZoneoutCell}} {
		if !(rate.p >= 0 && rate.p < 1) {
			fail("%s is %v, want 0 or more and less than 1", rate.name, rate.p)
		}
	}
	if c.ZoneoutCell > 0 && !cell.C {
		fail("ZoneoutCell is given, but the cell has no second state")
	}
}

// newWeights makes the weights of one layer and direction. in is the number of features that it reads.
func (s *stack) newWeights(p *autograd.Params, in int, suffix string) []*autograd.Param {
	made := make([]*autograd.Param, len(s.plan.Weights))
	for k, w := range s.plan.Weights {
		if s.NoBias && slices.ContainsFunc(s.plan.links, func(l *link) bool { return l.bias == k }) {
			continue
		}
		shape := append([]int(nil), w.Shape...)
		for i, n := range shape {
			if n == InputWidth {
				shape[i] = in
			}
		}
		rule := s.rule(k, in)
		if w.Init != nil {
			rule = w.Init(rule)
		}
		made[k] = p.New(w.Name+suffix, rule, shape...)
	}
	return made
}

// rule returns the rule that Init prescribes for weight k of a layer that reads so many features (in).
func (s *stack) rule(k, in int) autograd.Init {
	w := &s.plan.Weights[k]
	if s.Init == PyTorch {
		return autograd.Uniform(1 / math.Sqrt(float64(s.plan.Hidden)))
	}
	if len(w.Shape) == 1 {
		return autograd.Zeros
	}
	source := FromSums
	for _, l := range s.plan.links {
		if l.weight == k {
			source = min(source, l.Source)
		}
	}
	switch {
	case source == FromSums || s.Init == Keras && source == FromInput:
		return autograd.GlorotUniform
	case s.Init == Keras:
		return autograd.Orthogonal
	}
	if len(s.plan.state.terms) > 0 {
		in += s.plan.State
	}
	return autograd.Uniform(math.Sqrt(6 / float64(in+w.Shape[0])))
}

// pack packs the weights of all layers and directions: packOne is plan.packForward or plan.packBackward. dropped, if not nil, are the
// recurrent matrices after weight dropout [Layers*Dirs, rows*columns], which take the place of the weights.
func (s *stack) pack(packs *[]pack, dropped []float32, packOne func(*pack, []*autograd.Param, []float32)) {
	if *packs == nil {
		*packs = make([]pack, len(s.weights))
	}
	size := len(dropped) / len(s.weights)
	for k, weights := range s.weights {
		var values []float32
		if dropped != nil {
			values = dropped[k*size:][:size]
		}
		packOne(&(*packs)[k], weights, values)
	}
}

// random reports whether training draws masks.
func (s *stack) random() bool {
	return max(s.Dropout, s.RecurrentDropout, s.WeightDropout, s.Zoneout, s.ZoneoutCell) > 0
}

// zoneouts returns the probabilities of zoneout for h and for c.
func (s *stack) zoneouts() [2]float32 { return [2]float32{s.Zoneout, s.ZoneoutCell} }

// trains reports whether any weight is trainable.
func (s *stack) trains() bool {
	for _, weights := range s.weights {
		if slices.ContainsFunc(weights, func(p *autograd.Param) bool { return p != nil && !p.Frozen }) {
			return true
		}
	}
	return false
}
