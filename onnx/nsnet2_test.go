package onnx

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset/npy"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// nsnet2 is NSNet2, a network that others trained to tell noise from speech: from the logarithm of each frequency's power in a frame [161] to how
// much of that frequency to keep [161].
type nsnet2 struct {
	params *autograd.Params
	in     *layers.Dense
	gru    *rnn.GRU
	out    [3]*layers.Dense
}

func newNSNet2(t testing.TB) *nsnet2 {
	t.Helper()
	found, err := realModel(t, "UNROLL_NSNET2", "nsnet2-20ms-baseline.onnx").Layers()
	require.NoError(t, err)
	require.Len(t, found, 6)
	n := &nsnet2{params: autograd.NewParams(1)}
	dense := func(name string, l *Layer) *layers.Dense {
		d := layers.NewDenseWith(n.params.In(name), l.Config.(layers.DenseConfig))
		require.NoError(t, Set(n.params.In(name), l))
		return d
	}
	n.in = dense("in", found[0])
	config := found[1].Config.(rnn.GRUConfig)
	config.Layers = 2
	n.gru = rnn.NewGRU(n.params.In("gru"), config)
	require.NoError(t, Set(n.params.In("gru"), found[1:3]...))
	for i, name := range []string{"out0", "out1", "out2"} {
		n.out[i] = dense(name, found[3+i])
	}
	return n
}

// forward computes the masks of all frames of a batch, x [T,B,161].
func (n *nsnet2) forward(x *autograd.Node) *autograd.Node {
	h, _ := n.gru.Forward(autograd.ReLU(n.in.Forward(x)), rnn.Options{})
	h = autograd.ReLU(n.out[0].Forward(h))
	h = autograd.ReLU(n.out[1].Forward(h))
	return autograd.Sigmoid(n.out[2].Forward(h))
}

// stream returns the network for one frame after the other.
func (n *nsnet2) stream() rnn.Chain {
	relu := func() rnn.Stepper {
		return rnn.Pointwise(func(dst, src []float32) {
			for i, v := range src {
				dst[i] = max(v, 0)
			}
		})
	}
	return rnn.Chain{n.in.NewStream(), relu(), n.gru.NewStream(), n.out[0].NewStream(), relu(), n.out[1].NewStream(), relu(),
		n.out[2].NewStream(), rnn.Pointwise(rnn.Sigmoid)}
}

// TestNSNet2 runs a whole network that others trained: dense layers, two GRUs, dense layers. ONNX Runtime computed the masks that are wanted.
func TestNSNet2(t *testing.T) {
	n := newNSNet2(t)
	golden, err := npy.Load(filepath.Join(os.Getenv("UNROLL_NSNET2"), "golden.npz"))
	require.NoError(t, err)
	arrays := map[string]*tensor.Tensor{}
	for _, a := range golden.Tensors {
		arrays[a.Name] = floats(t, a)
	}
	x, want := arrays["x"], arrays["y"].Data() // [1,T,161]
	frames, bins := x.Shape()[1], x.Shape()[2]
	off := func(got []float32) (worst float64) {
		require.Len(t, got, len(want))
		for i, y := range want {
			worst = max(worst, math.Abs(float64(y-got[i])))
		}
		return worst
	}

	tape := autograd.NewInference(n.params)
	whole := n.forward(autograd.Transpose(tape.Input(x), 0, 1)).Data()
	t.Logf("%d masks of %d, at most %.2g away", frames, bins, off(whole))
	assert.LessOrEqual(t, off(whole), 1e-5)

	var each []float32
	stream := n.stream()
	for i := range frames {
		each = append(each, stream.Step(x.Data()[i*bins:][:bins])...)
	}
	assert.LessOrEqual(t, off(each), 1e-5)
	assert.Equal(t, whole, each, "frame by frame")
	assert.Zero(t, testing.AllocsPerRun(5, func() { stream.Step(x.Data()[:bins]) }))
}

// BenchmarkNSNet2 computes the masks of 200 frames, in one go and one after the other.
func BenchmarkNSNet2(b *testing.B) {
	const frames = 200
	n := newNSNet2(b)
	x := tensor.New(frames, 1, n.in.In())
	for i := range x.Data() {
		x.Data()[i] = float32(i%17) / -2
	}
	run := func(name string, all func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				all()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*frames), "us/frame")
		})
	}
	tape := autograd.NewInference(n.params)
	run("whole", func() {
		tape.Reset()
		n.forward(tape.Input(x))
	})
	stream := n.stream()
	run("frames", func() {
		for i := range frames {
			stream.Step(x.Data()[i*n.in.In():][:n.in.In()])
		}
	})
}
