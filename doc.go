// Package unroll is the landing page of a library for learning on sequences: recurrent layers trained by
// backpropagation through time, full or truncated, and what a model needs around them. It is pure Go.
//
// It holds no code; the packages are:
//
//   - [github.com/unroll-go/unroll/rnn]: recurrent layers, Elman and LSTM: whole sequences, last outputs, single steps
//   - [github.com/unroll-go/unroll/layers]: the dense layer
//   - [github.com/unroll-go/unroll/loss]: sparse softmax cross-entropy
//   - [github.com/unroll-go/unroll/optim]: Adam, clipping
//   - [github.com/unroll-go/unroll/train]: one data-parallel gradient step, evaluation, history
//   - [github.com/unroll-go/unroll/metrics]: top-k accuracy, means
//   - [github.com/unroll-go/unroll/dataset]: batches from sources of examples; MNIST and drawn digits below it
//   - [github.com/unroll-go/unroll/safetensors]: weights to and from files, PyTorch's too
//   - [github.com/unroll-go/unroll/autograd]: weights, tapes, gradients; the place to start for operations of your own
//   - [github.com/unroll-go/unroll/tensor]: numbers with a shape, and gonum's views of them
//
// # In five sentences
//
// autograd.Params is the named set of weights: shared, and read-only between optimizer steps. A layer is a
// small immutable struct of weights with a Forward. An autograd.Tape is one run through a model by one
// goroutine: it owns activations, gradients, mode and randomness, and Reset reuses all of it. An rnn.State is
// plain numbers that live between runs, an rnn.Carry the same thing on a tape: a sequence handed on as a Carry
// keeps its gradient, handed on as a State it does not. Work is parallel over the rows of a batch, never
// inside an operation, and the same seed gives the same bits for any number of goroutines.
//
// The README has a whole program, and examples/mnist a larger one.
package unroll
