package layers

import (
	"fmt"
	"math"
	"slices"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
	"github.com/unroll-go/unroll/internal/length"
)

// Attention summarises a memory, a sequence [T,B,M] such as the outputs of an encoder, for a query, such as the state of a
// decoder. Each query is given a score for each step of the memory of its row. The softmax of the scores over the steps gives
// the weights, and the weighted sum of the steps is the context:
//
//	weights[u,b,t] = exp(score[u,b,t]) / (sum over s < lengths[b] of exp(score[u,b,s]))
//	context[u,b] = sum over t < lengths[b] of weights[u,b,t] * memory[t,b]
//
// The kinds of attention differ in their score: [DotAttention] and [AdditiveAttention].
type Attention interface {
	// Forward returns the context and the weights of queries: [B,Q] gives [B,M] and [B,T], one query a row; [U,B,Q]
	// gives [U,B,M] and [U,B,T]. lengths holds the number of valid steps of each row of the memory; nil: all are T. The
	// steps after them have weight 0 and are not read, so they may hold any values, NaN too. A row of length 0 has
	// context 0. lengths is borrowed until Backward has run. Forward panics with a [*autograd.ShapeError] if shapes or
	// lengths do not fit.
	Forward(query, memory *autograd.Node, lengths []int) (context, weights *autograd.Node)
	// Keys returns the keys, which the score compares with the queries, of a memory: [T,B,M] gives [T,B,K]. A decoder that
	// queries the same memory step by step calls Keys once and Attend for each step.
	Keys(memory *autograd.Node, lengths []int) *autograd.Node
	// Attend is Forward with keys [T,B,K] and values [T,B,V] of the caller's: the context is the weighted sum of the
	// values. Forward(query, memory, lengths) is Attend(query, Keys(memory, lengths), memory, lengths).
	Attend(query, keys, values *autograd.Node, lengths []int) (context, weights *autograd.Node)
}

var _ = []Attention{DotAttention{}, (*AdditiveAttention)(nil)}

// DotAttention is the [Attention] whose score is the dot product of the query and the memory's step (Luong, Pham & Manning
// 2015, "Effective approaches to attention-based neural machine translation", arXiv:1508.04025, "dot"):
//
//	score[u,b,t] = query[u,b]·memory[t,b]
//
// Query and memory have the same number of features. It has no weights. Luong's "general" score, query·W·memory, is the
// same with the keys of a [Dense] without bias in place of the memory:
//
//	keys := dense.Forward(autograd.MaskSteps(memory, lengths)) // [T,B,M] -> [T,B,Q]
//	context, weights := layers.DotAttention{}.Attend(query, keys, memory, lengths)
type DotAttention struct {
	// Scaled divides the scores by sqrt(K), the square root of the number of features of a key, so that the softmax is not
	// saturated for many features (Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762, equation 1).
	Scaled bool
}

// Keys returns the memory.
func (a DotAttention) Keys(memory *autograd.Node, _ []int) *autograd.Node { return memory }

// Forward is described at [Attention].
func (a DotAttention) Forward(query, memory *autograd.Node, lengths []int) (context, weights *autograd.Node) {
	return a.Attend(query, memory, memory, lengths)
}

// Attend is described at [Attention].
func (a DotAttention) Attend(query, keys, values *autograd.Node, lengths []int) (context, weights *autograd.Node) {
	scores := autograd.DotSteps(query, keys, lengths)
	if a.Scaled {
		scores = autograd.Scale(scores, float32(1/math.Sqrt(float64(keys.Shape()[2]))))
	}
	return weigh(scores, values, lengths)
}

// weigh returns the context and the weights for scores.
func weigh(scores, values *autograd.Node, lengths []int) (context, weights *autograd.Node) {
	weights = autograd.MaskedSoftmax(scores, lengths)
	return autograd.SumSteps(weights, values, lengths), weights
}

// AdditiveAttention is the [Attention] whose score is computed by a hidden layer of tanh units (Bahdanau, Cho & Bengio 2015,
// "Neural machine translation by jointly learning to align and translate", arXiv:1409.0473, section 3.1 and appendix A.1.2):
//
//	score[u,b,t] = v·tanh(W·query[u,b] + U·memory[t,b])
type AdditiveAttention struct {
	Query  *Dense // W: "query.weight" [hidden, query], without a bias
	Memory *Dense // U: "memory.weight" [hidden, memory], without a bias
	Score  *Dense // v: "score.weight" [1, hidden], without a bias
}

// NewAdditiveAttention makes the weights in p, for queries and memories of so many features and a hidden layer of so many
// units, by Glorot's uniform initialisation. It panics with a [*autograd.ShapeError] if a number is not positive, and as
// [autograd.Params.New] does.
func NewAdditiveAttention(p *autograd.Params, query, memory, hidden int) *AdditiveAttention {
	return &AdditiveAttention{
		NewDenseWith(p.In("query"), DenseConfig{In: query, Out: hidden, NoBias: true}),
		NewDenseWith(p.In("memory"), DenseConfig{In: memory, Out: hidden, NoBias: true}),
		NewDenseWith(p.In("score"), DenseConfig{In: hidden, Out: 1, NoBias: true}),
	}
}

