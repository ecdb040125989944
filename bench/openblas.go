package main

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// openblas is OpenBLAS's library, loaded without cgo.
type openblas struct {
	version string
	sgemm   uintptr // the Fortran symbol: every argument is a pointer
}

func loadOpenBLAS() (*openblas, error) {
	if err := os.Setenv("OPENBLAS_NUM_THREADS", "1"); err != nil { // read when it is loaded
		return nil, err
	}
	defer os.Unsetenv("OPENBLAS_NUM_THREADS")
	lib, err := purego.Dlopen("libopenblas.so.0", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, err
	}
	var threads func() int32
	var config func() string
	purego.RegisterLibFunc(&threads, lib, "openblas_get_num_threads")
	purego.RegisterLibFunc(&config, lib, "openblas_get_config")
	if n := threads(); n != 1 {
		return nil, fmt.Errorf("OpenBLAS runs %d threads, want 1", n)
	}
	sgemm, err := purego.Dlsym(lib, "sgemm_")
	return &openblas{version: config(), sgemm: sgemm}, err
}

// product returns a function that computes C = beta*C + A·B, or Aᵀ·B, of row-major matrices. To Fortran, whose
// matrices are column-major, that is Cᵀ = Bᵀ·A.
func (o *openblas) product(p product, transA bool, beta float32) func() {
	type arguments struct {
		plain, a    byte
		m, n, k     int32
		lda         int32
		alpha, beta float32
	}
	g := &arguments{plain: 'N', a: 'N', m: int32(p.m), n: int32(p.n), k: int32(p.k), lda: int32(p.k), alpha: 1, beta: beta}
	if transA {
		g.a, g.lda = 'T', g.m
	}
	at := func(p unsafe.Pointer) uintptr { return uintptr(p) }
	n := at(unsafe.Pointer(&g.n))
	args := []uintptr{
		at(unsafe.Pointer(&g.plain)), at(unsafe.Pointer(&g.a)),
		n, at(unsafe.Pointer(&g.m)), at(unsafe.Pointer(&g.k)),
		at(unsafe.Pointer(&g.alpha)), at(unsafe.Pointer(&p.b[0])), n,
		at(unsafe.Pointer(&p.a[0])), at(unsafe.Pointer(&g.lda)),
		at(unsafe.Pointer(&g.beta)), at(unsafe.Pointer(&p.c[0])), n,
		1, 1, // lengths of the two strings
	}
	return func() {
		purego.SyscallN(o.sgemm, args...)
		runtime.KeepAlive(g)
		runtime.KeepAlive(p)
	}
}
