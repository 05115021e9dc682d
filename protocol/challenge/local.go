package challenge

import (
	"context"
)

// Local is a challenge within one process: a node that measures itself as a
// client would, with no network between.
func Local(ctx context.Context, parties Parties, p Prover, c Claim, o Options) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	here, there := Pipe(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer there.Close()
		Converse(ctx, there, parties, p)
	}()
	v, err := Run(ctx, here, parties, c, o)
	here.Close()
	<-done
	return v, err
}
