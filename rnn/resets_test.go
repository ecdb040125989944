package rnn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// stretch returns rows [from, to) of the first dimension of x [T,B,n], of one row of the batch.
func stretch(x *tensor.Tensor, from, to, row int) *tensor.Tensor {
	part, n := tensor.New(to-from, 1, x.Dim(2)), x.Dim(2)
	for s := from; s < to; s++ {
		copy(part.Data()[(s-from)*n:][:n], x.Data()[(s*x.Dim(1)+row)*n:])
	}
	return part
}

// pick returns a row of a state, whose lanes are those of a where which says so, and otherwise those of b.
func pick(a, b *tensor.Tensor, row int, which func(lane int) bool) *tensor.Tensor {
	if a == nil {
		return nil
	}
	lanes, batch, width := a.Dim(0), a.Dim(1), a.Dim(2)
	one := tensor.New(lanes, 1, width)
	for k := range lanes {
		from := b
		if which(k) {
			from = a
		}
		copy(one.Data()[k*width:][:width], from.Data()[(k*batch+row)*width:])
	}
	return one
}

// drawResets returns resets [T*B] at random.
func drawResets(r *rand.Rand, steps, batch int) []bool {
	resets := make([]bool, steps*batch)
	for i := range resets {
		resets[i] = r.IntN(5) == 0
	}
	return resets
}

// TestResets: a row in which sequences begin is those sequences in calls of their own: outputs, states and the gradients of inputs and starts have the
// same bits, and the gradients of the weights are the same but for the order of sums.
func TestResets(t *testing.T) {
	const steps, batch, input, hidden, layers = 23, 4, 3, 5, 2
	r := rand.New(rand.NewPCG(4, 5))
	eachDirection(t, func(t *testing.T, n net) {
		for _, lengths := range [][]int{nil, {steps, 0, 7, 20}} {
			params := autograd.NewParams(3)
			layer := n.make(params, input, hidden, layers)
			x, start, begin := random(1, steps, batch, input), randomState(5, layer, batch), randomState(7, layer, batch)
			resets := drawResets(r, steps, batch)
			tape := autograd.NewTape(params, 0)
			in, from, to := tape.Leaf(x), leaves(tape, start), leaves(tape, begin)
			y, end := layer.Forward(in, rnn.Options{Start: from, ResetTo: to, Resets: resets, Lengths: lengths})
			dy, dh := random(8, y.Shape()...), random(9, end.H.Shape()...)
			require.NoError(t, weighted(tape, []*autograd.Node{y, end.H}, []*tensor.Tensor{dy, dh}).Backward())
			whole := gradients(params, tape)

			apart := autograd.NewTape(params, 0)
			type part struct {
				row, from, to int
				x             *autograd.Node
				start         rnn.Carry
				first, last   bool
			}
			var parts []part
			var nodes []*autograd.Node
			var factors []*tensor.Tensor
			dirs := n.directions()
			reverse := func(lane int) bool { return lane%dirs == 1 }
			for row := range batch {
				length := steps
				if lengths != nil {
					length = lengths[row]
				}
				for a := 0; a < length; {
					b := a + 1
					for b < length && !resets[b*batch+row] {
						b++
					}
					p := part{row: row, from: a, to: b, x: apart.Leaf(stretch(x, a, b, row)), first: a == 0 && !resets[row], last: b == length}
					ofStart := func(lane int) bool { return p.first && !reverse(lane) || p.last && reverse(lane) }
					p.start.H = apart.Leaf(pick(start.H, begin.H, row, ofStart))
					if start.C != nil {
						p.start.C = apart.Leaf(pick(start.C, begin.C, row, ofStart))
					}
					out, over := layer.Forward(p.x, rnn.Options{Start: p.start})
					for s := a; s < b; s++ {
						w := out.Shape()[2]
						bits(t, out.Data()[(s-a)*w:][:w], y.Data()[(s*batch+row)*w:][:w], "row %d, step %d", row, s)
					}
					none := tensor.New(dh.Shape()...)
					ends := func(lane int) bool { return p.last && !reverse(lane) || a == 0 && reverse(lane) }
					nodes, factors = append(nodes, out, over.H), append(factors, stretch(dy, a, b, row), pick(dh, none, row, ends))
					for k := range over.H.Shape()[0] {
						for i, state := range []*autograd.Node{over.H, over.C} {
							if state == nil || !ends(k) {
								continue
							}
							w := state.Shape()[2]
							bits(t, state.Data()[k*w:][:w], []*autograd.Node{end.H, end.C}[i].Data()[(k*batch+row)*w:][:w], "end of row %d", row)
						}
					}
					parts = append(parts, p)
					a = b
				}
			}
			require.NoError(t, weighted(apart, nodes, factors).Backward())
			dStart, dBegin := [2]*tensor.Tensor{}, [2]*tensor.Tensor{}
			for i, n := range []*autograd.Node{from.H, from.C} {
				if n != nil {
					dStart[i], dBegin[i] = tensor.New(n.Shape()...), tensor.New(n.Shape()...)
				}
			}
			for _, p := range parts {
				w := input
				for s := p.from; s < p.to; s++ {
					bits(t, p.x.Grad()[(s-p.from)*w:][:w], in.Grad()[(s*batch+p.row)*w:][:w], "gradient of the input, row %d, step %d", p.row, s)
				}
				for i, n := range []*autograd.Node{p.start.H, p.start.C} {
					if n == nil {
						continue
					}
					w := n.Shape()[2]
					for k := range n.Shape()[0] {
						sum := dBegin[i]
						if p.first && !reverse(k) || p.last && reverse(k) {
							sum = dStart[i]
						}
						for j := range w {
							sum.Data()[(k*batch+p.row)*w+j] += n.Grad()[k*w+j]
						}
					}
				}
			}
			for i, pair := range [2][2]*autograd.Node{{from.H, to.H}, {from.C, to.C}} {
				if pair[0] == nil {
					continue
				}
				bits := func(want []float32, got []float32, row int) { // of a row that has steps: the start of a row without is its end
					for k := range pair[0].Shape()[0] {
						w := pair[0].Shape()[2]
						bits(t, want[(k*batch+row)*w:][:w], got[(k*batch+row)*w:][:w], "gradient of the start")
					}
				}
				for row := range batch {
					if lengths == nil || lengths[row] > 0 {
						bits(dStart[i].Data(), pair[0].Grad(), row)
					}
				}
				assert.InDeltaSlice(t, dBegin[i].Data(), pair[1].Grad(), 1e-5)
			}
			for name, grad := range gradients(params, apart) {
				assert.LessOrEqual(t, reference.MaxRelErr(whole[name], grad), 2e-5, name)
			}
		}
	})
}

