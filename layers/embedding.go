package layers

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
)

// Embedding is a table of vectors, one for each token of a vocabulary. It is PyTorch's Embedding.
type Embedding struct {
	Weight *autograd.Param // "weight" [vocabulary, features]
}

// NewEmbedding makes the table in p and draws it from the normal distribution of mean 0 and standard deviation 1, as PyTorch
// does. It panics with a [*autograd.ShapeError] if a size is not positive, and as [autograd.Params.New] does.
func NewEmbedding(p *autograd.Params, vocabulary, features int) *Embedding {
	return &Embedding{p.New("weight", autograd.Normal(1), vocabulary, features)}
}

// Tokens is a batch of token sequences, such as *dataset.Batch: the ids, time-major (the token of row b at step t is
// ids[t*rows+b]), and the number of rows.
type Tokens interface {
	Tokens() (ids []int32, rows int)
}

// Forward returns the vectors of a batch's tokens: [T,B,features]. It is [Embedding.Lookup] of the batch's ids and rows.
func (e *Embedding) Forward(t *autograd.Tape, b Tokens) *autograd.Node {
	ids, rows := b.Tokens()
	return e.Lookup(t, ids, rows)
}

// Lookup returns the vectors of time-major ids for a batch of rows rows: [T,B,features] where T = len(ids)/rows. The first
// id outside the vocabulary is the run's error ([autograd.Tape.Fail]). ids is borrowed until Backward has run. Lookup panics
// with a [*autograd.ShapeError] if the number of ids is not a multiple of rows.
//
// The vectors of a single step, [B,features], as the method Step of a recurrent layer reads them, are
//
//	autograd.Gather(tape.Param(e.Weight), ids)
func (e *Embedding) Lookup(t *autograd.Tape, ids []int32, rows int) *autograd.Node {
	if rows < 1 || len(ids)%rows != 0 {
		panic(&autograd.ShapeError{Where: e.Weight.Name, Got: fmt.Sprintf("%d ids for a batch of %d rows", len(ids), rows),
			Want: "the same number of ids for each row"})
	}
	vocabulary, features := e.Weight.Value.Dim(0), e.Weight.Value.Dim(1)
	for i, id := range ids {
		if id < 0 || int(id) >= vocabulary {
			t.Fail(&autograd.DataError{Text: fmt.Sprintf("%s: token %d, want 0 to %d", e.Weight.Name, id, vocabulary-1), Row: i, Rows: len(ids)})
			break
		}
	}
	return autograd.Reshape(autograd.Gather(t.Param(e.Weight), ids), len(ids)/rows, rows, features)
}
