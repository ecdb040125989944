package train

import (
	"math"
	"strings"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// Norms measures the weights and the gradient of each layer, for instance to find the layer whose gradient vanishes or
// explodes:
//
//	norms := train.NewNorms(params)
//	...
//	for _, l := range norms.Measure(step.Grads()) {
//		fmt.Println(l.Name, l.Weight, l.Grad)
//	}
type Norms struct {
	layers  []LayerNorms
	weights []*autograd.Param
	layer   []int // the place in layers of each weight
}

// LayerNorms are the Euclidean norms of a layer's weights and of their gradient, each as one vector.
type LayerNorms struct {
	// Name is the path before the names of the weights, such as "head" for "head.weight" and "head.bias". Each layer and
	// direction of a recurrent stack counts for itself: "rnn.l0", "rnn.l0_reverse". A weight without a path has its own name.
	Name         string
	Weight, Grad float64
}

// NewNorms returns the Norms of the layers under p's prefix.
func NewNorms(p *autograd.Params) *Norms {
	n := &Norms{}
	places := map[string]int{}
	for w := range p.All() {
		name := layerOf(w.Name)
		i, ok := places[name]
		if !ok {
			i = len(n.layers)
			places[name] = i
			n.layers = append(n.layers, LayerNorms{Name: name})
		}
		n.weights, n.layer = append(n.weights, w), append(n.layer, i)
	}
	return n
}

// layerOf returns the name of the layer that a weight belongs to.
func layerOf(weight string) string {
	dot := strings.LastIndexByte(weight, '.')
	at := strings.LastIndex(weight, "_l")
	if digit := at + len("_l"); at > dot && digit < len(weight) && '0' <= weight[digit] && weight[digit] <= '9' {
		return weight[:dot+1] + weight[at+1:]
	}
	if dot < 0 {
		return weight
	}
	return weight[:dot]
}

// Measure returns the norms of the weights as they are and of the gradient g, in the order in which the layers' first weights
// were made. The next Measure uses the same memory. It panics with a [*autograd.UsageError] if g belongs to another Params.
func (n *Norms) Measure(g *autograd.Grads) []LayerNorms {
	for i := range n.layers {
		n.layers[i].Weight, n.layers[i].Grad = 0, 0
	}
	for i, w := range n.weights {
		l := &n.layers[n.layer[i]]
		l.Weight = math.Hypot(l.Weight, kernel.Norm(w.Value.Data()))
		l.Grad = math.Hypot(l.Grad, kernel.Norm(g.Of(w)))
	}
	return n.layers
}
