package train

import (
	"sync"

	"github.com/unroll-go/unroll/autograd"
	"github.com/unroll-go/unroll/internal/kernel"
)

// sum adds the gradients of the shards of a batch while the shards are computed, in the order of the shards: the gradient of
// shard i is added once those of all shards before it have been added. The order of the additions, and so the result, is
// the same for any number of workers.
//
// The gradient of a shard lies in a slab, which the next shards use again as soon as it has been added. The first shard
// computes its gradient in the memory of the sum. A worker that begins a shard too far ahead of the sum waits, so that the
// number of slabs does not grow with the number of shards. No worker waits forever: the shards begin in their order, so the
// first shard that has not been added is in the hands of a worker that does not wait, and add is called for it even if the
// work on it fails.
type sum struct {
	total *autograd.Grads
	slabs [][]float32 // all slabs, made when they were first needed

	mu     sync.Mutex
	shards []*shard    // of this batch
	ahead  int         // number of shards that may have begun and not been added
	added  int         // number of shards that have been added
	adding bool        // a worker is adding
	free   [][]float32 // the slabs that no shard uses
	grown  sync.Cond   // added has grown
}

// begin prepares the sum for a batch. ahead is the number of shards that may have begun and not been added.
func (a *sum) begin(shards []*shard, ahead int) {
	a.shards, a.ahead, a.added = shards, ahead, 0
	a.free = append(a.free[:0], a.slabs...)
	a.grown.L = &a.mu
	for _, sh := range shards {
		sh.complete = false
		if sh.grads == nil {
			own := *a.total // of the same weights
			sh.grads = &own
		}
	}
}

// acquire gives a shard memory for its gradient. It waits while the shard is too far ahead.
func (a *sum) acquire(sh *shard) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for sh.index >= a.added+a.ahead {
		a.grown.Wait()
	}
	if sh.grads.Data = a.total.Data; sh.index > 0 {
		sh.grads.Data = a.slab()
	}
}

// slab takes a slab that no shard uses.
func (a *sum) slab() []float32 {
	last := len(a.free) - 1
	if last < 0 {
		slab := kernel.Alloc(len(a.total.Data))
		a.slabs = append(a.slabs, slab)
		return slab
	}
	slab := a.free[last]
	a.free = a.free[:last]
	return slab
}

// release takes back the slab of a shard.
func (a *sum) release(sh *shard) { a.free = append(a.free, sh.grads.Data) }

// add says that the work on a shard has ended, and adds it and the complete shards that follow it to the sum if all shards before
// it have been added. If the work ended with an error, the sum is worth nothing, but the other shards can go on.
func (a *sum) add(sh *shard) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sh.complete = true
	if a.adding {
		return // the worker that is adding will see the shard
	}
	a.adding = true
	for a.added < len(a.shards) && a.shards[a.added].complete {
		if a.added > 0 {
			a.mu.Unlock()
			kernel.Add(a.total.Data, a.shards[a.added].grads.Data)
			a.mu.Lock()
			a.release(a.shards[a.added])
		}
		a.added++
		a.grown.Broadcast()
	}
	a.adding = false
}

// scale multiplies the sum by factor. It works on one stretch after the other, so that the stretch stays in the cache. It returns
// the sum of the norms of all stretches, which is NaN or infinite only if the gradient is.
func (a *sum) scale(factor float32) (norms float64) {
	const stretch = 4096
	for lo := 0; lo < len(a.total.Data); lo += stretch {
		part := a.total.Data[lo:min(lo+stretch, len(a.total.Data))]
		kernel.Scale(part, factor)
		norms += kernel.Norm(part)
	}
	return norms
}
