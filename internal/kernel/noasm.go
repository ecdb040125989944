//go:build !amd64 || noasm

package kernel

// Without assembly the functions of the same names are never called.

const (
	haveAVX2  = false
	panelAVX2 = 0
)

func affineAVX2([]float32, int, int, []float32, bool, Block, Block, *Matrix) {}

func gemmTAVX2([]float32, int, int, int, int, []float32, int, []float32, int) {}

func tail(int) *int32 { return nil }

func expAVX2(*float32, *float32, int, *int32) {}

func tanhAVX2(*float32, *float32, int, *int32) {}

func sigmoidAVX2(*float32, *float32, int, *int32) {}

func tanhGradAVX2(*float32, *float32, *float32, int, *int32) {}

func reluAVX2(*float32, *float32, int, *int32) {}

func reluGradAVX2(*float32, *float32, *float32, int, *int32) {}

func lstmAVX2(*float32, *float32, *float32, *float32, *float32, int, int, *int32) {}

func lstmGradAVX2(*float32, *float32, *float32, *float32, *float32, *float32, int, int, *int32) {}

func addAVX2(*float32, *float32, int, *int32) {}

func addMulAVX2(*float32, *float32, *float32, int, *int32) {}

func scaleAVX2(*float32, float32, int, *int32) {}

func addScaledAVX2(*float32, *float32, float32, int, *int32) {}

func adamAVX2(*float32, *float32, *float32, *float32, float32, float32, float32, float32, float32, float32, float32, int, *int32) {
}
