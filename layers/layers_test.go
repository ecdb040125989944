package layers_test

import (
	"fmt"
	"math"
	"math/cmplx"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/internal/golden"
	"github.com/unroll-go/unroll/internal/reference"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/tensor"
)

// norm is a LayerNorm whose weights are not those it begins with.
func norm(features int) (*autograd.Params, *layers.LayerNorm) {
	params := autograd.NewParams(1)
	l := layers.NewLayerNorm(params.In("norm"), features)
	params.Update(func() {
		copy(l.Weight.Value.Data(), random(4, features).Data())
		copy(l.Bias.Value.Data(), random(5, features).Data())
	})
	return params, l
}

func TestLayerNormGradients(t *testing.T) {
	for _, size := range []struct{ rows, n int }{{1, 4}, {3, 7}, {10, 150}} {
		params, l := norm(size.n)
		x, factors := random(2, size.rows, size.n), random(3, size.rows, size.n)
		tape := autograd.NewTape(params, 0)
		in := tape.Leaf(x)
		y := l.Forward(in)
		require.NoError(t, autograd.Sum(autograd.Mul(y, tape.Input(factors))).Backward())

		cx, cw, cb := reference.Complex(x.Data()), reference.Complex(l.Weight.Value.Data()), reference.Complex(l.Bias.Value.Data())
		value := func() (out []complex128) {
			for lo := 0; lo < len(cx); lo += size.n {
				mean, square := complex128(0), complex128(0)
				for _, z := range cx[lo:][:size.n] {
					mean += z / complex(float64(size.n), 0)
				}
				for _, z := range cx[lo:][:size.n] {
					square += (z - mean) * (z - mean) / complex(float64(size.n), 0)
				}
				for i, z := range cx[lo:][:size.n] {
					out = append(out, (z-mean)/cmplx.Sqrt(square+1e-5)*cw[i]+cb[i])
				}
			}
			return out
		}
		f := func() complex128 { return reference.Dot(value(), reference.Complex(factors.Data())) }
		assert.LessOrEqual(t, reference.MaxRelErr(y.Data(), reference.Real(value())), 1e-6, "y %v", size)
		assert.LessOrEqual(t, reference.MaxRelErr(in.Grad(), reference.Gradient(f, cx)), 1e-5, "x %v", size)
		assert.LessOrEqual(t, reference.MaxRelErr(tape.Grads().Of(l.Weight), reference.Gradient(f, cw)), 1e-6, "weight %v", size)
		assert.LessOrEqual(t, reference.MaxRelErr(tape.Grads().Of(l.Bias), reference.Gradient(f, cb)), 1e-6, "bias %v", size)
	}
}

func TestLayersAsPyTorch(t *testing.T) {
	params, l := norm(5)
	table := layers.NewEmbedding(params.In("table"), 4, 5)
	for name, forward := range map[string]func(t *autograd.Tape, x *autograd.Node) *autograd.Node{
		"layer_norm": func(_ *autograd.Tape, x *autograd.Node) *autograd.Node { return l.Forward(x) },
		"layer_gelu": func(_ *autograd.Tape, x *autograd.Node) *autograd.Node { return autograd.GELU(x) },
		"layer_embedding": func(t *autograd.Tape, x *autograd.Node) *autograd.Node {
			return table.Forward(t, tokens{[]int32{3, 0, 3, 1, 1, 2}, 2})
		},
	} {
		file, err := golden.Load(name)
		require.NoError(t, err)
		params.Update(func() {
			for p, key := range map[*autograd.Param]string{l.Weight: "weight", l.Bias: "bias", table.Weight: "table"} {
				if v, ok := file.Tensors[key]; ok {
					copy(p.Value.Data(), v.Float32())
				}
			}
		})
		tape := autograd.NewTape(params, 0)
		x := tape.Leaf(tensor.Of(file.Get("x").Float32(), 6, 5))
		y := forward(tape, x)
		assert.LessOrEqual(t, reference.MaxRelErr(y.Data(), file.Get("y").Data), 1e-6, name)
		factors := tape.Input(tensor.Of(file.Get("factors").Float32(), y.Shape()...))
		require.NoError(t, autograd.Sum(autograd.Mul(y, factors)).Backward())
		for key, got := range map[string][]float32{"grad.x": x.Grad(), "grad.weight": tape.Grads().Of(l.Weight), "grad.bias": tape.Grads().Of(l.Bias), "grad.table": tape.Grads().Of(table.Weight)} {
			if want, ok := file.Tensors[key]; ok {
				assert.LessOrEqual(t, reference.MaxRelErr(got, want.Data), 2e-6, "%s: %s", name, key)
			}
		}
	}
}

