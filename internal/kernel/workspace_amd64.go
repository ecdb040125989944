//go:build !noasm

package kernel

// workspace is memory for packed operands: a for the left one, b for the right one.
type workspace struct{ a, b []float32 }

// idle are the workspaces that no product uses. A sync.Pool would drop its contents at a garbage collection.
var idle = make(chan *workspace, 64)

func takeWorkspace() *workspace {
	select {
	case w := <-idle:
		return w
	default:
		return new(workspace)
	}
}

func (w *workspace) giveBack() {
	select {
	case idle <- w:
	default:
	}
}

// atLeast returns *buffer, which it replaces if that is shorter than n.
func atLeast(buffer *[]float32, n int) []float32 {
	if len(*buffer) < n {
		*buffer = Alloc(n)
	}
	return *buffer
}
