//go:build !amd64 || noasm

package kernel

// Without assembly the functions of the same names are never called.

const (
	haveAVX2  = false
	panelAVX2 = 0
)

func affineAVX2([]float32, int, int, []float32, bool, Block, Block, *Matrix) {}

func gemmTAVX2([]float32, int, int, int, int, []float32, int, []float32, int) {}
