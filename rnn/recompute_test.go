package rnn_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// TestRecomputeChangesNothing: outputs, states and all gradients have the bits of a run that keeps everything, for every kind of layer with everything
// that is random, and with lengths, resets, starts and cuts.
func TestRecomputeChangesNothing(t *testing.T) {
	trials := 24
	if testing.Short() {
		trials = 12
	}
	r := rand.New(rand.NewPCG(6, 7))
	eachDirection(t, func(t *testing.T, n net) {
		for trial := range trials {
			n := n
			if trial%2 == 0 {
				n = n.everything()
			}
			params := autograd.NewParams(3)
			layer := n.make(params, 3, 5, 1+trial%3)
			steps, batch := 1+r.IntN(90), []int{1, 3, 32, 40}[r.IntN(4)]
			x, state, begin := random(1, steps, batch, 3), randomState(2, layer, batch), randomState(3, layer, batch)
			call := []func(*autograd.Node, rnn.Options) (*autograd.Node, rnn.Carry){layer.Forward, layer.Last}[r.IntN(2)]
			o := rnn.Options{Truncate: r.IntN(2) * r.IntN(20)}
			if r.IntN(3) == 0 {
				for range batch {
					o.Lengths = append(o.Lengths, r.IntN(steps+1))
				}
			}
			if r.IntN(3) == 0 {
				o.Resets = drawResets(r, steps, batch)
			}
			if r.IntN(3) == 0 && !n.bidirectional {
				o.Overlap = r.IntN(steps)
			}
			withStart := r.IntN(2) == 0
			tape := autograd.NewTape(params, 0)
			run := func(o rnn.Options) (all [][]float32) {
				tape.Start(9, autograd.NewGrads(params))
				in, from, to := tape.Leaf(x), leaves(tape, state), leaves(tape, begin)
				if o.ResetTo = to; withStart {
					o.Start = from
				}
				y, end := call(in, o)
				nodes, factors := []*autograd.Node{y}, []*tensor.Tensor{random(3, y.Shape()...)}
				if end.H.RequiresGrad() {
					nodes, factors = append(nodes, end.H), append(factors, random(4, end.H.Shape()...))
				}
				all = append(all, append([]float32(nil), y.Data()...), append([]float32(nil), end.H.Data()...))
				require.NoError(t, weighted(tape, nodes, factors).Backward())
				bits(t, all[0], y.Data(), "outputs after Backward")
				bits(t, all[1], end.H.Data(), "states after Backward")
				all = append(all, in.Grad(), tape.Grads().Data)
				for _, n := range []*autograd.Node{from.H, from.C, to.H, to.C} {
					if n != nil {
						all = append(all, append([]float32(nil), n.Grad()...))
					}
				}
				return append(all[:2:2], copies(all[2:])...)
			}
			want := run(o)
			for _, again := range []rnn.Options{{Recompute: 2}, {Recompute: 1 + r.IntN(9)}, {Recompute: math.MaxInt}, {MemoryBudget: 1}, {MemoryBudget: 1 + r.IntN(100_000)}} {
				o.Recompute, o.MemoryBudget = again.Recompute, again.MemoryBudget
				for i, got := range run(o) {
					bits(t, want[i], got, "result %d of %d steps, %d rows, %+v", i, steps, batch, o)
				}
			}
		}
	})
}

// TestRecomputeNamesThePlace: the search for a number that is not finite names the same place as without windows that are computed again, and going back
// twice gives the same gradients.
func TestRecomputeNamesThePlace(t *testing.T) {
	const steps, batch = 14, 32
	eachDirection(t, func(t *testing.T, n net) {
		params := autograd.NewParams(3)
		layer := n.everything().make(params, 3, 5, 2)
		x := random(1, steps, batch, 3)
		tape := autograd.NewTape(params, 0)
		run := func(o rnn.Options) error {
			tape.Start(9, autograd.NewGrads(params))
			h, _ := layer.Last(tape.Leaf(x), o)
			require.NoError(t, autograd.Sum(h).Backward())
			return tape.NotFinite()
		}
		require.NoError(t, run(rnn.Options{Recompute: 4}))
		again := append([]float32(nil), tape.Grads().Data...)
		require.NoError(t, run(rnn.Options{}))
		bits(t, tape.Grads().Data, again)

		x.Data()[(5*batch+2)*3] = float32(math.NaN())
		err := func(o rnn.Options) string {
			tape.Start(9, autograd.NewGrads(params))
			h, _ := layer.Last(tape.Leaf(x), o)
			err := autograd.Sum(h).Backward()
			require.Error(t, err)
			return err.Error()
		}
		assert.Contains(t, err(rnn.Options{}), "(row 162 of 448)")
		assert.Equal(t, err(rnn.Options{}), err(rnn.Options{Recompute: 4}))

		tape.Start(9, autograd.NewGrads(params))
		resets := make([]bool, steps*batch)
		resets[9*batch+1] = true
		h, end := layer.Last(tape.Leaf(x), rnn.Options{Recompute: 4, Resets: resets})
		states := append([]float32(nil), end.H.Data()...)
		require.Error(t, autograd.Sum(h).Backward())
		bits(t, states, end.H.Data(), "the search changed the end")
	})
}

