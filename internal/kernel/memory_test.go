package kernel

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	nan      = float32(math.NaN())
	inf      = float32(math.Inf(1))
	negative = float32(math.Copysign(0, -1))
)

// lengths of vectors: all up to five registers of eight, which covers every tail, and those of networks.
var lengths = append(upTo(40), 75, 150, 151)

func upTo(n int) (all []int) {
	for i := range n {
		all = append(all, i+1)
	}
	return all
}

// wall is a NaN that no kernel makes: read by mistake, it poisons the result; overwritten, it is missed.
var wall = math.Float32frombits(0x7fc5a5a5)

// memory hands out matrices with walls before, after and between the columns, at any alignment, and tells
// afterwards whether more was written than should be.
type memory struct {
	t interface {
		require.TestingT
		Helper()
	}
	r     *rand.Rand
	slabs []slab
}

type slab struct {
	name        string
	all, before []float32
	first, size int // of the matrix within all
	cols, width int
}

func newMemory(t *testing.T, seed uint64) *memory {
	return &memory{t: t, r: rand.New(rand.NewPCG(seed, 1))}
}

// matrix returns rows of cols values from fill, stride apart.
func (m *memory) matrix(name string, rows, cols, stride int, fill func(*rand.Rand) float32) []float32 {
	s := slab{name: name, first: 32 + m.r.IntN(16), cols: cols, width: max(stride, 1)}
	if rows > 0 {
		s.size = (rows-1)*stride + cols
	}
	s.all = make([]float32, s.first+s.size+64)
	for i := range s.all {
		if s.all[i] = wall; s.cell(i) {
			s.all[i] = fill(m.r)
		}
	}
	s.before = slices.Clone(s.all)
	m.slabs = append(m.slabs, s)
	end := s.first + s.size
	return s.all[s.first:end:end]
}

func (m *memory) vector(name string, n int, fill func(*rand.Rand) float32) []float32 {
	return m.matrix(name, 1, n, n, fill)
}

// block returns a matrix as an operand, its rows further apart than they are wide.
func (m *memory) block(name string, rows, cols int, fill func(*rand.Rand) float32) Block {
	stride := cols + m.r.IntN(4)
	return Block{Data: m.matrix(name, rows, cols, stride, fill), Stride: stride, Cols: cols, Back: m.r.IntN(2) == 0}
}

func (s *slab) cell(i int) bool {
	i -= s.first
	return i >= 0 && i < s.size && i%s.width < s.cols
}

// check fails if anything was written but the values of the matrices named.
func (m *memory) check(outputs ...string) {
	m.t.Helper()
	for _, s := range m.slabs {
		output := slices.Contains(outputs, s.name)
		for i, v := range s.all {
			if math.Float32bits(v) != math.Float32bits(s.before[i]) && (!output || !s.cell(i)) {
				require.Failf(m.t, "written where it should not be", "%s: %v at %d of %d, row width %d of %d",
					s.name, v, i-s.first, s.size, s.cols, s.width)
			}
		}
	}
}

// same asserts the same bits, one NaN being like another.
func same(t *testing.T, want, got []float32, format string, args ...any) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, w := range want {
		if g := got[i]; math.Float32bits(w) != math.Float32bits(g) && (w == w || g == g) {
			require.Failf(t, "other bits", format+": element %d is %v (%08x), want %v (%08x)",
				append(args, i, g, math.Float32bits(g), w, math.Float32bits(w))...)
		}
	}
}

// tame are values of ordinary size.
func tame(r *rand.Rand) float32 { return float32(r.NormFloat64()) }

// wild are values of all sizes, so that sums cancel and products leave the range, and all special ones.
func wild(r *rand.Rand) float32 {
	special := [...]float32{0, negative, 1, -1, 0.625, -0.625, inf, -inf, nan, math.MaxFloat32, -math.MaxFloat32,
		0x1p-126, -0x1p-126, 0x1p-149, -0x1p-149, 0x1.fp-130, 88.7, -87.3, 9.05, 20}
	if r.IntN(16) == 0 {
		return special[r.IntN(len(special))]
	}
	return float32(math.Ldexp(2*r.Float64()-1, r.IntN(110)-90))
}

func walls(*rand.Rand) float32 { return wall }

var fills = map[string]func(*rand.Rand) float32{"tame": tame, "wild": wild}

// failure is a test that only notes that it failed.
type failure bool

func (f *failure) Errorf(string, ...any) { *f = true }
func (f *failure) FailNow()              {}
func (f *failure) Helper()               {}

// TestMemory: the walls notice what the tests rely on them to notice.
func TestMemory(t *testing.T) {
	for name, c := range map[string]struct {
		write  int // relative to the matrix
		output string
		caught bool
	}{
		"nothing":       {-1000, "", false},
		"a value":       {0, "m", false},
		"last value":    {12, "m", false},
		"an input":      {0, "", true},
		"before":        {-1, "m", true},
		"behind":        {13, "m", true},
		"between":       {3, "m", true},
		"far behind":    {13 + 63, "m", true},
		"another input": {0, "n", true},
	} {
		var found failure
		m := newMemory(t, 1)
		m.t = &found
		m.matrix("m", 3, 3, 5, tame)
		m.vector("n", 3, tame)
		if s := m.slabs[0]; c.write > -1000 {
			s.all[s.first+c.write] = 7
		}
		m.check(c.output)
		assert.Equal(t, c.caught, bool(found), name)
	}
}

// TestCollectorSeesNoStrayPointer computes while the garbage collector looks at the stacks: what an operand's
// pointer is moved to must be within the operand whenever it looks.
func TestCollectorSeesNoStrayPointer(t *testing.T) {
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	// More than 32 KiB, so that what follows is no object.
	x, w, c := make([]float32, 9000), make([]float32, 9000), make([]float32, 9000)
	var b Matrix
	b.Reset(100, 100)
	for range 3000 {
		b.SetRows(0, 90, w, 100)
		Affine(c, 100, 90, nil, Block{Data: x, Stride: 100, Cols: 90}, Block{}, &b)
		GemmT(c, 100, 90, 100, 90, x, 100, w, 100)
	}
	close(stop)
	wait.Wait()
}

func TestAlloc(t *testing.T) {
	for n := range 200 {
		v := Alloc(n)
		require.Len(t, v, n)
		require.Equal(t, n, cap(v), "append would write into what lies behind")
		for _, x := range v {
			require.Zero(t, x)
		}
		if n > 0 {
			require.Zero(t, uintptr(unsafe.Pointer(&v[0]))%Align, "%d values", n)
		}
	}
}
