package kernel

import "unsafe"

// CopyRows copies cols columns of rows rows of src, whose rows start srcStride elements apart, to dst.
//
//	for i := range rows { for j := range cols { dst[i*dstStride+j] = src[i*srcStride+j] } }
func CopyRows(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	dst, src = dst[:(rows-1)*dstStride+cols], src[:(rows-1)*srcStride+cols]
	if asm.copyRows != nil && cols < manyColumns {
		asm.copyRows(unsafe.SliceData(dst), 4*dstStride, unsafe.SliceData(src), 4*srcStride, rows, cols)
		return
	}
	for i := range rows {
		copy(dst[i*dstStride:][:cols], src[i*srcStride:])
	}
}

// manyColumns is the number from which on a call of copy for each row takes no more time than one call of the assembly.
const manyColumns = 1024

// AddRows adds cols columns of rows rows of src, whose rows start srcStride elements apart, to dst.
//
//	for i := range rows { for j := range cols { dst[i*dstStride+j] += src[i*srcStride+j] } }
func AddRows(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	dst, src = dst[:(rows-1)*dstStride+cols], src[:(rows-1)*srcStride+cols]
	if asm.addRows != nil {
		asm.addRows(unsafe.SliceData(dst), 4*dstStride, unsafe.SliceData(src), 4*srcStride, rows, cols)
		return
	}
	for i := range rows {
		Add(dst[i*dstStride:][:cols], src[i*srcStride:][:cols])
	}
}
