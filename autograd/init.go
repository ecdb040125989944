package autograd

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/unroll-go/unroll/tensor"
	"gonum.org/v1/gonum/mat"
)

// Init fills a new weight with its first values. The random numbers of r follow from the seed of the Params and the name of
// the weight.
type Init func(r *rand.Rand, v *tensor.Tensor)

// Zeros is the Init that sets every value to 0.
func Zeros(_ *rand.Rand, v *tensor.Tensor) { v.Zero() }

// Constant returns the Init that sets every value to c.
func Constant(c float32) Init {
	return func(_ *rand.Rand, v *tensor.Tensor) {
		for i := range v.Data() {
			v.Data()[i] = c
		}
	}
}

// Uniform returns the Init that draws from the uniform distribution over [-limit, limit), rounded to float32.
func Uniform(limit float64) Init {
	return func(r *rand.Rand, v *tensor.Tensor) {
		for i := range v.Data() {
			v.Data()[i] = float32((2*r.Float64() - 1) * limit)
		}
	}
}

// Normal returns the Init that draws from the normal distribution of mean 0 and the given
// standard deviation.
func Normal(std float64) Init {
	return func(r *rand.Rand, v *tensor.Tensor) {
		for i := range v.Data() {
			v.Data()[i] = float32(r.NormFloat64() * std)
		}
	}
}

// GlorotUniform draws from the uniform distribution over [-limit, limit), limit = sqrt(6/(in+out)), for a weight of shape
// [out, in] (Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward
// neural networks", equation 16). It panics with a [*ShapeError] for other shapes.
func GlorotUniform(r *rand.Rand, v *tensor.Tensor) {
	Uniform(math.Sqrt(6/fans("autograd.GlorotUniform", v)))(r, v)
}

// GlorotNormal draws from the normal distribution of mean 0 and standard deviation sqrt(2/(in+out)) for a weight of shape
// [out, in] (Glorot & Bengio 2010). Like PyTorch, and unlike Keras, it does not truncate the distribution at two standard
// deviations. It panics with a [*ShapeError] for other shapes.
func GlorotNormal(r *rand.Rand, v *tensor.Tensor) {
	Normal(math.Sqrt(2/fans("autograd.GlorotNormal", v)))(r, v)
}

// Orthogonal draws a matrix whose rows (or columns, if there are fewer of them) are
// orthonormal, uniformly over all such matrices: the QR decomposition of a normal matrix with
// the signs of R's diagonal moved into Q (Saxe et al. 2013, arXiv:1312.6120; Mezzadri 2007,
// arXiv:math-ph/0609050). It panics with a [*ShapeError] if v does not have two dimensions.
func Orthogonal(r *rand.Rand, v *tensor.Tensor) {
	fans("autograd.Orthogonal", v)
	rows, cols := v.Dim(0), v.Dim(1)
	tall, wide := max(rows, cols), min(rows, cols)
	a := mat.NewDense(tall, wide, nil)
	for i := range tall {
		for j := range wide {
			a.Set(i, j, r.NormFloat64())
		}
	}
	var qr mat.QR
	var q, upper mat.Dense
	qr.Factorize(a)
	qr.QTo(&q)
	qr.RTo(&upper)
	for i := range rows {
		for j := range cols {
			long, short := i, j
			if rows < cols {
				long, short = j, i
			}
			v.Data()[i*cols+j] = float32(math.Copysign(1, upper.At(short, short)) * q.At(long, short))
		}
	}
}

// fans returns in+out of a weight of shape [out, in].
func fans(where string, v *tensor.Tensor) float64 {
	if len(v.Shape()) != 2 {
		panic(&ShapeError{Where: where, Got: fmt.Sprintf("shape %v", v.Shape()), Want: "two dimensions [out, in]"})
	}
	return float64(v.Dim(0) + v.Dim(1))
}
