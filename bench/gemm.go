package main

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/unroll-go/unroll/internal/kernel"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// gemmShapes are m, k, n of C [m,n] = A [m,k] · B [k,n]: a recurrent layer's step, in shards and whole, by the sizes
// of batches and layers; thin and odd ones; cubes.
var gemmShapes = [][3]int{
	{38, 178, 150}, {75, 178, 150}, {150, 178, 150}, {75, 28, 150}, {75, 150, 150}, {150, 150, 150},
	{75, 178, 450}, {75, 178, 600}, {75, 600, 150}, {4200, 28, 150}, {10, 178, 150}, {2, 178, 150}, {1, 178, 150},
	{32, 64, 64}, {32, 128, 128}, {64, 256, 256}, {64, 512, 512}, {64, 512, 2048}, {128, 1024, 1024}, {16, 1024, 1024},
	{7, 33, 65}, {100, 100, 100}, {2000, 30, 2000}, {30, 2000, 30}, {1000, 1000, 10},
	{256, 256, 256}, {512, 512, 512}, {768, 768, 768}, {1024, 1024, 1024}, {2048, 2048, 2048},
}

// gemmTShapes are m, n, k of C [m,n] += Aᵀ·B with A [k,m] and B [k,n]: gradients of weights, summed over k rows.
var gemmTShapes = [][3]int{
	{28, 150, 152}, {150, 150, 152}, {150, 150, 600}, {28, 600, 152}, {150, 600, 152}, {10, 150, 75},
	{512, 512, 512}, {1024, 1024, 1024},
}

// product is a product's operands, row-major.
type product struct {
	m, n, k int
	a, b, c []float32
}

func newProduct(m, n, k int) product {
	return product{m, n, k, noise(m * k), noise(k * n), kernel.Alloc(m * n)}
}

// packed returns our product with weights that were packed before, as in a recurrent layer.
func (p product) packed() func() {
	w := new(kernel.Matrix)
	p.pack(w)
	return func() { p.affine(w) }
}

// packing returns our product with B packed each time.
func (p product) packing() func() {
	w := new(kernel.Matrix)
	return func() {
		p.pack(w)
		p.affine(w)
	}
}

func (p product) pack(w *kernel.Matrix) {
	w.Reset(p.k, p.n)
	w.SetRows(0, p.k, p.b, p.n)
}

func (p product) affine(w *kernel.Matrix) {
	kernel.Affine(p.c, p.n, p.m, nil, kernel.Block{Data: p.a, Stride: p.k, Cols: p.k}, kernel.Block{}, w)
}

// transposed returns our Aᵀ·B, both in place.
func (p product) transposed() func() {
	return func() { kernel.GemmT(p.c, p.n, p.m, p.n, p.k, p.a, p.m, p.b, p.n) }
}

// gonum returns gonum's product. It uses as many threads as GOMAXPROCS says.
func (p product) gonum(transA bool, beta float32) func() {
	t, a := blas.NoTrans, blas32.General{Rows: p.m, Cols: p.k, Stride: p.k, Data: p.a}
	if transA {
		t, a = blas.Trans, blas32.General{Rows: p.k, Cols: p.m, Stride: p.m, Data: p.a}
	}
	b := blas32.General{Rows: p.k, Cols: p.n, Stride: p.n, Data: p.b}
	c := blas32.General{Rows: p.m, Cols: p.n, Stride: p.n, Data: p.c}
	return func() { blas32.Gemm(t, blas.NoTrans, 1, a, b, beta, c) }
}

const (
	ours     = "ours"
	packing  = "ours, packing counted"
	openBLAS = "OpenBLAS"
	gonum    = "gonum"
)

func products(b *bench) ([]*Contest, error)  { return productContests(b, false), nil }
func gradients(b *bench) ([]*Contest, error) { return productContests(b, true), nil }

func productContests(b *bench, transA bool) (all []*Contest) {
	blas, err := loadOpenBLAS()
	if err != nil {
		b.note("OpenBLAS is left out: %v.", err)
	} else {
		b.version(blas.version)
	}
	b.version("gonum " + moduleVersion("gonum.org/v1/gonum"))
	if transA {
		for _, s := range gemmTShapes {
			p := newProduct(s[0], s[1], s[2])
			all = append(all, p.contest(fmt.Sprintf("%d x %d x %d", s[0], s[1], s[2]), blas, transA))
		}
		return all
	}
	for _, s := range gemmShapes {
		p := newProduct(s[0], s[2], s[1])
		all = append(all, p.contest(fmt.Sprintf("%d x %d x %d", s[0], s[1], s[2]), blas, transA))
	}
	return all
}

// contest has everybody compute C = A·B or C += Aᵀ·B, on one core.
func (p product) contest(name string, blas *openblas, transA bool) *Contest {
	c := &Contest{Name: name, Work: 2 * float64(p.m) * float64(p.n) * float64(p.k)}
	c.addPeak(1)
	var beta float32
	if transA {
		beta = 1
		c.addFunc(ours, p.transposed())
	} else {
		c.addFunc(ours, p.packed())
		c.addFunc(packing, p.packing())
	}
	if blas != nil {
		c.addFunc(openBLAS, blas.product(p, transA, beta))
	}
	c.addFunc(gonum, p.gonum(transA, beta))
	return c
}

// productTable has a row a shape, and for each contestant its GFLOP/s, its share of the peak and how many times as
// fast as OpenBLAS it was.
func productTable(contests []*Contest) table {
	names := []string{ours, packing, openBLAS, gonum}
	if contests[0].entry(packing) == nil {
		names = slices.Delete(names, 1, 2)
	}
	t := table{{"shape"}}
	for _, name := range names {
		t[0] = append(t[0], name+", GFLOP/s", "of peak")
		if name != openBLAS {
			t[0] = append(t[0], "x OpenBLAS")
		}
	}
	for _, c := range contests {
		row := []string{c.Name}
		for _, name := range names {
			e := c.entry(name)
			row = append(row, figure(c.rate(e)), percent(c.share(e)))
			if name != openBLAS {
				row = append(row, figure(ratio(c.entry(openBLAS), e)))
			}
		}
		t = append(t, row)
	}
	return t
}

// noise returns numbers between -1 and 1, the same each time.
func noise(n int) []float32 {
	x, r := kernel.Alloc(n), rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = 2*r.Float32() - 1
	}
	return x
}