// Keys returns U·memory: [T,B,memory] gives [T,B,hidden], zeros for the steps after a row's length.
func (a *AdditiveAttention) Keys(memory *autograd.Node, lengths []int) *autograd.Node {
	return a.Memory.Forward(autograd.MaskSteps(memory, lengths))
}

// Forward is described at [Attention].
func (a *AdditiveAttention) Forward(query, memory *autograd.Node, lengths []int) (context, weights *autograd.Node) {
	return a.Attend(query, a.Keys(memory, lengths), memory, lengths)
}

// Attend is described at [Attention]. keys are what Keys returns.
func (a *AdditiveAttention) Attend(query, keys, values *autograd.Node, lengths []int) (context, weights *autograd.Node) {
	return weigh(a.scores(a.Query.Forward(query), keys, lengths), values, lengths)
}

// scores returns v·tanh(q + k) for the sums q = W·query [B,hidden] or [U,B,hidden] and the keys k = U·memory [T,B,hidden]; 0
// for the steps after a row's length.
func (a *AdditiveAttention) scores(q, k *autograd.Node, lengths []int) *autograd.Node {
	t := autograd.TapeOf(a.Score.Weight.Name, q, k)
	qs, ks := q.Shape(), k.Shape()
	if len(qs) != 2 && len(qs) != 3 || len(ks) != 3 || !slices.Equal(qs[len(qs)-2:], ks[1:]) {
		panic(&autograd.ShapeError{Where: a.Score.Weight.Name,
			Got:  fmt.Sprintf("queries of shape %v and keys of shape %v", slices.Clone(qs), slices.Clone(ks)),
			Want: fmt.Sprintf("[B,%[1]d] or [U,B,%[1]d], and [T,B,%[1]d]", a.Score.In())})
	}
	length.Check(a.Score.Weight.Name, lengths, ks[1], ks[0])
	var room [3]int
	shape := append(room[:0], qs...)
	shape[len(qs)-1] = ks[0]
	o := additiveOp{a, q, k, t.New(shape...), lengths}
	clear(o.y.Data())
	o.each(func(i, _, n int, hidden []float32) {
		width := a.Score.In()
		kernel.Affine(o.y.Data()[i*ks[0]:], 1, n, nil, kernel.Block{Data: hidden, Stride: width, Cols: width}, kernel.Block{}, a.Score.forward.Get())
	})
	if q.RequiresGrad() || k.RequiresGrad() || !a.Score.Weight.Frozen {
		autograd.Record(t, o, o.y)
	}
	return o.y
}

type additiveOp struct {
	a       *AdditiveAttention
	q, k, y *autograd.Node // [U,B,hidden], [T,B,hidden], [U,B,T]
	lengths []int
}

func (o additiveOp) String() string { return "layers.AdditiveAttention " + o.a.Score.Weight.Name }

// each calls f for each query whose memory has steps: i counts the queries, b is the row of the batch, n the number of its
// steps, and hidden [n,hidden] is tanh(q + k). Backward computes hidden again rather than keep U*T*B*hidden numbers.
func (o additiveOp) each(f func(i, b, n int, hidden []float32)) {
	q, k, width := o.q.Data(), o.k.Data(), o.a.Score.In()
	steps, batch := o.k.Shape()[0], o.k.Shape()[1]
	room := o.y.Tape().Scratch(steps * width)
	for i := range len(q) / width {
		b, n := i%batch, steps
		if o.lengths != nil {
			n = o.lengths[b]
		}
		if n == 0 {
			continue
		}
		hidden := room[:n*width]
		for t := range n {
			row := hidden[t*width:][:width]
			copy(row, k[(t*batch+b)*width:])
			kernel.Add(row, q[i*width:][:width])
		}
		kernel.Tanh(hidden, hidden)
		f(i, b, n, hidden)
	}
}

func (o additiveOp) Backward() {
	dy := o.y.Grad()
	if dy == nil {
		return
	}
	v, width := o.a.Score.Weight, o.a.Score.In()
	steps, batch := o.k.Shape()[0], o.k.Shape()[1]
	var dv, dq, dk []float32
	if !v.Frozen {
		dv = o.y.Tape().Grads().Of(v)
	}
	if o.q.RequiresGrad() {
		dq = o.q.AccumulateGrad()
	}
	if o.k.RequiresGrad() {
		dk = o.k.AccumulateGrad()
	}
	room := o.y.Tape().Scratch(steps * width)
	o.each(func(i, b, n int, hidden []float32) {
		scores := dy[i*steps:][:n]
		if dv != nil {
			kernel.GemmT(dv, width, 1, width, n, scores, 1, hidden, width)
		}
		if dq == nil && dk == nil {
			return
		}
		d := room[:n*width] // the gradient of q + k
		for t, s := range scores {
			row := d[t*width:][:width]
			copy(row, v.Value.Data())
			kernel.Scale(row, s)
		}
		kernel.TanhGrad(d, d, hidden)
		if dq != nil {
			kernel.AddColumns(dq[i*width:][:width], d, width, n)
		}
		if dk != nil {
			for t := range n {
				kernel.Add(dk[(t*batch+b)*width:][:width], d[t*width:][:width])
			}
		}
	})
}
