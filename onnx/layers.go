package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/safetensors"
)

// Layer is a node with weights, as a layer of this library has them.
type Layer struct {
	Node *Node
	// Config says how to make the layer: an [rnn.ElmanConfig], [rnn.LSTMConfig] or [rnn.GRUConfig] of one layer, a
	// [layers.DenseConfig], a [layers.Conv1DConfig], or the [Norm] or [Table] of this package.
	Config any
	// Reverse is set for a recurrent node that reads each sequence from its end and has no other direction. There is no such
	// layer here: reverse the steps of its input and of its output.
	Reverse bool
	// Weights have the names, layouts and order of gates of the layers here, which are PyTorch's: "weight_ih_l0", "weight".
	// Their numbers are F32. Layers that share a weight share its memory: do not change it.
	Weights []safetensors.Tensor
}

// Norm is the Config of a LayerNormalization, a [layers.LayerNorm] here.
type Norm struct {
	Features int
	Eps      float64
}

// Table is the Config of a Gather from a matrix of weights, a [layers.Embedding] here.
type Table struct{ Vocabulary, Features int }

// Layers returns all nodes that have weights, in their order. A weight may also be computed from initialisers, by the nodes by which
// exporters transpose, cut and join weights. The error for a node that no layer here can compute names the node and
// the reason; [Graph.Layer] reads the others.
//
// Recognised are RNN, LSTM and GRU, Gemm, MatMul and Conv (with the Add of a bias, if that follows), LayerNormalization, and Gather
// from a matrix of numbers. The initial states of recurrent nodes are not weights. Graphs within nodes, as those of If and Loop, are
// not searched.
func (g *Graph) Layers() ([]*Layer, error) {
	c := g.constants()
	var all []*Layer
	for i := range g.Nodes {
		l, err := c.layer(&g.Nodes[i])
		if err != nil {
			return nil, err
		}
		if l != nil {
			all = append(all, l)
		}
	}
	return all, nil
}

// Layer returns the layer of one node: the first whose name, or whose first output, is name.
func (g *Graph) Layer(name string) (*Layer, error) {
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Name != name && (len(n.Outputs) == 0 || n.Outputs[0] != name) {
			continue
		}
		l, err := g.constants().layer(n)
		if err == nil && l == nil {
			err = fmt.Errorf("onnx: node %s is a %s without weights that a layer here has", quote.Text(name), quote.Name(n.Op))
		}
		return l, err
	}
	return nil, fmt.Errorf("onnx: no node has the name %s", quote.Text(name))
}

// Set sets weights under p's prefix, all those of one layer: to the weights of found or, for a recurrent layer of several
// layers, to those of several nodes, the lowest first. Names and shapes must be the same on both sides. On any
// error no weight is changed.
//
// Make the layer by the Config of found, which tells what shapes do not: the activation of an RNN, whether a GRU resets before the
// product, the Eps of a normalisation.
func Set(p *autograd.Params, found ...*Layer) error {
	f := &safetensors.File{}
	for k, l := range found {
		for _, t := range l.Weights {
			if before, after, recurrent := strings.Cut(t.Name, "_l0"); recurrent {
				t.Name = before + "_l" + strconv.Itoa(k) + after
			} else if k > 0 {
				return errors.New("onnx.Set: several nodes are given, want one for a layer that is not recurrent")
			}
			f.Tensors = append(f.Tensors, t)
		}
	}
	if _, err := (safetensors.Loading{}).Apply(f, p); err != nil {
		return fmt.Errorf("onnx.Set: %w", err)
	}
	return nil
}

// reader reads the weights of one node.
type reader struct {
	*constants
	*Node
}

