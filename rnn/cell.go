package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// FusedCell is a recurrence as data. The engine derives from it the matrix products of a step, their gradients and the memory that
// they need, and gives the recurrence layers, directions, lengths, truncation, streaming and regularisation. See "A fused cell of your own" in
// the package's text; [Elman], [LSTM] and [GRU] are made of such cells.
type FusedCell struct {
	Name   string // the kind of layer, for errors: "rnn.GRU"
	Gates  string // for errors: a letter for each Hidden rows of weight_ih and weight_hh, such as "rzn"; "": the rows have no names
	Hidden int    // number of units, and width of the second state
	State  int    // width of the state h; 0: Hidden
	C      bool   // there is a second state, which no product reads

	// Sums is the number of floats in a row of sums, to which the terms add their products. 0 means that the sums lie in the place
	// of the new state, and that Apply turns them into the state there.
	Sums int
	// Saved is the number of floats after the sums of a row, which Apply may keep for Backprop.
	Saved int
	// Direct says that Backprop leaves a gradient in DH: the part of the gradient of the state before that does not come through a
	// product. Otherwise what DH holds after Backprop is dropped. If this is wrong, all gradients are, but those of a single step.
	Direct bool

	Weights []Weight // made in this order; Frame.Weight counts them
	Stages  []Stage  // one after the other in a step, and in the reverse order in Backprop
}

// InputWidth in the shape of a [Weight] is the number of features that a layer reads: Input for the first layer, Dirs*H_out for those
// above it.
const InputWidth = -1

// Weight is a matrix or a vector of a cell. Each layer and direction has its own.
type Weight struct {
	Name  string // such as "weight_ih", to which the engine adds the layer and the direction: "weight_ih_l0_reverse"
	Shape []int  // [rows, columns] or [length]
	// Init, if not nil, returns the rule for the first values; rule is the one that [Init] prescribes for such a weight: for a vector zeros, or with
	// PyTorch the same as for a matrix.
	Init func(rule autograd.Init) autograd.Init
}

// Stage is a part of a step: some products, then a function of each unit. Most cells have one stage. A second stage serves a cell with a
// product that reads what the first stage computed.
type Stage struct {
	Terms []Term
	// Apply turns the sums into the new states, or into what the next stage reads. H and C hold arbitrary numbers until a stage writes
	// them. Nil leaves the sums as they are.
	Apply func(f *Frame)
	// Backprop computes DSums, the gradients of all sums of this stage, from DH and DC, the gradients of the states after the step. DSums
	// holds arbitrary numbers before. In DC it leaves the gradient of the second state before the step. If a term of
	// the stage adds to the state (ToState) while the cell has Sums elsewhere, it leaves in DH the gradient of the sums in the place of the
	// state; without Backprop that is DH itself. It is linear in DH and DC: steps at which these are 0 for all rows are skipped.
	Backprop func(f *Frame)
}

// Term adds rows First to First+Rows of a matrix, times a source, to the sums from To on:
//
//	sums[To:To+Rows] += Weight[First:First+Rows]·source + Bias[First:First+Rows]
//
// Terms of one stage with the same place (To and Rows) add up; other places must not overlap. With Gain, the product is normalised before
// it is added (Ba, Kiros & Hinton 2016, "Layer normalization"): the mean of the product's Rows elements is subtracted, the difference is
// divided by sqrt(variance + 1e-5) and multiplied by Gain[First:First+Rows], and the bias is added. First counts in the matrix, the bias
// and the gain, so that rows with a bias stand before rows without.
type Term struct {
	Weight, Bias, Gain string // names of weights; Bias and Gain may be ""
	First, Rows        int
	Source             Source
	From               int // where the columns that FromSums reads begin in a row of sums
	To                 int // place in a row of sums, or ToState
}

// ToState as the place of a [Term] is the new state itself.
const ToState = -1

// Source is what a [Term] multiplies its weight with.
type Source int

const (
	// FromInput is x_t.
	FromInput Source = iota
	// FromState is h_(t-1). Recurrent dropout acts on it, and weight dropout on its matrices.
	FromState
	// FromSums is a part of the row of sums, which an earlier stage computed, from From on. The engine writes its gradient to the same part
	// of the row of DSums before the Backprop of that earlier stage.
	FromSums
)

