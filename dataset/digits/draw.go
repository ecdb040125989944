package digits

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/unroll-go/unroll/tensor"
)

// Draw draws a digit of the given class into picture, which has Size*Size bytes, row by row: 0 is paper, 255 full ink. It
// overwrites every byte. The bytes depend on the class and the random numbers of r alone, and are the same on every
// platform.
//
// Draw panics with a [*tensor.UsageError] if class is not 0 to 9, and with a [*tensor.ShapeError] if picture does not have
// Size*Size bytes.
func Draw(r *rand.Rand, class int, picture []uint8) {
	if class < 0 || class >= Classes {
		panic(&tensor.UsageError{Where: "digits.Draw", What: fmt.Sprintf("class is %d, want 0 to %d", class, Classes-1)})
	}
	if len(picture) != Size*Size {
		panic(&tensor.ShapeError{Where: "digits.Draw", Got: fmt.Sprintf("picture of %d bytes", len(picture)),
			Want: fmt.Sprint(Size * Size)})
	}
	form := forms[class][r.IntN(len(forms[class]))]
	h := newHand(r)
	var memory [16]vec
	points := h.place(r, form, memory[:0])
	var p page
	p.clear()
	for _, stroke := range form {
		p.follow(points[:len(stroke)], h.reach())
		points = points[len(stroke):]
	}
	p.ink(r, &h, picture)
}

// vec is a point or a direction, in pixels: x to the right, y down.
//
// Pictures are the same on every platform because they are computed with sums, products, quotients and square roots, which
// IEEE 754 defines to the last bit. Sines and exponentials, which it does not, are not used. The conversions to
// float64 below round a product before it is added: without them, the compiler may fuse product and sum into one
// operation that rounds once. (It may do so for products with powers of two, which are exact.)
type vec struct{ x, y float64 }

func (v vec) add(w vec) vec                { return vec{v.x + w.x, v.y + w.y} }
func (v vec) sub(w vec) vec                { return vec{v.x - w.x, v.y - w.y} }
func (v vec) scale(s float64) vec          { return vec{float64(v.x * s), float64(v.y * s)} }
func (v vec) dot(w vec) float64            { return float64(v.x*w.x) + float64(v.y*w.y) }
func (v vec) towards(w vec, t float64) vec { return v.add(w.sub(v).scale(t)) }

// hand is the handwriting of one picture.
type hand struct {
	wobble       float64 // the largest distance, in x and in y, by which a point of the form moves
	bendX, bendY vec     // by how much a point moves in x and in y, as factors of (y*y, x*y) and of (x*x, x*y)
	toX, toY     vec     // rows of the matrix that scales, slants and turns
	pen          float64 // half the width of a line
	soft         float64 // width of a line's edge, over which the ink goes from full to none
	grain        float64 // the largest fraction of its ink that a pixel lacks
}

// newHand returns a random hand. The ranges are chosen by eye, and so wide that the classes are not trivial to tell apart.
func newHand(r *rand.Rand) hand {
	h := hand{
		wobble: about(r, 1.5, 0.8),
		bendX:  vec{about(r, 0, 0.05), about(r, 0, 0.04)},
		bendY:  vec{about(r, 0, 0.05), about(r, 0, 0.04)},
		pen:    about(r, 1.3, 0.7),
		soft:   about(r, 1.3, 0.4),
		grain:  about(r, 0.12, 0.12),
	}
	size := about(r, 0.85, 0.25)
	width := size * about(r, 0.9, 0.4)
	slant := size * about(r, -0.2, 0.6) // of the y axis: to the right, mostly
	// If t is the tangent of half an angle, its cosine is (1-t²)/(1+t²) and its sine 2t/(1+t²).
	t := about(r, 0, 0.2)
	turn := vec{1 - float64(t*t), 2 * t}.scale(1 / (1 + float64(t*t)))
	h.toX = vec{turn.x * width, turn.dot(vec{slant, -size})}
	h.toY = vec{turn.y * width, turn.dot(vec{size, slant})}
	return h
}

