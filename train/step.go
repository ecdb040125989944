// Package train trains and evaluates a model on batches of data, on all cores. [Step] computes the loss and the gradient
// of one batch; an optimizer of package optim then changes the weights:
//
//	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
//		return loss.SparseSoftmaxCrossEntropy(classify(t, b), b.Labels)
//	})
//	for rows := range dataset.Shuffled(digits.Train, 150, seed, epoch) {
//		loss, err := step.Run(rows)
//		...
//		adam.Step(step.Grads())
//	}
//
// A [Loop] yields the batches instead, saves a [Checkpoint] of the training now and then, and continues where a process
// before was interrupted or killed, with the same result, bit for bit.
//
// [Evaluate] runs a model over a whole source without training it, for example to count correct answers with package
// metrics. An [Evaluator] does the same and keeps its memory for the next time. A [History] is a table of the measurements
// of each epoch, which [History.WriteCSV] writes to a file and [ReadHistory] reads back; [History.WriteJSONLines] appends
// to a file row by row.
//
// [EarlyStopping] ends a training that improves no more, [RangeTest] searches for a learning rate, and [Norms] measures the
// weights and gradients of each layer. The moving average of the weights is optim.EMA.
//
// # Shards
//
// The rows of a batch are divided into shards. Each shard runs through the whole model separately, on the tape of the
// goroutine that works on it. The number of rows alone determines the shards (or Step.Shards does), and the gradients of the
// shards are added in the order of the shards. Therefore the result is the same, bit for bit, for any number of workers.
//
// A loss is a mean, or a sum of means, over the rows or labels that count. The shards are joined by the number that
// counts in each of them, so the loss and the gradient are those of the whole batch: see [NewStep]. A batch in which
// nothing counts is an error, [ErrNothingCounted]; in a stream whose labels are far apart it is one to pass over.
//
// # Errors
//
// An error that one row of the data causes, such as a label out of range, names the row of the batch and the example of the
// source. A batch whose loss or gradient is NaN or infinite is an error, so such numbers never reach the weights; the error
// names the place where they began. [Skips] skips such batches.
package train

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
)

// Step computes the gradient of a model's loss over a batch. A Step belongs to one goroutine: a Run that begins while
// another one is running panics. The goroutines that a Step starts end with each Run.
//
// # Large batches
//
// A batch that does not fit in memory needs no accumulation of gradients: set Shards, and only as many shards as there
// are Workers are in memory at the same time, with at most two gradients of all weights for each worker, and their sum. The
// exception is a loss that is a sum of means whose weights are not proportional ([NewStep]): all its shards are in memory
// at the same time. If they do not fit, give each mean a Step of its own. Rows that are too long to fit one by one are for
// [autograd.Recompute].
//
// Batches that cannot be one batch, such as the batches of [dataset.Buckets], whose lengths differ, or batches of several
// sources, accumulate in one Run ([dataset.Grouped] groups them). The gradient is the exact one of the mean over all that
// counts in any of the batches:
//
//	for batches := range dataset.Grouped(dataset.Buckets(source, 100, seed, epoch), 4) {
//		loss, err := step.Run(batches...)
//
// The shards of all batches run side by side. The windows of a stream, each of which starts from the state after the
// window before, need a Run each; [Step.Weight] says how their gradients are joined.
type Step struct {
	// Workers is the number of goroutines that work at the same time; 0 means GOMAXPROCS. The result is the same, bit
	// for bit, for any number.
	Workers int
	// Shards is the number of parts into which a batch is cut; 0 means one for every 8 rows up to 4 parts, one for
	// every 38 rows of a larger batch, and at most 64. It determines the order of summation, and therefore the last bits
	// of the result.
	Shards int
	// Runs is the number of calls of Run so far. The random numbers of a run, such as the masks of dropout, depend on it.
	// A [Checkpoint] saves and restores it, so that a training that continues draws the numbers that it would have drawn.
	Runs uint64

	params    *autograd.Params
	model     func(*autograd.Tape, *dataset.Batch) *autograd.Node
	crew      crew
	sum       sum
	twoPhases bool                      // a batch was met whose means have weights that are not proportional
	totals    []float64                 // the sum of the weights over the shards, for each mean
	weight    float32                   // of the last batch: see Weight
	forward   func(*seat, *shard) error // method values, kept because making them allocates
	backward  func(*seat, *shard) error
}

// ErrNothingCounted is wrapped by the error of a [Step.Run] over a batch in which nothing counts: the batch has no
// rows, or all its labels are ignored, or all its targets are NaN. There is nothing to learn, but the model has run: unlike after
// other errors, an rnn.State keeps what the model set. The windows of a stream in which only some steps have a label, such as the
// last step of each document, are trained so:
//
//	_, err := step.Run(window)
//	if errors.Is(err, train.ErrNothingCounted) {
//		continue // the state went on through the window
//	}
var ErrNothingCounted = errors.New("nothing in the batch counts")

