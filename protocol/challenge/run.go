package challenge

import (
	"context"
	"time"

	"souk/protocol/pb"
	"souk/protocol/wire"
)

// run is one challenge, at its client.
type run struct {
	conn    Conn
	parties Parties
	claim   Claim
	o       Options
	dice    dice
	ready   Ready
	v       Verdict

	rtt    time.Duration // the longest ping, as far as it is allowed for
	rate   float64       // of one device, operations per second, that sizes come from
	checks []check       // of products, for when the devices are given back
}

// Run is the client's side of one conversation. Its error says that there is no
// verdict; see Ask.
func Run(ctx context.Context, c Conn, parties Parties, claim Claim, o Options) (Verdict, error) {
	o.setDefaults()
	r := &run{conn: c, parties: parties, claim: claim, o: o, dice: dice{o.Random}}
	r.v = Verdict{Slug: claim.Slug, Count: claim.Count, Beside: claim.Beside}
	err := r.all(ctx)
	return r.v.conclude(err)
}

func (r *run) all(ctx context.Context) error {
	for _, step := range []func(context.Context) error{r.start, r.ping, r.findRate, r.products, r.memory, r.check} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) start(ctx context.Context) error {
	s := Start{Lease: r.claim.Lease, Slug: r.claim.Slug, Count: r.claim.Count, Blocks: r.claim.Blocks}
	q := &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Start{Start: s.proto(r.parties.Network)}}
	a, _, err := r.ask(ctx, q, MaxWork)
	if err != nil {
		return err
	}
	ready := a.GetReady()
	if ready == nil || ready.GetBlocks() > r.claim.Blocks {
		return catch(BadAnswer, "it was asked whether it is ready and answered something else")
	}
	r.ready = Ready{Blocks: ready.GetBlocks(), Simulated: ready.GetSimulated()}
	r.v.Simulated = r.ready.Simulated
	return nil
}

// ping learns how long the network takes. A provider that delays its pings wins
// no more than maxRTT.
func (r *run) ping(ctx context.Context) error {
	for i := range pings {
		q := &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Ping{Ping: &pb.ChallengePing{}}}
		a, took, err := r.ask(ctx, q, wire.FrameTimeout)
		if err != nil {
			return err
		}
		if a.GetPong() == nil {
			return catch(BadAnswer, "it answered a ping with something else")
		}
		if i == 0 || took < r.v.RTT {
			r.v.RTT = took
		}
		r.rtt = min(max(r.rtt, took), maxRTT)
	}
	return nil
}

// findRate sizes what follows by the claimed rate or, where nobody claims one, by
// products that grow until one takes its time. Even a claimed rate begins with
// a small product: who answers at random doesn't get to name the size of what
// the client has to check.
func (r *run) findRate(ctx context.Context) error {
	one, err := r.dice.below(r.claim.Count)
	if err != nil {
		return err
	}
	if r.claim.Mops > 0 {
		r.rate = float64(r.claim.Mops) * 1e6
		_, err := r.probe(ctx, one, min(r.rate*r.o.Work.Seconds()/probeShare, soonOps))
		return err
	}
	ops := float64(firstOps)
	if n := float64(r.o.Orders[0]); ops > 8*n*n*n {
		ops = 8 * n * n * n
	}
	for range MaxProducts - 4 {
		done, err := r.probe(ctx, one, ops)
		if err != nil {
			return err
		}
		took := max(r.computing(done.took), time.Millisecond)
		r.rate = done.ops / took.Seconds()
		if took >= r.o.Work/probeShare {
			return nil
		}
		ops = min(r.rate*r.o.Work.Seconds()/2, 32*ops)
	}
	return nil
}

// probe is a product of one device without a deadline. A small one is checked
// at once.
func (r *run) probe(ctx context.Context, device int, ops float64) (product, error) {
	p, err := r.multiply(ctx, []int{device}, ops)
	if err == nil {
		err = r.fetch(ctx, p)
	}
	if err == nil && p.ops <= soonOps {
		err = r.check(ctx)
	}
	return p, err
}

// computing is what of an answer's time wasn't the network's for certain.
func (r *run) computing(took time.Duration) time.Duration {
	return max(took-min(r.v.RTT, maxRTT), time.Millisecond)
}

// products asks one device alone and all at once, in a random order that the
// provider can't foresee, and compares.
func (r *run) products(ctx context.Context) error {
	every := make([]int, r.claim.Count)
	for i := range every {
		every[i] = i
	}
	ops := r.rate * r.o.Work.Seconds()
	if r.claim.Count == 1 {
		p, err := r.judged(ctx, every, ops)
		r.v.One, r.v.All = p.mops, p.mops
		return err
	}
	one, err := r.dice.below(r.claim.Count)
	if err != nil {
		return err
	}
	coin, err := r.dice.below(2)
	if err != nil {
		return err
	}
	var alone, together product
	if coin == 0 {
		if alone, err = r.judged(ctx, []int{one}, ops); err != nil {
			return err
		}
	}
	if together, err = r.judged(ctx, every, ops); err != nil {
		return err
	}
	if coin == 1 {
		if alone, err = r.judged(ctx, []int{one}, ops); err != nil {
			return err
		}
	}
	r.v.One, r.v.All = alone.mops, together.mops
	if limit := r.longest(alone.took) + r.o.Slack; r.late(together.took, limit) {
		return catch(SharedDevice, "%d devices at once took %s for what one of them alone did in %s: there are fewer of them, or they share their power",
			r.claim.Count, together.took.Round(time.Millisecond), alone.took.Round(time.Millisecond))
	}
	return nil
}

// late tells that a deadline was missed. A simulated device has none: the cores
// of one CPU answer for all of them, and nothing of it counts as measured. Nor
// has one on which something else runs.
func (r *run) late(took, limit time.Duration) bool {
	return !r.ready.Simulated && !r.claim.Beside && took > limit
}

func (r *run) longest(d time.Duration) time.Duration { return time.Duration(float64(d) / r.o.Share) }

// judged is a product under the deadline of the claimed rate, shown and noted
// for the check.
func (r *run) judged(ctx context.Context, devices []int, ops float64) (product, error) {
	p, err := r.multiply(ctx, devices, ops)
	if err != nil {
		return p, err
	}
	want := time.Duration(p.ops / r.rate * float64(time.Second))
	if limit := r.longest(want) + r.o.Slack + r.rtt; r.claim.Mops > 0 && r.late(p.took, limit) {
		return p, catch(TooSlow, "%d of its devices took %s for what they claim to do in %s; at most %s was allowed",
			len(devices), p.took.Round(time.Millisecond), want.Round(time.Millisecond), limit.Round(time.Millisecond))
	}
	p.mops = uint64(p.ops * float64(len(devices)) / r.computing(p.took).Seconds() / 1e6)
	return p, r.fetch(ctx, p)
}
