package onnx

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
)

// testModel reads a file of testdata.
func testModel(t *testing.T, name string) *Model {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer f.Close()
	model, err := Read(f)
	require.NoError(t, err)
	return model
}

// testTensors reads a safetensors file of testdata: tensors by name.
func testTensors(t *testing.T, name string) map[string]safetensors.Tensor {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	require.NoError(t, err)
	defer f.Close()
	content, err := safetensors.Read(f)
	require.NoError(t, err)
	all := map[string]safetensors.Tensor{}
	for _, v := range content.Tensors {
		all[v.Name] = v
	}
	return all
}

func floats(t *testing.T, v safetensors.Tensor) *tensor.Tensor {
	t.Helper()
	values, err := v.Float32()
	require.NoError(t, err)
	return tensor.Of(values, v.Shape...)
}

// recurrent is what all recurrent layers have.
type recurrent interface {
	Forward(x *autograd.Node, o rnn.Options) (y *autograd.Node, end rnn.Carry)
	Out() int
}

// makeRecurrent makes a layer of several layers as the Config of the lowest says.
func makeRecurrent(t *testing.T, p *autograd.Params, config any, count int) recurrent {
	t.Helper()
	switch c := config.(type) {
	case rnn.ElmanConfig:
		c.Layers = count
		return rnn.NewElman(p, c)
	case rnn.LSTMConfig:
		c.Layers = count
		return rnn.NewLSTM(p, c)
	case rnn.GRUConfig:
		c.Layers = count
		return rnn.NewGRU(p, c)
	}
	t.Fatalf("%T is no recurrent layer", config)
	return nil
}

// sameWeights asserts that the weights under p's prefix are those of PyTorch's module of that name.
func sameWeights(t *testing.T, want map[string]safetensors.Tensor, module string, p *autograd.Params) {
	t.Helper()
	for w := range p.All() {
		name := strings.TrimPrefix(w.Name, p.Prefix())
		require.Contains(t, want, module+name)
		assert.Equal(t, floats(t, want[module+name]).Data(), w.Value.Data(), name)
	}
}

// TestTorch reads files of the exporters of PyTorch back, and runs the layers.
func TestTorch(t *testing.T) {
	for _, exporter := range []string{"script", "unfolded", "dynamo"} {
		for _, name := range []string{"rnn", "relu", "lstm", "lstm_deep", "gru", "gru_deep"} {
			if exporter == "dynamo" && (name == "rnn" || name == "relu") {
				continue // it writes no node RNN, but the operations of every step
			}
			t.Run(exporter+" "+name, func(t *testing.T) {
				model, want := testModel(t, "torch_"+exporter+"_"+name+".onnx"), testTensors(t, "torch_"+name+".safetensors")
				found, err := model.Layers()
				require.NoError(t, err)
				count := len(found) - 2
				p := autograd.NewParams(1)
				layer := makeRecurrent(t, p.In("rnn"), found[0].Config, count)
				require.NoError(t, Set(p.In("rnn"), found[:count]...))
				fc := layers.NewDenseWith(p.In("fc"), found[count].Config.(layers.DenseConfig))
				require.NoError(t, Set(p.In("fc"), found[count]))
				norm := layers.NewLayerNorm(p.In("norm"), 3)
				norm.Eps = found[count+1].Config.(Norm).Eps
				assert.InDelta(t, 1e-3, norm.Eps, 1e-9)
				require.NoError(t, Set(p.In("norm"), found[count+1]))
				sameWeights(t, want, "", p)

				tape := autograd.NewInference(p)
				h, _ := layer.Forward(tape.Input(floats(t, want["x"])), rnn.Options{})
				y := norm.Forward(fc.Forward(h))
				assert.InDeltaSlice(t, floats(t, want["y"]).Data(), y.Data(), 1e-5)
			})
		}
	}
}

func TestTorchTokens(t *testing.T) {
	want := testTensors(t, "torch_tokens.safetensors")
	for _, exporter := range []string{"script", "unfolded", "dynamo"} {
		found, err := testModel(t, "torch_"+exporter+"_tokens.onnx").Layers()
		require.NoError(t, err)
		require.Len(t, found, 3)
		assert.Equal(t, Table{7, 4}, found[0].Config)
		assert.Equal(t, layers.Conv1DConfig{In: 4, Out: 6, Width: 3, Stride: 2, Dilation: 2, Groups: 2, PadLeft: 1, PadRight: 1}, found[1].Config)
		assert.Equal(t, layers.DenseConfig{In: 6, Out: 2, NoBias: true}, found[2].Config)
		for i, module := range []string{"embedding.", "conv.", "fc."} {
			for _, w := range found[i].Weights {
				assert.Equal(t, want[module+w.Name].Shape, w.Shape)
				assert.Equal(t, want[module+w.Name].Data, w.Data)
			}
		}
	}
}

