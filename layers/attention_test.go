package layers_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/internal/golden"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/tensor"
)

// general is Luong's general score, as the documentation of DotAttention composes it.
type general struct {
	layers.DotAttention
	keys *layers.Dense
}

func (g general) Keys(memory *autograd.Node, lengths []int) *autograd.Node {
	return g.keys.Forward(autograd.MaskSteps(memory, lengths))
}

func (g general) Forward(query, memory *autograd.Node, lengths []int) (context, weights *autograd.Node) {
	return g.Attend(query, g.Keys(memory, lengths), memory, lengths)
}

// attention makes a kind of attention, for queries and memories of so many features.
func attention(kind string, p *autograd.Params, query, memory int) layers.Attention {
	switch kind {
	case "scaled":
		return layers.DotAttention{Scaled: true}
	case "general":
		return general{keys: layers.NewDenseWith(p, layers.DenseConfig{In: memory, Out: query, NoBias: true})}
	case "additive":
		return layers.NewAdditiveAttention(p, query, memory, 7)
	}
	return layers.DotAttention{}
}

func of(v golden.Tensor) *tensor.Tensor { return tensor.Of(v.Float32(), v.Shape...) }

// TestAttentionAsPyTorch compares outputs, weights and all gradients with PyTorch's; what the memory holds after a row's
// length is NaN.
func TestAttentionAsPyTorch(t *testing.T) {
	for _, name := range golden.Names("attention_*") {
		t.Run(name, func(t *testing.T) {
			file, err := golden.Load(name)
			require.NoError(t, err)
			params := autograd.NewParams(1)
			query, memory := of(file.Get("query")), of(file.Get("memory"))
			a := attention(strings.Split(name, "_")[1], params, query.Dim(-1+len(query.Shape())), memory.Dim(2))
			params.Update(func() {
				for w := range params.All() {
					v := file.Get(w.Name)
					require.Equal(t, v.Shape, w.Value.Shape(), w.Name)
					copy(w.Value.Data(), v.Float32())
				}
			})
			var lengths []int
			if v, ok := file.Tensors["lengths"]; ok {
				for b, n := range v.Data {
					lengths = append(lengths, int(n))
					for step := int(n); step < memory.Dim(0); step++ {
						for j := range memory.Dim(2) {
							memory.Data()[(step*memory.Dim(1)+b)*memory.Dim(2)+j] = float32(math.NaN())
						}
					}
				}
			}
			tape := autograd.NewTape(params, 0)
			for run := range 2 {
				tape.Reset()
				q, m := tape.Leaf(query), tape.Leaf(memory)
				var context, weights *autograd.Node
				if run == 0 {
					context, weights = a.Forward(q, m, lengths)
				} else {
					context, weights = a.Attend(q, a.Keys(m, lengths), m, lengths)
				}
				assert.Equal(t, file.Get("context").Shape, context.Shape())
				assert.Equal(t, file.Get("attention").Shape, weights.Shape())
				assert.LessOrEqual(t, reference.MaxRelErr(context.Data(), file.Get("context").Data), 1e-6, "context")
				assert.LessOrEqual(t, reference.MaxRelErr(weights.Data(), file.Get("attention").Data), 1e-6, "weights")
				loss := autograd.Add(autograd.Sum(autograd.Mul(context, tape.Input(of(file.Get("loss.context"))))),
					autograd.Sum(autograd.Mul(weights, tape.Input(of(file.Get("loss.attention"))))))
				assert.InEpsilon(t, file.Get("loss").Data[0], loss.Value(), 1e-5)
				require.NoError(t, loss.Backward())
				for name, want := range file.Under("grad.") {
					got := map[string][]float32{"query": q.Grad(), "memory": m.Grad()}[name]
					if got == nil {
						got = tape.Grads().Of(params.Get(name))
					}
					assert.LessOrEqual(t, reference.MaxRelErr(got, want.Data), 1e-5, name)
				}
			}
		})
	}
}

