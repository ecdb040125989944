package rnn_test

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
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
