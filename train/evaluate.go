package train

import (
	"fmt"
	"iter"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
)

// Evaluator runs a model over data without training it. It keeps its tapes, so from the second batch of the same shape
// on it allocates nothing. An Evaluator belongs to one goroutine, as a [Step] does; the goroutines that it starts end with
// each batch.
type Evaluator[Out any] struct {
	// Workers is the number of goroutines that work at the same time; 0 means GOMAXPROCS. The result is the same, bit
	// for bit, for any number.
	Workers int

	crew    crew
	outs    []Out // the output of each shard
	forward func(*seat, *shard) error
}

// NewEvaluator returns an Evaluator of a model. model is called for every shard of a batch, by several goroutines at
// the same time, on an inference tape over p. Out is the type of the model's output: a node, or a struct or slice of
// several nodes. No weight can be made in p's set after the first Run.
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

// Run runs the model over all examples of a source, in batches of size rows, one after the other, so a model may keep
// its state from batch to batch. It calls add in the caller's goroutine with the output of each shard and the shard's
// rows b, in the order of the rows. out and b are valid until add returns, and add may change the numbers of both.
// Errors and panics are those of gathering and of the model, as in [Step.Run]; add was then called for the batches
// before.
func (e *Evaluator[Out]) Run(s dataset.Source, size int, add func(out Out, b *dataset.Batch)) error {
	return e.RunBatches(dataset.Batches(s, size), add)
}

// RunBatches is [Evaluator.Run] over any batches, such as the windows of [dataset.Streams].
func (e *Evaluator[Out]) RunBatches(batches iter.Seq[dataset.Rows], add func(out Out, b *dataset.Batch)) error {
	e.crew.enter("train.Evaluator.Run")
	defer e.crew.leave()
	var room [1]dataset.Rows
	for room[0] = range batches {
		e.crew.begin(room[:], 0, e.Workers, true)
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

// Evaluate is [Evaluator.Run] of a new [Evaluator] that uses all cores.
func Evaluate[Out any](p *autograd.Params, s dataset.Source, size int, model func(*autograd.Tape, *dataset.Batch) Out,
	add func(out Out, b *dataset.Batch)) error {
	return NewEvaluator(p, model).Run(s, size, add)
}
