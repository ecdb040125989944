package onnx

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// both is a model that is exported and run here by the same calls.
type both struct {
	e     Export
	tape  *autograd.Tape
	steps int
	rows  int
	rand  *rand.Rand
	run   []safetensors.Tensor // inputs and outputs of the run here
}

// value is a value of both.
type pair struct {
	v Value
	n *autograd.Node
}

func (b *both) input(name string, shape ...int) pair {
	v := b.e.Input(name, shape...)
	x := tensor.New(b.sizes(shape)...)
	for i := range x.Data() {
		x.Data()[i] = 2*b.rand.Float32() - 1
	}
	b.run = append(b.run, safetensors.From("in."+name, x.Data(), x.Shape()...))
	return pair{v, b.tape.Input(x)}
}

// sizes returns the sizes of this run.
func (b *both) sizes(shape []int) []int {
	shape = slices.Clone(shape)
	for i, d := range shape {
		switch d {
		case Time:
			shape[i] = b.steps
		case Batch:
			shape[i] = b.rows
		}
	}
	return shape
}

func (b *both) sequence(features int) pair { return b.input("x", Time, Batch, features) }

func (b *both) output(name string, x pair) {
	b.e.Output(name, x.v)
	b.run = append(b.run, safetensors.From("out."+name, x.n.Data(), x.n.Shape()...))
}

// lengths returns lengths of 1 to steps.
func (b *both) lengths() (Value, []int) {
	lengths, narrow := make([]int, b.rows), make([]int32, b.rows)
	for i := range lengths {
		lengths[i] = 1 + b.rand.IntN(b.steps)
		narrow[i] = int32(lengths[i])
	}
	b.run = append(b.run, safetensors.From("in.lengths", narrow, b.rows))
	return b.e.Lengths("lengths"), lengths
}

// forward runs a layer without a state.
func (b *both) forward(x pair, layer layers.Layer) pair {
	return pair{b.e.Forward(layer, x.v), layer.Forward(x.n)}
}

// lastLayer is what all recurrent layers have.
type lastLayer interface {
	recurrent
	Last(x *autograd.Node, o rnn.Options) (h *autograd.Node, end rnn.Carry)
}

// exportCase makes the layers of a model, and returns the model.
type exportCase func(p *autograd.Params) func(b *both)

// recurrentCase is a recurrent layer with all its inputs and outputs.
func recurrentCase(config any, count, hidden int, bidirectional, lengths, start bool) exportCase {
	return func(p *autograd.Params) func(b *both) {
		var layer lastLayer
		isLSTM := false
		switch c := config.(type) {
		case rnn.ElmanConfig:
			c.Input, c.Hidden, c.Layers, c.Bidirectional = 3, hidden, count, bidirectional
			config, layer = c, rnn.NewElman(p.In("rnn"), c)
		case rnn.LSTMConfig:
			c.Input, c.Hidden, c.Layers, c.Bidirectional = 3, hidden, count, bidirectional
			config, layer, isLSTM = c, rnn.NewLSTM(p.In("rnn"), c), true
		case rnn.GRUConfig:
			c.Input, c.Hidden, c.Layers, c.Bidirectional = 3, hidden, count, bidirectional
			config, layer = c, rnn.NewGRU(p.In("rnn"), c)
		}
		return func(b *both) {
			x := b.sequence(3)
			var o Options
			var here rnn.Options
			if start {
				states := count * layer.Out() / hidden
				h := b.input("h0", states, Batch, hidden)
				o.Start.H, here.Start.H = h.v, h.n
				if isLSTM {
					c := b.input("c0", states, Batch, hidden)
					o.Start.C, here.Start.C = c.v, c.n
				}
			}
			if lengths {
				o.Lengths, here.Lengths = b.lengths()
			}
			r := b.recurrent(x.v, p.In("rnn"), config, o)
			y, end := layer.Forward(x.n, here)
			last, _ := layer.Last(x.n, here)
			b.output("y", pair{r.Y, y})
			b.output("last", pair{r.Last, last})
			b.output("hn", pair{r.End.H, end.H})
			if isLSTM {
				b.output("cn", pair{r.End.C, end.C})
			}
		}
	}
}

