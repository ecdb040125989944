package optim

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// ClipNorm scales the gradient of all weights so that its Euclidean norm is at most limit, and returns the norm that it
// had before. As PyTorch's clip_grad_norm_ does, it multiplies by limit/(norm+1e-6) if this factor is below 1. If the
// norm is NaN or infinite, where PyTorch would write NaN into all weights, ClipNorm sets the gradient to zero; the
// caller sees it by the norm. (The gradient of a train.Step is always finite.) ClipNorm panics with a
// [*autograd.UsageError] if limit is not positive.
func ClipNorm(g *autograd.Grads, limit float64) (norm float64) {
	checkLimit("optim.ClipNorm", limit)
	norm = g.Norm()
	if scale := limit / (norm + 1e-6); norm-norm != 0 {
		g.Clear()
	} else if scale < 1 {
		kernel.Scale(g.Data, float32(scale))
	}
	return norm
}

// ClipValue limits each element of the gradient of all weights to [-limit, limit], as PyTorch's clip_grad_value_ does.
// An infinite element becomes finite; NaN stays NaN. ClipValue panics with a [*autograd.UsageError] if limit is not
// positive.
func ClipValue(g *autograd.Grads, limit float64) {
	checkLimit("optim.ClipValue", limit)
	kernel.Clamp(g.Data, float32(limit))
}

// checkLimit panics if limit is not positive.
func checkLimit(where string, limit float64) {
	if !(limit > 0) {
		panic(&autograd.UsageError{Where: where, What: fmt.Sprintf("limit is %v, want more than 0", limit)})
	}
}
