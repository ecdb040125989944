package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// lstmRow is one row of memory for LSTM: the gates' sums, the state before and what is computed.
type lstmRow struct {
	*memory
	z, cPrev, c, tc, h []float32
}

func newLSTMRow(t *testing.T, n int, alias bool, fill func(*rand.Rand) float32) lstmRow {
	mem := newMemory(t, uint64(n))
	r := lstmRow{mem, mem.vector("z", 4*n, fill), mem.vector("cPrev", n, fill), mem.vector("c", n, walls),
		mem.vector("tc", n, walls), mem.vector("h", n, walls)}
	if alias {
		r.c = r.cPrev
	}
	return r
}

// run calls LSTM and checks what it wrote.
func (r lstmRow) run() {
	LSTM(r.z, r.cPrev, r.c, r.tc, r.h)
	if &r.c[0] == &r.cPrev[0] {
		r.check("z", "cPrev", "tc", "h")
	} else {
		r.check("z", "c", "tc", "h")
	}
}

// gates returns the four values of unit j.
func gates(z []float32, j int) [4]float32 {
	n := len(z) / 4
	return [4]float32{z[j], z[n+j], z[2*n+j], z[3*n+j]}
}

func setGates(z []float32, j int, v [4]float32) {
	for k := range v {
		z[k*len(z)/4+j] = v[k]
	}
}

// forward is LSTM for one unit in float64, after Hochreiter & Schmidhuber with a forget gate.
func forward(z [4]float64, cPrev float64) (gates [4]float64, c, tc, h float64) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	i, f, g, o := sigmoid(z[0]), sigmoid(z[1]), math.Tanh(z[2]), sigmoid(z[3])
	c = f*cPrev + i*g
	tc = math.Tanh(c)
	return [4]float64{i, f, g, o}, c, tc, o * tc
}

func TestLSTM(t *testing.T) {
	for name, fill := range fills {
		t.Run(name, func(t *testing.T) {
			for _, n := range lengths {
				for _, alias := range []bool{false, true} {
					row := newLSTMRow(t, n, alias, fill)
					sums, cPrev := slices.Clone(row.z), slices.Clone(row.cPrev)
					row.run()
					z, c, tc, h := make([]float32, 4*n), make([]float32, n), make([]float32, n), make([]float32, n)
					for j := range n {
						var values [4]float32
						values, c[j], tc[j], h[j] = refLSTM(gates(sums, j), cPrev[j])
						setGates(z, j, values)
					}
					same(t, z, row.z, "gates of %d", n)
					same(t, c, row.c, "c of %d", n)
					same(t, tc, row.tc, "tanh(c) of %d", n)
					same(t, h, row.h, "h of %d", n)
					if name == "tame" {
						checkLSTM(t, row, sums, cPrev)
					}
				}
			}
		})
	}
}

// checkLSTM compares with float64. Gates are good to 3 ulp, 6 units of 2^-24; c takes up those of two
// gates, f and i or g, and its own roundings; tanh(c) and h pass c's error on and add their own.
func checkLSTM(t *testing.T, row lstmRow, sums, cPrev []float32) {
	t.Helper()
	const unit = 0x1p-24
	for j := range row.h {
		var in [4]float64
		for k, v := range gates(sums, j) {
			in[k] = float64(v)
		}
		want, c, tc, h := forward(in, float64(cPrev[j]))
		for k, v := range gates(row.z, j) {
			require.InDelta(t, want[k], v, 6*unit*math.Abs(want[k]), "gate %d of unit %d", k, j)
		}
		off := 14 * unit * (math.Abs(want[1]*float64(cPrev[j])) + math.Abs(want[0]*want[2]))
		require.InDelta(t, c, row.c[j], off, "c[%d]", j)
		require.InDelta(t, tc, row.tc[j], off+4*unit, "tanh(c[%d])", j)
		require.InDelta(t, h, row.h[j], off+12*unit, "h[%d]", j)
	}
}

// TestLSTMSaturates: sums beyond all range give the limits of the formulas.
func TestLSTMSaturates(t *testing.T) {
	for _, v := range []float32{200, math.MaxFloat32, inf} {
		z := []float32{v, -v, v, v}
		h, c, tc := make([]float32, 1), make([]float32, 1), make([]float32, 1)
		LSTM(z, []float32{math.MaxFloat32}, c, tc, h)
		same(t, []float32{1, 0, 1, 1}, z, "gates at %g", v)
		same(t, []float32{1}, c, "state at %g: the old one is forgotten", v)
		same(t, tc, h, "output at %g", v)
	}
}

func TestLSTMGrad(t *testing.T) {
	for name, fill := range fills {
		t.Run(name, func(t *testing.T) {
			for _, n := range lengths {
				mem := newMemory(t, uint64(n))
				z, cPrev, tc := mem.vector("z", 4*n, fill), mem.vector("cPrev", n, fill), mem.vector("tc", n, fill)
				dz, dc, dh := mem.vector("dz", 4*n, walls), mem.vector("dc", n, fill), mem.vector("dh", n, fill)
				before := slices.Clone(dc)
				LSTMGrad(dz, dc, dh, z, cPrev, tc)
				mem.check("dz", "dc")
				wantZ, wantC := make([]float32, 4*n), make([]float32, n)
				for j := range n {
					var values [4]float32
					values, wantC[j] = refLSTMGrad(before[j], dh[j], gates(z, j), cPrev[j], tc[j])
					setGates(wantZ, j, values)
				}
				same(t, wantZ, dz, "gradients of %d units' gates", n)
				same(t, wantC, dc, "gradients of %d units' c", n)
			}
		})
	}
}

// TestLSTMGradIsTheDerivative of dh·h + dc·c by the sums and the state before: central differences of the
// formulas in float64, which are good to about 1e-9.
func TestLSTMGradIsTheDerivative(t *testing.T) {
	for _, n := range lengths {
		row := newLSTMRow(t, n, false, tame)
		sums := slices.Clone(row.z)
		row.run()
		dz, dc, dh := make([]float32, 4*n), make([]float32, n), make([]float32, n)
		for j := range n {
			dc[j], dh[j] = tame(row.r), tame(row.r)
		}
		dcIn := slices.Clone(dc)
		LSTMGrad(dz, dc, dh, row.z, row.cPrev, row.tc)
		for j := range n {
			var at [5]float64 // the four sums and the state
			for k, v := range gates(sums, j) {
				at[k] = float64(v)
			}
			at[4] = float64(row.cPrev[j])
			got := append([]float32{}, dc[j])
			for k, v := range gates(dz, j) {
				got = slices.Insert(got, k, v)
			}
			value := func(k int, by float64) float64 {
				x := at
				x[k] += by
				_, c, _, h := forward([4]float64(x[:4]), x[4])
				return float64(dh[j])*h + float64(dcIn[j])*c
			}
			scale := (math.Abs(float64(dh[j])) + math.Abs(float64(dcIn[j]))) * (1 + math.Abs(at[4]))
			for k := range at {
				const d = 1e-5
				want := (value(k, d) - value(k, -d)) / (2 * d)
				require.InDelta(t, want, got[k], 2e-6*scale, "derivative %d of unit %d of %d", k, j, n)
			}
		}
	}
}
