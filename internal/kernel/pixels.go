package kernel

import "unsafe"

// Pixels computes dst[i*stride+j] = src[i*cols+j] / 255 for every row i of cols bytes. src holds the rows one after the
// other, dst stride elements apart.
func Pixels(dst []float32, stride int, src []uint8, cols int) {
	if len(src) == 0 {
		return
	}
	rows := len(src) / cols
	dst = dst[:(rows-1)*stride+cols]
	if asm.pixels != nil && cols >= lanes {
		asm.pixels(unsafe.SliceData(dst), 4*stride, unsafe.SliceData(src), rows, cols)
		return
	}
	for i := range rows {
		row := dst[i*stride:][:cols]
		for j, p := range src[i*cols:][:cols] {
			row[j] = float32(p) / 255
		}
	}
}