// NewStep returns a Step for a model. model computes the loss of a batch, a node with one value. It is called for every
// shard, by several goroutines at the same time, on a training tape over p.
//
// The loss is a mean, or a sum of means, such as the losses of two tasks, each times a factor. The means of the shards
// are joined by their weights ([autograd.Node.SetWeight]), separately for each mean, so the result is the loss of the
// whole batch for any number of shards. A loss, or a part of a sum, without a weight counts as a mean over all rows. A
// penalty on weights is such a part; it is the same in all shards.
//
// If the weights of a sum's means are not proportional to each other in all shards, the gradient needs the weights of all
// shards before the backward pass begins. The Step notices this, computes such a batch a second time, for which it brings
// states back that the model has set ([autograd.Tape.Preserve]), and from then on keeps a tape for each shard. A loss that
// is computed from a mean by a nonlinear operation is an error if there are several shards.
//
// No weight can be made in p's set afterwards.
func NewStep(p *autograd.Params, model func(*autograd.Tape, *dataset.Batch) *autograd.Node) *Step {
	s := &Step{params: p, model: model, sum: sum{total: autograd.NewGrads(p)}}
	s.crew.newTape = func() *autograd.Tape { return autograd.NewTape(p, 0) }
	s.forward, s.backward = s.forwardShard, s.backwardShard
	return s
}

// Grads returns the gradient that the last Run computed. It is zero if Run returned an error.
func (s *Step) Grads() *autograd.Grads { return s.sum.total }

// Weight returns the weight of the last Run's batch: the number of rows or labels that counted, or the sum of their
// class weights. The mean loss or gradient over several batches is the sum, over the batches, of weight times loss or
// gradient, divided by the sum of the weights.
//
// Weight returns NaN if the loss is a sum of means whose weights differ in this batch, or is computed from a mean by a
// nonlinear operation. Losses and gradients of such batches cannot be joined exactly; use one batch with more Shards, or
// a Step for each mean, instead. Weight returns 0 if Run returned an error.
func (s *Step) Weight() float32 { return s.weight }

// Run computes the loss of a batch, which is the mean over the rows that count, and its gradient. Several batches count
// as one: the mean is that over the rows of all of them. The workers gather the rows of their shards themselves.
//
// Run returns the error of the source or of the model ([autograd.Tape.Fail]), or an error that wraps
// [autograd.ErrNotFinite], [autograd.ErrNoGradient] or [ErrNothingCounted]. A loss or a gradient that is NaN or infinite is
// such an error; the error says where the first of these numbers is. To find that out, Run may call the model a second
// time for shards, on a tape whose Checking reports true. An error about one row ([autograd.DataError]) names the row of the
// batch and the example of the source. After an error the gradient is zero, an rnn.State that the model has set is as
// before (after ErrNothingCounted, as the model has set it), and the next Run may be called as usual. A panic of the
// model or the source in a worker is raised again in the caller's goroutine: a [*autograd.ShapeError] or [*autograd.UsageError] as it is, any other panic as a
// [*autograd.PanicError] with the worker's stack. If the model or the source ends the goroutine of a worker
// (runtime.Goexit), Run returns an error. Run panics with a [*autograd.UsageError] if another Run of the same Step is
// running.
func (s *Step) Run(batches ...dataset.Rows) (loss float32, err error) {
	s.crew.enter("train.Step.Run")
	defer s.crew.leave()
	s.weight = 0
	s.Runs++
	done, restore := false, true
	defer func() {
		if done {
			return
		}
		if s.sum.total.Clear(); restore {
			s.restore()
		}
	}()
	if loss, err = s.run(batches); err != nil {
		restore = !errors.Is(err, ErrNothingCounted)
		return 0, fmt.Errorf("train: %w", err)
	}
	done = true
	return loss, nil
}

// restore brings back what the model has changed outside of the tapes since the shards were cut ([autograd.Tape.Preserve]).
func (s *Step) restore() {
	for _, sh := range s.crew.shards[:s.crew.count] {
		if sh.started {
			sh.grads.Restore()
		}
	}
}

