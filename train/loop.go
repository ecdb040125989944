package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/safetensors"
)

// Loop yields the batches of a training, epoch by epoch, and saves checkpoints, so that the training can be interrupted at
// any time and continue in another process:
//
//	loop := &train.Loop{Dir: "checkpoints", Every: 1000,
//		Parts: train.Checkpoint{"model": params, "optim": adam, "step": step, "history": history}}
//	if err := loop.Resume(); err != nil { // goes on where a former process ended, if there was one
//		return err
//	}
//	for batch, err := range loop.Batches(ctx, 10, func(epoch uint64) iter.Seq[dataset.Rows] {
//		return dataset.Shuffled(digits, 150, seed, epoch)
//	}) {
//		if err != nil {
//			return err
//		}
//		adam.LR = schedule(loop.Steps)
//		if _, err := step.Run(batch); err != nil {
//			return err
//		}
//		adam.Step(step.Grads())
//		if loop.Last { // of its epoch
//			history.Add(...)
//		}
//	}
//
// If Parts hold everything that the body of the loop changes, the training has the same result, bit for bit, as without
// interruptions. What follows from Epoch, Batch and Steps, such as a schedule, need not be saved.
//
// What the body writes elsewhere may be ahead of the newest checkpoint after a kill: tensorboard.Resume(dir, loop.Steps)
// and a file that [History.WriteJSONLines] writes anew, from row 0, go on from the place of the loop.
//
// # Files
//
// A checkpoint is the file step-<Steps>.safetensors in Dir, written by [Checkpoint.Save]. Batches writes one before the first
// batch, so that a folder that cannot be written is noticed at once; when it is due; when the context is canceled; and at the
// end. It copies the parts after the body of a batch, and writes the file in the background. Older files than the newest
// ones ([Loop.Keep]) are removed once a new one is there. A file is whole or not there, whenever the process is killed.
type Loop struct {
	Parts Checkpoint // what is saved besides the place; the name "loop" is taken
	Dir   string     // folder of the checkpoints, which Batches makes; "": nothing is saved

	Every    int           // number of batches between two checkpoints; 0: the number does not count
	Interval time.Duration // time between two checkpoints; 0: the time does not count, or a minute if Every is 0, too
	Keep     int           // number of newest checkpoints that are kept; 0 means 2

	// The place in the training, for the body of the loop to read. Batches counts them on.
	Epoch uint64 // number of the epoch, from 0
	Batch int    // number of the batch within the epoch, from 0
	Steps int    // number of batches, in all epochs, whose body has ended
	Last  bool   // whether the batch is the last one of its epoch

	// Best may be set by the body of the loop: the model is the best one so far. Batches then writes the checkpoint
	// best.safetensors after the body, and sets Best to false.
	Best bool
	// Done may be set by the body of the loop: this is the last batch of the training, as early stopping wants it. It is
	// saved, so that a training that resumes yields no further batch.
	Done bool

	saved   time.Time  // when the last checkpoint was copied
	current bool       // there is a checkpoint of the present place
	writing chan error // gets the error of the write in the background; nil if there is none
}

// place is what a checkpoint holds of a Loop: the next batch.
type place struct {
	Epoch uint64
	Batch int
	Steps int
	Done  bool
}

// Resume loads the newest checkpoint in Dir into Parts and continues at its place. If there is none, it changes nothing and
// returns nil; Steps is 0 then. It returns the error of [Checkpoint.Load]. If the newest file is damaged, which cannot
// happen by killing a process, the error names the one before it.
func (l *Loop) Resume() error {
	files, err := l.files()
	if err != nil || len(files) == 0 {
		return err
	}
	var at place
	if err := l.parts(&at).Load(files[len(files)-1]); err != nil {
		if errors.Is(err, ErrDamaged) && len(files) > 1 {
			return fmt.Errorf("%w; remove the file to continue from %s", err, files[len(files)-2])
		}
		return err
	}
	l.Epoch, l.Batch, l.Steps, l.Done = at.Epoch, max(at.Batch, 0), max(at.Steps, 0), at.Done
	l.current = true
	return nil
}

