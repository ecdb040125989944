package digits

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/unroll-go/unroll/dataset"
	"github.com/unroll-go/unroll/tensor"
)

func sets(d *Data) []*dataset.Images { return []*dataset.Images{d.Train, d.Valid, d.Test} }

// The sum is the same on every platform. Any change of the pictures changes it.
func TestNewBytes(t *testing.T) {
	sum := sha256.New()
	for _, m := range sets(New(42, 500, 200, 300)) {
		sum.Write(m.Pixels)
		sum.Write(m.Labels)
	}
	want := "3cbe7196e5047de1d2c03393483057bb33e9c2daff7aea0d6292c8beef20a853"
	assert.Equal(t, want, hex.EncodeToString(sum.Sum(nil)))
}

func TestNewShapes(t *testing.T) {
	d := New(1, 3, 0, 2)
	for i, n := range []int{3, 0, 2} {
		m := sets(d)[i]
		assert.Equal(t, []int{n, Size, Size}, m.Shape())
		assert.Len(t, m.Pixels, n*Size*Size)
	}
}

// A picture does not depend on the sizes of the three sets.
func TestNewPrefix(t *testing.T) {
	long, short := New(5, 40, 3, 25), New(5, 7, 20, 24)
	for i, m := range sets(long) {
		n := min(m.Len(), sets(short)[i].Len())
		assert.Equal(t, m.Slice(0, n), sets(short)[i].Slice(0, n), "set %d", i)
	}
}

// Neither sets nor seeds share pictures, and no set has one twice.
func TestNewDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, seed := range []uint64{0, 1, 1 << 63} {
		for _, m := range sets(New(seed, 200, 100, 100)) {
			for i := range m.Len() {
				seen[string(m.Picture(i))] = true
			}
		}
	}
	assert.Len(t, seen, 3*400)
}

func TestNewOnAnyNumberOfGoroutines(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	want := New(9, 53, 11, 2)
	for _, n := range []int{2, 3, 16} {
		runtime.GOMAXPROCS(n)
		require.Equal(t, want, New(9, 53, 11, 2), "GOMAXPROCS is %d", n)
	}
}

func TestNewPanics(t *testing.T) {
	for want, n := range map[string][3]int{
		"digits.New: -1 training pictures":                         {-1, 0, 0},
		"digits.New: -5 validation pictures":                       {1, -5, 1},
		fmt.Sprintf("digits.New: %d test pictures", math.MaxInt/3): {1, 1, math.MaxInt / 3},
	} {
		var wrong *tensor.ShapeError
		require.ErrorAs(t, panicOf(func() { New(1, n[0], n[1], n[2]) }), &wrong)
		assert.EqualError(t, wrong, want+", want 0 or more, of pixels that an int can count")
	}
}

func TestDrawPanics(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, class := range []int{-1, 10} {
		var wrong *tensor.UsageError
		require.ErrorAs(t, panicOf(func() { Draw(r, class, make([]uint8, Size*Size)) }), &wrong)
		assert.EqualError(t, wrong, fmt.Sprintf("digits.Draw: class is %d, want 0 to 9", class))
	}
	for _, n := range []int{0, Size*Size - 1, Size*Size + 1} {
		var wrong *tensor.ShapeError
		require.ErrorAs(t, panicOf(func() { Draw(r, 3, make([]uint8, n)) }), &wrong)
		assert.EqualError(t, wrong, fmt.Sprintf("digits.Draw: picture of %d bytes, want 784", n))
	}
}

// panicOf returns the error that f panics with.
func panicOf(f func()) (err error) {
	defer func() { err, _ = recover().(error) }()
	f()
	return nil
}

// Draw overwrites the bytes that were in the slice before.
func TestDrawOverwrites(t *testing.T) {
	clean, used := make([]uint8, Size*Size), slices.Repeat([]uint8{77}, Size*Size)
	for class := range Classes {
		Draw(rand.New(rand.NewPCG(3, 4)), class, clean)
		Draw(rand.New(rand.NewPCG(3, 4)), class, used)
		require.Equal(t, clean, used, "class %d", class)
	}
}

