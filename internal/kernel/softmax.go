package kernel

import (
	"math"
	"unsafe"
)

// SoftmaxCrossEntropy returns -ln(softmax(logits)[label]), computed as ln(sum(e^(logits-max))) - (logits[label]-max), and
// sets p to softmax(logits).
func SoftmaxCrossEntropy(p, logits []float32, label int) float32 {
	p = p[:len(logits)]
	top, sum := softmax(p, logits)
	return float32(math.Log(float64(sum))) - (logits[label] - top)
}

// Softmax computes p = softmax(logits) for one row.
func Softmax(p, logits []float32) {
	if len(logits) > 0 {
		softmax(p[:len(logits)], logits)
	}
}

// softmax is [Softmax] of a row that is not empty. It returns the largest logit, and the sum of e^(logits-top).
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

// SoftmaxGrad adds the gradient through y = softmax(x), for one row, to dx: dx[i] += y[i]*(grad[i] - sum(grad*y)).
func SoftmaxGrad(dx, grad, y []float32) {
	dx, grad = dx[:len(y)], grad[:len(y)]
	sum := float32(Dot(grad, y))
	if asm.softmaxGrad != nil {
		asm.softmaxGrad(unsafe.SliceData(dx), unsafe.SliceData(grad), unsafe.SliceData(y), sum, len(y))
		return
	}
	for i, v := range y {
		dx[i] += float32(v * (grad[i] - sum))
	}
}

// LogSoftmax computes y[i] = (logits[i]-max) - ln(sum(e^(logits-max))) for one row.
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

// LogSoftmaxGrad adds the gradient through y = LogSoftmax(x), for one row, to dx: dx[i] += grad[i] - e^y[i]*sum(grad).
func LogSoftmaxGrad(dx, grad, y []float32) {
	dx, grad = dx[:len(y)], grad[:len(y)]
	sum := float32(Sum(grad))
	if asm.logSoftmaxGrad != nil {
		asm.logSoftmaxGrad(unsafe.SliceData(dx), unsafe.SliceData(grad), unsafe.SliceData(y), sum, len(y))
		return
	}
	for i, v := range y {
		dx[i] += grad[i] - float32(exp32(v)*sum)
	}
}
