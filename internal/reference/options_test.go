package reference

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// span returns steps from to to of v [outer,T,...].
func span(v []complex128, outer, from, to int) (part []complex128) {
	if v == nil {
		return nil
	}
	n := len(v) / (outer * steps)
	for i := range outer {
		part = append(part, v[(i*steps+from)*n:(i*steps+to)*n]...)
	}
	return part
}

// copyRows copies the states of the rows and directions that which names.
func (p problem) copyRows(to, from State, which func(d, row int) bool) {
	for i := range p.Layers * p.directions() * batch {
		if which(i/batch%p.directions(), i%batch) {
			copy(to.H[i*p.out():][:p.out()], from.H[i*p.out():])
			if from.C != nil {
				copy(to.C[i*p.Hidden:][:p.Hidden], from.C[i*p.Hidden:])
			}
		}
	}
}

// windows is the loss of one call a window, and the state after each: window i has steps bounds[i] to
// bounds[i+1] and starts from held[i], but where a row starts in it from p.start.
func (p problem) windows(bounds []int, held []State) (loss complex128, after []State) {
	final := State{slices.Clone(p.start.H), slices.Clone(p.start.C)}
	for i, from := range bounds[:len(bounds)-1] {
		to := bounds[i+1]
		lengths := make([]int, batch)
		lastHere := make([]bool, batch) // whether the row's last step is in the window; or its none, in the first
		for row := range batch {
			n := steps
			if p.Lengths != nil {
				n = p.Lengths[row]
			}
			lengths[row] = min(max(0, n-from), to-from)
			lastHere[row] = from < n && n <= to || n == 0 && i == 0
		}
		start := State{slices.Clone(held[i].H), slices.Clone(held[i].C)}
		p.copyRows(start, p.start, func(d, row int) bool { return d == 0 && i == 0 || d == 1 && lastHere[row] })
		net, states := p.RNN, p.Layers*p.directions()
		net.Truncate, net.Lengths = 0, lengths
		net.Between = span(p.Between, p.Layers-1, from, to)
		net.ZoneH, net.ZoneC = span(p.ZoneH, states, from, to), span(p.ZoneC, states, from, to)
		y, end := net.Forward(span(p.x, 1, from, to), batch, start)
		p.copyRows(final, end, func(d, row int) bool { return d == 0 && lastHere[row] || d == 1 && i == 0 })
		loss += Dot(span(p.ofY, 1, from, to), y)
		after = append(after, end)
	}
	return loss + p.lossOfEnd(final), after
}

// As TestTruncatedGradientsAgainstDifferences, with options. What the windows start from is not to be had from
// the sequence's beginning alone where a direction comes from its end, so it is handed on between the windows
// until it has come through all of them in all layers.
func TestTruncationWithOptions(t *testing.T) {
	for name, net := range map[string]RNN{
		"directions":            {Cell: ElmanTanh, Bidirectional: true},
		"lengths":               {Cell: GRUResetBefore, Lengths: []int{4, 0}},
		"directions, lengths":   {Cell: GRU, Bidirectional: true, Lengths: []int{4, 2}}, // 4 is at a cut
		"directions, no steps":  {Cell: ElmanTanh, Bidirectional: true, Lengths: []int{0, 7}},
		"projection, all masks": {Cell: LSTM, Hidden: 3, Layers: 2, Projection: 2, Bidirectional: true, Lengths: []int{7, 5}},
		"indrnn":                {Cell: IndRNNTanh, Bidirectional: true, Lengths: []int{4, 7}},
		"mingru":                {Cell: MinGRU, Bidirectional: true, Lengths: []int{4, 7}},
		"norm, peephole":        {Cell: LSTM, Hidden: 3, Layers: 1, LayerNorm: true, Peephole: true, Bidirectional: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProblem(net)
			if name == "projection, all masks" {
				r := rand.New(rand.NewPCG(5, 6))
				p.Recurrent, p.Between = random(r, len(p.start.H)), random(r, len(p.ofY))
				p.ZoneH, p.ZoneC = random(r, steps*len(p.start.H)), random(r, steps*len(p.start.C))
			}
			for truncate, bounds := range map[int][]int{1: {0, 1, 2, 3, 4, 5, 6, 7}, 3: {0, 1, 4, 7}} {
				p.Truncate = truncate
				held := make([]State, len(bounds)-1)
				for i := range held {
					held[i] = State{H: make([]complex128, len(p.start.H))}
					if p.start.C != nil {
						held[i].C = make([]complex128, len(p.start.C))
					}
				}
				for range len(held) * p.Layers {
					_, after := p.windows(bounds, held)
					for i, state := range after {
						if i+1 < len(held) {
							p.copyRows(held[i+1], state, func(d, _ int) bool { return d == 0 })
						}
						if i > 0 {
							p.copyRows(held[i-1], state, func(d, _ int) bool { return d == 1 })
						}
					}
				}
				windows := func() complex128 { loss, _ := p.windows(bounds, held); return loss }
				require.InDelta(t, real(windows()), real(p.loss()), 1e-13)
				for name, v := range p.inputs() {
					err := MaxRelErr(Gradient(p.loss, v), differences(windows, v))
					assert.Less(t, err, 1e-8, "%s, windows of %d", name, truncate)
				}
			}
		})
	}
}

