package main

import (
	"math"
	"math/rand/v2"
)

// params are the numbers that a network learns, or anything of their shape (gradients, velocities).
type params struct {
	w1 []float32 // pixels × hidden: what pixel p adds to each hidden unit is w1[p*hidden:][:hidden]
	b1 []float32 // hidden
	w2 []float32 // classes × hidden: what class c reads from each hidden unit is w2[c*hidden:][:hidden]
	b2 []float32 // classes
}

func newParams(hidden int) params {
	return params{
		w1: make([]float32, pixels*hidden),
		b1: make([]float32, hidden),
		w2: make([]float32, classes*hidden),
		b2: make([]float32, classes),
	}
}

// each lists the four parts in the order in which they are stored.
func (p params) each() [][]float32 { return [][]float32{p.w1, p.b1, p.w2, p.b2} }

func (p params) size() int {
	n := 0
	for _, part := range p.each() {
		n += len(part)
	}
	return n
}

// network is pixels → hidden (ReLU) → classes (softmax), with room for its own work. It is for one
// goroutine.
type network struct {
	params
	hidden int
	grad   params // of the loss, summed over the digits since the last step
	speed  params // momentum

	active []float32        // hidden, after ReLU
	back   []float32        // hidden: the loss by each hidden unit's input
	prob   [classes]float32 // the network's belief in each class
	inkAt  [pixels]int      // pixels with ink, in rising order
	ink    [pixels]float32  // how much, above 0 to 1
	inked  int              // how many
	share  [256]float32     // byte → 0 to 1
}

// newNetwork starts with He's uniform weights, so that signals keep their size through the ReLU.
func newNetwork(hidden int, rng *rand.Rand) *network {
	n := &network{
		params: newParams(hidden), hidden: hidden,
		grad: newParams(hidden), speed: newParams(hidden),
		active: make([]float32, hidden), back: make([]float32, hidden),
	}
	scatter(n.w1, pixels, rng)
	scatter(n.w2, hidden, rng)
	for i := range n.share {
		n.share[i] = float32(i) / 255
	}
	return n
}

func scatter(w []float32, inputs int, rng *rand.Rand) {
	bound := math.Sqrt(6 / float64(inputs))
	for i := range w {
		w[i] = float32((2*rng.Float64() - 1) * bound)
	}
}

// look takes in an image moved right by dx and down by dy pixels; what leaves the frame is lost.
// Four of five pixels of a digit are paper, and only the others cost time.
func (n *network) look(image []byte, dx, dy int) {
	n.inked = 0
	for y := max(0, -dy); y < min(side, side-dy); y++ {
		for x := max(0, -dx); x < min(side, side-dx); x++ {
			if v := image[y*side+x]; v != 0 {
				n.inkAt[n.inked] = (y+dy)*side + x + dx
				n.ink[n.inked] = n.share[v]
				n.inked++
			}
		}
	}
}

// forward fills prob for the image last looked at.
func (n *network) forward() {
	copy(n.active, n.b1)
	for k := range n.inked {
		at := n.inkAt[k] * n.hidden
		addScaled(n.active, n.w1[at:at+n.hidden], n.ink[k])
	}
	for j, a := range n.active {
		if a < 0 {
			n.active[j] = 0
		}
	}
	for c := range n.prob {
		n.prob[c] = n.b2[c] + dot(n.active, n.w2[c*n.hidden:(c+1)*n.hidden])
	}
	softmax(&n.prob)
}

// softmax turns scores into shares of 1; taking off the highest first keeps exp from overflowing.
func softmax(z *[classes]float32) {
	top := z[0]
	for _, v := range z {
		top = max(top, v)
	}
	var sum float32
	for i, v := range z {
		z[i] = float32(math.Exp(float64(v - top)))
		sum += z[i]
	}
	for i := range z {
		z[i] /= sum
	}
}

// loss is how surprised the network is, in nats, that the image was label.
func (n *network) loss(label byte) float64 {
	const floor = 1e-12 // a share that was rounded to 0 costs 27.6, not infinity
	return -math.Log(max(float64(n.prob[label]), floor))
}

// guess returns the class with the highest share, the lowest of equals.
func (n *network) guess() (class int, share float32) {
	for c, p := range n.prob {
		if p > share {
			class, share = c, p
		}
	}
	return class, share
}

// backward adds the gradient of loss(label) to grad, after forward.
func (n *network) backward(label byte) {
	clear(n.back)
	for c, p := range n.prob {
		if c == int(label) {
			p--
		}
		row := c * n.hidden
		addScaled(n.grad.w2[row:row+n.hidden], n.active, p)
		addScaled(n.back, n.w2[row:row+n.hidden], p)
		n.grad.b2[c] += p
	}
	for j, a := range n.active {
		if a == 0 {
			n.back[j] = 0
		}
	}
	addScaled(n.grad.b1, n.back, 1)
	for k := range n.inked {
		at := n.inkAt[k] * n.hidden
		addScaled(n.grad.w1[at:at+n.hidden], n.back, n.ink[k])
	}
}

// step moves against the gradient summed over batch digits, and clears it.
func (n *network) step(rate, momentum float32, batch int) {
	w, v, g := n.params.each(), n.speed.each(), n.grad.each()
	for i := range w {
		descend(w[i], v[i], g[i], rate/float32(batch), momentum)
	}
}
