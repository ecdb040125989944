package safetensors

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/tensor"
)

// A layer packs copies of its weights once for each version of the Params. LoadTensors has no Params whose version it could
// raise. If it wrote into a weight, the layer would go on to compute with the old numbers.
func TestLoadTensorsRefusesWeights(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	ones := tensor.Of([]float32{1, 1, 1, 1, 1, 1}, 2, 3)
	require.NoError(t, SaveTensors(path, map[string]*tensor.Tensor{"bias": ones, "w": ones}, nil))

	params := autograd.NewParams(1)
	head := layers.NewDense(params.In("head"), 3, 2)
	tape := autograd.NewInference(params)
	answer := func() []float32 {
		tape.Reset()
		return append([]float32(nil), head.Forward(tape.Input(tensor.Of([]float32{1, 2, 3}, 1, 3))).Data()...)
	}
	before, weight := answer(), head.Weight.Value.Clone()

	plain := tensor.New(2, 3)
	for _, name := range []string{"none.safetensors", path} { // it is refused before the file is looked at
		_, err := LoadTensors(name, map[string]*tensor.Tensor{"bias": plain, "w": head.Weight.Value})
		var usage *tensor.UsageError
		require.ErrorAs(t, err, &usage)
		assert.EqualError(t, err, `safetensors.LoadTensors: the tensor for "w" is the weight head.weight, whose values change through its Params alone; use safetensors.Load`)
	}
	assert.Equal(t, weight, head.Weight.Value.Clone(), "nothing is changed")
	assert.Equal(t, make([]float32, 6), plain.Data(), "nothing is changed")
	assert.Equal(t, before, answer())

	// The weights of a cloned Params are weights, too.
	_, err := LoadTensors(path, map[string]*tensor.Tensor{"bias": plain, "w": params.Clone().In("head").Get("weight").Value})
	assert.ErrorContains(t, err, "is the weight head.weight")

	// A copy of a weight can be loaded into, and Load changes the layer's output.
	_, err = LoadTensors(path, map[string]*tensor.Tensor{"bias": plain, "w": weight})
	require.NoError(t, err)
	assert.Equal(t, ones, weight)
	require.NoError(t, SaveTensors(path, map[string]*tensor.Tensor{"weight": ones, "bias": tensor.New(2)}, nil))
	_, err = Load(path, params.In("head"))
	require.NoError(t, err)
	assert.Equal(t, []float32{6, 6}, answer())
}

// TestSaveBesideUpdates saves the weights while another goroutine updates them: a file holds those of one version.
func TestSaveBesideUpdates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.safetensors")
	params := autograd.NewParams(1)
	first := params.New("first", autograd.Zeros, 50_000)
	last := params.New("last", autograd.Zeros, 50_000)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for version := float32(1); ; version++ {
			select {
			case <-done:
				return
			default:
			}
			params.Update(func() {
				for _, w := range [][]float32{first.Value.Data(), last.Value.Data()} {
					for i := range w {
						w[i] = version
					}
				}
			})
		}
	}()
	read := params.Clone()
	for range 20 {
		require.NoError(t, Save(path, params, nil))
		_, err := Load(path, read)
		require.NoError(t, err)
		version := read.Get("first").Value.Data()[0]
		for w := range read.All() {
			for i, v := range w.Value.Data() {
				if v != version {
					t.Fatalf("%s, element %d: %v, want %v", w.Name, i, v, version)
				}
			}
		}
	}
	close(done)
	<-ended
}
