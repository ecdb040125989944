package rnn_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
)

// TestOverlappingPartsOfSums has cells whose gradients would be wrong: a part of the sums, or of their gradients, is written twice. Each must end in
// an error when the layer is made.
func TestOverlappingPartsOfSums(t *testing.T) {
	const h = 4
	from := func(weight string, from, to int) rnn.Term {
		return rnn.Term{Weight: weight, Rows: h, Source: rnn.FromSums, From: from, To: to}
	}
	for name, stages := range map[string][][]rnn.Term{
		"two terms read parts that begin at the same place and have other widths": {{from("wide", 0, 2*h), from("narrow", 0, 2*h)}},
		"two terms of a stage read parts that overlap":                            {{from("wide", 0, 2*h), from("narrow", h, 2*h)}},
		"two stages read one part":                                                {{from("narrow", 0, 2*h)}, {from("narrow", 0, 3*h)}},
		"a stage adds to a place of an earlier stage":                             {{from("wide", 0, 0)}},
		"a stage adds to the part that it reads":                                  {{from("narrow", 2*h, 2*h)}},
		"a stage reads a place of a later stage":                                  {{from("narrow", 3*h, 2*h)}, {from("narrow", 0, 3*h)}},
	} {
		cell := rnn.FusedCell{
			Name: "mine", Hidden: h, Sums: 4 * h,
			Weights: []rnn.Weight{{Name: "ih", Shape: []int{2 * h, rnn.InputWidth}}, {Name: "wide", Shape: []int{h, 2 * h}}, {Name: "narrow", Shape: []int{h, h}}},
			Stages:  []rnn.Stage{{Terms: []rnn.Term{{Weight: "ih", Rows: 2 * h, Source: rnn.FromInput}}}},
		}
		for _, terms := range stages {
			cell.Stages = append(cell.Stages, rnn.Stage{Terms: terms})
		}
		last := &cell.Stages[len(cell.Stages)-1]
		last.Apply, last.Backprop = func(*rnn.Frame) {}, func(*rnn.Frame) {}
		err := autograd.Try(func() { rnn.NewFused(autograd.NewParams(1), cell, rnn.FusedConfig{Input: 3}) })
		var usage *autograd.UsageError
		assert.ErrorAs(t, err, &usage, name)
		assert.ErrorContains(t, err, "want them apart", name)
	}
}
