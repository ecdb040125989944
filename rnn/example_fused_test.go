package rnn_test

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/autograd/gradcheck"
	"github.com/unroll-go/unroll/rnn"
)

// updateGate is the update gate RNN (Collins, Sohl-Dickstein & Sussillo 2017) of h units: h_t = g*h_(t-1) + (1-g)*c.
func updateGate(h int) rnn.FusedCell {
	return rnn.FusedCell{
		Name: "UGRNN", Hidden: h, Sums: 2 * h, Direct: true,
		Weights: []rnn.Weight{
			{Name: "weight_ih", Shape: []int{2 * h, rnn.InputWidth}},
			{Name: "weight_hh", Shape: []int{2 * h, h}},
			{Name: "bias", Shape: []int{2 * h}},
		},
		Stages: []rnn.Stage{{
			Terms: []rnn.Term{
				{Weight: "weight_ih", Bias: "bias", Rows: 2 * h, Source: rnn.FromInput},
				{Weight: "weight_hh", Rows: 2 * h, Source: rnn.FromState},
			},
			Apply: func(f *rnn.Frame) {
				for row := range f.Rows() {
					c, g, before, next := f.Sums(row)[:h], f.Sums(row)[h:], f.HBefore(row), f.H(row)
					rnn.Tanh(c, c)
					rnn.Sigmoid(g, g)
					for j := range next {
						next[j] = c[j] + float32(g[j]*(before[j]-c[j]))
					}
				}
			},
			Backprop: func(f *rnn.Frame) {
				for row := range f.Rows() {
					c, g, dc, dg := f.Sums(row)[:h], f.Sums(row)[h:], f.DSums(row)[:h], f.DSums(row)[h:]
					before, dh := f.HBefore(row), f.DH(row)
					for j, d := range dh {
						dc[j] = d * (1 - g[j]) * (1 - c[j]*c[j])
						dg[j] = d * (before[j] - c[j]) * g[j] * (1 - g[j])
						dh[j] = d * g[j] // reaches h_(t-1) without a product
					}
				}
			},
		}},
	}
}

// A layer of a cell that the package does not have: two layers, two directions, rows of different lengths. Package gradcheck compares its
// gradients with differences.
func ExampleNewFused() {
	params := autograd.NewParams(1)
	layer := rnn.NewFused(params.In("rnn"), updateGate(4), rnn.FusedConfig{Input: 3, Layers: 2, Bidirectional: true})
	x := params.New("x", autograd.Normal(1), 5, 2, 3)
	for p := range params.All() {
		fmt.Println(p.Name, p.Value.Shape())
	}
	err := gradcheck.Check(params, func(t *autograd.Tape) *autograd.Node {
		y, _ := layer.Forward(t.Param(x), rnn.Options{Lengths: []int{5, 3}})
		return gradcheck.Project(y)
	}, gradcheck.Options{})
	fmt.Println("error:", err)
	// Output:
	// rnn.weight_ih_l0 [8 3]
	// rnn.weight_hh_l0 [8 4]
	// rnn.bias_l0 [8]
	// rnn.weight_ih_l0_reverse [8 3]
	// rnn.weight_hh_l0_reverse [8 4]
	// rnn.bias_l0_reverse [8]
	// rnn.weight_ih_l1 [8 8]
	// rnn.weight_hh_l1 [8 4]
	// rnn.bias_l1 [8]
	// rnn.weight_ih_l1_reverse [8 8]
	// rnn.weight_hh_l1_reverse [8 4]
	// rnn.bias_l1_reverse [8]
	// x [5 2 3]
	// error: <nil>
}
