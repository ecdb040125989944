package onnx

import (
	"bytes"
	"fmt"
	"math"
	"os"
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

func floats(t testing.TB, v safetensors.Tensor) *tensor.Tensor {
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

// TestKeras reads a model of Keras, converted by tf2onnx, and runs it.
func TestKeras(t *testing.T) {
	model, want := testModel(t, "keras.onnx"), testTensors(t, "keras.safetensors")
	found, err := model.Layers()
	require.NoError(t, err)
	require.Len(t, found, 4)
	p := autograd.NewParams(1)
	lstm := makeRecurrent(t, p.In("lstm"), found[0].Config, 1)
	both := makeRecurrent(t, p.In("both"), found[1].Config, 1)
	conv := layers.NewConv1D(p.In("conv"), found[2].Config.(layers.Conv1DConfig))
	dense := layers.NewDenseWith(p.In("dense"), found[3].Config.(layers.DenseConfig))
	for i, name := range []string{"lstm", "both", "conv", "dense"} {
		require.NoError(t, Set(p.In(name), found[i]))
	}
	tape := autograd.NewInference(p)
	h, _ := lstm.Forward(autograd.Transpose(tape.Input(floats(t, want["x"])), 0, 1), rnn.Options{})
	h, _ = both.Forward(h, rnn.Options{})
	y := dense.Forward(autograd.ReLU(conv.Forward(h)))
	assert.InDeltaSlice(t, floats(t, want["y"]).Data(), autograd.Transpose(y, 0, 1).Data(), 1e-5)
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

// number is a tensor of n float32 in a shape, all of them 0.5.
func number(name string, shape ...int64) m {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return header(name, 1, shape...).bytes(9, bytes.Repeat([]byte{0, 0, 0, 0x3f}, int(n))...)
}

// node is a node with an output "y".
func node(op string, inputs []string, attributes ...message) m {
	b := m{}
	for _, name := range inputs {
		b = b.text(1, name)
	}
	b = b.text(2, "y").text(3, "n").text(4, op)
	for _, a := range attributes {
		b = b.bytes(5, a...)
	}
	return b
}

// oneNode is a model of an input "x", of tensors and of nodes.
func oneNode(tensors []m, nodes ...m) []byte {
	g := m{}.bytes(11, value("x", 1, -1, -1, -1)...)
	for _, t := range tensors {
		g = g.bytes(5, t...)
	}
	for _, n := range nodes {
		g = g.bytes(1, n...)
	}
	return file(g)
}

// refusedLayers are models that Layers refuses, with a part of the error.
func refusedLayers() map[string]struct {
	data []byte
	want string
} {
	type c = struct {
		data []byte
		want string
	}
	lstm := func(attributes ...message) []byte {
		return oneNode([]m{number("w", 1, 8, 3), number("r", 1, 8, 2)}, node("LSTM", []string{"x", "w", "r"}, attributes...))
	}
	gru := func(tensors []m, inputs ...string) []byte {
		return oneNode(tensors, node("GRU", append([]string{"x"}, inputs...)))
	}
	conv := func(w m, attributes ...message) []byte {
		return oneNode([]m{w}, node("Conv", []string{"x", "w"}, attributes...))
	}
	product := m{}.text(4, "MatMul").text(1, "x").text(1, "y").text(2, "z") // for which the output of a node is computed
	computed := func(n m) []byte { return oneNode([]m{number("a", 2, 3), number("f", 2)}, n, product) }
	whole := func(name string, values ...byte) m { return header(name, 7, int64(len(values))).bytes(7, values...) }
	doubled := []m{m{}.text(4, "Identity").text(1, "a").text(2, "d0")}
	for i := range 40 {
		before := fmt.Sprint("d", i)
		doubled = append(doubled, m{}.text(4, "Concat").text(1, before).text(1, before).text(2, fmt.Sprint("d", i+1)).bytes(5, intAttribute("axis", 0)...))
	}
	doubled = append(doubled, m{}.text(4, "MatMul").text(1, "x").text(1, "d40").text(2, "z"))
	return map[string]c{
		"clip":                 {lstm(floatAttribute("clip", 3)), `LSTM "n": clip is 3`},
		"input_forget":         {lstm(intAttribute("input_forget", 1)), "input_forget is set"},
		"activations":          {lstm(textsAttribute("activations", "Sigmoid", "Tanh", "Relu")), `activations are ["Sigmoid" "Tanh" "Relu"]`},
		"too few activations":  {lstm(textsAttribute("activations", "Sigmoid", "Tanh")), "2 activations, want 3"},
		"activation_alpha":     {lstm(message{}.text(1, "activation_alpha").float(attributeFloats, 0.1)), "activation_alpha begins with 0.1"},
		"an unknown attribute": {lstm(intAttribute("fresh", 1)), `attribute "fresh" is not known`},
		"a direction":          {lstm(textAttribute("direction", "up")), `direction is "up"`},
		"two directions":       {lstm(textAttribute("direction", "bidirectional")), "do not fit: W [1 8 3], R [1 8 2], want [2 4*hidden input]"},
		"hidden_size":          {lstm(intAttribute("hidden_size", 3)), "hidden_size 3"},
		"relu and tanh": {oneNode([]m{number("w", 2, 2, 3), number("r", 2, 2, 2)}, node("RNN", []string{"x", "w", "r"},
			textAttribute("direction", "bidirectional"), textsAttribute("activations", "Relu", "Tanh"))), "activations are"},
		"no R":                   {gru([]m{number("w", 1, 6, 3)}, "w"), "no W or no R"},
		"W of two dimensions":    {gru([]m{number("w", 6, 3), number("r", 1, 6, 2)}, "w", "r"), "W has shape [6 3], want 3 dimensions"},
		"no units":               {gru([]m{number("w", 1, 0, 3), number("r", 1, 0, 0)}, "w", "r"), "do not fit"},
		"B too small":            {gru([]m{number("w", 1, 6, 3), number("r", 1, 6, 2), number("b", 1, 6)}, "w", "r", "b"), "do not fit"},
		"P too small":            {oneNode([]m{number("w", 1, 8, 3), number("r", 1, 8, 2), number("p", 1, 4)}, node("LSTM", []string{"x", "w", "r", "", "", "", "", "p"})), "do not fit"},
		"W of whole numbers":     {gru([]m{header("w", 7, 1, 6, 0), number("r", 1, 6, 2)}, "w", "r"), "I64"},
		"W is an input":          {gru([]m{number("r", 1, 6, 2)}, "x", "r"), `W, "x", is an input of the graph, want an initialiser`},
		"W is computed":          {oneNode([]m{number("r", 1, 6, 2)}, m{}.text(4, "Neg").text(1, "x").text(2, "w"), node("GRU", []string{"x", "w", "r"})), `W, "w", is computed by Neg`},
		"Gemm, scaled":           {oneNode([]m{number("w", 2, 3)}, node("Gemm", []string{"x", "w"}, floatAttribute("alpha", 2))), "alpha 2"},
		"Gemm, transposed":       {oneNode([]m{number("w", 2, 3)}, node("Gemm", []string{"x", "w"}, intAttribute("transA", 1))), "transA is 1"},
		"Gemm without B":         {oneNode(nil, node("Gemm", []string{"x"})), "no B"},
		"Gemm's bias too short":  {oneNode([]m{number("w", 2, 3), number("b", 2)}, node("Gemm", []string{"x", "w", "b"})), "bias has 2 elements, want 3"},
		"Gemm's bias a matrix":   {oneNode([]m{number("w", 2, 3), number("b", 3, 1)}, node("Gemm", []string{"x", "w", "b"})), "bias has shape [3 1]"},
		"Gemm's bias an input":   {oneNode([]m{number("w", 2, 3)}, node("Gemm", []string{"x", "w", "x"})), `its bias, "x", is an input of the graph`},
		"an empty matrix":        {oneNode([]m{number("w", 0, 3)}, node("MatMul", []string{"x", "w"})), "shape [0 3]"},
		"MatMul of nothing":      {oneNode(nil, node("MatMul", []string{"x"})), "left out"},
		"a norm without a scale": {oneNode(nil, node("LayerNormalization", []string{"x"})), "no Scale"},
		"a norm of a matrix":     {oneNode([]m{number("s", 2, 3)}, node("LayerNormalization", []string{"x", "s"})), "want 1 dimensions"},
		"a norm's bias":          {oneNode([]m{number("s", 3), number("b", 2)}, node("LayerNormalization", []string{"x", "s", "b"})), "bias has 2 elements, want 3"},
		"a picture's conv":       {conv(number("w", 2, 3, 3, 3)), "shape [2 3 3 3], want a convolution over one dimension"},
		"a conv without weights": {oneNode(nil, node("Conv", []string{"x"})), "no weights"},
		"a conv by an input":     {oneNode(nil, node("Conv", []string{"x", "x"})), "want an initialiser"},
		"a conv's group":         {conv(number("w", 2, 3, 3), intAttribute("group", 3)), "group is 3 for 2 channels"},
		"a conv's group of 0":    {conv(number("w", 2, 3, 3), intAttribute("group", 0)), "group is 0"},
		"a conv's strides":       {conv(number("w", 2, 3, 3), intsAttribute("strides", 1, 1)), "strides is [1 1]"},
		"a conv's stride of 0":   {conv(number("w", 2, 3, 3), intsAttribute("strides", 0)), "strides is [0]"},
		"a conv's pads":          {conv(number("w", 2, 3, 3), intsAttribute("pads", -1, 0)), "pads is [-1 0]"},
		"a conv's other pads":    {conv(number("w", 2, 3, 1, 3), intsAttribute("pads", 1, 0, 0, 0)), "pads the dimension of size 1"},
		"a conv's auto_pad":      {conv(number("w", 2, 3, 3), textAttribute("auto_pad", "SAME_UPPER"), intsAttribute("strides", 2)), "auto_pad"},
		"a conv's bias":          {oneNode([]m{number("w", 2, 3, 3), number("b", 3)}, node("Conv", []string{"x", "w", "b"})), "bias has 3 elements, want 2"},

		"constants that double":   {oneNode([]m{number("a", 2, 3)}, doubled...), "too large for the file"},
		"Reshape":                 {computed(node("Reshape", []string{"a", "a"})), "F32"},
		"Reshape to ten sizes":    {computed(node("Reshape", []string{"a"}, intsAttribute("shape", 1, 1, 1, 1, 1, 1, 1, 1, 2, 3))), "its inputs or attributes"},
		"Reshape by a long input": {oneNode([]m{number("a", 2, 3), whole("s", 1, 1, 1, 1, 1, 1, 1, 2, 3)}, node("Reshape", []string{"a", "s"}), product), "its inputs or attributes"},
		"Reshape without a shape": {computed(node("Reshape", []string{"a"})), "its inputs or attributes"},
		"Reshape to another size": {computed(node("Reshape", []string{"a"}, intsAttribute("shape", 4, 2))), "shape [2 3] cannot become [4 2]"},
		"Reshape to two sizes":    {computed(node("Reshape", []string{"a"}, intsAttribute("shape", -1, -1))), "cannot become"},
		"Reshape to much":         {computed(node("Reshape", []string{"a"}, intsAttribute("shape", 1<<30, 1<<30, 1<<30))), "cannot become"},
		"Squeeze":                 {computed(node("Squeeze", []string{"a"}, intsAttribute("axes", 0))), "cannot become"},
		"Squeeze of no dimension": {computed(node("Squeeze", []string{"a"}, intsAttribute("axes", 2))), "its inputs or attributes"},
		"Unsqueeze twice":         {computed(node("Unsqueeze", []string{"a"}, intsAttribute("axes", 0, -4))), "its inputs or attributes"},
		"Unsqueeze too often":     {computed(node("Unsqueeze", []string{"a"}, intsAttribute("axes", 0, 1, 2, 3, 4, 5, 6))), "its inputs or attributes"},
		"Transpose":               {computed(node("Transpose", []string{"a"}, intsAttribute("perm", 0, 0))), "its inputs or attributes"},
		"Transpose of three":      {computed(node("Transpose", []string{"a"}, intsAttribute("perm", 0, 1, 2))), "its inputs or attributes"},
		"Concat":                  {computed(node("Concat", []string{"a", "f"}, intAttribute("axis", 0))), "its inputs or attributes"},
		"Concat without an axis":  {computed(node("Concat", []string{"a", "a"})), "its inputs or attributes"},
		"Concat of no dimension":  {computed(node("Concat", []string{"a", "a"}, intAttribute("axis", 2))), "its inputs or attributes"},
		"Slice":                   {computed(node("Slice", []string{"a"}, intsAttribute("starts", 0))), "its inputs or attributes"},
		"Slice by steps":          {oneNode([]m{number("a", 2, 3), whole("o", 1), whole("s", 2)}, node("Slice", []string{"a", "o", "s", "o", "s"}), product), "a step is 2"},
		"Constant":                {computed(node("Constant", nil, textAttribute("value_string", "s"))), "its inputs or attributes"},
	}
}

func TestRefusedLayers(t *testing.T) {
	for name, c := range refusedLayers() {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, c.data).Layers()
			require.ErrorContains(t, err, c.want)
			assert.True(t, strings.HasPrefix(err.Error(), "onnx: "))
		})
	}
}

