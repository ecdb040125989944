// Package vad detects speech: it runs the network of Silero VAD (https://github.com/snakers4/silero-vad, MIT licence), which says for each
// 32 ms of sound how probable it is that somebody speaks, and finds from these probabilities where speech begins and ends.
//
//	model, err := vad.Load("silero_vad_16k.safetensors")
//	stream := model.NewStream() // one for each sound; any number of goroutines may run streams of one model
//	for each vad.Chunk samples {
//		p := stream.Step(chunk)
//	}
//
// Sounds are mono, [Rate] samples a second, from -1 to 1. Package dataset/wav reads files and converts rates. A [Segmenter] makes
// stretches of speech of the probabilities. [Model.Forward] is the network on a tape: for training, and for many sounds in one call.
//
// The weights are not part of this library. The Python package silero-vad 6.2 has them in two files, silero_vad_16k.safetensors
// and silero_vad_16k_op15.onnx, which were trained apart: the same sound gets other probabilities from the other file.
package vad

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/safetensors"
	"github.com/unroll-go/unroll/tensor"
)

const (
	Rate  = 16000 // samples a second
	Chunk = 512   // samples that get one probability

	context = 64 // samples before a chunk that the network also reads
	frame   = 256
	bins    = frame/2 + 1
	hidden  = 128
)

// Model is the network:
//
//	chunk and the 64 samples before it; 64 mirrored samples after it
//	-> STFT: 4 frames of 256 samples, 128 apart; the magnitudes of 129 frequencies
//	-> 4 convolutions of width 3, with ReLU: 128, 64, 64 and 128 channels, the second and the third of stride 2: 1 step
//	-> LSTM of 128 units, whose state goes from chunk to chunk; ReLU
//	-> 1 logit, whose sigmoid is the probability of speech
type Model struct {
	Params *autograd.Params

	STFT  *layers.Conv1D    // "stft_conv", frozen: cosines and sines under a Hann window
	Conv  [4]*layers.Conv1D // "conv1" to "conv4"
	LSTM  *rnn.LSTM         // "lstm_cell"
	Final *layers.Conv1D    // "final_conv"
}

// New makes the weights in p, for training from nothing: those of the STFT are its formula, the others are random.
func New(p *autograd.Params) *Model {
	m := &Model{Params: p}
	m.STFT = layers.NewConv1D(p.In("stft_conv"), layers.Conv1DConfig{In: 1, Out: 2 * bins, Width: frame, Stride: frame / 2, PadRight: context,
		Mirrored: true, NoBias: true, Init: fourier})
	m.STFT.Weight.Frozen = true
	for i, c := range [4]layers.Conv1DConfig{{In: bins, Out: 128}, {In: 128, Out: 64, Stride: 2}, {In: 64, Out: 64, Stride: 2}, {In: 64, Out: 128}} {
		c.Width, c.PadLeft, c.PadRight = 3, 1, 1
		m.Conv[i] = layers.NewConv1D(p.In(fmt.Sprint("conv", i+1)), c)
	}
	m.LSTM = rnn.NewLSTM(p.In("lstm_cell"), rnn.LSTMConfig{Input: 128, Hidden: hidden})
	m.Final = layers.NewConv1D(p.In("final_conv"), layers.Conv1DConfig{In: hidden, Out: 1, Width: 1})
	return m
}

// fourier fills the weight [2*bins, 1, frame] of the STFT: w[f,n] = hann(n)*cos(2*pi*f*n/frame) in the first bins rows, and
// -hann(n)*sin(2*pi*f*n/frame) in the others.
func fourier(_ *rand.Rand, w *tensor.Tensor) {
	for i := range w.Data() {
		f, n := i/frame%bins, i%frame
		hann := 0.5 - 0.5*math.Cos(2*math.Pi*float64(n)/frame)
		sin, cos := math.Sincos(2 * math.Pi * float64(f*n%frame) / frame)
		if i/frame < bins {
			w.Data()[i] = float32(hann * cos)
		} else {
			w.Data()[i] = float32(-hann * sin)
		}
	}
}

// Load reads the weights of Silero VAD for 16 kHz from a safetensors file, and returns the model. The weights may be trained
// further; safetensors.Save writes them, and Load reads such a file, too.
func Load(path string) (*Model, error) {
	return load(func(l safetensors.Loading, p *autograd.Params) (safetensors.Report, error) { return l.Load(path, p) })
}

// From is [Load] for weights that were read before. Those of Silero's ONNX file come from package onnx:
//
//	file, err := onnx.Read(reader)
//	...
//	model, err := vad.From(file.File())
func From(f *safetensors.File) (*Model, error) {
	return load(func(l safetensors.Loading, p *autograd.Params) (safetensors.Report, error) { return l.Apply(f, p) })
}

func load(set func(l safetensors.Loading, p *autograd.Params) (safetensors.Report, error)) (*Model, error) {
	m := New(autograd.NewParams(0))
	if _, err := set(safetensors.Loading{Rename: rename}, m.Params); err != nil {
		return nil, fmt.Errorf("vad: %w", err)
	}
	return m, nil
}

// modules are the names of the modules in the ONNX file of Silero VAD, and here.
var modules = strings.NewReplacer("model.stft.forward_basis_buffer", "stft_conv.weight", "model.encoder.0.reparam_conv.", "conv1.",
	"model.encoder.1.reparam_conv.", "conv2.", "model.encoder.2.reparam_conv.", "conv3.", "model.encoder.3.reparam_conv.", "conv4.",
	"model.decoder.rnn.", "lstm_cell.", "model.decoder.decoder.2.", "final_conv.")

