// Command forecast learns to continue a series of numbers, t*sin(t)/3 + 2*sin(5t): a tanh RNN of 100 units reads
// 20 steps of the series and predicts, at each step, the next value.
//
//	go run ./examples/forecast
//
// It is trained on the series up to t = 24 and tested on the rest in two ways: one step ahead, where every
// prediction follows from the true values before it, and freely, where the network reads its own predictions. The
// command prints the errors of both and writes forecast.png.
//
//	go run ./examples/forecast -range
//
// makes a learning-rate range test instead: a short training whose learning rate grows. The command prints the rate at
// which the loss falls fastest and writes range.png.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/examples/progress"
	"github.com/unroll-go/unroll/examples/show"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

const (
	perUnit = 10           // steps of the series in a unit of t
	known   = 24 * perUnit // steps for training
	total   = 30 * perUnit
	window  = 20  // steps that the network reads at once
	hidden  = 100 // units of the recurrent layer
)

func main() {
	out := flag.String("out", "forecast-run", "folder for forecast.png")
	epochs := flag.Int("epochs", 400, "passes over the known part of the series")
	seed := flag.Uint64("seed", 42, "seed of the weights and of the order of the windows")
	rangeTest := flag.Bool("range", false, "search for a learning rate instead")
	flag.Parse()
	err := error(nil)
	if *rangeTest {
		err = findRate(*out, *seed)
	} else {
		err = run(*out, *epochs, *seed)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(out string, epochs int, seed uint64) error {
	if err := show.WritableFolder(out); err != nil {
		return err
	}
	series, scale := makeSeries()
	m := newModel(seed)
	if err := m.learn(tensor.Of(series[:known], known, 1), epochs, seed); err != nil {
		return err
	}
	ahead, err := m.oneAhead(series)
	if err != nil {
		return err
	}
	free := m.free(series[:known], total-known)

	unseen := series[known:]
	fmt.Printf("mean squared error on the unseen %d steps, as a share of the series' variance:\n", total-known)
	fmt.Printf("one step ahead             : %.4f\n", squares(ahead, unseen)/variance(series))
	fmt.Printf("freely, the first %d steps : %.4f\n", window, squares(free[:window], unseen[:window])/variance(series))
	fmt.Printf("freely, all steps          : %.4f\n", squares(free, unseen)/variance(series))
	return draw(filepath.Join(out, "forecast.png"), scale, series, ahead, free)
}

// makeSeries returns the series divided by scale, which is the largest absolute value of its known part.
func makeSeries() (series []float32, scale float64) {
	series = make([]float32, total)
	for i := range series {
		t := float64(i) / perUnit
		series[i] = float32(t*math.Sin(t)/3 + 2*math.Sin(5*t))
		if i < known {
			scale = max(scale, math.Abs(float64(series[i])))
		}
	}
	for i := range series {
		series[i] /= float32(scale)
	}
	return series, scale
}

// model is a recurrent layer whose output at every step goes through a dense layer.
type model struct {
	params *autograd.Params
	cell   *rnn.Elman
	head   *layers.Dense
}

func newModel(seed uint64) model {
	params := autograd.NewParams(seed)
	return model{params, rnn.NewElman(params.In("rnn"), rnn.ElmanConfig{Input: 1, Hidden: hidden}), layers.NewDense(params.In("head"), hidden, 1)}
}

// training returns the windows of a series and the step that trains on them.
func (m model) training(series *tensor.Tensor) (*dataset.Windows, *train.Step) {
	step := train.NewStep(m.params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		h, _ := m.cell.Forward(t.Input(b.X), rnn.Options{})
		return loss.MSE{}.Of(m.head.Forward(h), b.Target)
	})
	return dataset.NewWindows(dataset.WindowConfig{Steps: window, Ahead: 1}, series), step
}

// learn trains sequence to sequence on windows of the series: the target of each step is the value of the next one.
func (m model) learn(series *tensor.Tensor, epochs int, seed uint64) error {
	windows, step := m.training(series)
	adam := optim.NewAdam(m.params, 0)
	batches := windows.Len() / 50
	rate := optim.Cosine(2e-3, 0, epochs*batches)
	line := progress.New("learning", "steps", epochs*batches)
	defer line.Done()
	for epoch := range epochs {
		i := epoch * batches
		for rows := range dataset.Shuffled(windows, 50, seed, uint64(epoch)) {
			value, err := step.Run(rows)
			if err != nil {
				return fmt.Errorf("epoch %d: %w", epoch, err)
			}
			optim.ClipNorm(step.Grads(), 1)
			adam.LR = rate(i)
			adam.Step(step.Grads())
			i++
			line.Note = fmt.Sprintf("loss %.4f", value)
			line.Set(i)
		}
	}
	return nil
}

// findRate makes a learning-rate range test and draws it.
func findRate(out string, seed uint64) error {
	if err := show.WritableFolder(out); err != nil {
		return err
	}
	series, _ := makeSeries()
	m := newModel(seed)
	windows, step := m.training(tensor.Of(series[:known], known, 1))
	adam := optim.NewAdam(m.params, 0)
	batches := slices.Collect(dataset.Shuffled(windows, 50, seed, 0))
	history, err := train.RangeTest{First: 1e-5, Last: 1, Smooth: 0.8}.Run(m.params, func(rate float64) (float32, error) {
		l, err := step.Run(batches[step.Runs%uint64(len(batches))])
		if err != nil {
			return 0, err
		}
		adam.LR = rate
		adam.Step(step.Grads())
		return l, nil
	})
	if err != nil {
		return err
	}
	fmt.Printf("the loss falls fastest at a learning rate of %.1g\n", train.SteepestRate(history))
	rates := history.Column("lr")
	for i, rate := range rates {
		rates[i] = math.Log10(rate)
	}
	return show.WritePlots(filepath.Join(out, "range.png"), show.Plot{Title: "learning-rate range test", X: "log10 of the learning rate", Zero: true, Curves: []show.Curve{
		{Name: "loss", X: rates, Values: history.Column("loss")}, {Name: "smoothed", X: rates, Values: history.Column("smoothed")}}})
}

// oneAhead returns the predictions of the unseen steps, each from the window of true values before it.
func (m model) oneAhead(series []float32) (predicted []float32, err error) {
	const from = known - window
	windows := dataset.NewWindows(dataset.WindowConfig{Steps: window, Ahead: 1, Horizon: 1}, tensor.Of(series[from:], total-from, 1))
	err = train.Evaluate(m.params, windows, 50, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		h, _ := m.cell.Last(t.Input(b.X), rnn.Options{})
		return m.head.Forward(h)
	}, func(y *autograd.Node, _ *dataset.Batch) {
		predicted = append(predicted, y.Data()...)
	})
	return predicted, err
}

