// Command gen writes the assembly of package kernel, a file for each instruction set, and the Go files that declare it
// and choose between the sets. It is a module of its own, so that users of the library do not fetch its dependencies. To
// run it, in internal/kernel:
//
//	go generate
//
// A new kernel is a portable function in package kernel and a function here, which functions calls; the declarations
// and tables follow.
package main

import (
	"flag"
	"slices"

	. "github.com/mmcloughlin/avo/build"
)

// isa is an instruction set.
type isa struct {
	name   string
	lanes  int // float32 in a register
	rows   int // of the tallest tile of a matrix product
	unroll int // steps of k in a pass of a loop
}

// A tile is two registers wide, and so is a panel of the right-hand side. In the last panel a tile may be one register
// wide; it is taller then, up to narrowRows, so that as many additions go on at a time.
const narrowRows = 12

var sets = []isa{
	{"AVX2", 8, 6, 4},
	{"AVX512", 16, 12, 2},
}

// set is the instruction set that is written.
var set isa

func main() {
	name := flag.String("isa", "", "instruction set: AVX2 or AVX512")
	dispatch := flag.String("dispatch", "", "folder for the Go files that choose between the instruction sets")
	flag.Parse()
	Package("../product_amd64.go")
	ConstraintExpr("!noasm")
	if *dispatch != "" {
		set = sets[0]
		functions()
		writeDispatch(*dispatch)
		return
	}
	i := slices.IndexFunc(sets, func(s isa) bool { return s.name == *name })
	if i < 0 {
		panic("unknown -isa " + *name)
	}
	set = sets[i]
	functions()
	Generate()
}

// functions emits every function.
func functions() {
	gemm()
	gemmT()
	gemv()
	pack()
	activations()
	lstm()
	gru()
	minGRU()
	bernoulli()
	elementwise()
	pointwise()
	copies()
	optimizers()
	pixels()
	addColumns()
	larger()
	largestGrad()
	softmax()
	softmaxGrads()
	sums()
	layerNorm("layerNorm", "computes y = (x-mean)*rstd*w + b, where rstd = 1/sqrt(mean of (x-mean)^2 + eps).", false)
	layerNorm("layerNormAdd", "computes y += (x-mean)*rstd*w + b, as layerNorm.", true)
	layerNormGrad("layerNormGrad", "adds the gradients of x, w and b to dx, dw and db, each of which may be nil.", true)
	layerNormGrad("layerNormGradInto", "computes the gradient of x, and adds those of w and b to dw and db, each of which may be nil.", false)
	control()
}