func copies(all [][]float32) [][]float32 {
	for i, v := range all {
		all[i] = append([]float32(nil), v...)
	}
	return all
}

// TestRecomputeMemory: what is kept grows as the square root of the number of steps, and stays within the budget.
func TestRecomputeMemory(t *testing.T) {
	const batch, input, hidden = 8, 3, 16
	for _, k := range kinds {
		for _, layers := range []int{1, 2} {
			params := autograd.NewParams(1)
			layer := k.make(params, input, hidden, layers)
			held := func(steps int, o rnn.Options) int {
				tape := autograd.NewTape(params, 0)
				h, _ := layer.Last(tape.Input(random(1, steps, batch, input)), o)
				require.NoError(t, autograd.Sum(h).Backward())
				return tape.Bytes()
			}
			fixed, small, least := held(16, rnn.Options{}), held(128, rnn.Options{MemoryBudget: 1}), held(2048, rnn.Options{MemoryBudget: 1})
			assert.Less(t, least, 5*small, "%s: 16 times the steps", k.name)
			assert.Less(t, 10*least, held(2048, rnn.Options{}), k.name)
			for _, budget := range []int{200_000, 800_000} {
				assert.LessOrEqual(t, held(2048, rnn.Options{MemoryBudget: budget}), max(budget+fixed, least), "%s: %d bytes", k.name, budget)
			}
			assert.Equal(t, held(128, rnn.Options{}), held(128, rnn.Options{MemoryBudget: 1 << 30}), "a budget that suffices")
		}
	}
}

// TestRecomputeMemoryOfResets: of a run of Forward over rows in which sequences begin, too, nothing but the output grows with the number of steps.
func TestRecomputeMemoryOfResets(t *testing.T) {
	const batch = 8
	for _, k := range kinds {
		params := autograd.NewParams(1)
		layer := k.make(params, 3, 16, 1)
		held := func(steps int) int {
			tape, resets := autograd.NewTape(params, 0), make([]bool, steps*batch)
			resets[9] = true
			y, _ := layer.Forward(tape.Input(random(1, steps, batch, 3)), rnn.Options{MemoryBudget: 1, Resets: resets})
			require.NoError(t, autograd.Sum(y).Backward())
			return tape.Bytes() - 2*4*len(y.Data()) // without y and its gradient
		}
		assert.Less(t, held(4096), 5*held(256), k.name)
	}
}

// TestMemoryBudgetBeyond32Bits: a run whose memory an int of 32 bits cannot count is computed again in windows within the budget, on every machine.
func TestMemoryBudgetBeyond32Bits(t *testing.T) {
	const steps, batch, hidden = 1 << 16, 32, 256
	layer := rnn.NewMinGRU(autograd.NewParams(1), rnn.MinGRUConfig{Input: 1, Hidden: hidden})
	for _, budget := range []int{1 << 28, 1 << 30, math.MaxInt32} {
		window := rnn.RecomputedWindow(layer, steps, batch, rnn.Options{MemoryBudget: budget})
		require.NotZero(t, window)
		state := 4. * batch * hidden
		assert.LessOrEqual(t, 3*state*float64(window)+state*steps/float64(window), float64(budget)) // a state and two sums a step, a state a window
		assert.Less(t, float64(budget), 3*state*float64(2*window), "not needlessly many windows")
	}
}

// BenchmarkRecompute trains on all outputs of long sequences, with everything kept and with windows that are computed again.
func BenchmarkRecompute(b *testing.B) {
	const batch, input, hidden, steps = 32, 28, 150, 1024
	x := random(1, steps, batch, input)
	for _, k := range kinds {
		if k.name != "lstm" && k.name != "gru" && k.name != "elman_tanh" {
			continue
		}
		for name, o := range map[string]rnn.Options{"plain": {}, "recompute": {MemoryBudget: 1}} {
			b.Run(k.name+"/"+name, func(b *testing.B) {
				params := autograd.NewParams(1)
				layer := k.make(params, input, hidden, 1)
				tape := autograd.NewTape(params, 0)
				for b.Loop() {
					tape.Reset()
					y, _ := layer.Forward(tape.Input(x), o)
					if err := autograd.Sum(y).Backward(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(tape.Bytes())/1e6, "MB")
			})
		}
	}
}
