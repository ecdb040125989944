// Package onnx reads models of the format ONNX (Open Neural Network Exchange, https://onnx.ai) and writes models of this library as such
// files. PyTorch, Keras and others write the format, and ONNX Runtime runs it in servers, browsers and telephones.
//
// # Reading
//
// [Read] reads a file: its initialisers, which are weights and other constants, as tensors by name, and its nodes. It does not run
// a model: make the layers here, and give them the weights of the file.
//
//	file, err := os.Open("model.onnx")
//	...
//	model, err := onnx.Read(file)
//
// There are two ways to the weights. [Graph.Layers] finds the nodes that are layers, such as LSTM, GRU or Gemm, and converts their
// weights to the layouts and the order of gates here. Each [Layer] says by its Config how to make the layer, and [Set] sets the weights:
//
//	found, err := model.Layers()
//	...
//	config := found[0].Config.(rnn.GRUConfig)
//	config.Layers = 2 // in ONNX a node has one layer
//	gru := rnn.NewGRU(params.In("gru"), config)
//	err = onnx.Set(params.In("gru"), found[0], found[1])
//
// Print Node.Op, Node.Name and Config of each to see what a file holds. ONNX' recurrent nodes are time-major, [T,B,Input], as layers
// here are; exporters put a Transpose before them for models that are not.
//
// The second way is by name, for files whose initialisers have the names and layouts of PyTorch's state_dict:
//
//	report, err := safetensors.Loading{Prefix: "model.", Partial: true}.Apply(model.File(), params)
//
// Which way a file needs depends on its writer:
//
//   - torch.onnx.export(..., dynamo=False) writes nodes for all layers. The matrices of Linear layers and all weights of recurrent layers lose
//     their names. Biases, convolutions and embeddings keep them.
//   - torch.onnx.export(..., dynamo=True) does so, too, but writes an RNN, unlike an LSTM or a GRU, as the operations of every step: use the
//     former for it. It puts weights into a second file unless external_data=False is given, and Read refuses such files.
//   - an LSTMCell or a GRUCell of PyTorch becomes operations whose weights keep their names, in PyTorch's layout.
//   - tf2onnx writes a node for Keras' LSTM, also in a Bidirectional, for Dense and Conv1D. A GRU and a SimpleRNN of Keras 3 become loops, whose weights
//     are initialisers in Keras' layout.
//
// Read is strict: what the format forbids is an error, and so is what this package cannot represent, such as tensors of strings. The
// memory that it allocates is at most 48 times the bytes that have arrived and 1 MiB, whatever sizes the file tells of, and its tensors
// share the memory of the file where they can. No path or address of a file is ever opened.
//
// # Writing
//
// A model here is a function, so an [Export] must be told what the function does. Its methods are called as those of the layers are,
// in the same order. This model
//
//	h, _ := gru.Last(embedding.Forward(tape, batch), rnn.Options{Lengths: batch.Lengths})
//	logits := head.Forward(h)
//
// is exported by
//
//	var e onnx.Export
//	x := e.Forward(embedding, e.Tokens("tokens"))
//	h := e.GRU(x, params.In("gru"), config, onnx.Options{Lengths: e.Lengths("lengths")}).Last
//	e.Output("logits", e.Forward(head, h))
//	err := e.Save("model.onnx")
//
// A recurrent layer is given as its weights and the configuration that it was made with. The number of steps and of rows are open: a run
// of the file decides them. States are inputs and outputs if the model is to go on where it stopped:
//
//	start := onnx.State{H: e.Input("h0", 1, onnx.Batch, 150)}
//	run := e.GRU(x, params.In("gru"), config, onnx.Options{Start: start})
//	e.Output("hn", run.End.H)
//
// What ONNX has no operator for is an error that names it: a projection, layer normalisation within a cell, zoneout, MinGRU, IndRNN,
// attention, functions of the program's own. Dropout of all kinds does nothing, as in inference.
//
// # The format
//
// A file is one message of protocol buffers, ModelProto of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto). The operators are
// those of https://onnx.ai/onnx/operators. The orders of gates are i, o, f, c for an LSTM and z, r, h for a GRU, where PyTorch and package rnn have i, f,
// g, o and r, z, n; B is [Wb,Rb], bias_ih and bias_hh; P is i, o, f where weight_peephole is i, f, o; linear_before_reset=1 is a GRU that resets after
// the product.
package onnx