func (b *both) recurrent(x Value, p *autograd.Params, config any, o Options) Run {
	switch c := config.(type) {
	case rnn.ElmanConfig:
		return b.e.Elman(x, p, c, o)
	case rnn.LSTMConfig:
		return b.e.LSTM(x, p, c, o)
	default:
		return b.e.GRU(x, p, c.(rnn.GRUConfig), o)
	}
}

// exportCases are models by name.
func exportCases() map[string]exportCase {
	cases := map[string]exportCase{}
	for kind, config := range map[string]any{
		"elman": rnn.ElmanConfig{RecurrentDropout: 0.5}, "relu": rnn.ElmanConfig{ReLU: true}, "lstm": rnn.LSTMConfig{Dropout: 0.5},
		"peephole": rnn.LSTMConfig{Peephole: true}, "gru": rnn.GRUConfig{WeightDropout: 0.5}, "gru_before": rnn.GRUConfig{ResetBefore: true},
	} {
		for _, count := range []int{1, 2} {
			for dirs, bidirectional := range []bool{false, true} {
				for _, full := range []bool{false, true} {
					name := fmt.Sprintf("%s_%d_%d_%v", kind, count, dirs+1, full)
					cases[name] = recurrentCase(config, count, 4, bidirectional, full, full)
				}
			}
		}
	}
	for kind, config := range map[string]any{
		"elman": rnn.ElmanConfig{NoBias: true}, "lstm": rnn.LSTMConfig{NoBias: true}, "peephole": rnn.LSTMConfig{NoBias: true, Peephole: true},
		"gru": rnn.GRUConfig{NoBias: true}, "gru_before": rnn.GRUConfig{NoBias: true, ResetBefore: true},
	} {
		cases[kind+"_nobias"] = recurrentCase(config, 3, 5, true, true, false)
	}
	for kind, config := range map[string]any{"elman": rnn.ElmanConfig{}, "lstm": rnn.LSTMConfig{}, "gru": rnn.GRUConfig{}} {
		cases[kind+"_large"] = recurrentCase(config, 1, 64, false, false, true)
		cases[kind+"_lengths"] = recurrentCase(config, 1, 3, true, true, false)
	}
	sequence := func(features, more int, makeLayer func(p *autograd.Params) layers.Layer) exportCase {
		return func(p *autograd.Params) func(b *both) {
			layer := makeLayer(p)
			return func(b *both) {
				b.steps += more
				b.output("y", b.forward(b.sequence(features), layer))
			}
		}
	}
	fixed := func(layer layers.Layer) func(p *autograd.Params) layers.Layer {
		return func(*autograd.Params) layers.Layer { return layer }
	}
	for name, f := range map[string]layers.Func{"tanh": autograd.Tanh, "sigmoid": autograd.Sigmoid, "relu_function": autograd.ReLU, "gelu": autograd.GELU,
		"exp": autograd.Exp, "abs": autograd.Abs, "softmax": autograd.Softmax, "logsoftmax": autograd.LogSoftmax} {
		cases[name] = sequence(5, 0, fixed(f))
	}
	for name, f := range map[string]layers.Func{"log": autograd.Log, "sqrt": autograd.Sqrt} {
		cases[name] = sequence(5, 0, fixed(layers.Sequential{layers.Func(autograd.Exp), f}))
	}
	for name, c := range map[string]layers.DenseConfig{"dense": {In: 3, Out: 4}, "dense_nobias": {In: 3, Out: 4, NoBias: true}} {
		cases[name] = sequence(3, 0, func(p *autograd.Params) layers.Layer { return layers.NewDenseWith(p.In("fc"), c) })
	}
	for name, eps := range map[string]float64{"norm": 1e-5, "norm_eps": 1e-2} {
		cases[name] = sequence(6, 0, func(p *autograd.Params) layers.Layer {
			norm := layers.NewLayerNorm(p.In("norm"), 6)
			norm.Eps = eps
			return norm
		})
	}
	for name, c := range map[string]layers.Conv1DConfig{
		"":              {In: 4, Out: 6, Width: 3},
		"_1":            {In: 4, Out: 6, Width: 1, NoBias: true},
		"_padded":       {In: 4, Out: 6, Width: 3, PadLeft: 1, PadRight: 1},
		"_causal":       {In: 4, Out: 6, Width: 3, Dilation: 2, Causal: true},
		"_mirrored":     {In: 4, Out: 6, Width: 3, PadLeft: 2, PadRight: 1, Mirrored: true},
		"_stride":       {In: 4, Out: 6, Width: 3, Stride: 2, PadLeft: 2},
		"_groups":       {In: 4, Out: 6, Width: 2, Groups: 2},
		"_depthwise":    {In: 4, Out: 4, Width: 2, Groups: 4},
		"_all_together": {In: 4, Out: 8, Width: 2, Stride: 3, Dilation: 2, Groups: 4, PadRight: 3, NoBias: true},
	} {
		cases["conv"+name] = sequence(4, 3, func(p *autograd.Params) layers.Layer { return layers.NewConv1D(p.In("conv"), c) })
	}
	for name, pool := range map[string]layers.Layer{"max": layers.MaxPool1D{Width: 2}, "max_overlapping": layers.MaxPool1D{Width: 3, Stride: 2},
		"average": layers.AvgPool1D{Width: 2}, "average_apart": layers.AvgPool1D{Width: 1, Stride: 3}} {
		cases["pool_"+name] = sequence(4, 2, fixed(pool))
	}
	cases["mlp"] = func(p *autograd.Params) func(b *both) {
		mlp := layers.Sequential{layers.NewDense(p.In("0"), 3, 8), layers.Func(autograd.GELU), layers.Dropout{P: 0.5},
			layers.NewDense(p.In("3"), 8, 4), layers.Sequential{layers.Func(autograd.ReLU), layers.NewLayerNorm(p.In("5"), 4)}}
		return func(b *both) { b.output("y", b.forward(b.input("x", Batch, 3), mlp)) }
	}
	cases["twice"] = sequence(3, 0, func(p *autograd.Params) layers.Layer {
		d := layers.NewDense(p.In("fc"), 3, 3)
		return layers.Sequential{d, layers.Func(autograd.Tanh), d}
	})
	cases["residual"] = func(p *autograd.Params) func(b *both) {
		dense := layers.NewDense(p.In("fc"), 3, 3)
		return func(b *both) {
			x := b.sequence(3)
			d := b.forward(x, dense)
			sum := pair{b.e.Add(x.v, d.v), autograd.Add(x.n, d.n)}
			b.output("sum", sum)
			b.output("joined", pair{b.e.Concat(sum.v, d.v, x.v), autograd.Concat(2, sum.n, d.n, x.n)})
			b.output("copy", x)
		}
	}
	cases["tokens"] = func(p *autograd.Params) func(b *both) {
		embedding := layers.NewEmbedding(p.In("embedding"), 9, 3)
		c := rnn.GRUConfig{Input: 3, Hidden: 5, Bidirectional: true}
		gru := rnn.NewGRU(p.In("gru"), c)
		head := layers.Sequential{layers.Dropout{P: 0.1}, layers.NewDense(p.In("head"), 10, 4)}
		return func(b *both) {
			ids, wide := make([]int32, b.steps*b.rows), make([]int64, b.steps*b.rows)
			for i := range ids {
				ids[i] = b.rand.Int32N(9)
				wide[i] = int64(ids[i])
			}
			b.run = append(b.run, safetensors.From("in.tokens", wide, b.steps, b.rows))
			x := pair{b.e.Forward(embedding, b.e.Tokens("tokens")), embedding.Lookup(b.tape, ids, b.rows)}
			v, lengths := b.lengths()
			last, _ := gru.Last(x.n, rnn.Options{Lengths: lengths})
			b.output("logits", b.forward(pair{b.e.GRU(x.v, p.In("gru"), c, Options{Lengths: v}).Last, last}, head))
		}
	}
	return cases
}

