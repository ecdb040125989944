package onnx

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/rnn"
)

// recurrentLayer is a layer that is to be exported: what the three kinds differ in.
type recurrentLayer struct {
	op                    string
	fresh                 *autograd.Params // weights of the names and shapes that the configuration says
	input, hidden, layers int
	bidirectional         bool
	attributes            []message
}

// fresh makes a layer anew, to know its weights. It returns nil if the configuration cannot be.
func (e *Export) fresh(name string, newLayer func(p *autograd.Params)) *autograd.Params {
	p := autograd.NewParams(0)
	if err := autograd.Try(func() { newLayer(p) }); err != nil {
		e.fail("%s: %v", name, err)
		return nil
	}
	return p
}

// layerName returns the name of a layer, which is the prefix of its weights.
func layerName(p *autograd.Params, kind string) string {
	if name := strings.TrimSuffix(p.Prefix(), "."); name != "" {
		return name
	}
	return kind
}

// refuse fails for the first of some settings, names and values, that is set.
func (e *Export) refuse(name string, settings ...any) {
	for i := 0; i < len(settings); i += 2 {
		if v := settings[i+1]; !reflect.ValueOf(v).IsZero() {
			e.fail("%s has %s, which ONNX has no operator for", name, settings[i])
			return
		}
	}
}

// Elman adds the layer that was made with these weights and this configuration. Its dropouts do nothing. LayerNorm and
// Zoneout are an error.
func (e *Export) Elman(x Value, p *autograd.Params, c rnn.ElmanConfig, o Options) Run {
	name := layerName(p, "rnn.Elman")
	e.refuse(name, "LayerNorm", c.LayerNorm, "Zoneout", c.Zoneout)
	l := recurrentLayer{"RNN", e.fresh(name, func(p *autograd.Params) { rnn.NewElman(p, c) }), c.Input, c.Hidden, max(1, c.Layers), c.Bidirectional, nil}
	if c.ReLU {
		l.attributes = []message{textsAttribute("activations", slices.Repeat([]string{"Relu"}, l.directions())...)}
	}
	return e.recurrent(x, p, l, o)
}

// LSTM adds the layer that was made with these weights and this configuration. Its dropouts do nothing. Projection, LayerNorm, Zoneout and
// ZoneoutCell are an error.
func (e *Export) LSTM(x Value, p *autograd.Params, c rnn.LSTMConfig, o Options) Run {
	name := layerName(p, "rnn.LSTM")
	e.refuse(name, "Projection", c.Projection, "LayerNorm", c.LayerNorm, "Zoneout", c.Zoneout, "ZoneoutCell", c.ZoneoutCell)
	return e.recurrent(x, p, recurrentLayer{"LSTM", e.fresh(name, func(p *autograd.Params) { rnn.NewLSTM(p, c) }), c.Input, c.Hidden, max(1, c.Layers),
		c.Bidirectional, nil}, o)
}

// GRU adds the layer that was made with these weights and this configuration. Its dropouts do nothing. LayerNorm and Zoneout are
// an error.
func (e *Export) GRU(x Value, p *autograd.Params, c rnn.GRUConfig, o Options) Run {
	name := layerName(p, "rnn.GRU")
	e.refuse(name, "LayerNorm", c.LayerNorm, "Zoneout", c.Zoneout)
	after := 1
	if c.ResetBefore {
		after = 0
	}
	return e.recurrent(x, p, recurrentLayer{"GRU", e.fresh(name, func(p *autograd.Params) { rnn.NewGRU(p, c) }), c.Input, c.Hidden, max(1, c.Layers),
		c.Bidirectional, []message{intAttribute("linear_before_reset", after)}}, o)
}

func (l *recurrentLayer) directions() int {
	if l.bidirectional {
		return 2
	}
	return 1
}

// check checks the weights, the input and the options of a recurrent layer.
func (e *Export) check(name string, x Value, p *autograd.Params, l recurrentLayer, o Options) bool {
	if !e.ok(x) {
		return false
	}
	for want, w := range l.fresh.Named() {
		if have := p.Get(want); have == nil || !slices.Equal(have.Value.Shape(), w.Value.Shape()) {
			e.fail("%s: the configuration has a weight %s of shape %v, and the weights have none", name, want, w.Value.Shape())
			return false
		}
	}
	if len(x.shape) != 3 || x.kind != typeFloat || !e.features(name, x, l.input) {
		e.fail("%s reads %q of shape %v, want a sequence", name, x.name, x.shape)
		return false
	}
	start := func(what string, v Value) {
		if v.of != nil && e.ok(v) && !slices.Equal(v.shape, []int{l.layers * l.directions(), x.shape[1], l.hidden}) {
			e.fail("%s starts from %s of shape %v, want [%d, Batch, %d]", name, what, v.shape, l.layers*l.directions(), l.hidden)
		}
	}
	start("H", o.Start.H)
	start("C", o.Start.C)
	if o.Start.C.of != nil && l.op != "LSTM" || l.op == "LSTM" && (o.Start.H.of == nil) != (o.Start.C.of == nil) {
		e.fail("%s starts from the state of another kind of layer: its H or C is missing or not wanted", name)
	}
	if o.Lengths.of != nil && e.ok(o.Lengths) && o.Lengths.kind != typeInt32 {
		e.fail("%s: the lengths are %q, want a value of the method Lengths", name, o.Lengths.name)
	}
	return e.err == nil
}