// TestResetsOnTheChunks: if all rows begin a new sequence where the gradients of the weights are added up anyway, these have the bits of calls apart, too.
func TestResetsOnTheChunks(t *testing.T) {
	const batch, chunk, input = 32, 4, 3 // see windows.chunk
	for _, k := range kinds {
		params := autograd.NewParams(3)
		layer := k.make(params, input, 5, 1)
		x := random(1, 3*chunk, batch, input)
		run := func(whole bool) map[string][]float32 {
			tape := autograd.NewTape(params, 0)
			if whole {
				resets := make([]bool, 3*chunk*batch)
				for i := range batch {
					resets[2*chunk*batch+i] = true
				}
				y, _ := layer.Forward(tape.Input(x), rnn.Options{Resets: resets})
				require.NoError(t, autograd.Sum(y).Backward())
				return gradients(params, tape)
			}
			in := tape.Input(x)
			a, _ := layer.Forward(autograd.Slice(in, 0, 0, 2*chunk), rnn.Options{})
			b, _ := layer.Forward(autograd.Slice(in, 0, 2*chunk, 3*chunk), rnn.Options{})
			require.NoError(t, autograd.Add(autograd.Sum(a), autograd.Sum(b)).Backward())
			return gradients(params, tape)
		}
		want := run(false)
		for name, got := range run(true) {
			bits(t, want[name], got, "%s of %s", name, k.name)
		}
	}
}

