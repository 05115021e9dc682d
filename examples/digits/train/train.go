package main

import (
	"fmt"
	"io"
	"math/rand/v2"
)

const (
	batchSize   = 32
	momentum    = 0.9
	reportEvery = 50 // batches between two lines of progress
	jitter      = 1  // training digits are moved by up to so many pixels, so that 8,000 go further
)

// epochResult is how one pass over the training digits went.
type epochResult struct {
	Epoch        int     `json:"epoch"`         // from 1
	TrainLoss    float64 `json:"train_loss"`    // mean over the digits as they were met, in nats
	TestLoss     float64 `json:"test_loss"`     // mean, in nats
	TestAccuracy float64 `json:"test_accuracy"` // 0 to 1
}

// trainer teaches one network.
type trainer struct {
	settings
	data dataset
	net  *network
	rng  *rand.Rand
	out  io.Writer // progress, a line at a time
}

func newTrainer(s settings, data dataset, out io.Writer) *trainer {
	rng := rand.New(rand.NewPCG(s.seed, 0x736f756b)) // the second half of the seed spells "souk"
	return &trainer{settings: s, data: data, net: newNetwork(s.hidden, rng), rng: rng, out: out}
}

// train goes through all epochs and returns how each went, and the last look at the test digits.
func (t *trainer) train() ([]epochResult, verdict) {
	results := make([]epochResult, 0, t.epochs)
	var last verdict
	for e := range t.epochs {
		loss := t.epoch(e)
		last = judge(t.net, t.data.test)
		r := epochResult{Epoch: e + 1, TrainLoss: loss, TestLoss: last.loss, TestAccuracy: last.accuracy()}
		results = append(results, r)
		_, _ = fmt.Fprintf(t.out, "epoch %d/%d  train loss %.4f  test accuracy %.2f %%\n",
			r.Epoch, t.epochs, r.TrainLoss, 100*r.TestAccuracy)
	}
	return results, last
}

// epoch learns from each training digit once, in a new random order, and returns the mean loss.
func (t *trainer) epoch(e int) float64 {
	order := t.rng.Perm(t.data.train.len())
	batches := (len(order) + batchSize - 1) / batchSize
	var total, recent float64
	var since int
	for b := range batches {
		part := order[b*batchSize : min((b+1)*batchSize, len(order))]
		sum := t.batch(part, t.rateAt(e*batches+b, t.epochs*batches))
		total, recent, since = total+sum, recent+sum, since+len(part)
		if (b+1)%reportEvery == 0 {
			_, _ = fmt.Fprintf(t.out, "epoch %d/%d  batch %3d/%d  loss %.3f\n",
				e+1, t.epochs, b+1, batches, recent/float64(since))
			recent, since = 0, 0
		}
	}
	return total / float64(len(order))
}

// rateAt falls in a straight line from the given rate to almost 0 at the last of all steps.
func (t *trainer) rateAt(step, steps int) float32 {
	return float32(t.rate * float64(steps-step) / float64(steps))
}

// batch learns from the digits at the given places and returns the sum of their losses.
func (t *trainer) batch(at []int, rate float32) float64 {
	var sum float64
	for _, i := range at {
		label := t.data.train.labels[i]
		t.net.look(t.data.train.image(i), t.nudge(), t.nudge())
		t.net.forward()
		sum += t.net.loss(label)
		t.net.backward(label)
	}
	t.net.step(rate, momentum, len(at))
	return sum
}

func (t *trainer) nudge() int { return t.rng.IntN(2*jitter+1) - jitter }

// mistake is a test digit that the network read wrongly.
type mistake struct {
	at       int // place among the test digits
	wrote    byte
	read     byte
	believed float32 // the network's share for what it read
}

// verdict is what a network made of the test digits.
type verdict struct {
	counts   [classes][classes]int // [written][read]
	loss     float64               // mean, in nats
	mistakes []mistake             // in the order of the test digits
}

func judge(n *network, test digits) verdict {
	var v verdict
	for i, label := range test.labels {
		n.look(test.image(i), 0, 0)
		n.forward()
		v.loss += n.loss(label)
		class, share := n.guess()
		v.counts[label][class]++
		if class != int(label) {
			v.mistakes = append(v.mistakes, mistake{i, label, byte(class), share})
		}
	}
	v.loss /= float64(test.len())
	return v
}

func (v verdict) right() (right, all int) {
	for w, row := range v.counts {
		for r, n := range row {
			all += n
			if w == r {
				right += n
			}
		}
	}
	return right, all
}

func (v verdict) accuracy() float64 {
	right, all := v.right()
	return float64(right) / float64(all)
}