// inverse returns the order that undoes another.
func inverse(order []int) []int {
	undone := make([]int, len(order))
	for k, o := range order {
		undone[o] = k
	}
	return undone
}

func (e *Export) recurrent(x Value, p *autograd.Params, l recurrentLayer, o Options) (r Run) {
	name := layerName(p, l.op)
	if e.err != nil || !e.check(name, x, p, l, o) {
		return Run{}
	}
	directions := l.directions()
	batch := x.shape[1]
	direction := "forward"
	if l.bidirectional {
		direction = "bidirectional"
	}
	attributes := append([]message{intAttribute("hidden_size", l.hidden), textAttribute("direction", direction)}, l.attributes...)
	part := func(state Value, k int) string { // of layer k
		if state.of == nil || l.layers == 1 {
			return state.name
		}
		return e.node("Slice", fmt.Sprintf("%s_l%d", state.name, k), nil, []string{state.name, e.ints(k * directions), e.ints((k + 1) * directions), e.ints(0)}).name
	}
	var ends [2][]string // H and C of each layer
	r.Y = x
	for k := range l.layers {
		suffix := fmt.Sprintf("_l%d", k)
		at := name + "." + l.op + suffix
		weights := e.recurrentWeights(p, l, suffix)
		inputs := append([]string{r.Y.name}, weights[:3]...)
		inputs = append(inputs, o.Lengths.name, part(o.Start.H, k))
		outputs := []string{e.name(at), e.name(at + ".end_h")}
		if l.op == "LSTM" {
			inputs = append(inputs, part(o.Start.C, k), weights[3])
			outputs = append(outputs, e.name(at+".end_c"))
			ends[1] = append(ends[1], outputs[2])
		}
		ends[0] = append(ends[0], outputs[1])
		for inputs[len(inputs)-1] == "" {
			inputs = inputs[:len(inputs)-1]
		}
		e.nodeOf(l.op, inputs, outputs, attributes...)
		// Y is [T,Dirs,B,Hidden].
		sequence := []int{x.shape[0], batch, directions * l.hidden}
		if directions == 1 {
			r.Y = e.node("Squeeze", at+".y", sequence, []string{outputs[0], e.ints(1)})
		} else {
			y := e.transpose(Value{e, outputs[0], typeFloat, []int{x.shape[0], 2, batch, l.hidden}}, 0, 2, 1, 3)
			r.Y = e.node("Reshape", at+".y", sequence, []string{y.name, e.ints(0, 0, 2*l.hidden)})
		}
	}
	end := func(which int, what string) Value {
		shape := []int{l.layers * directions, batch, l.hidden}
		if l.layers == 1 {
			return Value{e, ends[which][0], typeFloat, shape}
		}
		return e.node("Concat", name+"."+what, shape, ends[which], intAttribute("axis", 0))
	}
	top := Value{e, ends[0][l.layers-1], typeFloat, []int{directions, batch, l.hidden}}
	r.Last = e.node("Reshape", name+".last", []int{batch, directions * l.hidden}, []string{e.transpose(top, 1, 0, 2).name, e.ints(0, directions*l.hidden)})
	r.End.H = end(0, "end_h")
	if l.op == "LSTM" {
		r.End.C = end(1, "end_c")
	}
	return r
}

// recurrentWeights adds W, R, B and P of one layer, and returns their names, "" where there is none.
func (e *Export) recurrentWeights(p *autograd.Params, l recurrentLayer, suffix string) [4]string {
	order := inverse(gateOrders[l.op])
	name := layerName(p, l.op)
	stack := func(what string, order []int, weights ...string) string {
		var values []float32
		var shape []int
		for d := range l.directions() {
			for _, w := range weights {
				weight := p.Get(w + suffix + strings.Repeat("_reverse", d))
				if weight == nil {
					return ""
				}
				values = append(values, reordered(weight.Value.Data(), order)...)
				shape = weight.Value.Shape()
			}
		}
		shape = append([]int{l.directions(), len(weights) * shape[0]}, shape[1:]...)
		return e.floats(name+"."+what+suffix, values, shape...)
	}
	return [4]string{stack("W", order, "weight_ih"), stack("R", order, "weight_hh"), stack("B", order, "bias_ih", "bias_hh"),
		stack("P", inverse(peepholes), "weight_peephole")}
}
