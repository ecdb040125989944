// Package autograd holds the weights of a model and computes gradients by reverse-mode automatic differentiation. Its
// operations are coarse: a whole recurrent layer or a loss is one operation.
//
// There are three main types. [Params] is the named set of weights, which goroutines share and only read between the
// steps of an optimizer. [Tape] is one run of a model by one goroutine. [Node] is a value on a tape: a layer's Forward
// takes a Node and returns a Node, and a training tape records the operation between them. [Node.Backward] of the loss
// goes through the recorded operations from the last to the first and adds up the gradients. [Tape.Grads] then holds
// the gradients of the weights, a [Grads]. [Tape.Reset] begins the next run in the same memory.
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
// # Weights
//
// [Params.New] makes a weight ([Param]) and fills it by an [Init]: [Zeros], [Constant], [Uniform], [Normal],
// [GlorotUniform], [GlorotNormal] or [Orthogonal]. Layers make their weights under a prefix ([Params.In]), so their names
// are paths such as "rnn.weight_ih_l0"; [Params.Get], [Params.All] and [Params.Named] find them, and [Params.Summary]
// lists them. [Params.Tie] lets two layers share a weight, and Param.Frozen excludes a weight from training.
//
// The model is complete once its set is sealed: [Params.Seal], or the first tape, Grads or optimizer, seals it, and making
// a weight after that panics. [Params.Clone] copies the whole set, for example to keep the best weights so far, and
// [Params.CopyFrom] copies values back. Values that are computed from weights, such as packed copies, are kept in a
// [Derived].
//
// # Operations
//
// Each layer and each loss is one operation. Other models are composed of
//
//   - [Add], [Sub], [Mul] and [Div], whose operands broadcast by NumPy's rules, and [Scale];
//   - [MatMul], also over batches of matrices, and [AddMatMul];
//   - [Tanh], [Sigmoid], [ReLU], [GELU], [Exp], [Log], [Sqrt], [Square], [Pow], [Abs] and [Clamp], element by element, and
//     [Dropout];
//   - [Maximum] and [Minimum] of two operands, and [Where], which takes each element from one of two;
//   - [Softmax] and [LogSoftmax] along the last dimension;
//   - [Sum], [Mean] and [Max] over all elements, and [SumDim], [MeanDim] and [MaxDim] along one dimension;
//   - [Concat], [Slice], [Gather], [Reshape] and [Transpose];
//   - for sequences of different lengths, whose padding they do not read: [MaskedSoftmax], [MeanSteps], [MaxSteps], [MaskSteps],
//     pooling by [MaxWindows] and [MeanWindows], and the two products of attention, [DotSteps] and [SumSteps].
//
// An operation of your own is a type with a method Backward ([Op]). Its forward function gets the tape from [TapeOf], the
// output from [Tape.New] or [Tape.View] and memory to keep from [Tape.Scratch] or [Tape.ScratchInts], and calls [Record].
// Package gradcheck compares its gradients with differences.
//
// # Memory
//
// A tape keeps the values of all nodes for Backward. [Recompute] keeps the inputs and outputs of a part of the model only, such as a window
// of a long text, and computes the part again in Backward: the same gradients for less memory and more time. [JoinMeans] joins the
// losses of such parts to the mean over all that counts.
//
// # Inference
//
// A tape of [NewInference] records nothing and keeps no gradients. A server lends such tapes to its goroutines from a
// [Pool]: [Pool.Run] runs the model on a tape, and [Pool.Update] changes the weights while no run is in progress.
//
// # Weights of losses
//
// A training step divides a batch into shards and runs the model on each of them. If the loss is a mean, the step has to
// know how much each shard's mean counts: the number of rows or labels in it, or the sum of their weights. A loss sets this
// weight of its node by [Node.SetWeight], and linear operations pass it on. In
//
//	l := autograd.Add(loss.CrossEntropy{}.Of(logits, labels), autograd.Scale(loss.MSE{}.Of(y, target), 0.3))
//
// the two means have different weights. [Node.Terms] returns them separately, each a [Term] with a value and a weight, and
// package train joins each over the shards by its own weights; [SameTerms] and [Node.BackwardScaled] are for this. A
// nonlinear operation on a mean, such as [Log], leaves nothing that could be joined over several shards, and Terms returns
// an error that names the operation.
//
// # Rules
//
// A node is valid until Reset; copy its numbers to keep them longer. Backward may be called once in a run. Weights change
// only in [Params.Update], and never while a tape runs. Goroutines may share a Params; a Tape belongs to one goroutine.
//
// # Errors
//
// Bugs of the caller (shapes that do not fit, a node of an earlier run, a name that is given twice) panic with a
// [*ShapeError] or a [*UsageError]; [Try] turns such a panic into an error, for programs that must continue. Faults of the
// data (a label out of range, a loss that is not finite) are errors: an operation reports them with [Tape.Fail], often as
// a [*DataError] that knows the row, and Backward or [Tape.Err] returns them. [ErrNotFinite] and [ErrNoGradient] are the
// errors of Backward itself.
package autograd