func TestClassesAreBalanced(t *testing.T) {
	var count [Classes]float64
	for _, label := range New(8, 10000, 0, 0).Train.Labels {
		require.Less(t, label, uint8(Classes))
		count[label]++
	}
	for class, n := range count {
		assert.InDelta(t, 1000, n, 150, "pictures of class %d", class) // five standard deviations
	}
}

// Every class has about as much ink as in MNIST, where the mean pixel is 19 (ones) to 44 (zeros) and a fifth of the pixels
// are not black. Nearly all of the ink keeps clear of the border.
func TestInk(t *testing.T) {
	const n = 300
	r := rand.New(rand.NewPCG(5, 6))
	picture := make([]uint8, Size*Size)
	cut := 0
	for class := range Classes {
		sum, inked := 0, 0
		for range n {
			Draw(r, class, picture)
			require.Greater(t, slices.Max(picture), uint8(180), "brightest pixel of a %d", class)
			before, border := sum, 0
			for i, ink := range picture {
				sum += int(ink)
				inked += min(1, int(ink))
				if y, x := i/Size, i%Size; ink > 100 && (min(x, y) == 0 || max(x, y) == Size-1) {
					border = 1
				}
			}
			require.Greater(t, sum-before, 5*Size*Size, "ink of a %d", class)
			require.Less(t, sum-before, 110*Size*Size, "ink of a %d", class)
			cut += border
		}
		assert.InDelta(t, 32, float64(sum)/(n*Size*Size), 16, "mean pixel of class %d", class)
		assert.InDelta(t, 0.2, float64(inked)/(n*Size*Size), 0.1, "part of class %d that is not black", class)
	}
	assert.Less(t, cut, n*Classes/25, "pictures that touch the border")
}

// nearest returns the accuracy on test of a classifier that returns the label of the nearest picture in refs.
func nearest(refs [][]float64, labels []uint8, test [][]float64, want []uint8) float64 {
	right := 0
	for i, x := range test {
		best, label := math.Inf(1), uint8(0)
		for j, ref := range refs {
			d := 0.0
			for k, v := range ref {
				d += (v - x[k]) * (v - x[k])
			}
			if d < best {
				best, label = d, labels[j]
			}
		}
		if label == want[i] {
			right++
		}
	}
	return float64(right) / float64(len(test))
}

// coarse returns the pictures at half the resolution: sums of 2x2 pixels.
func coarse(m *dataset.Images) [][]float64 {
	out := make([][]float64, m.Len())
	for i := range out {
		out[i] = make([]float64, Size*Size/4)
		for p, ink := range m.Picture(i) {
			out[i][p/Size/2*(Size/2)+p%Size/2] += float64(ink)
		}
	}
	return out
}

// Pictures of a class are alike: their nearest neighbours classify them well. They are not so alike that the mean pictures
// of the classes would do.
func TestNeitherTrivialNorHopeless(t *testing.T) {
	d := New(2, 2000, 0, 300)
	train, test := coarse(d.Train), coarse(d.Test)
	var count [Classes]float64
	for _, label := range d.Train.Labels {
		count[label]++
	}
	means, classes := make([][]float64, Classes), make([]uint8, Classes)
	for c := range classes {
		means[c], classes[c] = make([]float64, len(train[0])), uint8(c)
	}
	for i, x := range train {
		c := d.Train.Labels[i]
		for k, v := range x {
			means[c][k] += v / count[c]
		}
	}
	byMean := nearest(means, classes, test, d.Test.Labels)
	byNeighbour := nearest(train, d.Train.Labels, test, d.Test.Labels)
	t.Logf("right by mean picture: %.3f, by nearest neighbour: %.3f", byMean, byNeighbour)
	assert.Less(t, byMean, 0.75)
	assert.Greater(t, byMean, 0.5)
	assert.Greater(t, byNeighbour, 0.75)
}

