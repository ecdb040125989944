// Command memory trains a recurrent network on the two classic problems of long memory.
//
//	go run ./examples/memory
//
// The copy problem (Hochreiter & Schmidhuber 1997, "Long short-term memory"; Arjovsky, Shah & Bengio 2016, "Unitary evolution recurrent neural networks")
// shows a few random symbols, then nothing for a long time, and then wants the symbols again, each after a lag of 1000 steps. The command trains
// twice, by full backpropagation through time and by a backpropagation that is truncated to half of the lag. No gradient of the second training ever
// reaches a symbol, so it does not learn to keep the symbols, and its loss stays at chance. The command prints losses, times and memory, and draws the
// losses in memory.png; on two cores it takes about a minute. (At a lag of 50 and less, a truncated training gains a little: even the untrained state has an echo of the symbols, which it learns
// to read.)
//
//	go run ./examples/memory -problem add -cell mingru -hidden 32 -lag 10000
//
// does the same with the adding problem (Hochreiter & Schmidhuber 1997; Le, Jaitly & Hinton 2015, "A simple way to initialize recurrent networks of
// rectified linear units"): the sum of two marked numbers among 10,000, one in each half. Here truncation to half of the steps does no harm: a network
// that has learned from the second half to add marked numbers, and to keep its sum otherwise, does so in the first half as well.
//
// Full backpropagation keeps the states of all steps. With -recompute or -memory it keeps few of them and computes the others again, with the same
// result, bit for bit: see Memory in the text of package rnn.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/examples/progress"
	"github.com/unroll-go/unroll/examples/show"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/train"
)

func main() {
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(o)
	}
	switch {
	case err == nil, err == flag.ErrHelp:
	case errors.As(err, new(usageError)):
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if err := show.WritableFolder(o.out); err != nil {
		return err
	}
	p := o.source()
	fmt.Printf("%s\nchance : %.4f\n", o.title(), p.chance())
	var curves []show.Curve
	updates := o.steps
	for _, t := range o.trainings() {
		curve, err := learn(o, p, t, updates)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		curves = append(curves, curve)
		updates = int(curve.X[len(curve.X)-1]) // the second training is as long as the first
	}
	chance := show.Curve{Name: "chance", X: []float64{0, slices.Max(curves[0].X)}, Values: []float64{p.chance(), p.chance()}}
	return show.WritePlots(filepath.Join(o.out, "memory.png"), show.Plot{Title: o.title(), X: "updates", Zero: true, Curves: append(curves, chance)})
}

// training is one of the two trainings that the command compares.
type training struct {
	name     string
	truncate int // steps before the first answer that gradients go back; 0: all
}

// learn trains a new model for so many updates, or until it has solved the problem, and returns the mean losses of every 50 updates.
func learn(o options, p problem, t training, updates int) (show.Curve, error) {
	const mean = 50
	m := newModel(o, p, t.truncate)
	step := m.step(p)
	adam := optim.NewAdam(m.params, o.lr)
	curve := show.Curve{Name: t.name}
	line := progress.New(t.name, "updates", updates)
	start, done, sum := time.Now(), 0, 0.0
	for solved := false; done < updates && !solved; {
		value, err := step.Run(o.batchOf(p, done))
		if err != nil {
			line.Done()
			return curve, fmt.Errorf("update %d: %w", done, err)
		}
		optim.ClipNorm(step.Grads(), 1)
		adam.Step(step.Grads())
		done++
		sum += float64(value)
		if n := (done-1)%mean + 1; n == mean || done == updates {
			curve.X, curve.Values = append(curve.X, float64(done)), append(curve.Values, sum/float64(n))
			solved = sum/float64(n) < p.chance()/50
			line.Note, sum = fmt.Sprintf("loss %.4f", sum/float64(n)), 0
		}
		line.Set(done)
	}
	line.Done()
	each := time.Since(start) / time.Duration(done)
	fmt.Printf("%s : %.4f after %d updates, %.1f ms an update, %.1f MB\n",
		t.name, curve.Values[len(curve.Values)-1], done, each.Seconds()*1000, memoryInUse(step))
	return curve, nil
}

// batchOf returns the batch of an update: sequences that no other update has.
func (o options) batchOf(p problem, update int) dataset.Rows {
	index := make([]int, o.batch)
	for b := range index {
		index[b] = update*o.batch + b
	}
	return dataset.Rows{Source: p, Index: index}
}

// memoryInUse returns the megabytes that the program holds between two updates. A step keeps its memory from update to update.
func memoryInUse(step *train.Step) float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	runtime.KeepAlive(step)
	return float64(m.HeapAlloc) / (1 << 20)
}
