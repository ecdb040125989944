// Package unroll is the landing page of a library for learning on sequences: recurrent layers, trained by full or truncated
// backpropagation through time, and everything that a model needs around them. It is written in Go, without cgo,
// and runs on processors, not on graphics cards.
//
// This package holds no code. The example below is a whole program; the README has another one, and the folder
// examples has programs with data, progress lines and pictures.
//
// # Models
//
//   - [github.com/unroll-go/unroll/rnn]: the recurrent layers Elman, LSTM, GRU, MinGRU and IndRNN, stacked and bidirectional if wanted,
//     over whole sequences, for the last output alone or step by step; State for streams and Start for a learned initial state; a Stream, or a Chain
//     of Steppers, for one sequence with nothing around it;
//     Fused for a cell of your own, whose functions see a Frame; Unroll for a recurrence composed of operations
//   - [github.com/unroll-go/unroll/layers]: the layers without a state: Dense and its DenseStream, Conv1D over time and its
//     Conv1DStream and Conv1DWindow, MaxPool1D and AvgPool1D, Embedding, LayerNorm, Dropout, DotAttention and
//     AdditiveAttention, Sequential and Func
//   - [github.com/unroll-go/unroll/autograd]: weights, tapes, gradients and the operations that models are composed of: start
//     here for an operation of your own
//   - [github.com/unroll-go/unroll/autograd/gradcheck]: compares the gradient of an operation or a layer of your own with differences of
//     the loss
//   - [github.com/unroll-go/unroll/tensor]: numbers with a shape, and their conversion from and to gonum's matrices
//   - [github.com/unroll-go/unroll/safetensors]: weights and states from and to files, by the names that PyTorch gives them
//   - [github.com/unroll-go/unroll/torchfile]: weights out of PyTorch's own files, .pt and .pth, without running their pickles
//   - [github.com/unroll-go/unroll/onnx]: weights out of ONNX files of PyTorch, Keras and others, and an Export of models for ONNX Runtime
//
// # Training
//
//   - [github.com/unroll-go/unroll/loss]: the losses SparseSoftmaxCrossEntropy, CrossEntropy with class weights and
//     smoothing, BCEWithLogits, MSE, L1, Huber and Quantile
//   - [github.com/unroll-go/unroll/optim]: the optimizers SGD, Adam, AdamW, RMSProp, Adagrad and Lion, Groups of them with
//     settings of their own, clipping of gradients, schedules of the learning rate and Plateau, and EMA, a moving average of the
//     weights
//   - [github.com/unroll-go/unroll/train]: Step, the gradient of one batch on all cores; Evaluator, a model run over data on all cores; History;
//     Skips of batches that are not finite, EarlyStopping, RangeTest for a learning rate, Norms of the layers;
//     Loop, batches of a training that can be interrupted, and Checkpoint, all its parts in a file, with the Settings that must not change
//   - [github.com/unroll-go/unroll/metrics]: TopK accuracy, ConfusionMatrix with precision, recall and F1, Regression errors, Perplexity
//     and Mean
//   - [github.com/unroll-go/unroll/tensorboard]: files for TensorBoard: curves, histograms, pictures and texts of a training
//
// # Data
//
//   - [github.com/unroll-go/unroll/dataset]: a Batch of examples from a source: Images, Tensors, CSV with its Table, Windows
//     over series, Sequences of different lengths, Text with its Vocabulary, Pairs for an encoder and a decoder, a Join of several and the Standardizer; Streams of documents (DocumentFunc, files, sources) for truncated backpropagation through time; Rows are the examples of a batch or of a part of a source
//   - [github.com/unroll-go/unroll/dataset/mnist]: MNIST, Fashion-MNIST and KMNIST, downloaded or from files
//   - [github.com/unroll-go/unroll/dataset/wav]: sounds from and to WAV files, and their conversion to other sampling rates
//   - [github.com/unroll-go/unroll/dataset/npy]: arrays from and to NumPy's .npy and .npz files, as data or as weights
//   - [github.com/unroll-go/unroll/dataset/digits]: pictures of digits that are drawn, not downloaded
//
// # Trained models
//
//   - [github.com/unroll-go/unroll/decode]: sequences of tokens from logits: a Sampler with temperature, top-k and nucleus, and Beam, a search over the
//     steps of any model
//   - [github.com/unroll-go/unroll/vad]: speech in sounds, by the network and weights of Silero VAD: streams, stretches of speech, training
//
// # How the parts work together
//
// An autograd.Params is the named set of a model's weights. Goroutines may share it, and nothing but an optimizer's step
// changes it. A layer is a small immutable struct of weights with a method Forward. An autograd.Tape is one run of a model
// by one goroutine: it owns the activations, the gradients, the mode (training or inference) and the randomness of the run,
// and Reset reuses its memory for the next run. An rnn.Carry is the state of a recurrent layer on a tape, so that a
// sequence which continues from it keeps its gradient; an rnn.State is the same state as plain numbers, which live on
// between runs and carry no gradient. The work on a batch is divided by its rows, never within an operation, and the same
// seed gives the same bits for any number of goroutines.
//
// Sequences are time-major, [T,B,F]: steps, rows of the batch, features.
package unroll
