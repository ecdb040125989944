package onnx_test

import (
	"bytes"
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/onnx"
	"github.com/unroll-go/unroll/rnn"
)

// A classifier of sequences is exported. The file is read, and its weights are set in a model that is made by what the file tells.
func Example() {
	params := autograd.NewParams(42)
	config := rnn.LSTMConfig{Input: 28, Hidden: 16, Layers: 2}
	rnn.NewLSTM(params.In("rnn"), config)
	head := layers.NewDense(params.In("head"), 16, 10)

	var e onnx.Export
	x := e.Input("x", onnx.Time, onnx.Batch, 28)
	h := e.LSTM(x, params.In("rnn"), config, onnx.Options{Lengths: e.Lengths("lengths")}).Last
	e.Output("probabilities", e.Forward(layers.Sequential{head, layers.Func(autograd.Softmax)}, h))
	var file bytes.Buffer
	if err := e.Write(&file); err != nil {
		panic(err)
	}

	model, err := onnx.Read(&file)
	if err != nil {
		panic(err)
	}
	fmt.Println(model.Inputs, model.Outputs)
	found, err := model.Layers()
	if err != nil {
		panic(err)
	}
	for _, l := range found {
		fmt.Println(l.Node.Op, l.Node.Name, l.Weights[0].Name, l.Weights[0].Shape)
	}

	other := autograd.NewParams(7)
	read := found[0].Config.(rnn.LSTMConfig)
	read.Layers = 2
	rnn.NewLSTM(other.In("rnn"), read)
	layers.NewDenseWith(other.In("head"), found[2].Config.(layers.DenseConfig))
	for prefix, nodes := range map[string][]*onnx.Layer{"rnn": found[:2], "head": found[2:]} {
		if err := onnx.Set(other.In(prefix), nodes...); err != nil {
			panic(err)
		}
	}
	same := true
	for w := range params.All() {
		for i, v := range other.Get(w.Name).Value.Data() {
			same = same && v == w.Value.Data()[i]
		}
	}
	fmt.Println("the same weights:", same)
	// Output:
	// [{x F32 [-1 -1 28]} {lengths I32 [-1]}] [{probabilities F32 [-1 10]}]
	// LSTM rnn.LSTM_l0 weight_ih_l0 [64 28]
	// LSTM rnn.LSTM_l1 weight_ih_l0 [64 16]
	// MatMul head.weight.product weight [10 16]
	// the same weights: true
}

// A model that streams takes its state as an input and returns it as an output. ONNX has no zoneout.
func ExampleExport() {
	params := autograd.NewParams(42)
	config := rnn.GRUConfig{Input: 3, Hidden: 8}
	rnn.NewGRU(params.In("rnn"), config)

	var e onnx.Export
	start := onnx.State{H: e.Input("h0", 1, onnx.Batch, 8)}
	run := e.GRU(e.Input("x", onnx.Time, onnx.Batch, 3), params.In("rnn"), config, onnx.Options{Start: start})
	e.Output("y", run.Y)
	e.Output("hn", run.End.H)
	var file bytes.Buffer
	fmt.Println(e.Write(&file))

	config.Zoneout = 0.1
	e = onnx.Export{}
	e.Output("y", e.GRU(e.Input("x", onnx.Time, onnx.Batch, 3), params.In("rnn"), config, onnx.Options{}).Y)
	fmt.Println(e.Write(&file))
	// Output:
	// <nil>
	// onnx.Export: rnn has Zoneout, which ONNX has no operator for
}
