package control_test

import (
	"context"

	"souk/node/control"
	"souk/protocol/challenge"
)

func (f *fakeNode) Challenge(_ context.Context, of control.ChallengeOf) (challenge.Verdict, error) {
	return challenge.Verdict{Slug: of.Slug, Count: of.Count}, f.fail
}
