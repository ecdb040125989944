package optim

import (
	"fmt"
	"math"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// ClipNorm scales the gradient of all weights down so that its Euclidean norm is at most limit, as PyTorch's
// clip_grad_norm_ does (by limit/(norm+1e-6) where that is below 1), and returns the norm it had. A gradient
// whose norm is NaN or infinite is left as it is. It panics if limit is not positive.
func ClipNorm(g *autograd.Grads, limit float64) (norm float64) {
	checkLimit("optim.ClipNorm", limit)
	norm = g.Norm()
	if scale := limit / (norm + 1e-6); scale < 1 && norm <= math.MaxFloat64 {
		kernel.Scale(g.Data, float32(scale))
	}
	return norm
}

// ClipValue moves each element of the gradient of all weights into [-limit, limit], as PyTorch's clip_grad_value_
// does: an infinite one becomes finite, NaN stays NaN. It panics if limit is not positive.
func ClipValue(g *autograd.Grads, limit float64) {
	checkLimit("optim.ClipValue", limit)
	kernel.Clamp(g.Data, float32(limit))
}

func checkLimit(where string, limit float64) {
	if !(limit > 0) {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("limit is %v, want more than 0", limit)})
	}
}
