// Package train runs a model over data: [Step] computes the gradient of one batch on all cores, [Evaluate] runs a model
// over a set without learning, [History] keeps the figures of each epoch.
//
// Work is parallel over the rows of a batch. The batch is cut into shards, and each shard goes through the whole
// model by itself, on the tape of the goroutine that works on it. The number of rows alone decides how a batch is cut, and
// the gradients of the shards are added in the order of the shards, so the result is the same, bit for bit, for any number of
// workers.
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
	"errors"
	"fmt"
	"math"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Step computes the gradient of a model's loss over a batch. It belongs to one goroutine and starts
// its own; they end with each Run.
//
// # Batches in parts
//
// A batch larger than memory needs no accumulation of gradients: with more Shards, only as many shards as there are Workers
// are in memory at a time. Gradients of batches that have to be gathered one after the other are added by [Step.Weight].
type Step struct {
	// Workers is the number of goroutines that work at a time. 0: GOMAXPROCS. It changes no
	// bit of the result.
	Workers int
	// Shards is the number of parts that a batch is cut into. 0: by rule, one for every 38 rows and at
	// most 8. It changes the order of summation, and so the last bits.
	Shards int
	// Runs is the number of calls of Run so far. The random numbers of a run, such as the masks of dropout, follow from it. A
	// training that goes on from a file sets it to the number that was saved: the rest has the same bits as without the pause.
	Runs uint64

	params   *autograd.Params
	model    func(*autograd.Tape, *dataset.Batch) *autograd.Node
	grads    *autograd.Grads
	crew     crew
	joint    bool // a loss has been met whose gradient needs the weights of all shards: forward ends before backward begins
	totals   []float64
	weight   float32
	forward  func(*seat, *shard) error // methods, kept so that handing them on allocates nothing
	backward func(*seat, *shard) error
}

// ErrNothingCounted is wrapped by the error of a [Step.Run] over a batch in which nothing counts: it has no rows, all its labels
// are ignored or all its targets are NaN.
var ErrNothingCounted = errors.New("nothing in the batch counts")

// NewStep returns a Step for a model: a function from a batch to its loss, a node with one value, that is
// called for every shard, by several goroutines at once, on a training tape over p.
//
// The loss is a mean or a sum of means, such as the losses of two tasks, each times a factor. Each is joined over the shards by
// what it counts ([autograd.Node.SetWeight]), so the result is the loss of the whole batch, however it is cut. A loss, or a part
// of a sum, without a weight is taken for a mean over all rows; a penalty on weights, equal in all shards, is one.
//
// No weight can be made in p's set afterwards.
func NewStep(p *autograd.Params, model func(*autograd.Tape, *dataset.Batch) *autograd.Node) *Step {
	s := &Step{params: p, model: model, grads: autograd.NewGrads(p)}
	s.crew.newTape = func() *autograd.Tape { return autograd.NewTape(p, 0) }
	s.forward, s.backward = s.forwardShard, s.backwardShard
	return s
}

// Grads returns the gradient that the last Run computed; zero if it returned an error.
func (s *Step) Grads() *autograd.Grads { return s.grads }

// Weight returns how much the batch of the last Run counted: the number of its rows or labels, or the sum of their class weights.
// The mean over several batches is the sum of their losses, or gradients, times these weights, divided by the sum of the
// weights. It is NaN if the loss is a sum of means that count differently: such batches cannot be joined exactly, and are one
// batch of more Shards instead. It is 0 after an error.
func (s *Step) Weight() float32 { return s.weight }

// Run computes the loss of a batch, the mean over what the loss counts, and its gradient. Each shard gathers its own rows.
//
// The error is the source's, the model's ([autograd.Tape.Fail]), or wraps [autograd.ErrNotFinite], [autograd.ErrNoGradient] or
// [ErrNothingCounted]. An error about one row ([autograd.DataError]) names the row of the batch and the example of its source.
// The gradient is zero then, and the next Run starts afresh. A panic in a worker is raised again here: a
// [*autograd.ShapeError] or [*autograd.UsageError] as it is, any other as a [*autograd.PanicError] with
// the worker's stack.
func (s *Step) Run(r dataset.Rows) (loss float32, err error) {
	s.grads.Clear()
	s.weight = 0
	s.Runs++
	if loss, err = s.run(r); err != nil {
		s.weight = 0
		return 0, fmt.Errorf("train: %w", err)
	}
	return loss, nil
}

