package optim_test

import (
	"iter"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/optim"
)

// TestGroups: a group does what its members do alone, and has their state.
func TestGroups(t *testing.T) {
	make1 := func() (*autograd.Params, *optim.AdamW, *optim.SGD) {
		p := threeWeights()
		sgd := optim.NewSGD(p.In("b"), 0.1)
		sgd.Momentum = 0.9
		return p, optim.NewAdamW(p.In("a"), 0.01), sgd
	}
	p, a, b := make1()
	q, c, d := make1()
	both := optim.Groups{a, optim.Groups{b}}
	g, h := autograd.NewGrads(p), autograd.NewGrads(q)
	for s := range 5 {
		a.LR = 0.01 / float64(s+1) // settings stay those of the member
		c.LR = a.LR
		fill(g, s)
		fill(h, s)
		both.Step(g)
		c.Step(h)
		d.Step(h)
	}
	for w := range p.All() {
		assert.NotEqual(t, float32(1), w.Value.Data()[0], w.Name)
		assert.Equal(t, q.Get(w.Name).Value.Data(), w.Value.Data(), w.Name)
	}
	state := maps.Collect(both.State())
	assert.Len(t, state, 2*3+2)
	for _, o := range []optim.Optimizer{c, d} {
		for name, v := range o.State() {
			assert.Equal(t, v, state[name], name)
		}
	}
	for range both.State() {
		break // an iterator that goes on after this panics
	}
	optim.Groups{}.Step(g)
	assert.Empty(t, maps.Collect(optim.Groups(nil).State()))
}

// own is a user's optimizer, of whose weights Groups knows nothing.
type own struct{ steps int }

func (o *own) Step(*autograd.Grads) { o.steps++ }

func (o *own) State() iter.Seq2[string, []float32] { return func(func(string, []float32) bool) {} }

func TestGroupsWithTheSameWeight(t *testing.T) {
	p := threeWeights()
	grads := autograd.NewGrads(p)
	fill(grads, 1)
	user := new(own)
	for _, g := range []optim.Groups{
		{user, optim.NewAdam(p, 0.1), optim.NewSGD(p.In("a"), 0.1)},
		{user, optim.NewLion(p.In("a"), 0.1), optim.NewSGD(p.In("b"), 0.1), optim.NewAdamW(p, 0.1)},
		{user, optim.NewAdagrad(p.In("a"), 0.1), optim.NewRMSProp(p.In("a"), 0.1)},
	} {
		assert.EqualError(t, autograd.Try(func() { g.Step(grads) }), "optim.Groups: a.w belongs to two members, want one")
		assert.EqualError(t, autograd.Try(func() { g.State() }), "optim.Groups: a.w belongs to two members, want one")
	}
	assert.Zero(t, user.steps, "a step was taken")
	assert.Zero(t, p.Version())

	optim.Groups{user, optim.NewAdam(p.In("a"), 0.1), optim.NewSGD(p.In("b"), 0.1), user}.Step(grads)
	assert.Equal(t, 2, user.steps)
}