// The reverse direction alone is the forward one over the reversed rows. Where k divides T,
// the cuts are the same.
func TestReverseIsForwardOverReversedTime(t *testing.T) {
	for name, net := range map[string]RNN{
		"elman":   {Cell: ElmanTanh, Hidden: 3, Layers: 1},
		"lstm":    {Cell: LSTM, Hidden: 3, Layers: 1, Projection: 2, Peephole: true, LayerNorm: true},
		"gru":     {Cell: GRU, Hidden: 3, Layers: 1, Truncate: steps},
		"windows": {Cell: GRUResetBefore, Hidden: 3, Layers: 1, Truncate: 1},
		"lengths": {Cell: GRU, Hidden: 3, Layers: 1, Lengths: []int{3, 6}},
	} {
		net.Bidirectional = true
		p := newProblem(net)
		out := p.out()
		reversed := func(v []complex128) []complex128 {
			turned, n := slices.Clone(v), len(v)/(steps*batch)
			for row := range batch {
				length := steps
				if p.Lengths != nil {
					length = p.Lengths[row]
				}
				for s := range length {
					copy(turned[(s*batch+row)*n:][:n], v[((length-1-s)*batch+row)*n:])
				}
			}
			return turned
		}
		second := func(s State) State { return State{s.H[len(s.H)/2:], s.C[len(s.C)/2:]} }
		forward := p.RNN
		forward.Bidirectional, forward.Weights = false, Weights{}
		for name, w := range p.Weights {
			if before, ok := strings.CutSuffix(name, "_reverse"); ok {
				forward.Weights[before] = w
			}
		}
		both := func() (y []complex128, end State) {
			all, end := p.Forward(p.x, batch, p.start)
			for i := range steps * batch {
				y = append(y, all[(2*i+1)*out:][:out]...)
			}
			return y, second(end)
		}
		alone := func() (y []complex128, end State) {
			y, end = forward.Forward(reversed(p.x), batch, second(p.start))
			return reversed(y), end
		}
		y, end := both()
		want, wantEnd := alone()
		assert.Equal(t, want, y, name)
		assert.Equal(t, wantEnd, end, name)
		loss := func(f func() ([]complex128, State)) func() complex128 {
			return func() complex128 { y, _ := f(); return Dot(p.ofY[:len(y)], y) }
		}
		hh := p.Weights["weight_hh_l0_reverse"]
		for of, v := range map[string][]complex128{"x": p.x, "start": p.start.H, "weight_hh": hh} {
			assert.Less(t, MaxRelErr(Gradient(loss(both), v), Gradient(loss(alone), v)), 1e-13, "%s: %s", name, of)
		}
	}
}

