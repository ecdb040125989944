package kernel

import "testing"

func BenchmarkGemm(b *testing.B) {
	const m, k, n = 38, 178, 150
	x, c := Alloc(m*k), Alloc(m*n)
	var w Matrix
	w.Reset(k, n)
	b.ReportAllocs()
	for b.Loop() {
		Gemm(c, n, m, Block{x, k, k}, &w)
	}
	b.ReportMetric(2*m*k*n*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
}

func BenchmarkGemmT(b *testing.B) {
	const m, k, n = 150, 152, 150
	x, y, c := Alloc(m*k), Alloc(k*n), Alloc(m*n)
	for b.Loop() {
		GemmT(c, n, m, n, k, x, m, y, n)
	}
	b.ReportMetric(2*m*k*n*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
}
