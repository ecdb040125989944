// Package golden holds numbers computed by PyTorch and ONNX Runtime, for the tests of other
// packages to compare with: recurrent layers with all their gradients, training runs, Adam,
// clipping, cross-entropy. pytorch.py and onnx_runtime.py beside this file made them and say how.
//
// A [File] is one case. What went in (weights, inputs, factors of the loss) has values that
// float32 holds exactly. What came out of PyTorch was computed in float64 and is rounded to 12
// significant digits, 9 in family_*, composed_* and conv1d_*; ONNX Runtime computes in float32, and what came out of it
// is within 1e-6 of the truth. The names of the tensors are PyTorch's own where it has one:
//
//	elman_*, lstm_*   x, h0, c0, weight_ih_l0, ...: inputs; h0 and c0 in the cases named _start
//	                  y, hn, cn: outputs of all steps and final states
//	                  loss: the sum over y, hn and cn of each times loss.y, loss.hn, loss.cn
//	                  grad.x, grad.h0, grad.weight_ih_l0, ...: gradients of loss
//	                  Config: layers, and truncate (windows counted back from the last step; 0: full BPTT)
//	family_*          elman (tanh), lstm and gru of 1 to 3 layers, of both directions in those named _bi, with a
//	                  projection in those named _proj, without biases in those named _nobias: all that elman_* and
//	                  lstm_* have, h0 and c0 too; weight_hr_l0; weight_ih_l0_reverse, ...
//	                  after.weight_ih_l0, ...: the weights after some steps of Adam on loss, x and starts the same
//	                  Config: layers, directions, projection (size; 0: none), bias (0, 1), hidden, lr, steps
//	composed_*        cells that PyTorch has no module of, composed of its operations, of one direction or of both: mingru, indrnn (of ReLU),
//	                  indrnn_tanh, and elman_norm, gru_norm and gru_before_norm (with layer normalization); all that elman_* have, and
//	                  weight_ln_ih_l0, ...; Config: layers, directions, hidden
//	onnx_*            elman, lstm, lstm_peephole, gru (PyTorch's), gru_before (the reset gate before the product)
//	                  x, h0, c0, weight_ih_l0, ...; weight_peephole_l0 [3*H] in the order i, f, o; y, hn, cn
//	                  lengths [B]: of the sequences, in the cases named _lengths; past them y is 0
//	                  Config: layers, directions, hidden
//	train_*           x, labels, before.rnn.weight_ih_l0, ..., before.head.weight, before.head.bias
//	                  losses: before each step; after.rnn.weight_ih_l0, ...; Config: steps, lr
//	adam              before [7], gradients [12,7], after [12,7]: the weights after each step
//	                  Config: lr, beta1, beta2, eps
//	clip_grad_norm    a, b, c: gradients; norm: of all as one vector; clipped.a, ...; Config: max_norm
//	optim_*           after [4,7]: the weights after 1, 10, 100 and 1000 steps of the gradients in pytorch.py; Config: settings
//	lr_*              after [steps]: the rate of each step
//	cross_entropy*    logits, labels, loss, grad.logits
//	layer_*           x, factors, perhaps weight, bias, table; y; grad.* of sum(y*factors)
//	conv1d_*          x [8,B,In], weight, perhaps bias, factors; y; grad.* of sum(y*factors)
//	                  Config: width, stride, dilation, groups, left and right (steps of padding), mirrored (0, 1), bias (0, 1)
//	attention_*       dot, scaled, general, additive: query [B,Q], or [U,B,Q] and lengths [B] in those named _lengths;
//	                  memory [T,B,M]; weight, or query.weight, memory.weight and score.weight; context; attention: the
//	                  weights of the steps; loss: the sum over both of each times loss.context, loss.attention; grad.*
//	loss_*            x; target, or labels; perhaps weights; loss, grad.x; Config: options
//
// Sequences are [T,B,I] and [T,B,H], states [layers,B,H]. With D directions they are [T,B,D*H] and [layers*D,B,H], and
// with a projection y, h0 and hn have its size in place of H.
package golden

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed testdata/*.json
var files embed.FS

// File is one case.
type File struct {
	Name    string             // such as "lstm_l2_start"
	About   string             // what PyTorch was asked
	Config  map[string]float64 // settings, such as lr
	Tensors map[string]Tensor
}

// Tensor is a shape and its values in row-major order. A number alone has shape [] and one value.
type Tensor struct {
	Shape []int
	Data  []float64
}

// Names returns the names of the cases that match pattern, as [path.Match] does ("lstm_*", "*"), in
// order. It panics if there are none: a test over no cases would pass.
func Names(pattern string) []string {
	found, err := fs.Glob(files, path.Join("testdata", pattern+".json"))
	if err != nil || len(found) == 0 {
		panic(fmt.Sprintf("golden: no case matches %q", pattern))
	}
	for i, name := range found {
		found[i] = strings.TrimSuffix(path.Base(name), ".json")
	}
	return found
}

// Load returns a case. The error says that there is none of this name, or what is wrong with its file.
func Load(name string) (*File, error) {
	text, err := files.ReadFile("testdata/" + name + ".json")
	if err != nil {
		return nil, fmt.Errorf("golden: %w", err)
	}
	f, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("golden: %s: %w", name, err)
	}
	f.Name = name
	return f, nil
}

func parse(text []byte) (*File, error) {
	f := new(File)
	if err := json.Unmarshal(text, f); err != nil {
		return nil, err
	}
	if len(f.Tensors) == 0 {
		return nil, errors.New("no tensors")
	}
	for name, t := range f.Tensors {
		size := 1
		for _, n := range t.Shape {
			size *= n
		}
		if len(t.Data) != size || slices.Min(append([]int{1}, t.Shape...)) < 1 {
			return nil, fmt.Errorf("%s: %d values for shape %v", name, len(t.Data), t.Shape)
		}
	}
	return f, nil
}

// Get returns a tensor of the case. It panics if there is none of this name, so that no test
// compares nothing with nothing.
func (f *File) Get(name string) Tensor {
	t, ok := f.Tensors[name]
	if !ok {
		panic(fmt.Sprintf("golden: %s has no tensor %q", f.Name, name))
	}
	return t
}

// Under returns the tensors whose names begin with prefix, by the rest of their names: Under("grad.")
// maps "x" to the gradient of x. It panics if there are none.
func (f *File) Under(prefix string) map[string]Tensor {
	found := map[string]Tensor{}
	for name, t := range f.Tensors {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			found[rest] = t
		}
	}
	if len(found) == 0 {
		panic(fmt.Sprintf("golden: %s has no tensor under %q", f.Name, prefix))
	}
	return found
}

// Float32 returns the values as float32. For what went in, that loses nothing.
func (t Tensor) Float32() []float32 { return convert[float32](t.Data) }

// Int32 returns the values as int32, for labels.
func (t Tensor) Int32() []int32 { return convert[int32](t.Data) }

func convert[N float32 | int32](data []float64) []N {
	to := make([]N, len(data))
	for i, v := range data {
		to[i] = N(v)
	}
	return to
}
