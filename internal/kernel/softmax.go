package kernel

import (
	"math"
	"unsafe"
)

// SoftmaxCrossEntropy returns -log(softmax(logits)[label]), computed as
// log(sum(e^(logit-max))) - (logit[label]-max), and leaves softmax(logits) in p.
func SoftmaxCrossEntropy(p, logits []float32, label int) float32 {
	p = p[:len(logits)]
	top, sum := softmax(p, logits)
	return float32(math.Log(float64(sum))) - (logits[label] - top)
}

// Softmax computes p = softmax(logits), of one row.
func Softmax(p, logits []float32) {
	if len(logits) > 0 {
		softmax(p[:len(logits)], logits)
	}
}

func softmax(p, logits []float32) (top, sum float32) {
	if asm.softmax != nil {
		return asm.softmax(unsafe.SliceData(p), unsafe.SliceData(logits), len(p))
	}
	top = logits[0]
	for _, x := range logits {
		top = max(top, x)
	}
	for i, x := range logits {
		p[i] = x - top
	}
	Exp(p, p)
	var s [16]float32
	for i, e := range p {
		s[i%16] += e
	}
	sum = joined(&s)
	for i := range p {
		p[i] /= sum
	}
	return top, sum
}

// SoftmaxGrad adds y[i]*(grad[i] - sum(grad*y)) to dx, the gradient through y = softmax(x), of one row.
func SoftmaxGrad(dx, grad, y []float32) {
	dx, grad = dx[:len(y)], grad[:len(y)]
	sum := float32(Dot(grad, y))
	for i, v := range y {
		dx[i] += v * (grad[i] - sum)
	}
}

// LogSoftmax computes y[i] = (logits[i]-max) - ln(sum(e^(logits-max))), of one row.
func LogSoftmax(y, logits []float32) {
	if len(logits) == 0 {
		return
	}
	top, sum := softmax(y[:len(logits)], logits)
	log := float32(math.Log(float64(sum)))
	for i, x := range logits {
		y[i] = (x - top) - log
	}
}

// LogSoftmaxGrad adds grad[i] - e^y[i]*sum(grad) to dx, the gradient through y = log softmax(x), of one row.
func LogSoftmaxGrad(dx, grad, y []float32) {
	dx, grad = dx[:len(y)], grad[:len(y)]
	sum := float32(Sum(grad))
	for i, v := range y {
		dx[i] += grad[i] - float32(exp32(v)*sum)
	}
}