// TestResetsAndCuts: rows with lengths, cuts of Truncate and sequences that begin are calls for the steps between, of which one after a cut begins with
// a constant, and one after a reset with ResetTo. Some weights are frozen.
func TestResetsAndCuts(t *testing.T) {
	r := rand.New(rand.NewPCG(26, 7))
	for trial := range 8 * len(kinds) {
		k := kinds[trial%len(kinds)]
		params := autograd.NewParams(3)
		layer := k.make(params, 3, 5, 1+trial%3)
		for p := range params.All() {
			p.Frozen = r.IntN(6) == 0
		}
		steps, batch := 1+r.IntN(30), 1+r.IntN(4)
		cut := 1 + r.IntN(steps)
		x, start, begin := random(1, steps, batch, 3), randomState(2, layer, batch), randomState(4, layer, batch)
		o := rnn.Options{Truncate: cut, Resets: drawResets(r, steps, batch), Recompute: r.IntN(2) * r.IntN(8)}
		lengths := make([]int, batch)
		for b := range lengths {
			lengths[b] = steps - r.IntN(2)*r.IntN(steps)
		}
		if r.IntN(2) == 0 {
			o.Lengths = lengths
		} else {
			lengths = slices.Repeat([]int{steps}, batch)
		}
		tape, apart := autograd.NewTape(params, 0), autograd.NewTape(params, 0)
		in, inApart, from, to := tape.Leaf(x), apart.Leaf(x), leaves(apart, start), leaves(apart, begin)
		o.Start, o.ResetTo = leaves(tape, start), leaves(tape, begin)
		call := layer.Forward
		if r.IntN(2) == 0 {
			call = layer.Last
		}
		y, _ := call(in, o)
		factors := random(8, y.Shape()...)
		require.NoError(t, weighted(tape, []*autograd.Node{y}, []*tensor.Tensor{factors}).Backward())

		var nodes []*autograd.Node
		var parts []*tensor.Tensor
		for b, length := range lengths {
			carry := carryRow(from, b)
			for lo, hi := 0, 0; lo < length; lo = hi {
				for hi = lo + 1; hi < length && !o.Resets[hi*batch+b] && (steps-hi)%cut != 0; {
					hi++
				}
				if o.Resets[lo*batch+b] {
					carry = carryRow(to, b)
				}
				out, end := layer.Forward(autograd.Slice(autograd.Slice(inApart, 0, lo, hi), 1, b, b+1), rnn.Options{Start: carry})
				carry = rnn.Carry{H: constant(end.H), C: constant(end.C)}
				if len(y.Shape()) == 3 {
					nodes, parts = append(nodes, out), append(parts, stretch(factors, lo, hi, b))
				} else if hi == length {
					nodes, parts = append(nodes, autograd.Slice(out, 0, hi-lo-1, hi-lo)), append(parts, tensor.Of(factors.Data()[b*layer.Out():][:layer.Out()], 1, 1, layer.Out()))
				}
			}
		}
		require.NoError(t, weighted(apart, nodes, parts).Backward())
		name := fmt.Sprintf("%s, %d steps, %+v", k.name, steps, o)
		got := gradients(params, tape)
		for p, want := range gradients(params, apart) {
			require.LessOrEqual(t, reference.MaxRelErr(got[p], want), 5e-5, "%s of %s", p, name)
		}
		for i, pair := range [][2]*autograd.Node{{inApart, in}, {from.H, o.Start.H}, {from.C, o.Start.C}, {to.H, o.ResetTo.H}, {to.C, o.ResetTo.C}} {
			if pair[0] != nil {
				zeros := make([]float32, len(pair[0].Data())) // a gradient that nothing was added to is nil
				require.LessOrEqual(t, reference.MaxRelErr(append(pair[1].Grad(), zeros...)[:len(zeros)], append(pair[0].Grad(), zeros...)[:len(zeros)]), 5e-5, "%d of %s", i, name)
			}
		}
	}
}

// constant is a copy of a node that hands no gradient on; nil of nil.
func constant(n *autograd.Node) *autograd.Node {
	if n == nil {
		return nil
	}
	return n.Tape().Input(tensor.Of(slices.Clone(n.Data()), n.Shape()...))
}