// Batches yields the batches of the epochs from the present place to the given number of epochs. order returns the
// batches of an epoch, such as those of [dataset.Shuffled], [dataset.Buckets] or [dataset.Streams]; it must return the same batches whenever it is called with the same number. In the epoch in which the
// training continues, the batches that are done are left out, and their rows are not gathered. An Index may be kept.
//
// An error comes with the last iteration, which has no batch. It is the error of a checkpoint that could not be written, or
// ctx.Err() once ctx is canceled: the body of the running batch then ends and is saved before. If the body leaves
// the loop, by break or return, its batch is not saved and counts as not done, and the error of a checkpoint that is being
// written is lost; to end a training, set Done.
//
// It is an error if Dir has a checkpoint of more steps, because a newer one would then be mistaken for older: call Resume
// first.
func (l *Loop) Batches(ctx context.Context, epochs int, order func(epoch uint64) iter.Seq[dataset.Rows]) iter.Seq2[dataset.Rows, error] {
	return batches(l, ctx, epochs, order, cloneRows)
}

// Groups is [Loop.Batches] for groups of batches, each of which counts as one batch: for instance, batches whose gradients
// are accumulated before the optimizer's step ([dataset.Grouped]).
func (l *Loop) Groups(ctx context.Context, epochs int, order func(epoch uint64) iter.Seq[[]dataset.Rows]) iter.Seq2[[]dataset.Rows, error] {
	return batches(l, ctx, epochs, order, func(group []dataset.Rows) []dataset.Rows {
		group = slices.Clone(group)
		for i, rows := range group {
			group[i] = cloneRows(rows)
		}
		return group
	})
}

func cloneRows(r dataset.Rows) dataset.Rows {
	return dataset.Rows{Source: r.Source, Index: slices.Clone(r.Index)}
}

// errLeft says that the body has left the loop.
var errLeft = errors.New("left")

// batches is Batches for batches of any type.
func batches[B any](l *Loop, ctx context.Context, epochs int, order func(epoch uint64) iter.Seq[B], clone func(B) B) iter.Seq2[B, error] {
	return func(yield func(B, error) bool) {
		err := l.begin()
		for err == nil && l.Epoch < uint64(max(epochs, 0)) && !l.Done && ctx.Err() == nil {
			err = runEpoch(l, ctx, order(l.Epoch), clone, func(batch B) bool { return yield(batch, nil) })
		}
		err = l.end(ctx, err)
		if err != nil && !errors.Is(err, errLeft) {
			var none B
			yield(none, err)
		}
	}
}

// runEpoch yields the batches of an epoch from the present place on. After each, it counts and saves the place.
func runEpoch[B any](l *Loop, ctx context.Context, all iter.Seq[B], clone func(B) B, yield func(B) bool) error {
	epoch, batch := l.Epoch, l.Batch
	for b, last := range ahead(all, batch, clone) {
		l.Last = last
		if !yield(b) {
			return errLeft
		}
		l.Steps++
		l.Batch++
		if last {
			l.Epoch, l.Batch = l.Epoch+1, 0
		}
		l.current = false
		if err := l.saveIfDue(); err != nil {
			return err
		}
		if l.Done || ctx.Err() != nil {
			return nil
		}
	}
	if l.Epoch == epoch {
		return fmt.Errorf("train: epoch %d has no batch number %d, want as many batches as when the checkpoint was written", epoch, batch)
	}
	return nil
}

// ahead yields the batches after the first skip ones, each with whether it is the last. It keeps a copy, because a batch is
// yielded after the next one was made, in what may be the same memory.
func ahead[B any](all iter.Seq[B], skip int, clone func(B) B) iter.Seq2[B, bool] {
	return func(yield func(B, bool) bool) {
		var held B
		i := 0
		for batch := range all {
			if i++; i <= skip {
				continue
			}
			if i > skip+1 && !yield(held, false) {
				return
			}
			held = clone(batch)
		}
		if i > skip {
			yield(held, true)
		}
	}
}

// begin makes the folder, checks that it has no checkpoint of a later place, and saves the present place.
func (l *Loop) begin() error {
	l.saved = time.Now()
	if l.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(l.Dir, 0o777); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	files, err := l.files()
	if err != nil {
		return err
	}
	if len(files) > 0 && files[len(files)-1] > l.file() {
		return fmt.Errorf("train: there is a checkpoint %s, but the loop is at step %d; call Resume first, or choose another folder",
			files[len(files)-1], l.Steps)
	}
	if l.current {
		return nil
	}
	if err := l.save(true); err != nil {
		return err
	}
	return l.wait()
}

