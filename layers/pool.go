package layers

import "github.com/unroll-go/unroll/autograd"

// MaxPool1D takes the largest element of each channel within windows of Width steps that begin Stride steps apart: PyTorch's MaxPool1d
// of time-major sequences. It is [autograd.MaxWindows] as a layer. The largest elements of whole sequences are
// [autograd.MaxSteps].
type MaxPool1D struct {
	Width  int
	Stride int // 0: Width
}

// AvgPool1D takes the mean of each channel within windows of Width steps that begin Stride steps apart: PyTorch's AvgPool1d of
// time-major sequences. It is [autograd.MeanWindows] as a layer. The means of whole sequences are [autograd.MeanSteps].
type AvgPool1D struct {
	Width  int
	Stride int // 0: Width
}

// Forward pools x [T,B,C] to [T',B,C], T' = (T-Width)/Stride + 1, rounded down. It panics as [autograd.MaxWindows] does.
func (p MaxPool1D) Forward(x *autograd.Node) *autograd.Node { return p.ForwardLengths(x, nil) }

// ForwardLengths is Forward for sequences of different lengths, whose padding it does not read. Row b has (lengths[b]-Width)/Stride + 1
// valid steps afterwards, and zeros after them.
func (p MaxPool1D) ForwardLengths(x *autograd.Node, lengths []int) *autograd.Node {
	return autograd.MaxWindows(x, p.Width, strideOf(p.Width, p.Stride), lengths)
}

// Forward pools x [T,B,C] to [T',B,C], T' = (T-Width)/Stride + 1, rounded down. It panics as [autograd.MeanWindows] does.
func (p AvgPool1D) Forward(x *autograd.Node) *autograd.Node { return p.ForwardLengths(x, nil) }

// ForwardLengths is Forward for sequences of different lengths, whose padding it does not read. Row b has (lengths[b]-Width)/Stride + 1
// valid steps afterwards, and zeros after them.
func (p AvgPool1D) ForwardLengths(x *autograd.Node, lengths []int) *autograd.Node {
	return autograd.MeanWindows(x, p.Width, strideOf(p.Width, p.Stride), lengths)
}

func strideOf(width, stride int) int {
	if stride == 0 {
		return width
	}
	return stride
}
