package onnx

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/safetensors"
)

type m = message

func (b m) double(number protowire.Number, value float64) m {
	return protowire.AppendFixed64(protowire.AppendTag(b, number, protowire.Fixed64Type), math.Float64bits(value))
}

func varints(values ...int64) (b []byte) {
	for _, v := range values {
		b = protowire.AppendVarint(b, uint64(v))
	}
	return b
}

// header begins a tensor: its name, its type and its shape.
func header(name string, kind int64, shape ...int64) m {
	return m{}.text(8, name).int(2, kind).bytes(1, varints(shape...)...)
}

// file wraps a graph, or a graph of the given initialisers.
func file(graph m) []byte {
	return m{}.int(1, 8).text(2, "test").text(3, "1").bytes(8, m{}.int(2, 17)...).bytes(7, graph...)
}

func withTensors(tensors ...m) []byte {
	g := m{}.text(2, "g")
	for _, t := range tensors {
		g = g.bytes(5, t...)
	}
	return file(g)
}

func read(t *testing.T, data []byte) *Model {
	t.Helper()
	model, err := Read(iotest.HalfReader(bytes.NewReader(data)))
	require.NoError(t, err)
	return model
}

func TestTensors(t *testing.T) {
	inf := float32(math.Inf(1))
	model := read(t, withTensors(
		header("raw", 1, 2, 1).bytes(9, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0),
		header("packed", 1, 2).bytes(4, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0),
		header("single", 1, 2).float(4, 1).float(4, -2),
		header("mixed", 1, 3).float(4, 1).bytes(4, 0, 0, 0, 0xc0, 0, 0, 0x80, 0x7f),
		m{}.int(1, 1).int(1, 2).int(2, 1).text(8, "dims one by one").bytes(9, make([]byte, 8)...),
		header("scalar", 1).bytes(9, 0, 0, 0x80, 0x3f),
		header("none", 1, 2, 0),
		header("double", 11, 1).double(10, 0.5),
		header("half", 10, 2).bytes(5, varints(0x3c00, 0xc000)...),
		header("raw half", 10, 2).bytes(9, 0, 0x3c, 0, 0xc0),
		header("bfloat", 16, 2).int(5, 0x3f80).int(5, 0xc000),
	))
	assert.Equal(t, "test 1", model.Producer)
	assert.EqualValues(t, 17, model.Opset)
	for name, want := range map[string][]float32{
		"raw": {1, -2}, "packed": {1, -2}, "single": {1, -2}, "mixed": {1, -2, inf}, "dims one by one": {0, 0}, "scalar": {1}, "none": {},
		"double": {0.5}, "half": {1, -2}, "raw half": {1, -2}, "bfloat": {1, -2},
	} {
		got, err := model.Tensor(name).Float32()
		assert.NoError(t, err)
		assert.Equal(t, want, got, name)
	}
	assert.Equal(t, []int{2, 1}, model.Tensor("raw").Shape)
	assert.Equal(t, []int{1, 2}, model.Tensor("dims one by one").Shape)
	assert.Equal(t, []int{}, model.Tensor("scalar").Shape)
	assert.Nil(t, model.Tensor("absent"))

	model = read(t, withTensors(
		header("int64", 7, 3).bytes(7, varints(-1, math.MinInt64, math.MaxInt64)...),
		header("one by one", 7, 2).int(7, -1).int(7, 2),
		header("raw int64", 7, 1).bytes(9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		header("int32", 6, 2).bytes(5, varints(-1, math.MaxInt32)...),
		header("int16", 5, 2).bytes(5, varints(math.MinInt16, 7)...),
		header("int8", 3, 2).bytes(5, varints(-128, 127)...),
		header("uint8", 2, 1).bytes(5, varints(255)...),
		header("uint16", 4, 1).bytes(5, varints(65535)...),
		header("uint32", 12, 1).bytes(11, varints(math.MaxUint32)...),
		header("uint64", 13, 1).bytes(11, varints(9)...),
		header("bool", 9, 2).bytes(5, varints(1, 0)...),
	))
	for name, want := range map[string][]int64{
		"int64": {-1, math.MinInt64, math.MaxInt64}, "one by one": {-1, 2}, "raw int64": {-1}, "int32": {-1, math.MaxInt32},
		"int16": {math.MinInt16, 7}, "int8": {-128, 127}, "uint8": {255}, "uint16": {65535}, "uint32": {math.MaxUint32}, "uint64": {9}, "bool": {1, 0},
	} {
		got, err := model.Tensor(name).Int64()
		assert.NoError(t, err)
		assert.Equal(t, want, got, name)
	}
}

func TestApply(t *testing.T) {
	model := read(t, withTensors(header("model.w", 1, 2).float(4, 1).float(4, -2), header("steps", 7).int(7, 3)))
	p := autograd.NewParams(1)
	w := p.New("w", autograd.Zeros, 2)
	report, err := safetensors.Loading{Prefix: "model."}.Apply(model.File(), p)
	require.NoError(t, err)
	assert.Equal(t, safetensors.Report{Used: []string{"w"}, Unused: []string{"steps"}}, report)
	assert.Equal(t, []float32{1, -2}, w.Value.Data())
	_, err = safetensors.Loading{}.Apply(model.File(), p)
	assert.EqualError(t, err, "the file does not fit: missing in the file: w; in the file alone: model.w, steps")
}

// value is an input or output of a graph; -1 is a dimension of any size.
func value(name string, kind int64, shape ...int64) m {
	dims := m{}
	for _, n := range shape {
		d := m{}.text(2, "n")
		if n >= 0 {
			d = m{}.int(1, n)
		}
		dims = dims.bytes(1, d...)
	}
	return m{}.text(1, name).bytes(2, m{}.bytes(1, m{}.int(1, kind).bytes(2, dims...)...)...)
}

func TestGraph(t *testing.T) {
	inner := m{}.text(2, "inner").bytes(1, m{}.text(4, "Neg").text(1, "x").text(2, "n")...).bytes(12, m{}.text(1, "n")...)
	node := m{}.text(4, "If").text(3, "branch").text(7, "ai.onnx").text(1, "x").text(1, "").text(2, "y").
		bytes(5, m{}.text(1, "i").int(3, -2).int(20, 2)...).
		bytes(5, m{}.text(1, "f").float(2, 0.5)...).
		bytes(5, m{}.text(1, "s").text(4, "text")...).
		bytes(5, m{}.text(1, "ints").int(8, 1).int(8, -1)...).
		bytes(5, m{}.text(1, "floats").bytes(7, 0, 0, 0x80, 0x3f)...).
		bytes(5, m{}.text(1, "strings").text(9, "a").text(9, "b")...).
		bytes(5, m{}.text(1, "t").bytes(5, header("", 1).float(4, 2)...)...).
		bytes(5, m{}.text(1, "then").bytes(6, inner...)...)
	model := read(t, file(m{}.text(2, "g").bytes(1, node...).bytes(11, value("x", 1, -1, 3)...).bytes(12, value("y", 7)...).int(99, 1)))
	assert.Equal(t, []Port{{"x", safetensors.F32, []int{-1, 3}}}, model.Inputs)
	assert.Equal(t, []Port{{"y", safetensors.I64, []int{}}}, model.Outputs)
	require.Len(t, model.Nodes, 1)
	n := model.Nodes[0]
	assert.Equal(t, []string{"x", ""}, n.Inputs)
	assert.Equal(t, []string{"y"}, n.Outputs)
	assert.Equal(t, []string{"If", "branch", ""}, []string{n.Op, n.Name, n.Domain})
	assert.EqualValues(t, -2, n.Attribute("i").Int)
	assert.EqualValues(t, 0.5, n.Attribute("f").Float)
	assert.Equal(t, "text", n.Attribute("s").Text)
	assert.Equal(t, []int64{1, -1}, n.Attribute("ints").Ints)
	assert.Equal(t, []float32{1}, n.Attribute("floats").Floats)
	assert.Equal(t, []string{"a", "b"}, n.Attribute("strings").Texts)
	scalar, err := n.Attribute("t").Tensor.Float32()
	assert.NoError(t, err)
	assert.Equal(t, []float32{2}, scalar)
	assert.Equal(t, "Neg", n.Attribute("then").Graph.Nodes[0].Op)
	assert.Nil(t, n.Attribute("else"))
}

// malformed are files that Read refuses, with a part of the error.
func malformed() map[string]struct {
	data []byte
	want string
} {
	type c = struct {
		data []byte
		want string
	}
	nested := m{}
	for range 20 {
		nested = m{}.bytes(1, m{}.text(4, "If").bytes(5, m{}.text(1, "g").bytes(6, nested...)...)...)
	}
	good := header("a", 1, 1).float(4, 1)
	node := func(n m) []byte { return file(m{}.bytes(1, n...)) }
	return map[string]c{
		"empty":                     {nil, "empty"},
		"text":                      {[]byte("<!DOCTYPE html>"), "damaged"},
		"zip":                       {[]byte("PK\x03\x04aaaaaaaaaaaa"), "damaged"},
		"no version":                {m{}.bytes(7), "version of the format is 0"},
		"an old version":            {m{}.int(1, 2).bytes(7), "version of the format is 2"},
		"no graph":                  {m{}.int(1, 8), "without a graph"},
		"two graphs":                {m{}.int(1, 8).bytes(7).bytes(7), "field 7 twice"},
		"two operator sets":         {append(file(nil), m{}.bytes(8, m{}.int(2, 18)...)...), "two versions"},
		"metadata twice":            {append(file(nil), m{}.bytes(14, m{}.text(1, "a")...).bytes(14, m{}.text(1, "a")...)...), `have "a" twice`},
		"cut in a tag":              {append(file(nil), 0x80), "not the beginning"},
		"cut in a length":           {append(file(nil), 0x12, 0x80), "cut short"},
		"cut":                       {file(m{}.text(2, "name"))[:20], "cut short"},
		"field 0":                   {append(file(nil), 0, 0), "not the beginning"},
		"a group":                   {append(file(nil), 0x4b, 0x4c), "group"},
		"a length of 2^63":          {append(file(nil), 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), "too long"},
		"a number of 11 bytes":      {append([]byte{0x08}, bytes.Repeat([]byte{0xff}, 11)...), "too long"},
		"version as text":           {m{}.text(1, "8").bytes(7), "wire type 2, want 0"},
		"graph as number":           {m{}.int(1, 8).int(7, 1), "wire type 0, want 2"},
		"name not UTF-8":            {file(m{}.text(2, "\xff")), "not UTF-8"},
		"tensor twice":              {withTensors(good, good), `name "a" is there twice`},
		"tensor without a name":     {withTensors(header("", 1).float(4, 1)), "tensor 0 has no name"},
		"string tensor":             {withTensors(header("a", 8, 1).text(6, "x")), "strings"},
		"empty string tensor":       {withTensors(header("a", 8, 0)), "are STRING"},
		"complex":                   {withTensors(header("a", 14, 1).bytes(9, make([]byte, 8)...)), "are COMPLEX64"},
		"four bits":                 {withTensors(header("a", 22, 1).bytes(9, 1)), "are type 22"},
		"no type":                   {withTensors(header("a", 0, 1).float(4, 1)), "are UNDEFINED"},
		"negative type":             {withTensors(header("a", -1, 1).float(4, 1)), "are type -1"},
		"type of 2^40":              {withTensors(header("a", 1<<40, 1).float(4, 1)), "are type 1099511627776"},
		"segment":                   {withTensors(header("a", 1, 1).bytes(3).float(4, 1)), "segment"},
		"external":                  {withTensors(header("a", 1, 1).int(14, 1)), "external data"},
		"external, by its place":    {withTensors(header("a", 1, 1).bytes(13, m{}.text(1, "location").text(2, "../../etc/passwd")...)), "external data"},
		"too few bytes":             {withTensors(header("a", 1, 2).bytes(9, 0, 0, 0, 0)), "4 bytes of numbers, want 8"},
		"too many bytes":            {withTensors(header("a", 1, 1).bytes(9, make([]byte, 8)...)), "8 bytes of numbers, want 4"},
		"no numbers":                {withTensors(header("a", 1, 1)), "0 bytes of numbers, want 4"},
		"part of a number":          {withTensors(header("a", 1, 1).bytes(4, 0, 0, 0)), "3 bytes of numbers"},
		"parts of numbers":          {withTensors(header("a", 1, 1).bytes(4, 0, 0, 0).bytes(4, 0)), "cut short"},
		"part of a varint":          {withTensors(header("a", 7, 1).bytes(7, 0x80)), "cut short"},
		"negative dimension":        {withTensors(header("a", 1, -1)), "dimension 0 is -1"},
		"product overflows":         {withTensors(header("a", 1, 1<<31, 1<<31, 1<<31)), "too large"},
		"product overflows by zero": {withTensors(header("a", 1, 0, 1<<62, 1<<62)), "too large"},
		"bytes overflow":            {withTensors(header("a", 1, 1<<61)), "too large"},
		"nine dimensions":           {withTensors(header("a", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)), "more than 8"},
		"a million dimensions":      {withTensors(header("a", 1, make([]int64, 1e6)...)), "more than 8"},
		"two fields":                {withTensors(header("a", 1, 1).float(4, 1).bytes(9, 0, 0, 0, 0)), "field 4 and in field 9"},
		"the wrong field":           {withTensors(header("a", 1, 1).int(7, 1)), "FLOAT in field 7"},
		"the wrong wire type":       {withTensors(header("a", 1, 1).int(4, 1)), "wire type 0"},
		"too large for int8":        {withTensors(header("a", 3, 1).int(5, 128)), "element 0 is 128, which I8 does not hold"},
		"too large for uint32":      {withTensors(header("a", 12, 1).int(11, 1<<32)), "which U32 does not hold"},
		"negative uint8":            {withTensors(header("a", 2, 1).int(5, -1)), "which U8 does not hold"},
		"no truth value":            {withTensors(header("a", 9, 1).bytes(9, 2)), "0 or 1"},
		"sparse":                    {file(m{}.bytes(15)), "sparse"},
		"input twice":               {file(m{}.bytes(11, value("x", 1)...).bytes(11, value("x", 1)...)), "there twice"},
		"input without a name":      {file(m{}.bytes(11, value("", 1)...)), "is empty"},
		"input of a size below 0":   {file(m{}.bytes(11, m{}.text(1, "x").bytes(2, m{}.bytes(1, m{}.bytes(2, m{}.bytes(1, m{}.int(1, -7)...)...)...)...)...)), "dimension 0 is -7"},
		"input of nine dimensions":  {file(m{}.bytes(11, value("x", 1, make([]int64, 9)...)...)), "more than 8"},
		"output from nowhere":       {file(m{}.bytes(12, value("y", 1)...)), `output "y" is computed by no node`},
		"node without an operator":  {node(m{}.text(3, "n")), "has no operator"},
		"node's input from nowhere": {node(m{}.text(4, "Neg").text(1, "x")), `input "x" is computed by no node before it`},
		"a circle":                  {node(m{}.text(4, "Neg").text(1, "x").text(2, "x")), "no node before it"},
		"output twice":              {node(m{}.text(4, "Split").text(2, "x").text(2, "x")), `name "x" is there twice`},
		"attribute twice":           {node(m{}.text(4, "Neg").bytes(5, m{}.text(1, "a")...).bytes(5, m{}.text(1, "a")...)), `attribute "a" twice`},
		"attribute's tensor":        {node(m{}.text(4, "Constant").bytes(5, m{}.text(1, "value").bytes(5, header("", 1, 2)...)...)), `attribute "value": tensor "": 0 bytes`},
		"graphs within graphs":      {file(nested), "more than 16 graphs within each other"},
	}
}

func TestMalformed(t *testing.T) {
	for name, c := range malformed() {
		t.Run(name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(c.data))
			require.ErrorContains(t, err, c.want)
			assert.True(t, strings.HasPrefix(err.Error(), "onnx: "))
			assert.Less(t, len(err.Error()), 2000)
		})
	}
}