// free returns n predictions after the end of series: the network reads the last window step by step, and then its own
// predictions.
func (m model) free(series []float32, n int) (predicted []float32) {
	tape, state := autograd.NewInference(m.params), m.cell.NewState(1)
	x := tensor.New(1, 1)
	next := func(v float32) float32 {
		tape.Reset()
		x.Data()[0] = v
		h, carry := m.cell.Step(tape.Input(x), state.Carry(tape, 0, 1))
		state.Set(carry, 0)
		return m.head.Forward(h).Data()[0]
	}
	var y float32
	for _, v := range series[len(series)-window:] {
		y = next(v)
	}
	for range n {
		predicted = append(predicted, y)
		y = next(y)
	}
	return predicted
}

// squares returns the mean squared difference.
func squares(a, b []float32) float64 {
	sum := 0.0
	for i, v := range a {
		d := float64(v - b[i])
		sum += d * d
	}
	return sum / float64(len(a))
}

// variance returns the variance of the values.
func variance(v []float32) float64 {
	mean := 0.0
	for _, x := range v {
		mean += float64(x) / float64(len(v))
	}
	sum := 0.0
	for _, x := range v {
		sum += (float64(x) - mean) * (float64(x) - mean)
	}
	return sum / float64(len(v))
}

// draw writes the picture.
func draw(path string, scale float64, series, ahead, free []float32) error {
	line := func(name string, first int, values []float32) show.Curve {
		c := show.Curve{Name: name}
		for i, v := range values {
			c.X = append(c.X, float64(first+i)/perUnit)
			c.Values = append(c.Values, float64(v)*scale)
		}
		return c
	}
	return show.WritePlots(path, show.Plot{Title: "t sin(t)/3 + 2 sin(5t), unseen from t = 24 on", X: "t", Curves: []show.Curve{
		line("truth", known-4*window, series[known-4*window:]), line("one step ahead", known, ahead), line("freely", known, free)}})
}
