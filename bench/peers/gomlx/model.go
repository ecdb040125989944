package main

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// cells are the recurrent layers by name. They return the last state, [batch,hidden].
var cells = map[string]func(scope *model.Scope, x *Node, hidden int) *Node{"elman": elman, "lstm": lstm}

// newStep returns what trains a model by one batch and tells its loss: pictures, a recurrent layer, its last state to
// ten logits, the mean cross-entropy, Adam. The graph is built and compiled when it is called first.
func newStep(backend compute.Backend, j job) (*model.ExecOneOutput, error) {
	cell := cells[j.Cell]
	if cell == nil {
		return nil, fmt.Errorf("cell %q", j.Cell)
	}
	adam := optimizer.Adam().LearningRate(1e-3).Betas(0.9, 0.999).Epsilon(1e-8).Done()
	return model.NewExec1(backend, model.NewStore(), func(scope *model.Scope, x, classes *Node) *Node {
		scope = scope.WithInitializer(initializer.GlorotUniformFn(scope)) // zeros for biases
		logits := layers.DenseWithBias(scope, cell(scope.In("%s", j.Cell), x, j.Hidden), 10)
		mean := ReduceAllMean(loss.SparseCategoricalCrossEntropyLogits([]*Node{classes}, []*Node{logits}))
		adam.UpdateGraph(scope, x.Graph(), mean)
		return mean
	})
}

// elman is a layer of tanh(W x + U h + b), a graph of all steps.
func elman(scope *model.Scope, x *Node, hidden int) *Node {
	in := newInputs(x, hidden)
	dense := in.dense(scope)
	h := in.zeros(in.batch, hidden)
	for t := range in.steps {
		h = Tanh(dense(in.at(t, h)))
	}
	return h
}

// lstm is a layer of LSTM cells, a graph of all steps. It takes a third of the time of GoMLX's own, whose gradient
// adds up arrays as large as all steps for each gate of each step.
func lstm(scope *model.Scope, x *Node, hidden int) *Node {
	in := newInputs(x, hidden)
	input, forget := in.dense(scope.In("input")), in.dense(scope.In("forget"))
	output, change := in.dense(scope.In("output")), in.dense(scope.In("change"))
	h := in.zeros(in.batch, hidden)
	c := h
	for t := range in.steps {
		xh := in.at(t, h)
		c = Add(Mul(Sigmoid(forget(xh)), c), Mul(Sigmoid(input(xh)), Tanh(change(xh))))
		h = Mul(Sigmoid(output(xh)), Tanh(c))
	}
	return h
}

// inputs are what a cell sees at each step: the step's row of pixels, its own state and some zeros, side by side. One
// product of that is faster than one of all pixels up front and one of the state at each step.
type inputs struct {
	x                                    *Node // [batch,steps,features]
	batch, steps, features, hidden, zero int
}

// packed is from how many multiplications on the backend packs a product's operands. It is then so much faster that
// zeros pay: a batch of 150 with 28 pixels and 150 units falls short of it by 5 %.
const packed = 4 << 20

func newInputs(x *Node, hidden int) inputs {
	d := x.Shape().Dimensions
	in := inputs{x, d[0], d[1], d[2], hidden, 0}
	width, row := in.features+hidden, in.batch*hidden
	if zero := (packed+row-1)/row - width; zero > 0 && zero <= width/8 {
		in.zero = zero
	}
	return in
}

// at returns what the cell sees at a step.
func (in inputs) at(step int, h *Node) *Node {
	row := Reshape(Slice(in.x, AxisRange(), AxisElem(step)), in.batch, in.features)
	return in.join(1, row, h, in.zeros(in.batch, in.zero))
}

// dense returns a layer from what a cell sees to hidden units.
func (in inputs) dense(scope *model.Scope) func(xh *Node) *Node {
	variable := func(name string, shape ...int) *Node {
		return scope.VariableWithShape(name, shapes.Make(dtypes.Float32, shape...)).NodeValue(in.x.Graph())
	}
	w, u := variable("W", in.features, in.hidden), variable("U", in.hidden, in.hidden)
	wu := in.join(0, w, u, in.zeros(in.zero, in.hidden))
	b := ExpandLeftToRank(variable("b", in.hidden), 2)
	return func(xh *Node) *Node { return Add(Dot(xh, wu).Product(), b) }
}

// join concatenates x and h, and zeros if there are any.
func (in inputs) join(axis int, x, h, zeros *Node) *Node {
	if in.zero == 0 {
		return Concatenate([]*Node{x, h}, axis)
	}
	return Concatenate([]*Node{x, h, zeros}, axis)
}

func (in inputs) zeros(shape ...int) *Node {
	return Zeros(in.x.Graph(), shapes.Make(dtypes.Float32, shape...))
}
