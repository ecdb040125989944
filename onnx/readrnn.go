package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/internal/quote"
	"github.com/unroll-go/unroll/rnn"
)

// gateOrders are the places of PyTorch's gates among those of ONNX: i, o, f, c instead of i, f, g, o; z, r, h instead of r, z, n.
var gateOrders = map[string][]int{"RNN": {0}, "LSTM": {0, 2, 3, 1}, "GRU": {1, 0, 2}}

// peepholes are the places of i, f, o among i, o, f.
var peepholes = []int{0, 2, 1}

// reordered returns blocks of values, which are as many as order, in another order.
func reordered(values []float32, order []int) []float32 {
	block := len(values) / len(order)
	to := make([]float32, 0, len(values))
	for _, k := range order {
		to = append(to, values[k*block:][:block]...)
	}
	return to
}

func (r reader) recurrent() (*Layer, error) {
	relu, err := r.checkRecurrent()
	if err != nil {
		return nil, err
	}
	order := gateOrders[r.Op]
	gates := len(order)
	w, err := r.array(1, "W", 3)
	if err != nil {
		return nil, err
	}
	rec, err := r.array(2, "R", 3)
	if err != nil {
		return nil, err
	}
	bias, err := r.array(3, "B", 2)
	if err != nil {
		return nil, err
	}
	var peephole *array
	if r.Op == "LSTM" {
		if peephole, err = r.array(7, "P", 2); err != nil {
			return nil, err
		}
	}
	if w == nil || rec == nil {
		return nil, errors.New("it has no W or no R")
	}

	l := &Layer{}
	directions := 1
	switch direction := r.Attribute("direction"); {
	case direction == nil || direction.Text == "forward":
	case direction.Text == "reverse":
		l.Reverse = true
	case direction.Text == "bidirectional":
		directions = 2
	default:
		return nil, fmt.Errorf("direction is %s", quote.Text(direction.Text))
	}
	hidden, in := rec.shape[2], w.shape[2]
	fits := hidden > 0 && in > 0 && int64(hidden) == r.int("hidden_size", int64(hidden)) &&
		slices.Equal(w.shape, []int{directions, gates * hidden, in}) && slices.Equal(rec.shape, []int{directions, gates * hidden, hidden}) &&
		(bias == nil || slices.Equal(bias.shape, []int{directions, 2 * gates * hidden})) &&
		(peephole == nil || slices.Equal(peephole.shape, []int{directions, 3 * hidden}))
	if !fits {
		return nil, fmt.Errorf("the shapes of its weights do not fit: W %v, R %v, want [%d %d*hidden input] and [%d %d*hidden hidden], B [%d 2*%d*hidden], "+
			"P [%d 3*hidden], hidden_size %d", w.shape, rec.shape, directions, gates, directions, gates, directions, gates, directions, r.int("hidden_size", int64(hidden)))
	}

	for d := range directions {
		suffix := "_l0" + strings.Repeat("_reverse", d)
		add := func(name string, from *array, parts, part int, order []int, shape ...int) {
			key := fmt.Sprint(r.Op, directions, name, suffix, " ", from.name)
			l.Weights = append(l.Weights, r.weight(key, name+suffix, func() []float32 {
				values := from.values[len(from.values)/directions*d:][:len(from.values)/directions]
				return reordered(values[len(values)/parts*part:][:len(values)/parts], order)
			}, shape...))
		}
		add("weight_ih", w, 1, 0, order, gates*hidden, in)
		add("weight_hh", rec, 1, 0, order, gates*hidden, hidden)
		if bias != nil {
			add("bias_ih", bias, 2, 0, order, gates*hidden)
			add("bias_hh", bias, 2, 1, order, gates*hidden)
		}
		if peephole != nil {
			add("weight_peephole", peephole, 1, 0, peepholes, 3*hidden)
		}
	}
	both, noBias := directions == 2, bias == nil
	switch r.Op {
	case "RNN":
		l.Config = rnn.ElmanConfig{Input: in, Hidden: hidden, Bidirectional: both, NoBias: noBias, ReLU: relu}
	case "LSTM":
		l.Config = rnn.LSTMConfig{Input: in, Hidden: hidden, Bidirectional: both, NoBias: noBias, Peephole: peephole != nil}
	case "GRU":
		l.Config = rnn.GRUConfig{Input: in, Hidden: hidden, Bidirectional: both, NoBias: noBias, ResetBefore: r.int("linear_before_reset", 0) == 0}
	}
	return l, nil
}

// checkRecurrent returns an error for what no layer here computes. It reports whether the activation of an RNN is ReLU.
func (r reader) checkRecurrent() (relu bool, err error) {
	names := []string{"hidden_size", "direction", "layout", "activations", "activation_alpha", "activation_beta", "clip", "output_sequence"}
	defaults := []string{"Tanh"}
	switch r.Op {
	case "LSTM":
		names, defaults = append(names, "input_forget"), []string{"Sigmoid", "Tanh", "Tanh"}
	case "GRU":
		names, defaults = append(names, "linear_before_reset"), []string{"Sigmoid", "Tanh"}
	}
	if err := r.allow(names...); err != nil {
		return false, err
	}
	if a := r.Attribute("clip"); a != nil {
		return false, fmt.Errorf("clip is %v; no layer here clips the sums of its gates", a.Float)
	}
	if r.int("input_forget", 0) != 0 {
		return false, errors.New("input_forget is set; no layer here couples the two gates")
	}
	for _, name := range []string{"activation_alpha", "activation_beta"} {
		if a := r.Attribute(name); a != nil && len(a.Floats) > 0 {
			return false, fmt.Errorf("%s begins with %v; no layer here has such an activation", name, a.Floats[0])
		}
	}
	a := r.Attribute("activations")
	if a == nil {
		return false, nil
	}
	if len(a.Texts)%len(defaults) != 0 {
		return false, fmt.Errorf("%d activations, want %d in each direction", len(a.Texts), len(defaults))
	}
	for i, name := range a.Texts {
		relu = r.Op == "RNN" && strings.EqualFold(name, "Relu") && (i == 0 || relu)
		if !strings.EqualFold(name, defaults[i%len(defaults)]) && !relu || i > 0 && r.Op == "RNN" && !strings.EqualFold(name, a.Texts[0]) {
			return false, fmt.Errorf("activations are %s, want %v in each direction (or Relu in all of an RNN)", quote.Texts(a.Texts), defaults)
		}
	}
	return relu, nil
}