// Frame is one step of one layer and direction: what Apply and Backprop read and write. Its methods return the part of one row, 0 to Rows-1. Rows
// of the batch that do not have the step are not among them.
type Frame struct {
	plan       *plan
	rows       int
	back       bool         // every other step: go through the weights in the reverse order, since those that the step before read last are still in the cache
	in, read   kernel.Block // what the products read: x_t, and h_(t-1) after recurrent dropout; read has no columns if h_(t-1) is zero
	sums       []float32    // [rows, plan.kept]
	dsums      []float32    // [rows, plan.dsums]
	hBefore, h []float32    // [rows, State]
	cBefore, c []float32    // [rows, Hidden]
	dh, dc     []float32    // [rows, State], [rows, Hidden]
	dhRead     []float32    // [rows, State]; without recurrent dropout the same memory as dh
	vectors
}

// vectors are the weights of a layer and direction in the order of FusedCell.Weights, and their gradients. Nil are weights that the layer does not
// have, and gradients that nobody wants.
type vectors struct {
	weights []*autograd.Param
	grads   [][]float32
}

// Rows returns the number of rows.
func (f *Frame) Rows() int { return f.rows }

// Sums returns the row's sums. Backprop finds in it what Apply left.
func (f *Frame) Sums(row int) []float32 {
	n := f.plan.FusedCell.Sums
	return f.sums[row*f.plan.kept:][:n:n]
}

// Saved returns the row's floats that Apply keeps for Backprop.
func (f *Frame) Saved(row int) []float32 {
	n := f.plan.FusedCell.Saved
	return f.sums[row*f.plan.kept+f.plan.FusedCell.Sums:][:n:n]
}

// HBefore returns h_(t-1) of the row.
func (f *Frame) HBefore(row int) []float32 { return rowAt(f.hBefore, row, f.plan.State) }

// HRead returns h_(t-1) of the row after recurrent dropout, which a cell reads where it multiplies the state by a weight.
func (f *Frame) HRead(row int) []float32 {
	if f.read.Cols == 0 {
		return f.HBefore(row) // which is zero
	}
	return rowAt(f.read.Data, row, f.plan.State)
}

// H returns h_t of the row, which Apply writes. If the cell has no Sums, it holds the sums before Apply.
func (f *Frame) H(row int) []float32 { return rowAt(f.h, row, f.plan.State) }

// CBefore returns the row's second state before the step.
func (f *Frame) CBefore(row int) []float32 { return rowAt(f.cBefore, row, f.plan.Hidden) }

// C returns the row's second state after the step, which Apply writes. In Backprop it is the state after zoneout, while DC is the gradient
// of what Apply wrote: a cell whose output or gates read the new second state keeps it in Saved, or computes it again.
func (f *Frame) C(row int) []float32 { return rowAt(f.c, row, f.plan.Hidden) }

// DSums returns the row's gradients of the sums, which Backprop writes. If the cell has no Sums, they are the gradients of the sums in the
// place of the state.
func (f *Frame) DSums(row int) []float32 {
	return f.dsums[row*f.plan.dsums:][:f.plan.ownSums]
}

// DH returns the row's gradient of h_t. Backprop leaves in it, if the cell is Direct, the part of the gradient of h_(t-1) that does not
// come through a product.
func (f *Frame) DH(row int) []float32 { return rowAt(f.dh, row, f.plan.State) }

// DHRead returns the row's gradient of HRead, to which the Backprop of a Direct cell may add. Without recurrent dropout it is the same
// memory as DH: first write DH, then add to DHRead, as IndRNN does in rnn/indrnn.go.
func (f *Frame) DHRead(row int) []float32 { return rowAt(f.dhRead, row, f.plan.State) }

// DC returns the row's gradient of the second state, after the step on entry and before the step on return.
func (f *Frame) DC(row int) []float32 { return rowAt(f.dc, row, f.plan.Hidden) }

// Weight returns the values of the cell's Weights[k], for a vector that no term multiplies. It panics if NoBias leaves the weight out.
func (f *Frame) Weight(k int) []float32 { return f.weights[k].Value.Data() }

// WeightGrad returns the gradient of the k-th weight, to which Backprop adds, or nil if the weight is frozen.
func (f *Frame) WeightGrad(k int) []float32 { return f.grads[k] }

// rowAt returns one row of v [rows, width].
func rowAt(v []float32, row, width int) []float32 { return v[row*width:][:width:width] }