// about returns a random number within reach of middle. Its distribution is bell-shaped: the mean of three uniform numbers.
func about(r *rand.Rand, middle, reach float64) float64 {
	bell := (r.Float64() + r.Float64() + r.Float64() - 1.5) / 1.5
	return middle + float64(bell*reach)
}

// reach returns the distance from the middle of a line within which there is ink.
func (h *hand) reach() float64 { return h.pen + h.soft/2 }

// place appends the points of all strokes of a form to points, in pixels of the page.
func (h *hand) place(r *rand.Rand, form [][]vec, points []vec) []vec {
	low, high := vec{math.Inf(1), math.Inf(1)}, vec{math.Inf(-1), math.Inf(-1)}
	for _, stroke := range form {
		for i, v := range stroke {
			if i > 0 && v == stroke[i-1] { // the two points of a corner stay one
				points = append(points, points[len(points)-1])
				continue
			}
			v = v.add(vec{r.Float64() - 0.5, r.Float64() - 0.5}.scale(2 * h.wobble))
			v = v.add(vec{h.bendX.dot(vec{v.y * v.y, v.x * v.y}), h.bendY.dot(vec{v.x * v.x, v.x * v.y})})
			v = vec{h.toX.dot(v), h.toY.dot(v)}
			low, high = vec{min(low.x, v.x), min(low.y, v.y)}, vec{max(high.x, v.x), max(high.y, v.y)}
			points = append(points, v)
		}
	}
	// The digit lies near the middle of the page. The larger it is, the nearer.
	const side, far = Size - 1, 4
	room := vec{side, side}.sub(high.sub(low)).scale(0.5)
	shift := vec{about(r, 0, max(0, min(room.x-h.reach(), far))), about(r, 0, max(0, min(room.y-h.reach(), far)))}
	shift = shift.add(room).sub(low)
	for i := range points {
		points[i] = points[i].add(shift)
	}
	return points
}

// page holds for each pixel the square of its distance to the nearest line, or a large number if no line is near.
type page [Size * Size]float64

func (p *page) clear() {
	for i := range p {
		p[i] = math.MaxFloat64
	}
}

// follow draws the quadratic B-spline of the points. The curve starts at the first point, ends at the last, and is tangent to
// the line between every two inner points, at the middle of that line. At a point that is given twice, the curve has
// a corner.
func (p *page) follow(points []vec, reach float64) {
	last := len(points) - 1
	from := points[0]
	for i, bend := range points[1:last] {
		to := points[last]
		if i+2 < last {
			to = bend.towards(points[i+2], 0.5)
		}
		a := from
		for _, t := range [...]float64{0.25, 0.5, 0.75, 1} {
			b := from.towards(bend, t).towards(bend.towards(to, t), t) // de Casteljau
			p.line(a, b, reach)
			a = b
		}
		from = to
	}
}

// line lowers the distances of the pixels within reach of the line from a to b.
func (p *page) line(a, b vec, reach float64) {
	left, right := span(a.x, b.x, reach)
	top, bottom := span(a.y, b.y, reach)
	along := b.sub(a)
	length2 := along.dot(along)
	for y := top; y < bottom; y++ {
		for x := left; x < right; x++ {
			d := vec{float64(x), float64(y)}.sub(a)
			if t := d.dot(along); t > 0 { // otherwise a is the nearest point of the line
				d = d.sub(along.scale(min(t/length2, 1)))
			}
			p[y*Size+x] = min(p[y*Size+x], d.dot(d))
		}
	}
}

// span returns the columns (or rows) [lo, hi) of the page that lie within reach of the interval between a and b.
func span(a, b, reach float64) (lo, hi int) {
	return max(0, int(math.Ceil(min(a, b)-reach))), min(Size, int(math.Floor(max(a, b)+reach))+1)
}

// ink computes the grey values of a picture from the distances.
func (p *page) ink(r *rand.Rand, h *hand, picture []uint8) {
	reach := h.reach()
	for i, d2 := range p {
		ink := 0.0
		if d2 < reach*reach {
			ink = min(1, (reach-math.Sqrt(d2))/h.soft)
			ink -= float64(ink * h.grain * r.Float64())
		}
		picture[i] = uint8(float64(255*ink) + 0.5)
	}
}