// end saves the place, unless the loop ends with an error, and waits for the write in the background.
func (l *Loop) end(ctx context.Context, err error) error {
	if err == nil && l.Dir != "" && !l.current {
		err = l.save(true)
	}
	if late := l.wait(); late != nil {
		return errors.Join(err, late)
	}
	return cmp.Or(err, ctx.Err())
}

// saveIfDue saves the place if a checkpoint is due, and the best model if the body says so. It returns the error of a write
// in the background that has ended.
func (l *Loop) saveIfDue() error {
	select {
	case err := <-l.writing:
		if l.writing = nil; err != nil {
			return err
		}
	default:
	}
	interval := l.Interval
	if interval <= 0 && l.Every <= 0 {
		interval = time.Minute
	}
	due := l.Every > 0 && l.Steps%l.Every == 0 || interval > 0 && time.Since(l.saved) >= interval
	if l.Dir == "" || !due && !l.Best {
		l.Best = false
		return nil
	}
	return l.save(due)
}

// save copies the parts and begins to write them in the background: to the file of the place, if newest is set, and to that
// of the best model, if Best is. It waits for the write before.
func (l *Loop) save(newest bool) error {
	if err := l.wait(); err != nil {
		return err
	}
	f, err := l.parts(&place{l.Epoch, l.Batch, l.Steps, l.Done}).snapshot()
	if err != nil {
		return fmt.Errorf("train: saving %s: %w", l.file(), err)
	}
	var paths []string
	if l.Best { // before the place: the best model is never older than the place has it
		paths = append(paths, filepath.Join(l.Dir, "best.safetensors"))
	}
	if newest {
		paths = append(paths, l.file())
		l.saved, l.current = time.Now(), true
	}
	l.Best = false
	keep, done := l.Keep, make(chan error, 1)
	if keep <= 0 {
		keep = 2
	}
	l.writing = done
	go func() { done <- l.write(f, paths, keep) }()
	return nil
}

// write writes a checkpoint to each path and removes older ones. It reads no field but Dir, because the loop goes on
// meanwhile.
func (l *Loop) write(f *safetensors.File, paths []string, keep int) error {
	if err := writeCheckpoint(f, paths...); err != nil {
		return err
	}
	files, err := l.files()
	if err != nil {
		return err
	}
	for _, old := range files[:max(0, len(files)-keep)] {
		if err := os.Remove(old); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("train: removing an old checkpoint: %w", err)
		}
	}
	return nil
}

// wait waits for the write in the background and returns its error.
func (l *Loop) wait() error {
	if l.writing == nil {
		return nil
	}
	err := <-l.writing
	l.writing = nil
	return err
}

// parts returns Parts and the place.
func (l *Loop) parts(at *place) Checkpoint {
	all := maps.Clone(l.Parts)
	if all["loop"] != nil {
		panic(&autograd.UsageError{Where: "train.Loop", What: `a part is named "loop", which is reserved`})
	}
	if all == nil {
		all = Checkpoint{}
	}
	all["loop"] = at
	return all
}

const filePrefix, fileSuffix, fileDigits = "step-", ".safetensors", 12

// file returns the path of the checkpoint of the present place.
func (l *Loop) file() string {
	return filepath.Join(l.Dir, fmt.Sprintf("%s%0*d%s", filePrefix, fileDigits, l.Steps, fileSuffix))
}

// files returns the paths of all checkpoints in Dir, the newest last.
func (l *Loop) files() (paths []string, err error) {
	if l.Dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(l.Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	for _, e := range entries {
		digits, begins := strings.CutPrefix(e.Name(), filePrefix)
		digits, ends := strings.CutSuffix(digits, fileSuffix)
		if e.Type().IsRegular() && begins && ends && len(digits) == fileDigits && strings.Trim(digits, "0123456789") == "" {
			paths = append(paths, filepath.Join(l.Dir, e.Name()))
		}
	}
	slices.Sort(paths)
	return paths, nil
}
