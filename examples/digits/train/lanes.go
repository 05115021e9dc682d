package main

// lane is how many numbers the loops below take at a time. A WASM loop in Go costs a jump through a table
// for each turn, and a slice converted to an array pointer is checked once, so longer turns are faster.
const lane = 8

// The explicit float32 conversions around products forbid fusing them with the sum, as some processors
// would, so that the result is the same everywhere.

// addScaled does y += a·x. Both have the same length, a multiple of lane.
func addScaled(y, x []float32, a float32) {
	for len(y) >= lane && len(x) >= lane {
		p, q := (*[lane]float32)(y), (*[lane]float32)(x)
		p[0] += float32(a * q[0])
		p[1] += float32(a * q[1])
		p[2] += float32(a * q[2])
		p[3] += float32(a * q[3])
		p[4] += float32(a * q[4])
		p[5] += float32(a * q[5])
		p[6] += float32(a * q[6])
		p[7] += float32(a * q[7])
		y, x = y[lane:], x[lane:]
	}
}

// dot returns Σ x·y. Both have the same length, a multiple of lane.
func dot(x, y []float32) float32 {
	var s [4]float32
	for len(x) >= lane && len(y) >= lane {
		p, q := (*[lane]float32)(x), (*[lane]float32)(y)
		s[0] += float32(p[0]*q[0]) + float32(p[4]*q[4])
		s[1] += float32(p[1]*q[1]) + float32(p[5]*q[5])
		s[2] += float32(p[2]*q[2]) + float32(p[6]*q[6])
		s[3] += float32(p[3]*q[3]) + float32(p[7]*q[7])
		x, y = x[lane:], y[lane:]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

// descend makes one step of gradient descent with momentum: v = momentum·v − rate·g, w += v, g = 0.
// All have the same length.
func descend(w, v, g []float32, rate, momentum float32) {
	for len(w) >= lane && len(v) >= lane && len(g) >= lane {
		p, q, r := (*[lane]float32)(w), (*[lane]float32)(v), (*[lane]float32)(g)
		for i := range p {
			q[i] = float32(momentum*q[i]) - float32(rate*r[i])
			p[i] += q[i]
		}
		*r = [lane]float32{}
		w, v, g = w[lane:], v[lane:], g[lane:]
	}
	for i := range w {
		v[i] = float32(momentum*v[i]) - float32(rate*g[i])
		w[i] += v[i]
		g[i] = 0
	}
}