// A mask that is the same for all rows and steps is a factor of the columns of the weights that read it.
func TestMasksAreFactorsOfWeights(t *testing.T) {
	scaled := func(w, by []complex128) []complex128 {
		w = slices.Clone(w)
		for i := range w {
			w[i] *= by[i%len(by)]
		}
		return w
	}
	eachCell(t, func(t *testing.T, p problem) {
		p.Layers = 3
		p = newProblem(p.RNN)
		out, r := p.out(), rand.New(rand.NewPCG(8, 8))
		masked, weighted := p, p
		weighted.Weights = maps.Clone(p.Weights)
		for k := range p.Layers {
			if p.Cell != MinGRU {
				mask, name := random(r, out), fmt.Sprintf("weight_hh_l%d", k)
				weighted.Weights[name] = scaled(p.Weights[name], mask)
				masked.Recurrent = append(masked.Recurrent, slices.Repeat(mask, batch)...)
			}
			if k > 0 {
				mask, name := random(r, out), fmt.Sprintf("weight_ih_l%d", k)
				weighted.Weights[name] = scaled(p.Weights[name], mask)
				masked.Between = append(masked.Between, slices.Repeat(mask, steps*batch)...)
			}
		}
		assert.InDelta(t, real(weighted.loss()), real(masked.loss()), 1e-14)
		assert.Greater(t, math.Abs(real(p.loss()-masked.loss())), 1e-3)
	})
}

func TestZoneout(t *testing.T) {
	all := func(m complex128, n int) []complex128 { return slices.Repeat([]complex128{m}, n) }
	eachCell(t, func(t *testing.T, p problem) {
		y, end := p.Forward(p.x, batch, p.start)
		zones := func(m complex128) problem {
			z := p
			z.ZoneH = all(m, steps*len(p.start.H))
			if p.Cell == LSTM {
				z.ZoneC = all(m, steps*len(p.start.C))
			}
			return z
		}
		none := zones(0)
		yNone, endNone := none.Forward(p.x, batch, p.start)
		assert.Equal(t, y, yNone)
		assert.Equal(t, end, endNone)

		yAll, endAll := zones(1).Forward(p.x, batch, p.start)
		assert.Equal(t, p.start, endAll)
		assert.Equal(t, slices.Repeat(p.start.H[batch*p.out():], steps), yAll)

		// Of one row at one step of one layer.
		const row, at, layer = 1, 3, 1
		one := zones(0)
		for j := range p.out() {
			one.ZoneH[((layer*steps+at)*batch+row)*p.out()+j] = 1
		}
		yOne, _ := one.Forward(p.x, batch, p.start)
		for i := range at*batch + row {
			assert.Equal(t, y[i*p.out():][:p.out()], yOne[i*p.out():][:p.out()], i)
		}
		assert.Equal(t, yOne[((at-1)*batch+row)*p.out():][:p.out()], yOne[(at*batch+row)*p.out():][:p.out()])
	})
}

func TestSizes(t *testing.T) {
	p := newProblem(RNN{Cell: LSTM, Bidirectional: true})
	y, end := p.Forward(nil, batch, p.start)
	assert.Empty(t, y)
	assert.Equal(t, p.start, end, "no steps")

	for name, change := range map[string]func(p *problem){
		"reference: Lengths has 1 values, want 2":          func(p *problem) { p.Lengths = []int{7} },
		"reference: Lengths are not of 0 to T steps":       func(p *problem) { p.Lengths = []int{7, 8} },
		"reference: Recurrent has 1 values, want 32":       func(p *problem) { p.Recurrent = []complex128{1} },
		"reference: Between has 1 values, want 112":        func(p *problem) { p.Between = []complex128{1} },
		"reference: ZoneH has 1 values, want 224":          func(p *problem) { p.ZoneH = []complex128{1} },
		"reference: ZoneC has 1 values, want 224":          func(p *problem) { p.ZoneC = []complex128{1} },
		"reference: start.H has 1 values, want 32":         func(p *problem) { p.start.H = []complex128{1} },
		"reference: start.C has 1 values, want 32":         func(p *problem) { p.start.C = []complex128{1} },
		"reference: weight_ih_l1 has 128 values, want 64":  func(p *problem) { p.Bidirectional, p.start = false, State{} },
		"reference: no weight \"weight_peephole_l0\"":      func(p *problem) { p.Peephole = true },
		"reference: no weight \"weight_ln_ih_l0\"":         func(p *problem) { p.LayerNorm = true },
		"reference: an option that the cell does not have": func(p *problem) { p.Cell, p.Projection = GRU, 3 },
	} {
		changed := p
		change(&changed)
		x := changed.x
		if changed.Cell == GRU {
			x = nil
		}
		assert.PanicsWithValue(t, name, func() { changed.Forward(x, batch, changed.start) })
	}
}
