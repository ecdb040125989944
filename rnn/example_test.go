package rnn_test

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
)

// Sequence to vector: five steps of a batch of three sequences with two features, read into a state of four units.
func ExampleElman_Last() {
	params := autograd.NewParams(42)
	cell := rnn.NewElman(params.In("rnn"), rnn.ElmanConfig{Input: 2, Hidden: 4})
	tape := autograd.NewInference(params)
	h, end := cell.Last(tape.Input(tensor.New(5, 3, 2)), rnn.Options{})
	fmt.Println(h.Shape(), end.H.Shape())
	for p := range params.All() {
		fmt.Println(p.Name, p.Value.Shape())
	}
	// Output:
	// [3 4] [1 3 4]
	// rnn.weight_ih_l0 [4 2]
	// rnn.weight_hh_l0 [4 4]
	// rnn.bias_ih_l0 [4]
	// rnn.bias_hh_l0 [4]
}

// Streaming: one step at a time, the state kept as plain numbers between runs.
func ExampleLSTM_Step() {
	params := autograd.NewParams(42)
	cell := rnn.NewLSTM(params, rnn.LSTMConfig{Input: 2, Hidden: 4})
	tape, state := autograd.NewInference(params), cell.NewState(1)
	x := tensor.Of([]float32{1, -1}, 1, 2)
	for range 3 {
		tape.Reset()
		y, next := cell.Step(tape.Input(x), state.Carry(tape, 0, 1))
		state.Set(next, 0)
		fmt.Println(y.Shape())
	}
	state.ZeroRow(0) // the next sequence begins
	// Output:
	// [1 4]
	// [1 4]
	// [1 4]
}

// Truncated backpropagation through time: gradients go back three steps, the state goes on.
func ExampleOptions_truncate() {
	params := autograd.NewParams(42)
	cell := rnn.NewElman(params, rnn.ElmanConfig{Input: 1, Hidden: 2})
	tape := autograd.NewTape(params, 0)
	x := tape.Leaf(tensor.New(8, 1, 1))
	h, _ := cell.Last(x, rnn.Options{Truncate: 3})
	if err := autograd.Sum(h).Backward(); err != nil {
		panic(err)
	}
	for t, g := range x.Grad() {
		fmt.Println(t, g != 0)
	}
	// Output:
	// 0 false
	// 1 false
	// 2 false
	// 3 false
	// 4 false
	// 5 true
	// 6 true
	// 7 true
}

// Two directions, two layers: a layer above the first reads both directions of the one below. The weights are
// named as PyTorch's.
func ExampleGRU() {
	params := autograd.NewParams(42)
	cell := rnn.NewGRU(params, rnn.GRUConfig{Input: 3, Hidden: 4, Layers: 2, Bidirectional: true, Dropout: 0.2})
	tape := autograd.NewInference(params)
	y, end := cell.Forward(tape.Input(tensor.New(5, 2, 3)), rnn.Options{})
	fmt.Println(y.Shape(), end.H.Shape())
	for p := range params.All() {
		if strings.HasPrefix(p.Name, "weight_ih") {
			fmt.Println(p.Name, p.Value.Shape())
		}
	}
	// Output:
	// [5 2 8] [4 2 4]
	// weight_ih_l0 [12 3]
	// weight_ih_l0_reverse [12 3]
	// weight_ih_l1 [12 8]
	// weight_ih_l1_reverse [12 8]
}

// Rows of different lengths: padding is never read, and a row's end is that of its own last step.
func ExampleOptions_lengths() {
	params := autograd.NewParams(42)
	cell := rnn.NewLSTM(params, rnn.LSTMConfig{Input: 1, Hidden: 2})
	tape := autograd.NewInference(params)
	nan := float32(math.NaN())
	x := tensor.Of([]float32{
		1, 4, // the first step of both rows
		2, 5,
		3, nan, // the second row has two
	}, 3, 2, 1)
	y, end := cell.Forward(tape.Input(x), rnn.Options{Lengths: []int{3, 2}})
	row := func(step, row int) []float32 { return y.Data()[(step*2+row)*2:][:2] }
	fmt.Println(row(2, 1))
	fmt.Println(slices.Equal(row(1, 1), end.H.Data()[2:]))
	// Output:
	// [0 0]
	// true
}

// A state to start from that is learned with the weights.
func ExampleStart() {
	params := autograd.NewParams(42)
	cell := rnn.NewGRU(params.In("rnn"), rnn.GRUConfig{Input: 1, Hidden: 2})
	start := rnn.NewStart(params.In("start"), cell)
	tape := autograd.NewTape(params, 0)
	h, _ := cell.Last(tape.Input(tensor.New(4, 3, 1)), rnn.Options{Start: start.Carry(tape, 3)})
	if err := autograd.Sum(h).Backward(); err != nil {
		panic(err)
	}
	h0 := params.Get("start.h0")
	fmt.Println(h0.Value.Shape(), tape.Grads().Of(h0)[0] != 0)
	// Output: [1 2] true
}

// A stream reads one sequence step by step, here a chain of a recurrent and a dense layer.
func ExampleStream() {
	params := autograd.NewParams(1)
	gru := rnn.NewGRU(params.In("gru"), rnn.GRUConfig{Input: 2, Hidden: 4})
	head := layers.NewDense(params.In("head"), gru.Out(), 1)
	stream := gru.NewStream()
	chain := rnn.Chain{stream, head.NewStream()}
	for _, x := range [][]float32{{1, 0}, {0, 1}, {1, 1}} {
		fmt.Println(len(chain.Step(x)))
	}
	stream.State().Zero() // another sequence begins
	// Output:
	// 1
	// 1
	// 1
}