// TestNoLayers reads products and choices that are no layers.
func TestNoLayers(t *testing.T) {
	for name, n := range map[string]m{
		"a product of two inputs":        node("MatMul", []string{"x", "x"}),
		"a constant times an input":      node("MatMul", []string{"w", "x"}),
		"a batch of matrices":            node("MatMul", []string{"x", "t"}),
		"a sum of products of inputs":    node("Gemm", []string{"x", "x", "w"}),
		"a choice among whole numbers":   node("Gather", []string{"i", "x"}),
		"a choice among columns":         node("Gather", []string{"w", "x"}, intAttribute("axis", 1)),
		"a choice from an input":         node("Gather", []string{"x", "i"}),
		"an operator of somebody's":      node("LSTM", []string{"x"}).text(7, "com.example"),
		"a constant choice of constants": node("Gather", []string{"w", "i"}),
	} {
		model := read(t, oneNode([]m{number("w", 2, 3), number("t", 4, 2, 3), header("i", 7, 1).int(7, 0)}, n))
		found, err := model.Layers()
		assert.NoError(t, err, name)
		assert.Empty(t, found, name)
		_, err = model.Layer("n")
		assert.ErrorContains(t, err, "without weights that a layer here has", name)
	}
}

func TestLayer(t *testing.T) {
	tensors := []m{number("w", 2, 3), number("b", 3), number("k", 3, 2), header("shape", 7, 2).int(7, -1).int(7, 3)}
	model := read(t, oneNode(tensors, node("Gemm", []string{"x", "k", "b"}, intAttribute("transB", 1)),
		m{}.text(4, "MatMul").text(1, "x").text(1, "w").text(2, "product"),
		m{}.text(4, "Reshape").text(1, "product").text(1, "shape").text(2, "shaped"),
		m{}.text(4, "Add").text(1, "b").text(1, "shaped").text(2, "sum"),
		m{}.text(4, "MatMul").text(1, "x").text(1, "w").text(2, "read twice"),
		m{}.text(4, "Add").text(1, "b").text(1, "read twice").text(2, "another sum"),
		m{}.text(4, "Neg").text(1, "read twice").text(2, "negative"),
	))
	for name, config := range map[string]layers.DenseConfig{"n": {In: 2, Out: 3}, "y": {In: 2, Out: 3}, "product": {In: 2, Out: 3}, "read twice": {In: 2, Out: 3, NoBias: true}} {
		l, err := model.Layer(name)
		require.NoError(t, err, name)
		assert.Equal(t, config, l.Config, name)
	}
	_, err := model.Layer("absent")
	assert.EqualError(t, err, `onnx: no node has the name "absent"`)

	l, err := read(t, oneNode([]m{number("w", 1, 2, 3), number("r", 1, 2, 2)}, node("RNN", []string{"x", "w", "r"}, textAttribute("direction", "reverse")))).Layer("n")
	require.NoError(t, err)
	assert.True(t, l.Reverse)
	assert.Equal(t, rnn.ElmanConfig{Input: 3, Hidden: 2, NoBias: true}, l.Config)

	l, err = read(t, oneNode([]m{number("s", 4)}, node("LayerNormalization", []string{"x", "s"}))).Layer("n")
	require.NoError(t, err)
	assert.Equal(t, Norm{4, float64(float32(1e-5))}, l.Config)
	assert.Equal(t, make([]byte, 16), l.Weights[1].Data)

	l, err = read(t, oneNode([]m{number("w", 2, 4, 3, 1)}, node("Conv", []string{"x", "w"}, textAttribute("auto_pad", "SAME_LOWER"), intsAttribute("dilations", 3, 1)))).Layer("n")
	require.NoError(t, err)
	assert.Equal(t, layers.Conv1DConfig{In: 4, Out: 2, Width: 3, Stride: 1, Dilation: 3, Groups: 1, PadLeft: 3, PadRight: 3, NoBias: true}, l.Config)
}

