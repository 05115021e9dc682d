package control

import (
	"context"

	"souk/protocol/challenge"
)

const pathChallenge = "/v1/challenge"

// ChallengeOf says whose devices are to be challenged. Without a slug they are
// those of the first kind that the peer offers; without a count, all of that kind.
//
// With a job they are those of its lease, beside what runs on them.
type ChallengeOf struct {
	Peer  string `json:"peer,omitempty"`
	Job   string `json:"job,omitempty"` // its ID, or the beginning of it
	Slug  string `json:"slug,omitempty"`
	Count int    `json:"count,omitempty"`
}

// Challenge challenges a provider's free devices, or those of a job's lease, which takes up to three minutes.
func (c *Client) Challenge(ctx context.Context, of ChallengeOf) (challenge.Verdict, error) {
	return ask[challenge.Verdict](ctx, c, pathChallenge, of)
}