// run computes a batch in one phase or in two. In one phase, each shard runs forward and backward at once, which is
// enough if the gradient of a shard is a multiple of its part in the gradient of the batch. In two phases, all shards
// run forward before any of them runs backward.
func (s *Step) run(batches []dataset.Rows) (float32, error) {
	s.crew.begin(batches, s.Shards, s.Workers, s.twoPhases)
	if s.crew.count == 0 {
		return 0, ErrNothingCounted
	}
	shards := s.crew.shards[:s.crew.count]
	ahead := 2 * s.crew.workers // a worker that is slow for once does not hold up the others
	if s.twoPhases {
		ahead = len(shards)
	}
	s.sum.begin(shards, ahead)
	if err := s.crew.each(s.forward); err != nil {
		return 0, err
	}
	proportional, err := s.total(shards)
	if err != nil {
		return 0, err
	}
	if !proportional && !s.twoPhases { // the gradients are those of the wrong weights: compute the batch again in two phases
		s.restore()
		s.twoPhases = true
		return s.run(batches)
	}
	scale := 1.0
	if proportional {
		unit := 0.0
		for _, sh := range shards {
			unit += float64(sh.unit)
		}
		scale = 1 / unit
	} else {
		for _, sh := range shards {
			sh.share(s.totals)
		}
	}
	if s.twoPhases {
		if err := s.crew.each(s.backward); err != nil {
			return 0, err
		}
	}
	if norms := s.sum.scale(float32(scale)); norms-norms != 0 {
		return 0, s.notFinite(shards)
	}
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
	differ := slices.ContainsFunc(s.totals, func(total float64) bool { return total != s.totals[0] })
	if s.weight = float32(s.totals[0]); differ || shards[0].nonlinear {
		s.weight = float32(math.NaN())
	}
	return float32(loss), nil
}

// forwardShard runs the model on a shard. In one phase, it also runs backward.
func (s *Step) forwardShard(at *seat, sh *shard) error {
	s.sum.acquire(sh)
	if !s.twoPhases {
		defer s.sum.add(sh)
	}
	if err := s.crew.gather(at, sh); err != nil {
		return err
	}
	at.tape.Start(s.seed(sh), sh.grads)
	sh.started = true
	return s.compute(at, sh)
}

// seed returns the seed of a shard's random numbers.
func (s *Step) seed(sh *shard) uint64 {
	return s.params.Seed() + (s.Runs<<20+uint64(sh.index))*0x9e3779b97f4a7c15
}

// compute runs the model on a shard whose rows were gathered. In one phase, it also runs backward.
func (s *Step) compute(at *seat, sh *shard) error {
	loss := s.model(at.tape, &at.batch)
	at.check(loss)
	at.loss = loss
	var err error
	sh.terms, err = loss.Terms(sh.terms[:0])
	if sh.nonlinear = err != nil; sh.nonlinear {
		if s.crew.count > 1 {
			return err
		}
		sh.terms = append(sh.terms[:0], autograd.Term{Value: loss.Value(), Weight: float32(math.NaN())})
	}
	sh.weigh()
	if s.twoPhases {
		return nil
	}
	return loss.BackwardScaled(sh.unit)
}

// backwardShard runs a shard backward in the second phase. It multiplies each mean of the loss by the shard's factor
// for it.
func (s *Step) backwardShard(at *seat, sh *shard) error {
	defer s.sum.add(sh)
	return at.loss.BackwardScaled(sh.unit, sh.factors...)
}

// total sums the weights of each mean over the shards. proportional reports whether the weights of all means are the
// same up to a factor for each mean, so that one weight for each shard is enough.
func (s *Step) total(shards []*shard) (proportional bool, err error) {
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
		for k, term := range sh.terms { // the product of two float32 is exact in float64
			if float64(term.Weight)*float64(typical.unit) != float64(sh.unit)*float64(typical.terms[k].Weight) {
				return false, nil
			}
		}
	}
	return true, nil
}

// notFinite returns the error for a gradient that is NaN or infinite: where it became so in the first shard that has
// such a gradient or, if no shard has, in the sum of the shards.
func (s *Step) notFinite(shards []*shard) (err error) {
	for i, sh := range shards {
		at := s.crew.seats[0]
		if s.twoPhases {
			at = s.crew.seats[i]
		}
		if fault := autograd.Try(func() { err = s.crew.locate(s.search(at, sh), at) }); fault != nil {
			panic(fault)
		}
		if err != nil {
			return err
		}
	}
	for p := range s.params.All() {
		for i, v := range s.Grads().Of(p) {
			if v-v != 0 {
				return fmt.Errorf("gradient is %w: %v, element %d of the gradient of weight %s, found when the shards were added", autograd.ErrNotFinite, v, i, p.Name)
			}
		}
	}
	return fmt.Errorf("gradient is %w", autograd.ErrNotFinite)
}

// search computes the gradient of a shard again, since its memory has been used for other shards, and returns where it
// became NaN or infinite, or nil.
func (s *Step) search(at *seat, sh *shard) error {
	at.shard = sh
	if err := s.crew.gather(at, sh); err != nil {
		return err
	}
	sh.grads.Restore()
	sh.grads.Data = s.sum.slab()
	defer s.sum.release(sh)
	at.tape.Repeat(s.seed(sh), sh.grads)
	unit := sh.unit // compute sets it to that of one phase
	if err := s.compute(at, sh); err != nil {
		return err
	}
	if s.twoPhases {
		if err := at.loss.BackwardScaled(unit, sh.factors...); err != nil {
			return err
		}
	}
	if norm := sh.grads.Norm(); norm-norm == 0 {
		return nil
	}
	return at.tape.NotFinite()
}
