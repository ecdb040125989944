package dataset_test

import (
	"fmt"
	"log"
	"math"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/metrics"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/rnn"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/train"
)

// weather returns a table of hourly temperatures and pressures in which some fields are empty.
func weather() string {
	var text strings.Builder
	text.WriteString("temperature,pressure\n")
	for hour := range 400 {
		day := 2 * math.Pi * float64(hour) / 24
		temperature := fmt.Sprintf("%.2f", 15+8*math.Sin(day))
		if hour%50 == 7 || hour >= 120 && hour < 130 { // single hours, and one failure of ten hours
			temperature = ""
		}
		fmt.Fprintf(&text, "%s,%.1f\n", temperature, 1013+5*math.Cos(day/3))
	}
	return text.String()
}

// From a table with gaps to a model that predicts the temperature of the next hour, and to predictions in degrees.
// Single missing hours are interpolated. The gap of ten hours stays, and windows over it are left out.
func Example_seriesWithGaps() {
	table, err := dataset.CSV{Header: true, EmptyIsNaN: true}.Read(strings.NewReader(weather()))
	if err != nil {
		log.Fatal(err)
	}
	past, future := dataset.SplitSeries(table.X, 300)
	for _, series := range []*tensor.Tensor{past, future} {
		filled, left := dataset.FillGaps(series, 3)
		fmt.Println("filled:", filled, "left:", left)
	}
	scale, err := dataset.FitInputs(&dataset.Tensors{X: past})
	if err != nil {
		log.Fatal(err)
	}
	scale.Apply(past, future)

	config := dataset.WindowConfig{Steps: 12, Ahead: 1, Horizon: 1, Targets: []int{0}, SkipGaps: true}
	known, unseen := dataset.NewWindows(config, past), dataset.NewWindows(config, future)
	fmt.Println("windows:", known.Len(), "skipped:", known.Skipped())

	params := autograd.NewParams(1)
	layer := rnn.NewElman(params.In("rnn"), rnn.ElmanConfig{Input: 2, Hidden: 16})
	head := layers.NewDense(params.In("head"), 16, 1)
	model := func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		h, _ := layer.Last(t.Input(b.X), rnn.Options{})
		return head.Forward(h)
	}
	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.MSE{}.Of(model(t, b), b.Target)
	})
	adam := optim.NewAdam(params, 0.01)
	for epoch := range uint64(20) {
		for rows := range dataset.Shuffled(known, 32, 1, epoch) {
			if _, err := step.Run(rows); err != nil {
				log.Fatal(err)
			}
			adam.Step(step.Grads())
		}
	}

	degrees := scale.Columns(0) // of the only target
	var errors metrics.Regression
	err = train.Evaluate(params, unseen, 64, model, func(y *autograd.Node, b *dataset.Batch) {
		degrees.Undo(y.Data())
		degrees.Undo(b.Target.Data())
		errors.Add(y.Data(), b.Target.Data())
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("hours:", errors.Count(), "mean error below half a degree:", errors.MAE() < 0.5)
	// Output:
	// filled: 6 left: 10
	// filled: 2 left: 0
	// windows: 266 skipped: 22
	// hours: 88 mean error below half a degree: true
}

// Half of the examples, with each kind in the same proportion in both halves.
func ExampleSplitStratified() {
	kinds := []string{"cat", "dog", "dog", "cat", "dog", "dog"}
	s := &dataset.Tensors{X: tensor.Of([]float32{0, 1, 2, 3, 4, 5}, 6, 1)}
	known, unseen := dataset.SplitStratified(s, kinds, 3, 42)
	for _, part := range []dataset.Source{known, unseen} {
		var b dataset.Batch
		if err := part.Gather([]int{0, 1, 2}, &b); err != nil {
			log.Fatal(err)
		}
		for _, i := range b.Index { // the number of each row's example in s
			fmt.Println(i, kinds[i])
		}
	}
	// Output:
	// 4 dog
	// 1 dog
	// 0 cat
	// 3 cat
	// 5 dog
	// 2 dog
}

func ExampleFillGaps() {
	nan := float32(math.NaN())
	series := tensor.Of([]float32{1, nan, 3, nan, nan, nan, 7, nan}, 8, 1)
	filled, left := dataset.FillGaps(series, 2)
	fmt.Println(series.Data(), filled, left)
	// Output: [1 2 3 NaN NaN NaN 7 7] 2 3
}

// A column that is both input and target is read twice. The input is filled; the target keeps its gap, which losses and metrics
// pass over.
func ExampleFillGaps_target() {
	table, err := dataset.CSV{Header: true, Features: []string{"load", "load"}, EmptyIsNaN: true}.Read(strings.NewReader(
		"hour,load\n0,10\n1,20\n2,\n3,40\n4,50\n"))
	if err != nil {
		log.Fatal(err)
	}
	dataset.FillGaps(table.X, 3, 0)
	w := dataset.NewWindows(dataset.WindowConfig{Steps: 2, Ahead: 1, Horizon: 1, Inputs: []int{0}, Targets: []int{1}}, table.X)
	for rows := range dataset.Batches(w, 1) {
		var b dataset.Batch
		if err := rows.Source.Gather(rows.Index, &b); err != nil {
			log.Fatal(err)
		}
		fmt.Println(b.X.Data(), b.Target.Data())
	}
	// Output:
	// [10 20] [NaN]
	// [20 30] [40]
	// [30 40] [50]
}

// A table is standardized by its training part, and a prediction is taken back to the unit of the target.
func ExampleStandardizer() {
	table, err := dataset.CSV{Header: true, Targets: []string{"price"}}.Read(strings.NewReader(
		"rooms,year,price\n2,1990,100\n4,1990,300\n8,1990,900\n"))
	if err != nil {
		log.Fatal(err)
	}
	known, _ := dataset.Split(table, 2)
	inputs, err := dataset.FitInputs(known)
	if err != nil {
		log.Fatal(err)
	}
	targets, err := dataset.FitTargets(known)
	if err != nil {
		log.Fatal(err)
	}
	inputs.Apply(table.X)
	targets.Apply(table.Target)
	fmt.Println(table.X.Data(), table.Target.Data())

	predicted := []float32{0.5, -0.5}
	targets.Undo(predicted)
	fmt.Println(predicted)

	// With the weights: safetensors.Save takes the metadata, and Load returns it.
	metadata := map[string]string{"inputs": inputs.String(), "targets": targets.String()}
	read, err := dataset.ParseStandardizer(metadata["inputs"])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(read) // the year is the same in both rows: its scale is 1
	// Output:
	// [-1 0 1 0 5 0] [-1 1 7]
	// [250 150]
	// {"mean":[3,1990],"scale":[1,1]}
}
