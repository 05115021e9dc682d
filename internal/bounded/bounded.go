// Package bounded keeps calls that may never return, such as into a driver,
// from blocking who makes them. Whoever is given up on goes on in its goroutine,
// and until it returns no further call of its kind is made, so that a driver
// that hangs costs one goroutine and not one for each try.
package bounded

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// ErrNoAnswer is a call that didn't return in time, or that wasn't made because
// one before it still hasn't returned.
var ErrNoAnswer = errors.New("the driver doesn't answer")

// Calls are those of one kind; one goes on at a time. Use New.
type Calls struct{ free chan struct{} }

// New makes a kind of calls.
func New() *Calls { return &Calls{make(chan struct{}, 1)} }

// Outstanding tells that a call has not returned.
func (c *Calls) Outstanding() bool { return len(c.free) > 0 }

// Do makes a call and gives what it returns. It is given up on when it hasn't
// returned for grace after ctx has ended; what it then returns without an error
// after all goes to drop.
func Do[T any](ctx context.Context, c *Calls, grace time.Duration, call func() (T, error), drop ...func(T)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	var settled atomic.Bool // by the answer, or by who gave up
	select {
	case c.free <- struct{}{}:
	default:
		return none, ErrNoAnswer
	}
	got := make(chan answer, 1)
	go func() {
		v, err := call()
		late := !settled.CompareAndSwap(false, true)
		for _, d := range drop {
			if late && err == nil {
				d(v)
			}
		}
		<-c.free // before it is told: the next call may follow at once
		got <- answer{v, err}
	}()
	select {
	case a := <-got:
		return a.value, a.err
	case <-ctx.Done():
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case a := <-got:
		return a.value, a.err
	case <-t.C:
	}
	if settled.CompareAndSwap(false, true) {
		return none, ErrNoAnswer
	}
	a := <-got
	return a.value, a.err
}
