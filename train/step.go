// Package train runs a model over data: [Step] computes the gradient of one batch with all cores,
// [Evaluate] goes through a set without learning, [History] keeps what was measured.
//
// Work is parallel over the rows of a batch: it is cut into shards, and each goes through the whole
// model by itself, on a tape of the goroutine that takes it. How it is cut depends on the number of its rows
// alone and the shards' gradients are added in their order, so that the result is the same, bit for bit, for any
// number of workers.
//
//	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
//		return loss.SparseSoftmaxCrossEntropy(classify(t, b), b.Labels)
//	})
//	for rows := range dataset.Shuffled(digits.Train, 150, seed, epoch) {
//		loss, err := step.Run(rows)
//		...
//		adam.Step(step.Grads())
//	}
package train

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Step computes the gradient of a model's loss over a batch. It belongs to one goroutine and starts
// its own; they end with each Run.
type Step struct {
	// Workers is the number of goroutines that work at a time. 0: GOMAXPROCS. It changes no
	// bit of the result.
	Workers int
	// Shards is the number of parts that a batch is cut into. 0: by rule, one for every 38 rows and at
	// most 8. It changes the order of summation, and so the last bits.
	Shards int

	grads *autograd.Grads
	crew  crew
	steps uint64 // Runs, for what is random
}

// NewStep returns a Step for a model: a function from a batch to its loss, a node with one value, that is
// called for every shard, by several goroutines at once, on a training tape over p. A loss that says nothing
// else ([autograd.Node.Weight]) is taken for a mean over all of the shard's rows. No weight can be made in
// p's set afterwards.
func NewStep(p *autograd.Params, model func(*autograd.Tape, *dataset.Batch) *autograd.Node) *Step {
	s := &Step{grads: autograd.NewGrads(p)}
	s.crew.newTape = func() *autograd.Tape { return autograd.NewTape(p, 0) }
	s.crew.run = func(at *seat, sh *shard) error {
		if sh.grads == nil {
			sh.grads = autograd.NewGrads(p)
		}
		at.tape.Start(p.Seed()+(s.steps<<20+uint64(sh.index))*0x9e3779b97f4a7c15, sh.grads)
		loss := at.of(model(at.tape, &at.batch))
		sh.weight = float32(sh.rows)
		if w, ok := loss.Weight(); ok {
			sh.weight = w
		}
		if err := loss.BackwardScaled(sh.weight); err != nil {
			return err
		}
		sh.loss = loss.Value()
		return nil
	}
	return s
}

// of checks that a model returned a node of the seat's tape.
func (at *seat) of(out *autograd.Node) *autograd.Node {
	if out == nil || out.Tape() != at.tape {
		panic(&autograd.UsageError{Where: "train", What: "what the model returned is not a node of the tape that it was handed"})
	}
	return out
}

// Grads returns the gradient that the last Run computed; zero if it returned an error.
func (s *Step) Grads() *autograd.Grads { return s.grads }

// Run computes the loss of a batch, the mean over its rows as the loss counts them, and its gradient. Each shard
// gathers its own rows. A batch with nothing to count has loss 0 and a zero gradient.
//
// The error is that of the source, of the model ([autograd.Tape.Fail]) or one that wraps [autograd.ErrNotFinite]; the
// gradient is zero then, and the next Run starts afresh. A panic in a worker is raised again here: a
// [*autograd.ShapeError] or [*autograd.UsageError] as it is, any other as a [*autograd.PanicError] with
// the worker's stack.
func (s *Step) Run(r dataset.Rows) (loss float32, err error) {
	s.grads.Clear()
	s.steps++
	if len(r.Index) == 0 {
		return 0, nil
	}
	if err := s.crew.do(r, s.Shards, s.Workers); err != nil {
		return 0, fmt.Errorf("train: %w", err)
	}
	sum, total := 0.0, 0.0
	for _, sh := range s.crew.shards[:s.crew.count] {
		sum += float64(sh.weight) * float64(sh.loss)
		total += float64(sh.weight)
	}
	if total == 0 {
		return 0, nil
	}
	s.mean(float32(1 / total))
	return float32(sum / total), nil
}

// mean sums the shards' gradients, in their order, and scales the sum: a stretch at a time, which stays in the cache.
func (s *Step) mean(scale float32) {
	const stretch = 4096
	for lo := 0; lo < len(s.grads.Data); lo += stretch {
		to := s.grads.Data[lo:min(lo+stretch, len(s.grads.Data))]
		for i, sh := range s.crew.shards[:s.crew.count] {
			from := sh.grads.Data[lo:][:len(to)]
			if i == 0 {
				copy(to, from)
			} else {
				kernel.Add(to, from)
			}
		}
		kernel.Scale(to, scale)
	}
}

// Evaluate runs a model over all of a source, in batches of size rows, on inference tapes and with all cores. Each
// shard's output goes to add, in the order of the rows, in the caller's goroutine; out and b are good until add
// returns. Evaluate panics, and returns errors, as [Step.Run] does; what was added before stays.
func Evaluate(p *autograd.Params, s dataset.Source, size int, model func(*autograd.Tape, *dataset.Batch) *autograd.Node,
	add func(out *autograd.Node, b *dataset.Batch)) error {
	c := crew{
		newTape: func() *autograd.Tape { return autograd.NewInference(p) },
		keep:    true,
		run: func(at *seat, _ *shard) error {
			at.tape.Reset()
			at.out = at.of(model(at.tape, &at.batch))
			return at.tape.Err()
		},
	}
	for rows := range dataset.Batches(s, size) {
		if err := c.do(rows, 0, 0); err != nil {
			return fmt.Errorf("train.Evaluate: %w", err)
		}
		for _, at := range c.seats[:c.count] {
			add(at.out, &at.batch)
		}
	}
	return nil
}
