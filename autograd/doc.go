// Package autograd holds a model's weights and computes gradients: reverse-mode automatic
// differentiation over coarse operations, one for a whole recurrent layer or a loss.
//
// There are three main types. [Params] is the named set of weights, shared and read-only between optimizer
// steps. [Tape] is one run of a model by one goroutine: a layer's Forward takes a [Node] and
// returns a Node, and a training tape records the operation in between. [Node.Backward] of the loss then runs the recorded
// operations from the last to the first and adds up the gradients; the gradients of the weights are in the tape's [Grads].
// [Tape.Reset] begins the next run in the same memory.
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
// Each layer and each loss is one operation. Other models are composed of
//
//   - [Add], [Sub], [Mul] and [Div], whose operands broadcast by NumPy's rules; [Scale] and [MatMul];
//   - [Tanh], [Sigmoid], [ReLU], [GELU], [Exp], [Log], [Softmax], [LogSoftmax] and [Dropout];
//   - [Sum], [Mean] and [Max] over all elements; [SumDim], [MeanDim] and [MaxDim] along a dimension;
//   - [Concat], [Slice], [Gather], [Reshape] and [Transpose];
//   - for sequences of different lengths, whose padding they do not read: [MaskedSoftmax], [MeanSteps], [MaskSteps], and
//     [DotSteps] and [SumSteps], the products of attention.
//
// Other operations, and faster ones, are written with [Record] and checked with package gradcheck.
//
// # Laws
//
// A node is valid until Reset; copy its numbers to keep them longer. Backward is called once a run. Weights change only in
// [Params.Update], and never while a tape runs. Goroutines may share a Params; a Tape belongs to one goroutine.
//
// # Errors
//
// The caller's bugs (shapes that do not fit, a node of an earlier run, a name given twice) panic with
// a [*ShapeError] or a [*UsageError]; [Try] turns such a panic into an error for programs that must continue. Faults of the
// data (a label out of range, a loss that is not finite) are errors: operations report them with [Tape.Fail], and Backward
// returns them.
package autograd