func TestReadersError(t *testing.T) {
	torn := errors.New("disk torn")
	_, err := Read(iotest.ErrReader(torn))
	assert.Equal(t, torn, err)
}

func TestErrorsAreShort(t *testing.T) {
	evil := strings.Repeat("\x1b[2J\u202e", 10_000)
	for _, data := range [][]byte{
		withTensors(header(evil, 1, 1)),
		withTensors(header(evil, 1).float(4, 1), header(evil, 1).float(4, 1)),
		file(m{}.bytes(1, m{}.text(4, evil).text(3, evil).text(1, evil)...)),
		file(m{}.bytes(1, m{}.text(4, evil).bytes(5, m{}.text(1, evil).int(5, 1)...)...)),
		file(m{}.bytes(12, value(evil, 1)...)),
		append(file(nil), m{}.bytes(14, m{}.text(1, evil)...).bytes(14, m{}.text(1, evil)...)...),
	} {
		_, err := Read(bytes.NewReader(data))
		require.Error(t, err)
		assert.Less(t, len(err.Error()), 2000)
		for _, r := range err.Error() {
			require.True(t, unicode.IsPrint(r), "%q", err)
		}
	}
}

// TestMemory tests the factor that SECURITY.md promises, on the texts that need most.
func TestMemory(t *testing.T) {
	const size = 1 << 19
	many := func(field []byte) []byte { return bytes.Repeat(field, size/len(field)) }
	names := func(field func(name string) []byte) (b []byte) {
		for i := 0; len(b) < size; i++ {
			b = append(b, field(strconv.FormatInt(int64(i), 36))...)
		}
		return b
	}
	for name, data := range map[string][]byte{
		"raw":        withTensors(header("a", 2, size).bytes(9, make([]byte, size)...)),
		"floats":     withTensors(append(header("a", 1, size/5), many(m{}.float(4, 0))...)),
		"int64":      withTensors(header("a", 7, size).bytes(7, make([]byte, size)...)),
		"ints":       file(m{}.bytes(1, m{}.text(4, "A").bytes(5, m{}.text(1, "a").bytes(8, make([]byte, size)...)...)...)),
		"inputs":     file(m{}.bytes(1, append(m{}.text(4, "A"), many(m{}.text(1, ""))...)...)),
		"nodes":      file(many(m{}.bytes(1, m{}.text(4, "A")...))),
		"bad nodes":  file(many(m{}.bytes(1))),
		"outputs":    file(names(func(n string) []byte { return m{}.bytes(1, m{}.text(4, "A").text(2, n)...) })),
		"attributes": file(m{}.bytes(1, append(m{}.text(4, "A"), names(func(n string) []byte { return m{}.bytes(5, m{}.text(1, n)...) })...)...)),
		"strings":    file(m{}.bytes(1, m{}.text(4, "A").bytes(5, append(m{}.text(1, "a"), many(m{}.text(9, ""))...)...)...)),
		"tensors":    file(names(func(n string) []byte { return m{}.bytes(5, header(n, 1, 0)...) })),
		"values":     file(many(m{}.bytes(12))),
		"metadata":   append(file(nil), names(func(n string) []byte { return m{}.bytes(14, m{}.text(1, n)...) })...),
		"unknown":    append(file(nil), many(m{}.int(99, 1))...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Read(bytes.NewReader(data))
		runtime.ReadMemStats(&after)
		used := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %.1f", name, float64(used)/float64(len(data)))
		assert.LessOrEqual(t, used, uint64(48*len(data)+1<<20), name)
	}
}

// TestLayersMemory finds layers in files whose nodes share a weight or compute constants.
func TestLayersMemory(t *testing.T) {
	const size = 1 << 18 // numbers
	many := func(n m) (all []m) {
		for i := range 1000 {
			all = append(all, slices.Concat(n, m{}.text(2, fmt.Sprint(i))))
		}
		return all
	}
	inputs := func(op string, names ...string) m {
		b := m{}.text(4, op)
		for _, name := range names {
			b = b.text(1, name)
		}
		return b
	}
	for name, data := range map[string][]byte{
		"MatMul":             oneNode([]m{number("w", 2, size/2)}, many(inputs("MatMul", "x", "w"))...),
		"Gemm":               oneNode([]m{number("w", 2, size/2), number("b", size/2)}, many(inputs("Gemm", "x", "w", "b"))...),
		"RNN":                oneNode([]m{number("w", 1, 2, size/2), number("r", 1, 2, 2)}, many(inputs("RNN", "x", "w", "r"))...),
		"LayerNormalization": oneNode([]m{number("s", size)}, many(inputs("LayerNormalization", "x", "s"))...),
		"Conv":               oneNode([]m{number("w", 2, 2, size/4)}, many(inputs("Conv", "x", "w"))...),
		"Gather":             oneNode([]m{number("w", 2, size/2)}, many(inputs("Gather", "w", "x"))...),
		"small":              oneNode([]m{number("w", 1, 1)}, many(inputs("MatMul", "x", "w"))...),
		"small, many":        oneNode([]m{number("w", 1, 1)}, slices.Repeat([]m{m{}.text(4, "MatMul").text(1, "x").text(1, "w").text(2, "")}, 100_000)...),
		"names":              oneNode(nil, many(inputs("A", "x"))...),
	} {
		model := read(t, data)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		model.Layers()
		runtime.ReadMemStats(&after)
		used := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %.1f", name, float64(used)/float64(len(data)))
		assert.LessOrEqual(t, used, uint64(64*len(data)+1<<20), name)
	}
}

// realModel reads a file below the folder that a variable of the environment names. It skips the test where there is none.
func realModel(t testing.TB, variable, name string) *Model {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		t.Skipf("%s does not name the folder of %s", variable, name)
	}
	f, err := os.Open(filepath.Join(dir, name))
	require.NoError(t, err)
	defer f.Close()
	model, err := Read(f)
	require.NoError(t, err)
	return model
}