// layer returns the layer of a node, or nil if the node has no weights.
func (c *constants) layer(n *Node) (l *Layer, err error) {
	r := reader{c, n}
	if n.Domain == "" {
		switch n.Op {
		case "RNN", "LSTM", "GRU":
			l, err = r.recurrent()
		case "Gemm":
			l, err = r.gemm()
		case "MatMul":
			l, err = r.matMul()
		case "Conv":
			l, err = r.conv()
		case "LayerNormalization":
			l, err = r.layerNorm()
		case "Gather":
			l, err = r.table()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("onnx: %s %s: %w", n.Op, quote.Text(r.title()), err)
	}
	if l != nil {
		l.Node = n
	}
	return l, nil
}

// title returns the name of a node or, if it has none, of its first output.
func (n *Node) title() string {
	if n.Name == "" && len(n.Outputs) > 0 {
		return n.Outputs[0]
	}
	return n.Name
}

func (r reader) input(i int) string {
	if i < len(r.Inputs) {
		return r.Inputs[i]
	}
	return ""
}

// array is a constant: its name, its numbers and its shape.
type array struct {
	name   string
	values []float32
	shape  []int
}

// array returns input i, nil if it is left out. Its shape must have rank dimensions.
func (r reader) array(i int, what string, rank int) (*array, error) {
	name := r.input(i)
	if name == "" {
		return nil, nil
	}
	if r.variable(i) {
		return nil, r.notConstant(i, what)
	}
	values, shape, err := r.float32s(name)
	if err != nil {
		return nil, err
	}
	if len(shape) != rank {
		return nil, fmt.Errorf("%s has shape %v, want %d dimensions", what, shape, rank)
	}
	return &array{name, values, shape}, nil
}

// variable reports whether input i is no constant.
func (r reader) variable(i int) bool { return !r.known[r.input(i)] }

// notConstant returns the error for input i, which should be a constant.
func (r reader) notConstant(i int, what string) error {
	by := "an input of the graph"
	if n := r.nodes[r.input(i)]; n != nil {
		by = "computed by " + quote.Name(n.Op)
	}
	return fmt.Errorf("%s, %s, is %s, want an initialiser", what, quote.Text(r.input(i)), by)
}

// allow returns an error for an attribute that is not among names.
func (r reader) allow(names ...string) error {
	for _, a := range r.Attributes {
		if !slices.Contains(names, a.Name) {
			return fmt.Errorf("attribute %s is not known", quote.Text(a.Name))
		}
	}
	return nil
}

func (n *Node) int(name string, otherwise int64) int64 {
	if a := n.Attribute(name); a != nil {
		return a.Int
	}
	return otherwise
}

func (n *Node) float(name string, otherwise float32) float32 {
	if a := n.Attribute(name); a != nil {
		return a.Float
	}
	return otherwise
}

// gateOrders are the places of PyTorch's gates among those of ONNX: i, o, f, c instead of i, f, g, o; z, r, h instead of r, z, n.
var gateOrders = map[string][]int{"RNN": {0}, "LSTM": {0, 2, 3, 1}, "GRU": {1, 0, 2}}

// peepholes are the places of i, f, o among i, o, f.
var peepholes = []int{0, 2, 1}

// reordered returns blocks of values, which are as many as order, in another order.
func reordered(values []float32, order []int) []float32 {
	block := len(values) / len(order)
	to := make([]float32, 0, len(values))
	for _, k := range order {
		to = append(to, values[k*block:][:block]...)
	}
	return to
}

func (r reader) recurrent() (*Layer, error) {
	relu, err := r.checkRecurrent()
	if err != nil {
		return nil, err
	}
	order := gateOrders[r.Op]
	gates := len(order)
	w, err := r.array(1, "W", 3)
	if err != nil {
		return nil, err
	}
	rec, err := r.array(2, "R", 3)
	if err != nil {
		return nil, err
	}
	bias, err := r.array(3, "B", 2)
	if err != nil {
		return nil, err
	}
	var peephole *array
	if r.Op == "LSTM" {
		if peephole, err = r.array(7, "P", 2); err != nil {
			return nil, err
		}
	}
	if w == nil || rec == nil {
		return nil, errors.New("it has no W or no R")
	}

	l := &Layer{}
	directions := 1
	switch direction := r.Attribute("direction"); {
	case direction == nil || direction.Text == "forward":
	case direction.Text == "reverse":
		l.Reverse = true
	case direction.Text == "bidirectional":
		directions = 2
	default:
		return nil, fmt.Errorf("direction is %s", quote.Text(direction.Text))
	}
	hidden, in := rec.shape[2], w.shape[2]
	fits := hidden > 0 && in > 0 && int64(hidden) == r.int("hidden_size", int64(hidden)) &&
		slices.Equal(w.shape, []int{directions, gates * hidden, in}) && slices.Equal(rec.shape, []int{directions, gates * hidden, hidden}) &&
		(bias == nil || slices.Equal(bias.shape, []int{directions, 2 * gates * hidden})) &&
		(peephole == nil || slices.Equal(peephole.shape, []int{directions, 3 * hidden}))
	if !fits {
		return nil, fmt.Errorf("the shapes of its weights do not fit: W %v, R %v, want [%d %d*hidden input] and [%d %d*hidden hidden], B [%d 2*%d*hidden], "+
			"P [%d 3*hidden], hidden_size %d", w.shape, rec.shape, directions, gates, directions, gates, directions, gates, directions, r.int("hidden_size", int64(hidden)))
	}

	for d := range directions {
		suffix := "_l0" + strings.Repeat("_reverse", d)
		add := func(name string, from *array, parts, part int, order []int, shape ...int) {
			key := fmt.Sprint(r.Op, directions, name, suffix, " ", from.name)
			l.Weights = append(l.Weights, r.weight(key, name+suffix, func() []float32 {
				values := from.values[len(from.values)/directions*d:][:len(from.values)/directions]
				return reordered(values[len(values)/parts*part:][:len(values)/parts], order)
			}, shape...))
		}
		add("weight_ih", w, 1, 0, order, gates*hidden, in)
		add("weight_hh", rec, 1, 0, order, gates*hidden, hidden)
		if bias != nil {
			add("bias_ih", bias, 2, 0, order, gates*hidden)
			add("bias_hh", bias, 2, 1, order, gates*hidden)
		}
		if peephole != nil {
			add("weight_peephole", peephole, 1, 0, peepholes, 3*hidden)
		}
	}
	both, noBias := directions == 2, bias == nil
	switch r.Op {
	case "RNN":
		l.Config = rnn.ElmanConfig{Input: in, Hidden: hidden, Bidirectional: both, NoBias: noBias, ReLU: relu}
	case "LSTM":
		l.Config = rnn.LSTMConfig{Input: in, Hidden: hidden, Bidirectional: both, NoBias: noBias, Peephole: peephole != nil}
	case "GRU":
		l.Config = rnn.GRUConfig{Input: in, Hidden: hidden, Bidirectional: both, NoBias: noBias, ResetBefore: r.int("linear_before_reset", 0) == 0}
	}
	return l, nil
}

// checkRecurrent returns an error for what no layer here computes. It reports whether the activation of an RNN is ReLU.
func (r reader) checkRecurrent() (relu bool, err error) {
	names := []string{"hidden_size", "direction", "layout", "activations", "activation_alpha", "activation_beta", "clip", "output_sequence"}
	defaults := []string{"Tanh"}
	switch r.Op {
	case "LSTM":
		names, defaults = append(names, "input_forget"), []string{"Sigmoid", "Tanh", "Tanh"}
	case "GRU":
		names, defaults = append(names, "linear_before_reset"), []string{"Sigmoid", "Tanh"}
	}
	if err := r.allow(names...); err != nil {
		return false, err
	}
	if a := r.Attribute("clip"); a != nil {
		return false, fmt.Errorf("clip is %v; no layer here clips the sums of its gates", a.Float)
	}
	if r.int("input_forget", 0) != 0 {
		return false, errors.New("input_forget is set; no layer here couples the two gates")
	}
	for _, name := range []string{"activation_alpha", "activation_beta"} {
		if a := r.Attribute(name); a != nil && len(a.Floats) > 0 {
			return false, fmt.Errorf("%s begins with %v; no layer here has such an activation", name, a.Floats[0])
		}
	}
	a := r.Attribute("activations")
	if a == nil {
		return false, nil
	}
	if len(a.Texts)%len(defaults) != 0 {
		return false, fmt.Errorf("%d activations, want %d in each direction", len(a.Texts), len(defaults))
	}
	for i, name := range a.Texts {
		relu = r.Op == "RNN" && strings.EqualFold(name, "Relu") && (i == 0 || relu)
		if !strings.EqualFold(name, defaults[i%len(defaults)]) && !relu || i > 0 && r.Op == "RNN" && !strings.EqualFold(name, a.Texts[0]) {
			return false, fmt.Errorf("activations are %s, want %v in each direction (or Relu in all of an RNN)", quote.Texts(a.Texts), defaults)
		}
	}
	return relu, nil
}

// dense returns the layer of a weight [out, in] or, transposed, [in, out], and of a bias [out] or nil.
func (r reader) dense(w *array, transposed bool, bias *array) (*Layer, error) {
	out, in := w.shape[0], w.shape[1]
	values := func() []float32 { return w.values }
	if transposed {
		out, in = in, out
		values = func() []float32 {
			turned := make([]float32, len(w.values))
			for o := range out {
				for i := range in {
					turned[o*in+i] = w.values[i*out+o]
				}
			}
			return turned
		}
	}
	if out < 1 || in < 1 {
		return nil, fmt.Errorf("its weight has shape %v", w.shape)
	}
	l := &Layer{Config: layers.DenseConfig{In: in, Out: out, NoBias: bias == nil}}
	l.Weights = append(l.Weights, r.weight(fmt.Sprint("dense", transposed, " ", w.name), "weight", values, out, in))
	return l, r.addBias(l, bias, out)
}

// addBias adds a bias [out] to the weights, if there is one.
func (r reader) addBias(l *Layer, bias *array, out int) error {
	if bias == nil {
		return nil
	}
	if len(bias.values) != out {
		return fmt.Errorf("its bias has %d elements, want %d", len(bias.values), out)
	}
	l.Weights = append(l.Weights, r.weight("bias "+bias.name, "bias", func() []float32 { return bias.values }, out))
	return nil
}

// gemm reads alpha*A*B + beta*C, if B is a constant and A is not.
func (r reader) gemm() (*Layer, error) {
	if !r.variable(0) || r.variable(1) {
		return nil, nil
	}
	if err := r.allow("alpha", "beta", "transA", "transB"); err != nil {
		return nil, err
	}
	if r.int("transA", 0) != 0 || r.float("alpha", 1) != 1 || r.float("beta", 1) != 1 {
		return nil, fmt.Errorf("transA is %d, alpha %v, beta %v, want 0, 1 and 1", r.int("transA", 0), r.float("alpha", 1), r.float("beta", 1))
	}
	w, err := r.array(1, "B", 2)
	if err != nil {
		return nil, err
	}
	if w == nil {
		return nil, errors.New("it has no B")
	}
	bias, err := r.bias(2)
	if err != nil {
		return nil, err
	}
	return r.dense(w, r.int("transB", 0) == 0, bias)
}

// bias returns a constant [n], or [1,n] and the like.
func (r reader) bias(i int) (*array, error) {
	name := r.input(i)
	if name == "" {
		return nil, nil
	}
	if r.variable(i) {
		return nil, r.notConstant(i, "its bias")
	}
	values, shape, err := r.float32s(name)
	if err == nil && (len(shape) == 0 || shape[len(shape)-1] != len(values)) {
		err = fmt.Errorf("its bias has shape %v, want one dimension", shape)
	}
	return &array{name, values, shape}, err
}

// matMul reads A*B, if B is a constant matrix and A is no constant. The Add of a bias is part of the layer if nothing else reads
// the product.
func (r reader) matMul() (*Layer, error) {
	if !r.variable(0) || r.variable(1) || len(r.Outputs) != 1 {
		return nil, nil
	}
	t, err := r.get(r.input(1))
	if err != nil {
		return nil, err
	}
	if len(t.Shape) != 2 {
		return nil, nil // no layer, but a product with a batch of matrices
	}
	w, err := r.array(1, "B", 2)
	if err != nil {
		return nil, err
	}
	out := w.shape[1]
	bias := r.added(out, func(shape []int) bool { return shape[len(shape)-1] == out })
	return r.dense(w, true, bias)
}

// added returns the constant of n elements that is added to the only output, or nil. Between the node and the Add there may be others that
// change the shape alone, but nothing else may read the values. fits checks the shape of the constant.
func (r reader) added(n int, fits func(shape []int) bool) *array {
	name := r.Outputs[0]
	for range 4 { // more than any exporter writes
		next := r.reads[name]
		if name == "" || r.uses[name] != 1 || next == nil || next.Domain != "" || len(next.Outputs) != 1 {
			return nil
		}
		if next.Op == "Add" && len(next.Inputs) == 2 {
			other := 0
			if next.Inputs[0] == name {
				other = 1
			}
			if !r.known[next.Inputs[other]] {
				return nil
			}
			values, shape, err := r.float32s(next.Inputs[other])
			if err != nil || len(values) != n || len(shape) == 0 || !fits(shape) {
				return nil
			}
			return &array{next.Inputs[other], values, shape}
		}
		if next.Op != "Reshape" && next.Op != "Squeeze" || next.Inputs[0] != name {
			return nil
		}
		name = next.Outputs[0]
	}
	return nil
}

func (r reader) layerNorm() (*Layer, error) {
	if err := r.allow("axis", "epsilon", "stash_type"); err != nil {
		return nil, err
	}
	scale, err := r.array(1, "Scale", 1)
	if err != nil {
		return nil, err
	}
	if scale == nil || len(scale.values) == 0 {
		return nil, errors.New("it has no Scale")
	}
	bias, err := r.array(2, "B", 1)
	if err != nil {
		return nil, err
	}
	features := len(scale.values)
	l := &Layer{Config: Norm{features, float64(r.float("epsilon", 1e-5))}}
	l.Weights = append(l.Weights, r.weight("scale "+scale.name, "weight", func() []float32 { return scale.values }, features))
	if bias == nil {
		zeros := func() []float32 { return make([]float32, features) }
		l.Weights = append(l.Weights, r.weight(fmt.Sprint("zeros", features), "bias", zeros, features))
	}
	return l, r.addBias(l, bias, features)
}

// table reads a Gather from the rows of a constant matrix of floating-point numbers.
func (r reader) table() (*Layer, error) {
	if r.variable(0) || !r.variable(1) || r.int("axis", 0) != 0 {
		return nil, nil
	}
	if _, err := r.get(r.input(0)); err != nil {
		return nil, err
	}
	values, shape, err := r.float32s(r.input(0))
	if err != nil || len(shape) != 2 || len(values) == 0 {
		return nil, nil // no layer, but a choice among whole numbers, such as dimensions
	}
	w := r.weight("table "+r.input(0), "weight", func() []float32 { return values }, shape...)
	return &Layer{Config: Table{shape[0], shape[1]}, Weights: []safetensors.Tensor{w}}, nil
}

// conv reads a convolution over one dimension, also one that is written as a convolution over a picture of height 1.
func (r reader) conv() (*Layer, error) {
	if err := r.allow("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"); err != nil {
		return nil, err
	}
	if len(r.Outputs) != 1 {
		return nil, errors.New("it has several outputs")
	}
	if r.input(1) == "" {
		return nil, errors.New("it has no weights")
	}
	if r.variable(1) {
		return nil, r.notConstant(1, "W")
	}
	values, shape, err := r.float32s(r.input(1))
	if err != nil {
		return nil, err
	}
	space := len(shape) - 2 // dimensions of space; time is number axis of them
	axis := space - 1
	if space == 2 && shape[3] == 1 {
		axis = 0
	}
	if space != 1 && (space != 2 || shape[3-axis] != 1) || len(values) == 0 {
		return nil, fmt.Errorf("its weight has shape %v, want a convolution over one dimension", shape)
	}
	at := func(name string, i, otherwise, n int) (int, error) {
		a := r.Attribute(name)
		switch {
		case a == nil:
			return otherwise, nil
		case len(a.Ints) != n || a.Ints[i] < int64(otherwise) || a.Ints[i] > 1<<30:
			return 0, fmt.Errorf("%s is %v", name, a.Ints[:min(len(a.Ints), maxDims)])
		}
		return int(a.Ints[i]), nil
	}
	c := layers.Conv1DConfig{Out: shape[0], Width: shape[2+axis]}
	group := r.int("group", 1)
	if group < 1 || int64(c.Out)%group != 0 {
		return nil, fmt.Errorf("group is %d for %d channels", group, c.Out)
	}
	c.Groups = int(group)
	c.In = shape[1] * c.Groups
	for _, n := range []struct {
		to                  *int
		name                string
		i, otherwise, count int
	}{
		{&c.Stride, "strides", axis, 1, space}, {&c.Dilation, "dilations", axis, 1, space},
		{&c.PadLeft, "pads", axis, 0, 2 * space}, {&c.PadRight, "pads", space + axis, 0, 2 * space},
	} {
		if *n.to, err = at(n.name, n.i, n.otherwise, n.count); err != nil {
			return nil, err
		}
	}
	if a := r.Attribute("auto_pad"); a != nil && a.Text != "NOTSET" && a.Text != "VALID" {
		if a.Text != "SAME_UPPER" && a.Text != "SAME_LOWER" || c.Stride != 1 {
			return nil, fmt.Errorf("auto_pad is %s with a stride of %d, want pads", quote.Text(a.Text), c.Stride)
		}
		total := c.Dilation * (c.Width - 1)
		c.PadLeft, c.PadRight = total/2, total-total/2
		if a.Text == "SAME_LOWER" {
			c.PadLeft, c.PadRight = c.PadRight, c.PadLeft
		}
	}
	for i := range space {
		if i != axis {
			for _, p := range []int{i, space + i} {
				if pad, err := at("pads", p, 0, 2*space); pad != 0 || err != nil {
					return nil, errors.New("it pads the dimension of size 1")
				}
			}
		}
	}
	l := &Layer{Weights: []safetensors.Tensor{r.weight("conv "+r.input(1), "weight", func() []float32 { return values }, c.Out, shape[1], c.Width)}}
	bias, err := r.array(2, "B", 1)
	if err != nil {
		return nil, err
	}
	if bias == nil {
		bias = r.added(c.Out, func(shape []int) bool { return shape[len(shape)-1] == 1 })
	}
	c.NoBias = bias == nil
	l.Config = c
	return l, r.addBias(l, bias, c.Out)
}
