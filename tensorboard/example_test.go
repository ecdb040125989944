package tensorboard_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/layers"
	"github.com/unroll-go/unroll/loss"
	"github.com/unroll-go/unroll/optim"
	"github.com/unroll-go/unroll/tensor"
	"github.com/unroll-go/unroll/tensorboard"
	"github.com/unroll-go/unroll/train"
)

// A training writes its loss at every step, and at every hundredth step the distribution of each weight and of its gradient.
func Example() {
	dir, err := os.MkdirTemp("", "runs")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	params := autograd.NewParams(42)
	head := layers.NewDense(params.In("head"), 2, 1)
	step := train.NewStep(params, func(t *autograd.Tape, b *dataset.Batch) *autograd.Node {
		return loss.MSE{}.Of(head.Forward(t.Input(b.X)), b.Target)
	})
	sum := &dataset.Tensors{X: tensor.Of([]float32{0, 0, 0, 1, 1, 0, 1, 1}, 4, 2), Target: tensor.Of([]float32{0, 1, 1, 2}, 4, 1)}
	sgd := optim.NewSGD(params, 0.1)

	w, err := tensorboard.Create(filepath.Join(dir, "first"))
	if err != nil {
		log.Fatal(err)
	}
	w.Text("settings", 0, "SGD, learning rate **0.1**")
	for i := range 201 {
		var value float32
		for batch := range dataset.Shuffled(sum, 4, 42, uint64(i)) {
			if value, err = step.Run(batch); err != nil {
				log.Fatal(err)
			}
		}
		w.Scalar("loss/train", i, float64(value))
		if i%100 == 0 {
			for name, p := range params.Named() {
				w.Histogram("weights/"+name, i, p.Value.Data())
				w.Histogram("gradients/"+name, i, step.Grads().Of(p))
			}
		}
		sgd.Step(step.Grads())
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "first", "events.out.tfevents.*"))
	fmt.Println(len(files), "file", err)
	// Output: 1 file <nil>
}
