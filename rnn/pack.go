package rnn

import (
	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// pack is the weights of one layer and direction, packed for the products of the way forward or of the way back.
type pack struct {
	matrices []kernel.Matrix
	biases   [][]float32 // forward: of each product, the sum of its terms' biases
}

// value returns the values of weight k; dropped, if not nil, takes the place of the recurrent matrix.
func (p *plan) value(weights []*autograd.Param, k int, dropped []float32) []float32 {
	if dropped != nil && k == p.recurrent {
		return dropped
	}
	return weights[k].Value.Data()
}

// packForward packs, for each product, the transposed weights of its terms [columns, rows] and the sum of its biases.
func (p *plan) packForward(to *pack, weights []*autograd.Param, dropped []float32) {
	if to.matrices == nil {
		to.matrices, to.biases = make([]kernel.Matrix, len(p.products)), make([][]float32, len(p.products))
	}
	for i, q := range p.products {
		m, depth, row := &to.matrices[i], 0, 0
		for _, l := range q.terms {
			depth += weights[l.weight].Value.Dim(1)
		}
		m.Reset(depth, q.rows)
		for _, l := range q.terms {
			cols := weights[l.weight].Value.Dim(1)
			m.SetRowsT(row, cols, p.value(weights, l.weight, dropped)[l.First*cols:], cols)
			row += cols
		}
		if to.biases[i] == nil {
			to.biases[i] = make([]float32, q.rows)
		}
		clear(to.biases[i])
		for _, l := range q.terms {
			if l.bias >= 0 && weights[l.bias] != nil {
				kernel.Add(to.biases[i], weights[l.bias].Value.Data()[l.First:][:l.Rows])
			}
		}
	}
}

// packBackward packs, for each source, the weights of the terms that read it [rows, columns].
func (p *plan) packBackward(to *pack, weights []*autograd.Param, dropped []float32) {
	if to.matrices == nil {
		to.matrices = make([]kernel.Matrix, len(p.sources))
	}
	for i, g := range p.sources {
		if len(g.terms) == 0 {
			continue
		}
		rows, row := 0, 0
		for _, l := range g.terms {
			rows += l.Rows
		}
		m, cols := &to.matrices[i], weights[g.terms[0].weight].Value.Dim(1)
		m.Reset(rows, cols)
		for _, l := range g.terms {
			m.SetRows(row, l.Rows, p.value(weights, l.weight, dropped)[l.First*cols:], cols)
			row += l.Rows
		}
	}
}