// rename returns the name here of a weight in one of Silero's files or in a file of safetensors.Save.
func rename(name string) string {
	name = modules.Replace(name)
	if strings.HasPrefix(name, "lstm_cell.") && !strings.HasSuffix(name, "_l0") {
		name += "_l0"
	}
	return name
}

// State is what B sounds carry from one chunk to the next, as plain numbers. Zeros are the start of a sound. The rows may be
// copied from and to a [Stream] ([Stream.Save], [Stream.Restore]).
type State struct {
	Context *tensor.Tensor // [B, 64]: the samples before the next chunk
	LSTM    *rnn.State
}

// NewState returns a state of zeros for so many sounds. It panics with a [*autograd.UsageError] if batch is not positive.
func (m *Model) NewState(batch int) *State {
	return &State{LSTM: m.LSTM.NewState(batch), Context: tensor.New(batch, context)}
}

// Tensors returns the numbers under the names "context", "h" and "c", for safetensors.SaveTensors and LoadTensors.
func (s *State) Tensors() map[string]*tensor.Tensor {
	all := s.LSTM.Tensors()
	all["context"] = s.Context
	return all
}

// Forward computes the logits of the chunks of a batch of sounds: x [T,B,512], T chunks of B sounds, gives [T,B,1]. Their sigmoid
// is the probability of speech; to train, give them to loss.BCEWithLogits. Each sound gets the bits that a [Stream] gives it.
//
// The sounds continue from s, which Forward then sets to the state after the last chunk; no gradient flows through it. A nil s is
// zeros. Forward panics with a [*autograd.ShapeError] for other shapes.
func (m *Model) Forward(x *autograd.Node, s *State) *autograd.Node {
	const where = "vad.Model.Forward"
	t, shape := autograd.TapeOf(where, x), x.Shape()
	if len(shape) != 3 || shape[2] != Chunk || shape[0] < 1 || shape[1] < 1 || s != nil && s.Context.Dim(0) != shape[1] {
		want := fmt.Sprintf("[T, B, %d] with at least one chunk and one sound", Chunk)
		if s != nil {
			want += fmt.Sprintf(", B = %d", s.Context.Dim(0))
		}
		panic(&autograd.ShapeError{Where: where, Got: fmt.Sprintf("input has shape %v", slices.Clone(shape)), Want: want})
	}
	steps, rows := shape[0], shape[1]
	before, start := t.New(1, rows, context), rnn.Carry{} // of the first chunk
	if s == nil {
		clear(before.Data())
	} else {
		copy(before.Data(), s.Context.Data())
		start = s.LSTM.Carry(t, 0, rows)
	}
	ends := autograd.Slice(x, 2, Chunk-context, Chunk)
	windows := autograd.Concat(2, autograd.Concat(0, before, autograd.Slice(ends, 0, 0, steps-1)), x) // [T,B,576]
	windows = autograd.Transpose(autograd.Reshape(windows, steps*rows, context+Chunk), 0, 1)

	y := magnitude(m.STFT.Forward(autograd.Reshape(windows, context+Chunk, steps*rows, 1))) // [4,T*B,129]
	for _, c := range m.Conv {
		y = autograd.ReLU(c.Forward(y))
	}
	h, end := m.LSTM.Forward(autograd.Reshape(y, steps, rows, m.Conv[3].Config().Out), rnn.Options{Start: start})
	if s != nil && !t.Checking() {
		s.LSTM.Set(end, 0)
		t.Preserve(s.Context.Data())
		copy(s.Context.Data(), ends.Data()[(steps-1)*rows*context:])
	}
	return m.Final.Forward(autograd.ReLU(h))
}

// magnitude returns the absolute values of complex numbers: x [..., 2*n], whose first n elements of a row are real and whose other
// n are imaginary parts, gives [..., n]. The derivative where x is 0 is taken as 0: silence has no gradient.
func magnitude(x *autograd.Node) *autograd.Node {
	shape := x.Shape()
	y := x.Tape().New(shape[0], shape[1], shape[2]/2)
	o := magnitudeOp{x, y, shape[2] / 2}
	o.each(func(row, re, im int) { kernel.Magnitude(y.Data()[row:row+o.n], x.Data()[re:], x.Data()[im:]) })
	if x.RequiresGrad() {
		autograd.Record(x.Tape(), o, y)
	}
	return y
}

type magnitudeOp struct {
	x, y *autograd.Node
	n    int
}

func (o magnitudeOp) String() string { return "vad: magnitudes of the STFT" }

// each calls f with the elements at which a row of y begins, and its real and imaginary parts in x.
func (o magnitudeOp) each(f func(y, re, im int)) {
	for row := 0; row < len(o.y.Data()); row += o.n {
		f(row, 2*row, 2*row+o.n)
	}
}

func (o magnitudeOp) Backward() {
	dy, x, y := o.y.Grad(), o.x.Data(), o.y.Data()
	if dy == nil {
		return
	}
	dx := o.x.AccumulateGrad()
	o.each(func(row, re, im int) {
		kernel.AddMagnitudeGrad(dx[re:], dx[im:], dy[row:], x[re:], x[im:], y[row:row+o.n])
	})
}
