// Package autograd holds a model's weights and computes gradients: reverse-mode automatic
// differentiation over coarse operations, one for a whole recurrent layer or a loss.
//
// Three types carry it. [Params] is the named set of weights, shared and read-only between optimizer
// steps. [Tape] is one run of a model by one goroutine: a layer's Forward takes a [Node] and
// returns a Node, and a training tape records the operation in between. [Node.Backward] on the loss then goes
// through the record from its end and adds up gradients, those of the weights in
// the tape's [Grads]. [Tape.Reset] begins the next run in the same memory.
//
//	params := autograd.NewParams(42)
//	w := params.New("w", autograd.Zeros, 3)
//	tape := autograd.NewTape(params, 1)
//	for ... {
//		tape.Reset()
//		y := autograd.Mul(tape.Param(w), tape.Input(x))
//		loss := autograd.Sum(y)
//		err := loss.Backward()        // gradients are now in tape.Grads().Of(w)
//		...
//	}
//
// # Operations
//
// Layers and losses are operations of their own, one each. What they leave is composed of [Add], [Sub], [Mul], [Div],
// [Scale] and [MatMul]; [Tanh], [Sigmoid], [ReLU], [GELU], [Exp], [Log], [Softmax], [LogSoftmax] and [Dropout]; [Sum],
// [Mean] and [Max], of all elements or along a dimension ([SumDim]); [Concat], [Slice], [Gather], [Reshape] and [Transpose].
// Where two shapes may differ an operation's comment says so. An operation that is missing, or
// that should be fast, is written with [Record], and proved by package gradcheck.
//
// # Laws
//
// A node lives until Reset; what is to live longer is copied out as plain numbers. Backward is called once a run.
// Weights change in [Params.Update] alone, and never while a tape runs. A Params may be shared by goroutines;
// a Tape belongs to one.
//
// # Errors
//
// The caller's bugs (shapes that do not fit, a node of an earlier run, a name given twice) panic with
// a [*ShapeError] or a [*UsageError]; [Try] turns a panic into an error where a program must live
// on. What data can cause (a label out of range, a loss that is not finite) is an error: operations report it with
// [Tape.Fail], Backward returns it.
package autograd
