package train

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
)

// Evaluator runs a model over data without learning. It keeps its tapes: from the second batch of a shape on it allocates
// nothing. It belongs to one goroutine and starts its own; they end with each batch.
type Evaluator[Out any] struct {
	// Workers is the number of goroutines that work at a time. 0: GOMAXPROCS. It changes no bit of the result.
	Workers int

	crew    crew
	outs    []Out // of each shard
	forward func(*seat, *shard) error
}

// NewEvaluator returns an Evaluator of a model, a function that is called for every shard of a batch, by several goroutines at
// once, on an inference tape over p. Out is the output of the model: a node, or a struct or slice of several.
func NewEvaluator[Out any](p *autograd.Params, model func(*autograd.Tape, *dataset.Batch) Out) *Evaluator[Out] {
	e := &Evaluator[Out]{}
	e.crew.newTape = func() *autograd.Tape { return autograd.NewInference(p) }
	e.forward = func(at *seat, sh *shard) error {
		if err := e.crew.gather(at, sh); err != nil {
			return err
		}
		at.tape.Reset()
		out := model(at.tape, &at.batch)
		if n, ok := any(out).(*autograd.Node); ok {
			at.check(n)
		}
		e.outs[sh.index] = out
		return at.tape.Err()
	}
	return e
}

// Run goes through all of a source, in batches of size rows, one after the other, so that a model may keep its state from batch to
// batch. The output of each shard goes to add, in the order of the rows, in the caller's goroutine. out and b are good until add
// returns, and add may change the numbers of b and those that the model computed. Errors and panics are those of [Step.Run]; add
// has been called for the batches before.
func (e *Evaluator[Out]) Run(s dataset.Source, size int, add func(out Out, b *dataset.Batch)) error {
	for rows := range dataset.Batches(s, size) {
		e.crew.begin(rows, 0, e.Workers, true)
		for len(e.outs) < e.crew.count {
			e.outs = append(e.outs, *new(Out))
		}
		if err := e.crew.each(e.forward); err != nil {
			return fmt.Errorf("train.Evaluate: %w", err)
		}
		for i, at := range e.crew.seats[:e.crew.count] {
			add(e.outs[i], &at.batch)
		}
	}
	return nil
}

// Evaluate is [Evaluator.Run] of a new [Evaluator], with all cores.
func Evaluate[Out any](p *autograd.Params, s dataset.Source, size int, model func(*autograd.Tape, *dataset.Batch) Out,
	add func(out Out, b *dataset.Batch)) error {
	return NewEvaluator(p, model).Run(s, size, add)
}
