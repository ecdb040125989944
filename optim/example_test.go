package optim_test

import (
	"fmt"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/optim"
)

// parabola makes a weight at 0 and a step that sets its gradient to that of (w-3)^2.
func parabola() (p *autograd.Params, w *autograd.Param, gradient func() *autograd.Grads) {
	p = autograd.NewParams(42)
	w = p.New("w", autograd.Zeros, 1)
	g := autograd.NewGrads(p)
	return p, w, func() *autograd.Grads {
		g.Of(w)[0] = 2 * (w.Value.Data()[0] - 3)
		return g
	}
}

// Adam finds the minimum of (w-3)^2.
func ExampleAdam() {
	params := autograd.NewParams(42)
	w := params.New("w", autograd.Zeros, 1)
	adam, grads := optim.NewAdam(params, 0.1), autograd.NewGrads(params)
	for step := range 300 {
		if step == 200 {
			adam.LR = 0.01 // a schedule is an assignment
		}
		grads.Of(w)[0] = 2 * (w.Value.Data()[0] - 3)
		adam.Step(grads)
	}
	fmt.Printf("%.3f\n", w.Value.Data()[0])
	// Output: 3.000
}

func ExampleAdamW() {
	params, w, gradient := parabola()
	adamw := optim.NewAdamW(params, 0.1)
	adamw.WeightDecay = 0.5 // draws w towards 0
	for range 500 {
		adamw.Step(gradient())
	}
	fmt.Println(w.Value.Data()[0] < 3)
	// Output: true
}

func ExampleSGD() {
	params, w, gradient := parabola()
	sgd := optim.NewSGD(params, 0.01)
	sgd.Momentum, sgd.Nesterov = 0.9, true
	for range 300 {
		sgd.Step(gradient())
	}
	fmt.Printf("%.3f\n", w.Value.Data()[0])
	// Output: 3.000
}

func ExampleRMSProp() {
	params, w, gradient := parabola()
	rms := optim.NewRMSProp(params, 0.01)
	rms.Momentum = 0.5
	for range 2000 {
		rms.LR *= 0.995
		rms.Step(gradient())
	}
	fmt.Printf("%.2f\n", w.Value.Data()[0])
	// Output: 3.00
}

func ExampleAdagrad() {
	params, w, gradient := parabola()
	adagrad := optim.NewAdagrad(params, 1)
	for range 300 {
		adagrad.Step(gradient())
	}
	fmt.Printf("%.3f\n", w.Value.Data()[0])
	// Output: 3.000
}

// Every step of Lion is as long as its learning rate, which a schedule must therefore bring to 0.
func ExampleLion() {
	params, w, gradient := parabola()
	lion, schedule := optim.NewLion(params, 0), optim.Cosine(0.1, 0, 300)
	for step := range 300 {
		lion.LR = schedule(step)
		lion.Step(gradient())
	}
	fmt.Printf("%.3f\n", w.Value.Data()[0])
	// Output: 3.000
}

// The body of a model learns by AdamW, its head by SGD; both are one optimizer.
func ExampleGroups() {
	params := autograd.NewParams(42)
	params.In("rnn").New("weight_hh_l0", autograd.Zeros, 2, 2)
	params.In("head").New("weight", autograd.Zeros, 2)
	body := optim.NewAdamW(params.In("rnn"), 0.001)
	head := optim.NewSGD(params.In("head"), 0.5)
	both, grads := optim.Groups{body, head}, autograd.NewGrads(params)
	for i := range grads.Data {
		grads.Data[i] = 1
	}
	both.Step(grads)
	for w := range params.All() {
		fmt.Printf("%s %.3f\n", w.Name, w.Value.Data())
	}
	// Output:
	// rnn.weight_hh_l0 [-0.001 -0.001 -0.001 -0.001]
	// head.weight [-0.500 -0.500]
}

// A state goes from one optimizer to another by its names.
func ExampleOptimizer_state() {
	params, w, gradient := parabola()
	old := optim.NewAdam(params, 0.1)
	old.Step(gradient())

	saved := map[string][]float32{}
	for name, v := range old.State() {
		saved[name] = slices.Clone(v)
	}
	adam := optim.NewAdam(params, 0.1)
	for name, v := range adam.State() {
		copy(v, saved[name])
		fmt.Printf("%s %.3f\n", name, v)
	}
	adam.Step(gradient())
	fmt.Printf("%.3f\n", w.Value.Data()[0])
	// Output:
	// w.step [1.000]
	// w.exp_avg [-0.600]
	// w.exp_avg_sq [0.036]
	// 0.200
}

func ExampleSchedule() {
	schedule := optim.Warmup(3, optim.Cosine(0.4, 0, 4))
	for step := range 9 {
		fmt.Printf("%.3f ", schedule(step))
	}
	// Output: 0.100 0.200 0.300 0.400 0.341 0.200 0.059 0.000 0.000
}

func ExamplePlateau() {
	plateau := optim.NewPlateau(0.1)
	plateau.Patience = 1
	for _, loss := range []float64{2, 1, 1.1, 1.2, 1.3} {
		fmt.Printf("%.2f ", plateau.Step(loss))
	}
	// Output: 0.10 0.10 0.10 0.01 0.01
}

func ExampleClipValue() {
	params := autograd.NewParams(42)
	w := params.New("w", autograd.Zeros, 3)
	grads := autograd.NewGrads(params)
	copy(grads.Of(w), []float32{5, -0.1, -2})
	optim.ClipValue(grads, 1)
	fmt.Println(grads.Of(w))
	// Output: [1 -0.1 -1]
}