// build makes a model, whose weights, also biases, are within [-0.5, 0.5), and returns a function that exports it and runs it
// here, for sequences of some size.
func build(t *testing.T, c exportCase) (p *autograd.Params, run func(steps, rows int) *both) {
	t.Helper()
	p = autograd.NewParams(1)
	model := c(p)
	p.Update(func() {
		draw := rand.New(rand.NewPCG(1, 1))
		for w := range p.All() {
			for i := range w.Value.Data() {
				w.Value.Data()[i] = draw.Float32() - 0.5
			}
		}
	})
	return p, func(steps, rows int) *both {
		b := &both{tape: autograd.NewInference(p), steps: steps, rows: rows, rand: rand.New(rand.NewPCG(2, uint64(steps)))}
		model(b)
		require.NoError(t, b.tape.Err())
		return b
	}
}

func (b *both) bytes(t *testing.T) []byte {
	t.Helper()
	var to bytes.Buffer
	require.NoError(t, b.e.Write(&to))
	return to.Bytes()
}

// TestExport runs the exported models in ONNX Runtime.
func TestExport(t *testing.T) {
	python := os.Getenv("UNROLL_ONNX_PYTHON")
	if python == "" {
		t.Skip("UNROLL_ONNX_PYTHON does not name a Python with onnx and onnxruntime")
	}
	dir := t.TempDir()
	cases := exportCases()
	require.GreaterOrEqual(t, len(cases), 60)
	runs := 0
	for name, c := range cases {
		_, run := build(t, c)
		var model []byte
		for i, size := range [][2]int{{5, 3}, {1, 1}, {8, 2}} { // one model for all sizes
			b := run(size[0], size[1])
			if i == 0 {
				model = b.bytes(t)
				require.NoError(t, b.e.Save(filepath.Join(dir, name+".onnx")))
			}
			require.Equal(t, model, b.bytes(t), name)
			var to bytes.Buffer
			require.NoError(t, safetensors.Write(&to, &safetensors.File{Tensors: b.run}))
			require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s.%d.safetensors", name, i)), to.Bytes(), 0o600))
			runs++
		}
	}
	command := exec.Command(python, "-B", filepath.Join("testdata", "run.py"), dir)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	printed, err := command.Output()
	require.NoError(t, err, complaints.String())
	assert.Empty(t, complaints.String())
	var worst map[string]float64
	require.NoError(t, json.Unmarshal(printed, &worst))
	assert.Len(t, worst, runs)
	most := 0.0
	for name, away := range worst {
		assert.LessOrEqual(t, away, 1e-5, name)
		most = max(most, away)
	}
	t.Logf("%d models in %d runs, at most %.2g away", len(cases), runs, most)
}

