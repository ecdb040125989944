package reference

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/internal/golden"
)

// The golden files are rounded to 12 digits.
const tolerance = 1e-10

func load(t *testing.T, name string) *golden.File {
	t.Helper()
	f, err := golden.Load(name)
	require.NoError(t, err)
	return f
}

// complexes returns the tensors as complex numbers.
func complexes(tensors map[string]golden.Tensor) Weights {
	w := Weights{}
	for name, tensor := range tensors {
		w[name] = Complex(tensor.Data)
	}
	return w
}

func cellOf(name string) Cell {
	switch {
	case strings.Contains(name, "lstm"):
		return LSTM
	case strings.Contains(name, "relu"):
		return ElmanReLU
	}
	return ElmanTanh
}

func TestRecurrentLayersAsPyTorch(t *testing.T) {
	for _, name := range append(golden.Names("elman_*"), golden.Names("lstm_*")...) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := load(t, name)
			in := complexes(f.Tensors)
			x := f.Get("x").Shape
			net := RNN{Cell: cellOf(name), Hidden: f.Get("y").Shape[2], Layers: int(f.Config["layers"]),
				Truncate: int(f.Config["truncate"]), Weights: in}
			forward := func() ([]complex128, State) { return net.Forward(in["x"], x[1], State{in["h0"], in["c0"]}) }
			loss := func() complex128 {
				y, end := forward()
				return Dot(in["loss.y"], y) + Dot(in["loss.hn"], end.H) + Dot(in["loss.cn"], end.C)
			}

			y, end := forward()
			assert.Less(t, MaxRelErr(Real(y), f.Get("y").Data), tolerance)
			assert.Less(t, MaxRelErr(Real(end.H), f.Get("hn").Data), tolerance)
			if net.Cell == LSTM {
				assert.Less(t, MaxRelErr(Real(end.C), f.Get("cn").Data), tolerance)
			}
			assert.Less(t, MaxRelErr([]float64{real(loss())}, f.Get("loss").Data), tolerance)
			for of, want := range f.Under("grad.") {
				assert.Less(t, MaxRelErr(Gradient(loss, in[of]), want.Data), tolerance, of)
			}
		})
	}
}

func TestCrossEntropyAsPyTorch(t *testing.T) {
	for _, name := range golden.Names("cross_entropy*") {
		f := load(t, name)
		logits := Complex(f.Get("logits").Data)
		loss := func() complex128 {
			mean, _ := SparseSoftmaxCrossEntropy(logits, f.Get("labels").Int32())
			return mean
		}
		assert.Less(t, MaxRelErr([]float64{real(loss())}, f.Get("loss").Data), tolerance, name)
		assert.Less(t, MaxRelErr(Gradient(loss, logits), f.Get("grad.logits").Data), tolerance, name)
	}
}

// adam is Algorithm 1 of Kingma & Ba 2015, for one tensor.
type adam struct {
	lr   float64
	t    int
	m, v []float64
}

func (a *adam) step(w []complex128, g []float64) {
	const beta1, beta2, eps = 0.9, 0.999, 1e-8
	if a.t == 0 {
		a.m, a.v = make([]float64, len(w)), make([]float64, len(w))
	}
	a.t++
	for i, g := range g {
		a.m[i] = beta1*a.m[i] + (1-beta1)*g
		a.v[i] = beta2*a.v[i] + (1-beta2)*g*g
		m := a.m[i] / (1 - math.Pow(beta1, float64(a.t)))
		v := a.v[i] / (1 - math.Pow(beta2, float64(a.t)))
		w[i] -= complex(a.lr*m/(math.Sqrt(v)+eps), 0)
	}
}

func TestAdamAsPyTorch(t *testing.T) {
	f := load(t, "adam")
	assert.Equal(t, map[string]float64{"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}, f.Config)
	w, n := Complex(f.Get("before").Data), len(f.Get("before").Data)
	a := adam{lr: f.Config["lr"]}
	for i := range f.Get("gradients").Shape[0] {
		a.step(w, f.Get("gradients").Data[i*n:][:n])
		assert.InDeltaSlice(t, f.Get("after").Data[i*n:][:n], Real(w), 1e-12, i)
	}
}

func TestTrainingAsPyTorch(t *testing.T) {
	for _, name := range golden.Names("train_*") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := load(t, name)
			x, labels := f.Get("x"), f.Get("labels").Int32()
			w := complexes(f.Under("before."))
			in, rows, hidden := Complex(x.Data), x.Shape[1], len(w["rnn.weight_ih_l0"])/cellOf(name).gates()/x.Shape[2]
			net := RNN{Cell: cellOf(name), Hidden: hidden, Layers: 1, Weights: w.In("rnn")}
			loss := func() complex128 {
				_, end := net.Forward(in, rows, State{})
				mean, _ := SparseSoftmaxCrossEntropy(Dense(end.H, w["head.weight"], w["head.bias"]), labels)
				return mean
			}
			optimizers := map[string]*adam{}
			for of := range w {
				optimizers[of] = &adam{lr: f.Config["lr"]}
			}
			for i, want := range f.Get("losses").Data {
				require.InDelta(t, want, real(loss()), tolerance, i)
				gradients := map[string][]float64{}
				for of, v := range w {
					gradients[of] = Gradient(loss, v)
				}
				for of, a := range optimizers {
					a.step(w[of], gradients[of])
				}
			}
			for of, want := range f.Under("after.") {
				assert.Less(t, MaxRelErr(Real(w[of]), want.Data), tolerance, of)
			}
		})
	}
}

func TestClippingAsPyTorch(t *testing.T) {
	f := load(t, "clip_grad_norm")
	clipped, squares := f.Under("clipped."), 0.0
	for of := range clipped {
		for _, g := range f.Get(of).Data {
			squares += g * g
		}
	}
	norm := math.Sqrt(squares)
	require.InDelta(t, norm, f.Get("norm").Data[0], tolerance)
	for of, want := range clipped {
		for i, g := range f.Get(of).Data {
			assert.InDelta(t, g*f.Config["max_norm"]/(norm+1e-6), want.Data[i], tolerance, of)
		}
	}
}
