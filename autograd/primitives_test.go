package autograd

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/tensor"
)

func TestValues(t *testing.T) {
	tape := NewInference(NewParams(1))
	for _, shape := range [][]int{{1}, {7}, {2, 3}, {3, 5, 13}, {}, {4, 0}} {
		a, b := tape.Input(drawn(standard, 1, shape...)), tape.Input(drawn(standard, 2, shape...))
		sum, product, total := Add(a, b), Mul(a, b), Sum(a)
		assert.Equal(t, a.Shape(), sum.Shape())
		assert.Equal(t, a.Shape(), product.Shape())
		assert.Equal(t, []int{1}, total.Shape())
		exact := 0.0
		for i, v := range a.Data() {
			w := b.Data()[i]
			assert.Equal(t, v+w, sum.Data()[i])
			assert.Equal(t, v*w, product.Data()[i])
			exact += float64(v)
		}
		assert.Equal(t, float32(exact), total.Value())
	}
	swallowed := tape.Input(tensor.Of([]float32{0x1p25, 1, 1, -0x1p25}, 4))
	assert.Equal(t, float32(2), Sum(swallowed).Value(), "added in float32")
}

// TestGradients compares with central differences of the same formula in float64, which for these
// polynomials of degree 3 are off by the square of the step.
func TestGradients(t *testing.T) {
	type numbers [3]float64 // of a, b and c at one place
	for name, c := range map[string]struct {
		build func(a, b, c *Node) *Node
		value func(v numbers) float64
	}{
		"sum":                {func(a, b, c *Node) *Node { return Add(Add(a, b), c) }, func(v numbers) float64 { return v[0] + v[1] + v[2] }},
		"product":            {func(a, b, c *Node) *Node { return Mul(Mul(a, b), c) }, func(v numbers) float64 { return v[0] * v[1] * v[2] }},
		"an operand twice":   {func(a, b, c *Node) *Node { return Mul(Add(a, a), Add(b, c)) }, func(v numbers) float64 { return 2 * v[0] * (v[1] + v[2]) }},
		"a square":           {func(a, b, c *Node) *Node { return Add(Mul(a, a), Mul(b, c)) }, func(v numbers) float64 { return v[0]*v[0] + v[1]*v[2] }},
		"by two ways":        {func(a, b, c *Node) *Node { return Mul(Add(a, b), Mul(a, c)) }, func(v numbers) float64 { return (v[0] + v[1]) * v[0] * v[2] }},
		"without an operand": {func(a, b, c *Node) *Node { return Mul(a, c) }, func(v numbers) float64 { return v[0] * v[2] }},
	} {
		for _, shape := range [][]int{{1}, {7}, {3, 5}, {2, 3, 13}} {
			p := NewParams(1)
			w := p.New("c", standard, shape...)
			tape := NewTape(p, 1)
			at, bt := drawn(standard, 1, shape...), drawn(standard, 2, shape...)
			a, b := tape.Leaf(at), tape.Leaf(bt)
			require.NoError(t, Sum(c.build(a, b, tape.Param(w))).Backward())
			grads := [3][]float32{a.Grad(), b.Grad(), tape.Grads().Of(w)}
			for i := range at.Data() {
				v := numbers{float64(at.Data()[i]), float64(bt.Data()[i]), float64(w.Value.Data()[i])}
				for k, grad := range grads {
					const step = 1e-4
					up, down := v, v
					up[k] += step
					down[k] -= step
					want := (c.value(up) - c.value(down)) / (2 * step)
					if grad == nil {
						assert.Zero(t, want, "%s: no gradient of operand %d", name, k)
						continue
					}
					assert.InDelta(t, want, grad[i], 2e-6, "%s, %v: operand %d, element %d", name, shape, k, i)
				}
			}
		}
	}
}

// TestSumGradient: each element's gradient is that of the sum, added to what is there.
func TestSumGradient(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	x := tape.Leaf(drawn(standard, 1, 2, 3))
	three := tape.Input(scalar(3))
	require.NoError(t, Add(Sum(x), Mul(Sum(x), three)).Backward())
	assert.Equal(t, []float32{4, 4, 4, 4, 4, 4}, x.Grad())
	assert.Nil(t, three.Grad())
}

func TestShapesThatDiffer(t *testing.T) {
	tape := NewTape(NewParams(1), 1)
	for _, shapes := range [][2][]int{{{2, 3}, {3, 2}}, {{6}, {2, 3}}, {{1}, {}}, {{4}, {5}}, {{4}, {1}}} {
		a, b := tape.Input(tensor.New(shapes[0]...)), tape.Leaf(tensor.New(shapes[1]...))
		for name, f := range map[string]func(a, b *Node) *Node{"Add": Add, "Mul": Mul} {
			panicsAs[*ShapeError](t, fmt.Sprintf("autograd.%s: shape %v, want %v as the first operand", name, shapes[1], shapes[0]),
				func() { f(a, b) })
		}
	}
}