// TestExportIsRead reads exported models, and finds the weights that went in.
func TestExportIsRead(t *testing.T) {
	tested := 0
	for name, c := range exportCases() {
		p, run := build(t, c)
		prefixes := map[string]bool{}
		for w := range p.All() {
			prefix, _, _ := strings.Cut(w.Name, ".")
			prefixes[prefix] = true
		}
		if len(prefixes) != 1 || name == "twice" {
			continue
		}
		found, err := read(t, run(2, 2).bytes(t)).Layers()
		require.NoError(t, err, name)
		other := autograd.NewParams(2)
		c(other)
		for prefix := range prefixes {
			require.NoError(t, Set(other.In(prefix), found...), name)
		}
		for w := range p.All() {
			require.Equal(t, w.Value.Data(), other.Get(w.Name).Value.Data(), "%s of %s", w.Name, name)
		}
		tested++
	}
	assert.Greater(t, tested, 60)
}

func TestExportRefuses(t *testing.T) {
	p := autograd.NewParams(1)
	dense := layers.NewDense(p.In("fc"), 3, 4)
	norm := layers.NewLayerNorm(p.In("norm"), 4)
	conv := layers.NewConv1D(p.In("conv"), layers.Conv1DConfig{In: 3, Out: 4, Width: 2})
	embedding := layers.NewEmbedding(p.In("embedding"), 5, 3)
	lstm := rnn.NewLSTM(p.In("lstm"), rnn.LSTMConfig{Input: 3, Hidden: 4})
	min := rnn.NewMinGRU(p.In("min"), rnn.MinGRUConfig{Input: 3, Hidden: 4})
	ind := rnn.NewIndRNN(p.In("ind"), rnn.IndRNNConfig{Input: 3, Hidden: 4})
	config := func(c rnn.LSTMConfig) rnn.LSTMConfig {
		c.Input, c.Hidden = 3, 4
		return c
	}
	withLSTM := func(c rnn.LSTMConfig, o func(e *Export) Options) func(e *Export, x Value) {
		return func(e *Export, x Value) {
			options := Options{}
			if o != nil {
				options = o(e)
			}
			e.LSTM(x, p.In("lstm"), config(c), options)
		}
	}
	forward := func(layer any) func(e *Export, x Value) {
		return func(e *Export, x Value) { e.Forward(layer, x) }
	}
	var other Export
	for name, c := range map[string]struct {
		export func(e *Export, x Value)
		want   string
	}{
		"projection":            {withLSTM(rnn.LSTMConfig{Projection: 2}, nil), "lstm has Projection, which ONNX has no operator for"},
		"layer norm in a cell":  {withLSTM(rnn.LSTMConfig{LayerNorm: true}, nil), "lstm has LayerNorm"},
		"zoneout":               {withLSTM(rnn.LSTMConfig{Zoneout: 0.1}, nil), "lstm has Zoneout"},
		"zoneout of c":          {withLSTM(rnn.LSTMConfig{ZoneoutCell: 0.1}, nil), "lstm has ZoneoutCell"},
		"zoneout of Elman":      {func(e *Export, x Value) { e.Elman(x, p, rnn.ElmanConfig{Zoneout: 0.5}, Options{}) }, "rnn.Elman has Zoneout"},
		"layer norm of GRU":     {func(e *Export, x Value) { e.GRU(x, p.In("gru"), rnn.GRUConfig{LayerNorm: true}, Options{}) }, "gru has LayerNorm"},
		"another configuration": {withLSTM(rnn.LSTMConfig{Layers: 2}, nil), "lstm: the configuration has a weight weight_ih_l1 of shape [16 4], and the weights have none"},
		"no configuration":      {func(e *Export, x Value) { e.GRU(x, p.In("gru"), rnn.GRUConfig{}, Options{}) }, "gru: rnn.GRU: Input 0, Hidden 0"},
		"other weights":         {func(e *Export, x Value) { e.GRU(x, p.In("lstm"), rnn.GRUConfig{Input: 3, Hidden: 4}, Options{}) }, "weight_ih_l0 of shape [12 3]"},
		"MinGRU":                {forward(min), "ONNX has no operator for a *rnn.MinGRU"},
		"IndRNN":                {forward(ind), "ONNX has no operator for a *rnn.IndRNN"},
		"attention":             {forward(layers.DotAttention{}), "ONNX has no operator for a layers.DotAttention"},
		"nil":                   {forward(nil), "ONNX has no operator for a <nil>"},
		"LSTM by Forward":       {forward(lstm), "*rnn.LSTM is exported by the method LSTM, with the configuration"},
		"a function of users":   {forward(layers.Func(func(x *autograd.Node) *autograd.Node { return x })), "a function that is not Tanh"},
		"a nil function":        {forward(layers.Func(nil)), "a nil function"},
		"within a Sequential":   {forward(layers.Sequential{dense, layers.Func(nil), dense}), "a nil function"},
		"features of a dense":   {forward(layers.Sequential{dense, dense}), `fc.weight reads "fc.weight.sum" of shape [-1 -2 4] (Time is -1, Batch -2), want 3 features`},
		"features of a norm":    {forward(norm), "norm.weight reads"},
		"features of a conv":    {forward(layers.Sequential{dense, conv}), "conv.weight reads"},
		"a conv of rows":        {func(e *Export, _ Value) { e.Forward(conv, e.Input("rows", Batch, 3)) }, "want a sequence"},
		"a pool of rows":        {func(e *Export, _ Value) { e.Forward(layers.MaxPool1D{Width: 2}, e.Input("rows", Batch, 3)) }, "want positive numbers and a sequence"},
		"a pool of no width":    {forward(layers.AvgPool1D{}), "AveragePool of width 0"},
		"features of an LSTM":   {func(e *Export, x Value) { withLSTM(rnn.LSTMConfig{}, nil)(e, e.Forward(dense, x)) }, "lstm reads"},
		"an LSTM of rows":       {func(e *Export, _ Value) { withLSTM(rnn.LSTMConfig{}, nil)(e, e.Input("rows", Batch, 3)) }, "want a sequence"},
		"an embedding of x":     {forward(embedding), "an embedding reads tokens, and other layers numbers"},
		"a dense of tokens":     {func(e *Export, _ Value) { e.Forward(dense, e.Tokens("tokens")) }, "an embedding reads tokens"},
		"H alone":               {withLSTM(rnn.LSTMConfig{}, func(e *Export) Options { return Options{Start: State{H: e.Input("h", 1, Batch, 4)}} }), "H or C is missing or not wanted"},
		"C of a GRU": {func(e *Export, x Value) {
			q := autograd.NewParams(1)
			c := rnn.GRUConfig{Input: 3, Hidden: 4}
			rnn.NewGRU(q, c)
			h := e.Input("h", 1, Batch, 4)
			e.GRU(x, q, c, Options{Start: State{h, h}})
		}, "H or C is missing or not wanted"},
		"the start's shape": {withLSTM(rnn.LSTMConfig{}, func(e *Export) Options {
			return Options{Start: State{e.Input("h", 2, Batch, 4), e.Input("c", 1, Batch, 4)}}
		}), "lstm starts from H of shape [2 -2 4], want [1, Batch, 4]"},
		"lengths of numbers":       {withLSTM(rnn.LSTMConfig{}, func(e *Export) Options { return Options{Lengths: e.Input("l", Batch)} }), `the lengths are "l"`},
		"lengths of another":       {withLSTM(rnn.LSTMConfig{}, func(*Export) Options { return Options{Lengths: other.Lengths("l")} }), "one of another Export"},
		"a value of another":       {func(e *Export, _ Value) { e.Forward(dense, other.Input("x", Batch, 3)) }, "one of another Export"},
		"the zero Value":           {func(e *Export, _ Value) { e.Output("y", Value{}) }, "the zero Value"},
		"an input twice":           {func(e *Export, _ Value) { e.Input("x", Batch) }, `the name "x" of an input is empty or taken`},
		"an input without a name":  {func(e *Export, _ Value) { e.Tokens("") }, `the name "" of an input`},
		"an output without a name": {func(e *Export, x Value) { e.Output("", x) }, `the name "" of an output`},
		"an output like an input":  {func(e *Export, x Value) { e.Output("x", x) }, `the name "x" of an output`},
		"an input like a weight":   {func(e *Export, _ Value) { e.Forward(norm, e.Input("norm.weight", Batch, 4)) }, `the name "norm.weight" of a weight is that of an input`},
		"an input of no size":      {func(e *Export, _ Value) { e.Input("z", Batch, 0) }, "has shape [-2 0]"},
		"a sum":                    {func(e *Export, x Value) { e.Add(x, e.Forward(dense, x)) }, "Add of shapes [-1 -2 3] and [-1 -2 4]"},
		"a join":                   {func(e *Export, x Value) { e.Concat(x, e.Input("rows", Batch, 3)) }, "Concat of shapes [-1 -2 3] and [-2 3]"},
		"a join of nothing":        {func(e *Export, _ Value) { e.Concat() }, "Concat of nothing"},
		"no output":                {func(*Export, Value) {}, "the model has no output"},
	} {
		t.Run(name, func(t *testing.T) {
			var e Export
			x := e.Input("x", Time, Batch, 3)
			c.export(&e, x)
			if name != "no output" {
				e.Output("y", e.Forward(dense, x)) // does nothing after an error
			}
			err := e.Write(&bytes.Buffer{})
			require.ErrorContains(t, err, c.want)
			assert.True(t, strings.HasPrefix(err.Error(), "onnx.Export: "))
			path := filepath.Join(t.TempDir(), "model.onnx")
			assert.Equal(t, err, e.Save(path))
			assert.NoFileExists(t, path)
		})
	}
}

// TestExportLeavesOut exports a model of which only a part leads to an output.
func TestExportLeavesOut(t *testing.T) {
	p := autograd.NewParams(1)
	first, second := layers.NewDense(p.In("first"), 3, 4), layers.NewDense(p.In("second"), 3, 4)
	e := Export{Metadata: map[string]string{"epoch": "5", "data": "none"}}
	x := e.Input("x", Batch, 3)
	e.Forward(first, x)
	e.Output("y", e.Forward(second, x))
	var to bytes.Buffer
	require.NoError(t, e.Write(&to))
	model := read(t, to.Bytes())
	assert.Equal(t, "unroll", model.Producer)
	assert.Equal(t, e.Metadata, model.Metadata)
	assert.Equal(t, []Port{{"x", safetensors.F32, []int{-1, 3}}}, model.Inputs)
	assert.Equal(t, []Port{{"y", safetensors.F32, []int{-1, 4}}}, model.Outputs)
	assert.Len(t, model.Tensors, 2)
	assert.Nil(t, model.Tensor("first.bias"))
	assert.NotNil(t, model.Tensor("second.bias"))
}