// TestAttentionOfEmptyRows: a row without steps has context and weights of zero, and no gradient that is not a number.
func TestAttentionOfEmptyRows(t *testing.T) {
	for _, kind := range []string{"dot", "scaled", "general", "additive"} {
		params := autograd.NewParams(1)
		a := attention(kind, params.In("attention"), 3, 3)
		query, memory := params.New("query", autograd.Normal(1), 2, 3), params.New("memory", autograd.Normal(1), 4, 2, 3)
		for j := range 12 {
			memory.Value.Data()[j/3*6+j%3] = float32(math.NaN())
		}
		tape := autograd.NewTape(params, 0)
		context, weights := a.Forward(tape.Param(query), tape.Param(memory), []int{0, 3})
		assert.Equal(t, make([]float32, 3), context.Data()[:3], kind)
		assert.Equal(t, make([]float32, 4), weights.Data()[:4], kind)
		assert.InDelta(t, 1, weights.Data()[4]+weights.Data()[5]+weights.Data()[6], 1e-6)
		assert.Zero(t, weights.Data()[7])
		require.NoError(t, gradcheck.Project(context).Backward())
		for _, g := range tape.Grads().Data {
			require.False(t, math.IsNaN(float64(g)), kind)
		}
		none, _ := a.Forward(tape.Input(tensor.New(5, 0, 3)), tape.Input(tensor.New(4, 0, 3)), []int{})
		assert.Equal(t, []int{5, 0, 3}, none.Shape())
		none, _ = a.Forward(tape.Input(random(1, 2, 3)), tape.Input(tensor.New(0, 2, 3)), nil)
		assert.Equal(t, make([]float32, 6), none.Data())
	}
}

// TestAttentionSteps: queries one by one, of keys computed once, give what all of them give at once, gradients too.
func TestAttentionSteps(t *testing.T) {
	for _, kind := range []string{"dot", "scaled", "general", "additive"} {
		params := autograd.NewParams(1)
		a := attention(kind, params.In("attention"), 3, 3)
		query, memory := random(1, 5, 2, 3), random(2, 4, 2, 3)
		run := func(forward func(q, m *autograd.Node) *autograd.Node) (context, dq, dm, grads []float32) {
			tape := autograd.NewTape(params, 0)
			q, m := tape.Leaf(query), tape.Leaf(memory)
			y := forward(q, m)
			require.NoError(t, gradcheck.Project(y).Backward())
			return y.Data(), q.Grad(), m.Grad(), tape.Grads().Data
		}
		lengths := []int{2, 4}
		var got, want [4][]float32
		want[0], want[1], want[2], want[3] = run(func(q, m *autograd.Node) *autograd.Node {
			context, _ := a.Forward(q, m, lengths)
			return context
		})
		got[0], got[1], got[2], got[3] = run(func(q, m *autograd.Node) *autograd.Node {
			keys := a.Keys(m, lengths)
			var steps []*autograd.Node
			for u := range 5 {
				context, _ := a.Attend(autograd.Reshape(autograd.Slice(q, 0, u, u+1), 2, 3), keys, m, lengths)
				steps = append(steps, autograd.Reshape(context, 1, 2, 3))
			}
			return autograd.Concat(0, steps...)
		})
		for i := range want {
			w := make([]float64, len(want[i]))
			for j, v := range want[i] {
				w[j] = float64(v)
			}
			assert.LessOrEqual(t, reference.MaxRelErr(got[i], w), 1e-6, "%s: %d", kind, i)
		}
	}
}

func TestAttentionFrozen(t *testing.T) {
	params := autograd.NewParams(1)
	a := layers.NewAdditiveAttention(params, 3, 4, 5)
	query, memory := random(1, 2, 3), random(2, 6, 2, 4)
	tape := autograd.NewTape(params, 0)
	names := []string{"query.weight", "memory.weight", "score.weight"}
	for _, thawed := range append(names, "") {
		for w := range params.All() {
			w.Frozen = w.Name != thawed
		}
		tape.Reset()
		context, _ := a.Forward(tape.Input(query), tape.Input(memory), nil)
		assert.Equal(t, thawed != "", context.RequiresGrad())
		err := gradcheck.Project(context).Backward()
		if thawed == "" {
			require.ErrorIs(t, err, autograd.ErrNoGradient)
			continue
		}
		require.NoError(t, err)
		for w := range params.All() {
			moved := slices.ContainsFunc(tape.Grads().Of(w), func(g float32) bool { return g != 0 })
			assert.Equal(t, w.Name == thawed, moved, "%s of a run for %q", w.Name, thawed)
		}
	}
}

