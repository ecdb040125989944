package kernel

import (
	"fmt"
	"testing"
)

func BenchmarkGemm(b *testing.B) {
	const m, k, n = 75, 178, 150
	x, c := Alloc(m*k), Alloc(m*n)
	var w Matrix
	w.Reset(k, n)
	b.ReportAllocs()
	for b.Loop() {
		Gemm(c, n, m, Block{Data: x, Stride: k, Cols: k}, &w)
	}
	b.ReportMetric(2*m*k*n*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
}

func BenchmarkGemmT(b *testing.B) {
	const m, k, n = 150, 152, 150
	x, y, c := Alloc(m*k), Alloc(k*n), Alloc(m*n)
	b.ReportAllocs()
	for b.Loop() {
		GemmT(c, n, m, n, k, x, m, y, n)
	}
	b.ReportMetric(2*m*k*n*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
}

// BenchmarkElementwise runs what layers call beside the products, on one step of 38 rows of 150 units.
func BenchmarkElementwise(b *testing.B) {
	const rows, units = 38, 150
	const n = rows * units
	x, y, c, tc, h, dc := Alloc(n), Alloc(n), Alloc(n), Alloc(n), Alloc(n), Alloc(n)
	w, moment1, moment2 := Alloc(n), Alloc(n), Alloc(n)
	sums, z, dz := Alloc(4*n), Alloc(4*n), Alloc(4*n)
	for i := range x {
		x[i] = float32(i%81)/10 - 4
	}
	for i := range sums {
		sums[i] = x[i%n]
	}
	for _, bench := range []struct {
		name string
		run  func()
	}{
		{"Exp", func() { Exp(y, x) }},
		{"Tanh", func() { Tanh(y, x) }},
		{"TanhGrad", func() { TanhGrad(y, x, x) }},
		{"Sigmoid", func() { Sigmoid(y, x) }},
		{"LSTM", func() {
			copy(z, sums) // they are overwritten
			for r := range rows {
				at := r * units
				LSTM(z[4*at:][:4*units], x[at:][:units], c[at:][:units], tc[at:][:units], h[at:][:units])
			}
		}},
		{"LSTMGrad", func() {
			copy(dc, x)
			for r := range rows {
				at := r * units
				LSTMGrad(dz[4*at:][:4*units], dc[at:][:units], x[at:][:units], z[4*at:][:4*units], x[at:][:units], tc[at:][:units])
			}
		}},
		{"Mul", func() { Mul(y, x, tc) }},
		{"Blend", func() { Blend(y, x, h, tc) }},
		{"Bernoulli", func() { Bernoulli(y, 1, 0, 0.3, 0, 1) }},
		{"Adam", func() { Adam(w, x, moment1, moment2, beta1, 1-beta1, beta2, 1-beta2, step, root, eps) }},
		{"Norm", func() { Norm(x) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.run()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/(n*float64(b.N)), "ns/element")
		})
	}
}

func BenchmarkRowKernels(b *testing.B) {
	const n = 150
	for _, c := range rowKernels {
		b.Run(c.name, func(b *testing.B) {
			var v [][]float32
			for _, a := range c.args {
				v = append(v, Alloc(a.blocks*n))
			}
			for b.Loop() {
				c.run(v)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/unit")
		})
	}
	z, v := Alloc(4*n), Alloc(n)
	b.Run("LSTM", func(b *testing.B) {
		for b.Loop() {
			LSTM(z, v, v, v, v)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/unit")
	})
}

// BenchmarkFewRows multiplies a step's few rows with matrices that fit the L1, L2 and L3 cache, or do not.
func BenchmarkFewRows(b *testing.B) {
	for _, size := range []struct{ k, n int }{{64, 64}, {128, 256}, {150, 600}, {256, 768}, {400, 1200}, {1024, 3072}} {
		for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24} {
			b.Run(fmt.Sprintf("%dx%d/rows=%d", size.k, size.n, m), func(b *testing.B) {
				x, c := Alloc(m*size.k), Alloc(m*size.n)
				var w Matrix
				w.Reset(size.k, size.n)
				for b.Loop() {
					Affine(c, size.n, m, nil, Block{Data: x, Stride: size.k, Cols: size.k}, Block{}, &w)
				}
				ns := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
				b.ReportMetric(float64(4*size.k*size.n)/ns, "GB/s")
				b.ReportMetric(float64(2*m*size.k*size.n)/ns, "GFLOP/s")
			})
		}
	}
}