func TestLayerNormFrozenAndShapes(t *testing.T) {
	params, l := norm(3)
	l.Weight.Frozen, l.Bias.Frozen = true, true
	tape := autograd.NewTape(params, 0)
	assert.False(t, l.Forward(tape.Input(random(1, 2, 3))).RequiresGrad())
	require.NoError(t, autograd.Sum(l.Forward(tape.Leaf(random(1, 2, 3)))).Backward())
	assert.Equal(t, make([]float32, 3), tape.Grads().Of(l.Weight))
	assert.EqualError(t, autograd.Try(func() { l.Forward(tape.Input(random(1, 3, 2))) }), "norm.weight: input has shape [3 2], want [..., 3]")
	constant := l.Forward(tape.Input(tensor.Of([]float32{7, 7, 7}, 3)))
	assert.Equal(t, l.Bias.Value.Data(), constant.Data(), "a row without variance")
	large := l.Forward(tape.Input(tensor.Of([]float32{1e18, -1e18, 0}, 3)))
	for _, v := range large.Data() {
		assert.False(t, math.IsNaN(float64(v)) || math.IsInf(float64(v), 0))
	}
}

// TestLayerNormEps: an Eps that is 0 in float32 would make NaN of a row whose values are all equal.
func TestLayerNormEps(t *testing.T) {
	params := autograd.NewParams(1)
	l := layers.NewLayerNorm(params, 2)
	run := func(eps float64) (grad []float32, err error) {
		l.Eps = eps
		tape := autograd.NewTape(params, 0)
		x := tape.Leaf(tensor.New(2))
		err = autograd.Try(func() { require.NoError(t, autograd.Sum(l.Forward(x)).Backward()) })
		return x.Grad(), err
	}
	for want, eps := range map[string]float64{"0": 0, "1e-46": 1e-46, "-1e-05": -1e-5, "NaN": math.NaN(), "+Inf": math.Inf(1), "1e+39": 1e39} {
		_, err := run(eps)
		assert.EqualError(t, err, "weight: Eps is "+want+", want above 0 as a float32 and finite")
	}
	for _, eps := range []float64{1e-45, 1e-12, 1} {
		grad, err := run(eps)
		require.NoError(t, err)
		assert.Equal(t, []float32{0, 0}, grad, "Eps %v", eps)
	}
}

// TestLayerNormOfZeros: the factor by which the gradient of a row without variance grows, as the documentation says.
func TestLayerNormOfZeros(t *testing.T) {
	params := autograd.NewParams(1)
	l := layers.NewLayerNorm(params, 2)
	for eps, factor := range map[float64]float64{1e-5: 316.2278, 1e-3: 31.62278} {
		l.Eps = eps
		tape := autograd.NewTape(params, 0)
		x := tape.Leaf(tensor.New(2))
		difference := tape.Input(tensor.Of([]float32{1, -1}, 2))
		require.NoError(t, autograd.Sum(autograd.Mul(l.Forward(x), difference)).Backward())
		assert.LessOrEqual(t, reference.MaxRelErr(x.Grad(), []float64{factor, -factor}), 1e-6)
	}
}

var _ layers.Tokens = (*dataset.Batch)(nil)

// tokens is a batch of ids and its number of rows.
type tokens struct {
	ids  []int32
	rows int
}

func (b tokens) Tokens() ([]int32, int) { return b.ids, b.rows }

