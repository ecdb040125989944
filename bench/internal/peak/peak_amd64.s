#include "textflag.h"

// LOOP starts twelve registers with x, in P, and has them do y = y*x + x so many turns.
#define LOOP(P, A, B, C, D, E, F, G, H, I, J, K, L) \
	MOVQ         turns+0(FP), CX; \
	VBROADCASTSS x+8(FP), P; \
	VMOVAPS      P, A; \
	VMOVAPS      P, B; \
	VMOVAPS      P, C; \
	VMOVAPS      P, D; \
	VMOVAPS      P, E; \
	VMOVAPS      P, F; \
	VMOVAPS      P, G; \
	VMOVAPS      P, H; \
	VMOVAPS      P, I; \
	VMOVAPS      P, J; \
	VMOVAPS      P, K; \
	VMOVAPS      P, L; \
loop: \
	VFMADD213PS P, P, A; \
	VFMADD213PS P, P, B; \
	VFMADD213PS P, P, C; \
	VFMADD213PS P, P, D; \
	VFMADD213PS P, P, E; \
	VFMADD213PS P, P, F; \
	VFMADD213PS P, P, G; \
	VFMADD213PS P, P, H; \
	VFMADD213PS P, P, I; \
	VFMADD213PS P, P, J; \
	VFMADD213PS P, P, K; \
	VFMADD213PS P, P, L; \
	DECQ        CX; \
	JNZ         loop; \
	VZEROUPPER; \
	RET

// func fmaAVX2(turns int, x float32)
TEXT ·fmaAVX2(SB), NOSPLIT, $0-12
	LOOP(Y12, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11)

// func fmaAVX512(turns int, x float32)
TEXT ·fmaAVX512(SB), NOSPLIT, $0-12
	LOOP(Z12, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11)