// TestConstants computes constants by each operator: a matrix [2,3] of 0 to 5 and what becomes of it.
func TestConstants(t *testing.T) {
	counting := header("a", 1, 2, 3)
	for i := range 6 {
		counting = counting.float(4, float32(i))
	}
	for _, c := range []struct {
		n     m
		shape []int
		want  []float32
	}{
		{node("Identity", []string{"a"}), []int{2, 3}, []float32{0, 1, 2, 3, 4, 5}},
		{node("Transpose", []string{"a"}), []int{3, 2}, []float32{0, 3, 1, 4, 2, 5}},
		{node("Transpose", []string{"a"}, intsAttribute("perm", 0, 1)), []int{2, 3}, []float32{0, 1, 2, 3, 4, 5}},
		{node("Reshape", []string{"a"}, intsAttribute("shape", -1, 2)), []int{3, 2}, []float32{0, 1, 2, 3, 4, 5}},
		{node("Reshape", []string{"a"}, intsAttribute("shape", 0, 1, -1)), []int{2, 1, 3}, []float32{0, 1, 2, 3, 4, 5}},
		{node("Unsqueeze", []string{"a"}, intsAttribute("axes", -1, 0)), []int{1, 2, 3, 1}, []float32{0, 1, 2, 3, 4, 5}},
		{node("Concat", []string{"a", "a"}, intAttribute("axis", -1)), []int{2, 6}, []float32{0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5}},
		{node("Concat", []string{"a", "a"}, intAttribute("axis", 0)), []int{4, 3}, []float32{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}},
		{node("Slice", []string{"a"}, intsAttribute("starts", 1), intsAttribute("ends", math.MaxInt32), intsAttribute("axes", -1)), []int{2, 2}, []float32{1, 2, 4, 5}},
		{node("Slice", []string{"a"}, intsAttribute("starts", 0, 1), intsAttribute("ends", -1, 2)), []int{1, 1}, []float32{1}},
		{node("Slice", []string{"a"}, intsAttribute("starts", 2, 3), intsAttribute("ends", 2, 0)), []int{0, 0}, []float32{}},
		{node("Squeeze", []string{"a"}), []int{2, 3}, []float32{0, 1, 2, 3, 4, 5}},
		{node("Constant", nil, floatAttribute("value_float", 3)), []int{}, []float32{3}},
		{node("Constant", nil, message{}.text(1, "value_floats").float(attributeFloats, 3)), []int{1}, []float32{3}},
	} {
		model := read(t, oneNode([]m{counting}, c.n))
		constants := model.constants()
		require.True(t, constants.known["y"])
		got, err := constants.get("y")
		require.NoError(t, err)
		assert.True(t, slices.Equal(c.shape, got.Shape), "%v", got.Shape)
		values, err := got.Float32()
		require.NoError(t, err)
		assert.Equal(t, c.want, values)
	}
}

func TestSetRefuses(t *testing.T) {
	dense, err := read(t, oneNode([]m{number("w", 2, 3)}, node("MatMul", []string{"x", "w"}))).Layer("n")
	require.NoError(t, err)
	p := autograd.NewParams(1)
	layers.NewDense(p.In("fc"), 2, 3)
	assert.EqualError(t, Set(p.In("fc"), dense), "onnx.Set: the file does not fit: missing in the file: bias")
	assert.ErrorContains(t, Set(p.In("fc"), dense, dense), "several nodes are given")
}