func TestEmbedding(t *testing.T) {
	params := autograd.NewParams(1)
	e := layers.NewEmbedding(params.In("tokens"), 3, 2)
	tape := autograd.NewTape(params, 0)
	y := e.Forward(tape, tokens{[]int32{2, 0, 2, 2, 1, 2}, 2})
	assert.Equal(t, []int{3, 2, 2}, y.Shape())
	v := e.Weight.Value.Data()
	assert.Equal(t, []float32{v[4], v[5], v[0], v[1], v[4], v[5], v[4], v[5], v[2], v[3], v[4], v[5]}, y.Data())
	require.NoError(t, autograd.Sum(y).Backward())
	assert.Equal(t, []float32{1, 1, 1, 1, 4, 4}, tape.Grads().Of(e.Weight))

	tape.Reset()
	assert.Equal(t, []int{1, 3, 2}, e.Lookup(tape, []int32{0, 1, 2}, 3).Shape())
	assert.Equal(t, []int{0, 3, 2}, e.Lookup(tape, nil, 3).Shape())
	assert.EqualError(t, autograd.Sum(e.Lookup(tape, []int32{0, 3}, 1)).Backward(), "tokens.weight: token 3, want 0 to 2 (row 1 of 2)")
	for _, rows := range []int{2, 0, -1} {
		assert.EqualError(t, autograd.Try(func() { e.Forward(tape, tokens{[]int32{0, 1, 2}, rows}) }),
			fmt.Sprintf("tokens.weight: 3 ids for a batch of %d rows, want the same number of ids for each row", rows))
	}
	e.Weight.Frozen = true
	tape.Reset()
	assert.False(t, e.Lookup(tape, []int32{0}, 1).RequiresGrad())
}

// stack is all layers in a row.
func stack(params *autograd.Params, drop float32) layers.Sequential {
	return layers.Sequential{
		layers.NewDense(params.In("0"), 4, 6),
		layers.Func(autograd.GELU),
		layers.NewLayerNorm(params.In("2"), 6),
		layers.Dropout{P: drop},
		layers.Sequential{layers.NewDense(params.In("4"), 6, 3)},
	}
}

func TestSequential(t *testing.T) {
	params := autograd.NewParams(1)
	model := stack(params, 0.3)
	x := random(1, 5, 4)
	require.NoError(t, gradcheck.Check(params, func(tape *autograd.Tape) *autograd.Node {
		return gradcheck.Project(model.Forward(tape.Input(x)))
	}, gradcheck.Options{}))
	infer := autograd.NewInference(params)
	want := infer.Input(x)
	for _, l := range model {
		want = l.Forward(want)
	}
	assert.Equal(t, want.Data(), model.Forward(infer.Input(x)).Data())
	in := infer.Input(x)
	assert.Same(t, in, layers.Sequential{}.Forward(in))

	tape := autograd.NewTape(params, 0)
	run := func() {
		tape.Reset()
		if err := autograd.Sum(model.Forward(tape.Leaf(x))).Backward(); err != nil {
			t.Error(err)
		}
	}
	for range 8 {
		run()
	}
	assert.Zero(t, testing.AllocsPerRun(10, run))
}

func ExampleSequential() {
	params := autograd.NewParams(1)
	model := layers.Sequential{
		layers.NewDense(params.In("0"), 4, 16),
		layers.Func(autograd.ReLU),
		layers.Dropout{P: 0.5},
		layers.NewDense(params.In("3"), 16, 2),
	}
	tape := autograd.NewInference(params)
	y := model.Forward(tape.Input(tensor.New(3, 4)))
	fmt.Println(y.Shape())
	fmt.Print(params.Summary())
	// Output:
	// [3 2]
	//        name   shape  count  bytes
	//    0.weight  [16 4]     64    256
	//      0.bias    [16]     16     64
	//    3.weight  [2 16]     32    128
	//      3.bias     [2]      2      8
	//   4 weights            114    456
}

func ExampleEmbedding() {
	params := autograd.NewParams(1)
	table := layers.NewEmbedding(params.In("tokens"), 65, 8)
	tape := autograd.NewInference(params)
	ids := []int32{5, 6, 7, 5, 6, 7} // two steps of a batch of three; a dataset.Batch goes to Forward
	fmt.Println(table.Lookup(tape, ids, 3).Shape())

	// One step of a batch of three, for the method Step of a recurrent layer.
	fmt.Println(autograd.Gather(tape.Param(table.Weight), ids[:3]).Shape())
	// Output:
	// [2 3 8]
	// [3 8]
}