// TestNaNDoesNotCrossAReset: NaN in one sequence of a row, and in padding, changes no bit of the other sequences, with everything that is random.
func TestNaNDoesNotCrossAReset(t *testing.T) {
	const steps, batch, from, to, row = 23, 3, 6, 11, 1 // the sequence of steps 6 to 10 of row 1 is NaN
	lengths := []int{steps, 20, 7}
	lost := func(s, b int) bool { return b == row && s >= from && s < to || s >= lengths[b] }
	resets := make([]bool, steps*batch)
	resets[from*batch+row], resets[to*batch+row] = true, true
	eachDirection(t, func(t *testing.T, n net) {
		params := autograd.NewParams(3)
		layer := n.everything().make(params, 3, 5, 2)
		x := random(1, steps, batch, 3)
		bad := tensor.Of(slices.Clone(x.Data()), x.Shape()...)
		for i := range bad.Data() {
			if lost(i/3/batch, i/3%batch) {
				bad.Data()[i] = float32(math.NaN())
			}
		}
		for _, o := range []rnn.Options{{}, {Truncate: 4}, {Recompute: 4}} {
			o.Lengths, o.Resets = lengths, resets
			run := func(x *tensor.Tensor) (y, dx []float32) {
				tape := autograd.NewTape(params, 5)
				in := tape.Leaf(x)
				out, _ := layer.Forward(in, o)
				y = slices.Clone(out.Data())
				for i := range out.Data() {
					if lost(i/layer.Out()/batch, i/layer.Out()%batch) {
						out.Data()[i] = 0 // so that the loss is finite
					}
				}
				require.NoError(t, autograd.Sum(out).Backward())
				return y, in.Grad()
			}
			wantY, wantX := run(x)
			gotY, gotX := run(bad)
			for s := range steps {
				for b := range batch {
					if !lost(s, b) {
						i := s*batch + b
						bits(t, wantY[i*layer.Out():][:layer.Out()], gotY[i*layer.Out():][:layer.Out()], "output of row %d, step %d", b, s)
						bits(t, wantX[i*3:][:3], gotX[i*3:][:3], "gradient of row %d, step %d", b, s)
					}
				}
			}
		}
	})
}

// carryRow is one row of a carry.
func carryRow(c rnn.Carry, row int) (one rnn.Carry) {
	one.H = autograd.Slice(c.H, 1, row, row+1)
	if c.C != nil {
		one.C = autograd.Slice(c.C, 1, row, row+1)
	}
	return one
}

// TestOverlap: the carry of a call that overlaps the next is the end of a call that ends before the overlap, and the next call goes on from it.
func TestOverlap(t *testing.T) {
	const steps, batch = 19, 3
	r := rand.New(rand.NewPCG(1, 5))
	eachDirection(t, func(t *testing.T, n net) {
		if n.bidirectional {
			return
		}
		params := autograd.NewParams(3)
		layer := n.make(params, 3, 5, 2)
		x, state := random(1, steps, batch, 3), randomState(5, layer, batch)
		for _, tape := range []*autograd.Tape{autograd.NewTape(params, 0), autograd.NewInference(params)} {
			for _, lengths := range [][]int{nil, {steps, 0, 7}} {
				for _, resets := range [][]bool{nil, drawResets(r, steps, batch)} {
					for overlap := range steps + 1 {
						for _, call := range []func(*autograd.Node, rnn.Options) (*autograd.Node, rnn.Carry){layer.Forward, layer.Last} {
							tape.Reset()
							o := rnn.Options{Start: state.Carry(tape, 0, batch), Lengths: lengths, Resets: resets, Overlap: overlap, Truncate: 6 * (overlap % 2)}
							_, carry := call(tape.Input(x), o)
							want := o.Start
							if kept := steps - overlap; kept > 0 {
								short := rnn.Options{Start: o.Start}
								for _, n := range lengths {
									short.Lengths = append(short.Lengths, min(n, kept))
								}
								if resets != nil {
									short.Resets = resets[:kept*batch]
								}
								_, want = layer.Forward(autograd.Slice(tape.Input(x), 0, 0, kept), short)
							}
							bits(t, want.H.Data(), carry.H.Data(), "overlap %d", overlap)
							if want.C != nil {
								bits(t, want.C.Data(), carry.C.Data(), "overlap %d", overlap)
							}
							assert.Equal(t, overlap == 0 && tape.Training(), carry.H.RequiresGrad())
						}
					}
				}
			}
		}
	})
}