func (s *Step) run(r dataset.Rows) (float32, error) {
	if len(r.Index) == 0 {
		return 0, ErrNothingCounted
	}
	s.crew.begin(r, s.Shards, s.Workers, s.joint)
	if err := s.crew.each(s.forward); err != nil {
		return 0, err
	}
	shards := s.crew.shards[:s.crew.count]
	alike, err := s.total(shards)
	if err != nil {
		return 0, err
	}
	if !alike && !s.joint { // the gradients have wrong factors: once more, with tapes for all shards
		s.joint = true
		return s.run(r)
	}
	scale := 1.0
	if s.weight = float32(math.NaN()); alike {
		unit := 0.0
		for _, sh := range shards {
			unit += float64(sh.unit)
		}
		scale, s.weight = 1/unit, float32(unit)
	}
	if s.joint {
		for _, sh := range shards {
			if !alike {
				sh.share(s.totals)
			}
		}
		if err := s.crew.each(s.backward); err != nil {
			return 0, err
		}
	}
	s.sum(float32(scale))
	loss := 0.0
	for k, total := range s.totals {
		if total == 0 {
			continue
		}
		sum := 0.0
		for _, sh := range shards {
			sum += float64(sh.terms[k].Weight) * float64(sh.terms[k].Value)
		}
		loss += sum / total
	}
	return float32(loss), nil
}

// forwardShard runs the model on a shard and, if the shard's weights suffice, backwards.
func (s *Step) forwardShard(at *seat, sh *shard) error {
	if err := s.crew.gather(at, sh); err != nil {
		return err
	}
	if sh.grads == nil {
		sh.grads = autograd.NewGrads(s.params)
	}
	at.tape.Start(s.params.Seed()+(s.Runs<<20+uint64(sh.index))*0x9e3779b97f4a7c15, sh.grads)
	loss := s.model(at.tape, &at.batch)
	at.check(loss)
	at.loss = loss
	var err error
	if sh.terms, err = loss.Terms(sh.terms[:0]); err != nil {
		if s.crew.count > 1 {
			return err
		}
		sh.terms = append(sh.terms[:0], autograd.Term{Value: loss.Value(), Weight: float32(math.NaN())})
	}
	sh.weigh()
	if s.joint {
		return nil
	}
	return loss.BackwardScaled(sh.unit)
}

// backwardShard runs a shard backwards, each mean of the loss times the shard's part of what the mean counts.
func (s *Step) backwardShard(at *seat, sh *shard) error {
	return at.loss.BackwardScaled(sh.unit, sh.factors...)
}

// total sums the weights of each mean over the shards. alike reports whether the means count the same up to a factor, so that
// one weight a shard serves for all of them.
func (s *Step) total(shards []*shard) (alike bool, err error) {
	s.totals = s.totals[:0]
	for range shards[0].terms {
		s.totals = append(s.totals, 0)
	}
	typical, counted := shards[0], false
	for i, sh := range shards {
		if !autograd.SameTerms(sh.terms, shards[0].terms) {
			return false, fmt.Errorf("the losses of shards 0 and %d are not sums of the same means: the model computed something else", i)
		}
		if typical.unit == 0 {
			typical = sh
		}
		for k, term := range sh.terms {
			s.totals[k] += float64(term.Weight)
			counted = counted || term.Weight != 0
		}
	}
	if !counted {
		return false, ErrNothingCounted
	}
	for _, sh := range shards {
		for k, term := range sh.terms { // products of two float32 are exact in float64
			if float64(term.Weight)*float64(typical.unit) != float64(sh.unit)*float64(typical.terms[k].Weight) {
				return false, nil
			}
		}
	}
	return true, nil
}

// sum adds the gradients of the shards, in their order, and scales the sum: a stretch at a time, which stays in the cache.
func (s *Step) sum(scale float32) {
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
