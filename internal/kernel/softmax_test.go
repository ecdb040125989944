package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSoftmaxCrossEntropy compares with the reference's bits, and with float64: a logit minus the largest is off
// by half an ulp of itself, the quotient by that and by the errors of exp and of the sum.
func TestSoftmaxCrossEntropy(t *testing.T) {
	for _, n := range lengths {
		for _, spread := range []float32{0.01, 1, 30} {
			mem := newMemory(t, uint64(n))
			scaled := func(r *rand.Rand) float32 { return spread * tame(r) }
			p, logits := mem.vector("p", n, walls), mem.vector("logits", n, scaled)
			label := mem.r.IntN(n)
			loss := SoftmaxCrossEntropy(p, logits, label)
			mem.check("p")
			wantP, wantLoss := refSoftmax(logits, label)
			same(t, wantP, p, "probabilities of %d", n)
			same(t, []float32{wantLoss}, []float32{loss}, "loss of %d", n)

			top := float64(slices.Max(logits))
			sum := 0.0
			for _, x := range logits {
				sum += math.Exp(float64(x) - top)
			}
			total := 0.0
			for i, x := range logits {
				want := math.Exp(float64(x)-top) / sum
				off := 0x1p-24 * (top - float64(x) + float64(n) + 4)
				require.InDelta(t, want, p[i], off*want+0x1p-126, "p[%d] of %d", i, n)
				total += float64(p[i])
			}
			require.InDelta(t, 1, total, 0x1p-24*float64(2*n+4))
			want := math.Log(sum) + top - float64(logits[label])
			require.InDelta(t, want, loss, 0x1p-24*(want*2+float64(n)+4), "loss of %d", n)
		}
	}
}

func TestSoftmaxCrossEntropyExtremes(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		label  int
		p      []float32
		loss   float32
	}{
		{[]float32{5}, 0, []float32{1}, 0},
		{[]float32{1e4, 1e4}, 1, []float32{0.5, 0.5}, math.Ln2},
		{[]float32{-1e4, -1e4, -1e4, -1e4}, 3, []float32{0.25, 0.25, 0.25, 0.25}, 2 * math.Ln2},
		{[]float32{1e4, -1e4, 0}, 0, []float32{1, 0, 0}, 0},
		{[]float32{1e4, -1e4, 0}, 1, []float32{1, 0, 0}, 2e4},
		{[]float32{1e4, -1e4, 0}, 2, []float32{1, 0, 0}, 1e4},
		{[]float32{math.MaxFloat32, -math.MaxFloat32}, 0, []float32{1, 0}, 0},
		{[]float32{math.MaxFloat32, -math.MaxFloat32}, 1, []float32{1, 0}, inf},
		{[]float32{0, -inf, 0}, 0, []float32{0.5, 0, 0.5}, math.Ln2},
		{[]float32{0, -inf, 0}, 1, []float32{0.5, 0, 0.5}, inf},
		{[]float32{-inf, -inf}, 0, []float32{nan, nan}, nan},
		{[]float32{0, inf}, 0, []float32{nan, nan}, nan},
		{[]float32{0, nan, 1}, 0, []float32{nan, nan, nan}, nan},
		{[]float32{nan, 0, 1}, 2, []float32{nan, nan, nan}, nan},
		{[]float32{-inf, 0, nan}, 1, []float32{nan, nan, nan}, nan},
	} {
		p := make([]float32, len(c.logits))
		loss := SoftmaxCrossEntropy(p, c.logits, c.label)
		same(t, []float32{c.loss}, []float32{loss}, "loss of %v, label %d", c.logits, c.label)
		same(t, c.p, p, "%v", c.logits)
	}
}

// TestSoftmaxGrads compares the two gradients with loops of single operations.
func TestSoftmaxGrads(t *testing.T) {
	for name, fill := range fills {
		for _, n := range lengths {
			mem := newMemory(t, uint64(n))
			dx, dLog, grad, y := mem.vector("dx", n, fill), mem.vector("dLog", n, fill), mem.vector("grad", n, fill), mem.vector("y", n, fill)
			want, wantLog := slices.Clone(dx), slices.Clone(dLog)
			var dots [16]float64
			for i := range y {
				dots[i%16] += float64(flush(grad[i])) * float64(flush(y[i])) // exact in float64
			}
			dot, sum := float32(refJoin(dots[:])), float32(refSum(grad, func(v float64) float64 { return v }))
			for i := range y {
				want[i] = mulAdd(y[i], sub(grad[i], dot), want[i])
				wantLog[i] = add(wantLog[i], mulAdd(-refExp(y[i]), sum, grad[i]))
			}
			require.Equal(t, refJoin(dots[:]) == refJoin(dots[:]), Dot(grad, y) == refJoin(dots[:]), "Dot of %d", n)
			SoftmaxGrad(dx, grad, y)
			LogSoftmaxGrad(dLog, grad, y)
			mem.check("dx", "dLog")
			same(t, want, dx, "SoftmaxGrad of %d %s numbers", n, name)
			same(t, wantLog, dLog, "LogSoftmaxGrad of %d %s numbers", n, name)
		}
	}
}