func TestReadSilero(t *testing.T) {
	model := realModel(t, "UNROLL_SILERO", "silero_vad_16k_op15.onnx")
	assert.Equal(t, "pytorch 2.3.1", model.Producer)
	assert.EqualValues(t, 15, model.Opset)
	assert.Len(t, model.Tensors, 15)
	assert.Equal(t, []int{512, 128}, model.Tensor("model.decoder.rnn.weight_ih").Shape)
	assert.Equal(t, []int{258, 1, 256}, model.Tensor("model.stft.forward_basis_buffer").Shape)
}

func FuzzRead(f *testing.F) {
	for _, c := range malformed() {
		if len(c.data) < 10_000 {
			f.Add(c.data)
		}
	}
	for _, c := range refusedLayers() {
		f.Add(c.data)
	}
	for _, name := range []string{"torch_script_tokens", "torch_unfolded_lstm", "torch_script_gru", "keras"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".onnx"))
		require.NoError(f, err)
		f.Add(data)
	}
	f.Add(withTensors(header("raw", 1, 2, 1).bytes(9, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0), header("i", 7, 2).bytes(7, varints(-1, 3)...)))
	f.Fuzz(func(t *testing.T, data []byte) {
		model, err := Read(bytes.NewReader(data))
		if err != nil {
			for _, r := range err.Error() {
				require.True(t, unicode.IsPrint(r), "%q", err)
			}
			return
		}
		found, err := model.Layers()
		if err != nil {
			for _, r := range err.Error() {
				require.True(t, unicode.IsPrint(r), "%q", err)
			}
		}
		for _, l := range found {
			require.NotEmpty(t, l.Weights)
			require.NotNil(t, l.Config)
		}
		for i := range model.Tensors {
			n := 1
			for _, d := range model.Tensors[i].Shape {
				n *= d
			}
			require.Len(t, model.Tensors[i].Data, n*model.Tensors[i].DType.Bits()/8)
		}
	})
}