func TestAttentionAllocatesNothing(t *testing.T) {
	for _, kind := range []string{"dot", "scaled", "additive"} {
		params := autograd.NewParams(1)
		a := attention(kind, params, 3, 3)
		query, memory, lengths := random(1, 5, 2, 3), random(2, 4, 2, 3), []int{2, 4}
		tape := autograd.NewTape(params, 0)
		run := func() {
			tape.Reset()
			context, _ := a.Forward(tape.Leaf(query), tape.Leaf(memory), lengths)
			if err := autograd.Sum(context).Backward(); err != nil {
				t.Error(err)
			}
		}
		for range 8 {
			run()
		}
		assert.Zero(t, testing.AllocsPerRun(10, run), kind)
	}
}

func TestAttentionMisuse(t *testing.T) {
	params := autograd.NewParams(1)
	additive := layers.NewAdditiveAttention(params.In("attend"), 3, 4, 5)
	tape := autograd.NewInference(params)
	query, memory := tape.Input(random(1, 2, 3)), tape.Input(random(2, 6, 2, 4))
	for want, f := range map[string]func(){
		"autograd.DotSteps: query of shape [2 3] and keys of shape [6 2 4], want [B,N] or [U,B,N], and [T,B,N]": func() { layers.DotAttention{}.Forward(query, memory, nil) },
		"attend.query.weight: input has shape [6 2 4], want [..., 3]":                                           func() { additive.Forward(memory, memory, nil) },
		"attend.memory.weight: input has shape [2 3], want [..., 4]":                                            func() { additive.Forward(query, query, nil) },
		"attend.score.weight: queries of shape [2 5] and keys of shape [6 2 4], want [B,5] or [U,B,5], and [T,B,5]": func() {
			additive.Attend(query, memory, memory, nil)
		},
		"autograd.MaskSteps: 1 lengths, want 2, one a row":                            func() { additive.Forward(query, memory, []int{6}) },
		"autograd.MaskSteps: row 1 has length 7, want 0 to 6, the steps of the input": func() { additive.Forward(query, memory, []int{6, 7}) },
		"attend.score.weight: row 0 has length -1, want 0 to 6, the steps of the input": func() {
			additive.Attend(query, additive.Keys(memory, nil), memory, []int{-1, 6})
		},
		"query.weight: shape [0 3], want dimensions of at least 1 whose product fits an int": func() { layers.NewAdditiveAttention(autograd.NewParams(1), 3, 4, 0) },
	} {
		assert.EqualError(t, autograd.Try(f), want)
	}
}

func ExampleAdditiveAttention() {
	params := autograd.NewParams(42)
	attend := layers.NewAdditiveAttention(params.In("attend"), 6, 4, 8)
	tape := autograd.NewInference(params)
	query := tape.Input(random(1, 2, 6))     // the state of a decoder, for a batch of 2
	memory := tape.Input(random(2, 5, 2, 4)) // the outputs of an encoder for 5 steps
	context, weights := attend.Forward(query, memory, []int{5, 2})
	fmt.Println(context.Shape(), weights.Shape())
	fmt.Println("weights after the two steps of the second row:", weights.Data()[7:])
	// Output:
	// [2 4] [2 5]
	// weights after the two steps of the second row: [0 0 0]
}

func ExampleDotAttention() {
	tape := autograd.NewInference(autograd.NewParams(1))
	query := tape.Input(tensor.Of([]float32{0, 10}, 1, 2))
	memory := tape.Input(tensor.Of([]float32{1, 0, 0, 1, -1, 0}, 3, 1, 2)) // three steps
	context, weights := layers.DotAttention{}.Forward(query, memory, nil)
	fmt.Printf("%.3f\n%.3f\n", context.Data(), weights.Data())
	// Output:
	// [0.000 1.000]
	// [0.000 1.000 0.000]
}
