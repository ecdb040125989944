package main

import (
	"fmt"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/tensorboard"
)

// watch begins a file for TensorBoard in the folder of -tensorboard, for a training whose next step is given. Without the
// flag it returns nil, a Writer that does nothing.
func watch(o options, step int) (*tensorboard.Writer, error) {
	if o.tensorboard == "" {
		return nil, nil
	}
	w, err := tensorboard.Resume(o.tensorboard, step)
	if err != nil {
		return nil, err
	}
	w.Text("flags", step, fmt.Sprintf("`%+v`", o))
	return w, nil
}

// watchEpoch writes what was measured after an epoch, the weights and the gradient of the last batch.
func (m *model) watchEpoch(w *tensorboard.Writer, step int, grads *autograd.Grads, accBatch, accValid float64) {
	w.Scalar("accuracy/last batch", step, accBatch)
	w.Scalar("accuracy/validation", step, accValid)
	for name, p := range m.params.Named() {
		w.Histogram("weights/"+name, step, p.Value.Data())
		w.Histogram("gradients/"+name, step, grads.Of(p))
	}
}