// Forms lie in their box, and their strokes are curves that follow can draw.
func TestForms(t *testing.T) {
	for class, all := range forms {
		require.NotEmpty(t, all)
		for i, form := range all {
			points := 0
			for _, stroke := range form {
				points += len(stroke)
				require.GreaterOrEqual(t, len(stroke), 3, "form %d of %d", i, class)
				for _, v := range stroke {
					assert.LessOrEqual(t, math.Abs(v.x), 8.0, "form %d of %d", i, class)
					assert.LessOrEqual(t, math.Abs(v.y), 13.0, "form %d of %d", i, class)
				}
			}
			assert.LessOrEqual(t, points, 16, "form %d of %d outgrows the memory that Draw sets aside", i, class)
		}
	}
}

// steady is a random source that returns first one given number, and then always the number from which r.Float64 computes 0.5.
type steady struct{ next uint64 }

func (s *steady) Uint64() uint64 {
	n := s.next
	s.next = 1 << 52
	return n
}

// Without randomness in the hand, a class is drawn in as many ways as it has forms.
func TestDrawUsesEveryForm(t *testing.T) {
	for class := range Classes {
		seen := map[string]bool{}
		for n := range uint64(64) {
			picture := make([]uint8, Size*Size)
			Draw(rand.New(&steady{n<<58 + n}), class, picture) // IntN looks at the upper bits or the lower
			seen[string(picture)] = true
		}
		assert.Len(t, seen, len(forms[class]), "forms of class %d", class)
	}
}

// Bytes hide nearly all differences of a last bit, so this tests the arithmetic itself: a fused product would keep the last
// term of a square, 2^-60.
func TestProductsAreRounded(t *testing.T) {
	for _, a := range []float64{1 + 0x1p-30} { // not a constant: the compiler would calculate it all, and rightly
		const square = 1 + 0x1p-29
		v, w := vec{a, -square}, vec{a, 1}
		assert.Zero(t, v.dot(w))
		assert.Zero(t, vec{v.y, v.x}.dot(vec{w.y, w.x}))
		assert.Zero(t, vec{-square, -square}.towards(vec{a - square, a - square}, a))
	}
}

// The ends of a straight line are round. Its edge fades over the width of soft, half within the pen's width.
func TestStraightLine(t *testing.T) {
	h := &hand{pen: 1.5, soft: 2}
	var p page
	p.clear()
	p.follow([]vec{{8, 10}, {12, 10}, {20, 10}}, h.reach())
	picture := make([]uint8, Size*Size)
	p.ink(rand.New(rand.NewPCG(0, 0)), h, picture)
	for y := range Size {
		for x := range Size {
			d := math.Hypot(max(0, float64(8-x), float64(x-20)), float64(y-10))
			want := 255 * min(1, max(0, (2.5-d)/2))
			require.InDelta(t, want, float64(picture[y*Size+x]), 0.51, "x %d, y %d", x, y)
		}
	}
}

// The curve begins and ends at the outer points, touches the middle of the line between inner points, and passes through an
// inner point only if it is given twice.
func TestFollow(t *testing.T) {
	for _, c := range []struct {
		points []vec
		on     []vec
		off    []vec
	}{
		{[]vec{{4, 4}, {4, 20}, {20, 20}, {20, 4}}, []vec{{4, 4}, {12, 20}, {20, 4}}, []vec{{4, 20}, {20, 20}}},
		{[]vec{{4, 4}, {4, 20}, {4, 20}, {20, 20}, {20, 4}}, []vec{{4, 20}, {12, 20}, {20, 4}}, []vec{{20, 20}}},
		{[]vec{{4, 4}, {12, 4}, {12, 12}}, []vec{{4, 4}, {10, 6}, {12, 12}}, []vec{{12, 4}}},
	} {
		var p page
		p.clear()
		p.follow(c.points, 3)
		for _, v := range c.on {
			assert.Zero(t, p[int(v.y)*Size+int(v.x)], "%v is on the curve of %v", v, c.points)
		}
		for _, v := range c.off {
			assert.Greater(t, p[int(v.y)*Size+int(v.x)], 4.0, "%v is away from the curve of %v", v, c.points)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	picture := make([]uint8, Size*Size)
	b.ReportAllocs()
	for class := 0; b.Loop(); class = (class + 1) % Classes {
		Draw(r, class, picture)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		New(1, 5000, 0, 0)
	}
}