// readNPZ reads the float32 arrays of an archive of NumPy.
func readNPZ(t *testing.T, path string) map[string]*tensor.Tensor {
	t.Helper()
	archive, err := zip.OpenReader(path)
	require.NoError(t, err)
	defer archive.Close()
	arrays := map[string]*tensor.Tensor{}
	for _, f := range archive.File {
		r, err := f.Open()
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		header := string(data[10:][:binary.LittleEndian.Uint16(data[8:])])
		require.Contains(t, header, "'<f4'")
		require.Contains(t, header, "'fortran_order': False")
		var shape []int
		_, inner, _ := strings.Cut(header, "'shape': (")
		inner, _, _ = strings.Cut(inner, ")")
		for _, d := range strings.Split(inner, ",") {
			var n int
			if _, err := fmt.Sscan(d, &n); err == nil {
				shape = append(shape, n)
			}
		}
		values := make([]float32, tensor.Size(shape))
		require.NoError(t, binary.Read(bytes.NewReader(data[10+len(header):]), binary.LittleEndian, values))
		arrays[strings.TrimSuffix(f.Name, ".npy")] = tensor.Of(values, shape...)
	}
	return arrays
}

// TestNSNet2 runs a whole network that others trained: dense layers, two GRUs, dense layers.
func TestNSNet2(t *testing.T) {
	model := realModel(t, "UNROLL_NSNET2", "nsnet2-20ms-baseline.onnx")
	golden := readNPZ(t, filepath.Join(os.Getenv("UNROLL_NSNET2"), "golden.npz"))
	found, err := model.Layers()
	require.NoError(t, err)
	require.Len(t, found, 6)

	p := autograd.NewParams(1)
	dense := func(name string, l *Layer) *layers.Dense {
		d := layers.NewDenseWith(p.In(name), l.Config.(layers.DenseConfig))
		require.NoError(t, Set(p.In(name), l))
		return d
	}
	in := dense("in", found[0])
	gru := makeRecurrent(t, p.In("gru"), found[1].Config, 2)
	require.NoError(t, Set(p.In("gru"), found[1:3]...))
	out := layers.Sequential{dense("out.0", found[3]), layers.Func(autograd.ReLU), dense("out.2", found[4]), layers.Func(autograd.ReLU),
		dense("out.4", found[5]), layers.Func(autograd.Sigmoid)}

	tape := autograd.NewInference(p)
	x := autograd.Transpose(tape.Input(golden["x"]), 0, 1) // [1,T,161] to [T,1,161]
	h, _ := gru.Forward(autograd.ReLU(in.Forward(x)), rnn.Options{})
	mask := out.Forward(h)
	worst := 0.0
	for i, want := range golden["y"].Data() {
		worst = max(worst, math.Abs(float64(want-mask.Data()[i])))
	}
	t.Logf("%d numbers, at most %.2g away", mask.Shape()[0]*mask.Shape()[2], worst)
	assert.Equal(t, len(golden["y"].Data()), len(mask.Data()))
	assert.LessOrEqual(t, worst, 1e-5)
}

// TestSilero reads convolutions, and an LSTM that is written as operations of a step, under PyTorch's names.
func TestSilero(t *testing.T) {
	model := realModel(t, "UNROLL_SILERO", "silero_vad_16k_op15.onnx")
	found, err := model.Layers()
	require.NoError(t, err)
	var all []any
	for _, l := range found {
		all = append(all, l.Config)
	}
	assert.Equal(t, []any{
		layers.Conv1DConfig{In: 1, Out: 258, Width: 256, Stride: 128, Dilation: 1, Groups: 1, NoBias: true},
		layers.Conv1DConfig{In: 129, Out: 128, Width: 3, Stride: 1, Dilation: 1, Groups: 1, PadLeft: 1, PadRight: 1},
		layers.Conv1DConfig{In: 128, Out: 64, Width: 3, Stride: 2, Dilation: 1, Groups: 1, PadLeft: 1, PadRight: 1},
		layers.Conv1DConfig{In: 64, Out: 64, Width: 3, Stride: 2, Dilation: 1, Groups: 1, PadLeft: 1, PadRight: 1},
		layers.Conv1DConfig{In: 64, Out: 128, Width: 3, Stride: 1, Dilation: 1, Groups: 1, PadLeft: 1, PadRight: 1},
		layers.Conv1DConfig{In: 128, Out: 1, Width: 1, Stride: 1, Dilation: 1, Groups: 1},
	}, all)

	p := autograd.NewParams(1)
	rnn.NewLSTM(p.In("rnn"), rnn.LSTMConfig{Input: 128, Hidden: 128})
	report, err := safetensors.Loading{Prefix: "model.decoder.rnn.", Rename: func(name string) string { return name + "_l0" }}.Apply(model.File(), p.In("rnn"))
	require.NoError(t, err)
	assert.Len(t, report.Used, 4)
	assert.Len(t, report.Unused, 11)
}
