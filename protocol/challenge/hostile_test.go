package challenge_test

import (
	"context"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/internal/fuzztest"
	"souk/protocol/challenge"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

func start(change func(*pb.ChallengeStart)) *pb.ChallengeRequest {
	s := &pb.ChallengeStart{Network: "test", Slug: "rtx-4090", Count: 2, Blocks: 4}
	change(s)
	return &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Start{Start: s}}
}

func good() *pb.ChallengeRequest { return start(func(*pb.ChallengeStart) {}) }

func product(n, rounds uint32, nonce int, devices ...uint32) *pb.ChallengeRequest {
	return &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Product{Product: &pb.ChallengeProduct{
		Nonce: make([]byte, nonce), Devices: devices, N: n, Rounds: rounds,
	}}}
}

func fill(blocks uint64, nonce int) *pb.ChallengeRequest {
	return &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Fill{Fill: &pb.ChallengeFill{Nonce: make([]byte, nonce), Blocks: blocks}}}
}

func sweep(passes uint32) *pb.ChallengeRequest {
	return &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Sweep{Sweep: &pb.ChallengeSweep{Passes: passes}}}
}

func chase(steps uint32) *pb.ChallengeRequest {
	return &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Chase{Chase: &pb.ChallengeChase{Steps: steps}}}
}

func show(i uint32) *pb.ChallengeRequest {
	return &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Show{Show: &pb.ChallengeShow{Index: i}}}
}

func pings(n int) (all []*pb.ChallengeRequest) {
	for range n {
		all = append(all, &pb.ChallengeRequest{Request: &pb.ChallengeRequest_Ping{Ping: &pb.ChallengePing{}}})
	}
	return all
}

func TestAProviderRefusesWhatNoClientAsks(t *testing.T) {
	type asks = []*pb.ChallengeRequest
	for name, c := range map[string]struct {
		asks asks
		want wire.Code
	}{
		"nothing":                   {asks{{}}, wire.BadRequest},
		"no start":                  {asks{show(0)}, wire.BadRequest},
		"another network":           {asks{start(func(s *pb.ChallengeStart) { s.Network = "souk" })}, wire.WrongNetwork},
		"no slug":                   {asks{start(func(s *pb.ChallengeStart) { s.Slug = "" })}, wire.BadRequest},
		"a slug for a terminal":     {asks{start(func(s *pb.ChallengeStart) { s.Slug = "\x1b[2J" })}, wire.BadRequest},
		"no device":                 {asks{start(func(s *pb.ChallengeStart) { s.Count = 0 })}, wire.BadRequest},
		"too many devices":          {asks{start(func(s *pb.ChallengeStart) { s.Count = 1 << 31 })}, wire.BadRequest},
		"too much memory":           {asks{start(func(s *pb.ChallengeStart) { s.Blocks = 1 << 63 })}, wire.BadRequest},
		"half a lease":              {asks{start(func(s *pb.ChallengeStart) { s.Lease = make([]byte, 16) })}, wire.BadRequest},
		"a second start":            {asks{good(), good()}, wire.BadRequest},
		"a short nonce":             {asks{good(), product(8, 1, 31, 0)}, wire.BadRequest},
		"no device's product":       {asks{good(), product(8, 1, 32)}, wire.BadRequest},
		"a third device's":          {asks{good(), product(8, 1, 32, 2)}, wire.BadRequest},
		"a device twice":            {asks{good(), product(8, 1, 32, 1, 1)}, wire.BadRequest},
		"a product of nothing":      {asks{good(), product(0, 1, 32, 0)}, wire.OverLimit},
		"a huge product":            {asks{good(), product(1<<31, 1, 32, 0)}, wire.OverLimit},
		"endless rounds":            {asks{good(), product(8, 1<<31, 32, 0)}, wire.OverLimit},
		"more memory than is ready": {asks{good(), fill(5, 32)}, wire.BadRequest},
		"a fill of nothing":         {asks{good(), fill(0, 32)}, wire.BadRequest},
		"two fills":                 {asks{good(), fill(4, 32), fill(4, 32)}, wire.OverLimit},
		"a sweep of nothing":        {asks{good(), sweep(1)}, wire.BadRequest},
		"an endless sweep":          {asks{good(), fill(4, 32), sweep(1 << 31)}, wire.BadRequest},
		"many sweeps":               {asks{good(), fill(4, 32), sweep(1), sweep(1), sweep(1), sweep(1), sweep(1)}, wire.OverLimit},
		"a chase of nothing":        {asks{good(), chase(1)}, wire.BadRequest},
		"an endless chase":          {asks{good(), fill(4, 32), chase(1 << 31)}, wire.BadRequest},
		"a look at nothing":         {asks{good(), show(0)}, wire.BadRequest},
		"a look past the end":       {asks{good(), product(8, 1, 32, 0, 1), show(2)}, wire.BadRequest},
		"a second look":             {asks{good(), product(8, 1, 32, 0, 1), show(1), show(1)}, wire.BadRequest},
		"a look back":               {asks{good(), product(8, 1, 32, 0, 1), fill(4, 32), show(1)}, wire.BadRequest},
		"many pings":                {append(asks{good()}, pings(challenge.MaxPings+1)...), wire.OverLimit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := honest(rand.New(rand.NewPCG(1, 1)), 2)
				err := told(t, m, c.asks...)
				if c.want == wire.BadRequest {
					require.ErrorIs(t, err, wire.ErrMalformed, "which is counted against the peer")
				} else {
					require.True(t, wire.IsCode(err, c.want), "%v", err)
				}
				require.Equal(t, m.began, m.closed, "all is given back")
			})
		})
	}
}

// told is what the provider's side ends with after these questions, whose
// answers are read.
func told(t *testing.T, m *machine, asks ...*pb.ChallengeRequest) error {
	here, there := challenge.Pipe(t.Context())
	ended := make(chan error, 1)
	go func() {
		defer there.Close()
		ended <- challenge.Answer(t.Context(), there, parties, m)
	}()
	go func() {
		for _, q := range asks {
			if here.Write(q) != nil {
				return
			}
		}
		<-time.After(time.Hour) // says nothing more
		here.Close()
	}()
	for here.Read(&pb.ChallengeAnswer{}, wire.MaxData, time.Hour) == nil {
	}
	defer here.Close()
	err := <-ended
	time.Sleep(2 * time.Hour) // fake: the writer ends
	return err
}

func TestAClientThatFallsSilentIsWaitedForOnlySoLong(t *testing.T) {
	asks := []*pb.ChallengeRequest{good(), product(8, 1, 32, 0, 1), show(0), fill(4, 32), sweep(1), chase(8)}
	for n := range len(asks) + 1 {
		synctest.Test(t, func(t *testing.T) {
			m := honest(rand.New(rand.NewPCG(1, 1)), 2)
			began := time.Now()
			ended := make(chan time.Duration, 1)
			go func() {
				_ = told(t, m, asks[:n]...)
			}()
			go func() {
				for {
					m.mu.Lock()
					over := m.closed == 1 || n == 0
					m.mu.Unlock()
					if over {
						ended <- time.Since(began)
						return
					}
					time.Sleep(time.Second)
				}
			}()
			require.Less(t, <-ended, time.Minute, "after %d questions", n)
			synctest.Wait()
			time.Sleep(3 * time.Hour)
		})
	}
}

func TestNobodyHoldsDevicesWithPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := honest(rand.New(rand.NewPCG(1, 1)), 2)
		here, there := challenge.Pipe(t.Context())
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- challenge.Answer(t.Context(), there, parties, m) }()
		var a pb.ChallengeAnswer
		require.NoError(t, here.Write(good()))
		require.NoError(t, here.Read(&a, wire.MaxData, time.Minute))
		var err error
		for over := false; !over; {
			select {
			case err = <-ended:
				over = true
			case <-time.After(wire.IdleTimeout - time.Second):
				_ = here.Write(pings(1)[0])
				_ = here.Read(&a, wire.MaxData, time.Second)
			}
		}
		require.True(t, wire.IsCode(err, wire.OverLimit), "%v", err)
		require.LessOrEqual(t, time.Since(began), challenge.MaxTime+wire.IdleTimeout)
		require.Equal(t, 1, m.closed)
	})
}

// script answers each question with what the test says.
type script func(q *pb.ChallengeRequest, answer func(*pb.ChallengeAnswer) error)

func (f script) serve(_ context.Context, c challenge.Conn) {
	for {
		var q pb.ChallengeRequest
		if c.Read(&q, wire.MaxControl, 10*time.Minute) != nil {
			return
		}
		f(&q, func(a *pb.ChallengeAnswer) error { return c.Write(a) })
	}
}

func data(n int) *pb.ChallengeAnswer {
	return &pb.ChallengeAnswer{Answer: &pb.ChallengeAnswer_Data{Data: &pb.ChallengeData{Data: make([]byte, n)}}}
}

func commit(sizes ...int) *pb.ChallengeAnswer {
	c := &pb.ChallengeCommit{}
	for _, n := range sizes {
		c.Hashes = append(c.Hashes, make([]byte, n))
	}
	return &pb.ChallengeAnswer{Answer: &pb.ChallengeAnswer_Commit{Commit: c}}
}

// until answers as a provider would up to a question, and then as then says.
func until(kind proto.Message, then func(answer func(*pb.ChallengeAnswer) error)) script {
	return func(q *pb.ChallengeRequest, answer func(*pb.ChallengeAnswer) error) {
		if f := q.ProtoReflect().WhichOneof(q.ProtoReflect().Descriptor().Oneofs().Get(0)); f.Message() == kind.ProtoReflect().Descriptor() {
			then(answer)
			return
		}
		switch v := q.GetRequest().(type) {
		case *pb.ChallengeRequest_Start:
			_ = answer(&pb.ChallengeAnswer{Answer: &pb.ChallengeAnswer_Ready{Ready: &pb.ChallengeReady{Blocks: v.Start.GetBlocks()}}})
		case *pb.ChallengeRequest_Ping:
			_ = answer(&pb.ChallengeAnswer{Answer: &pb.ChallengeAnswer_Pong{Pong: &pb.ChallengePong{}}})
		case *pb.ChallengeRequest_Product:
			_ = answer(commit(32))
		}
	}
}

func TestAClientTakesNothingFromAHostileProvider(t *testing.T) {
	say := func(a ...*pb.ChallengeAnswer) func(func(*pb.ChallengeAnswer) error) {
		return func(answer func(*pb.ChallengeAnswer) error) {
			for _, one := range a {
				_ = answer(one)
			}
		}
	}
	nothing := say()
	endless := func(answer func(*pb.ChallengeAnswer) error) {
		for answer(data(1000)) == nil {
		}
	}
	drip := func(answer func(*pb.ChallengeAnswer) error) {
		for answer(data(1)) == nil {
			time.Sleep(wire.IdleTimeout - time.Second)
		}
	}
	more := &pb.ChallengeAnswer{Answer: &pb.ChallengeAnswer_Ready{Ready: &pb.ChallengeReady{Blocks: 1 << 40}}}
	for name, c := range map[string]struct {
		p      script
		caught challenge.Reason // empty: no verdict
	}{
		"silence from the start":   {until(&pb.ChallengeStart{}, nothing), ""},
		"silence at a ping":        {until(&pb.ChallengePing{}, nothing), ""},
		"silence at a product":     {until(&pb.ChallengeProduct{}, nothing), ""},
		"a commit without product": {until(&pb.ChallengeShow{}, nothing), ""},
		"a product by the byte":    {until(&pb.ChallengeShow{}, drip), ""},
		"another answer":           {until(&pb.ChallengeStart{}, say(commit(32))), challenge.BadAnswer},
		"more than was asked":      {until(&pb.ChallengeStart{}, say(more)), challenge.BadAnswer},
		"no answer at all":         {until(&pb.ChallengePing{}, say(&pb.ChallengeAnswer{})), challenge.BadAnswer},
		"no hash":                  {until(&pb.ChallengeProduct{}, say(commit())), challenge.BadAnswer},
		"two hashes":               {until(&pb.ChallengeProduct{}, say(commit(32, 32))), challenge.BadAnswer},
		"a short hash":             {until(&pb.ChallengeProduct{}, say(commit(31))), challenge.BadAnswer},
		"endless data":             {until(&pb.ChallengeShow{}, endless), challenge.BadAnswer},
		"empty data":               {until(&pb.ChallengeShow{}, say(data(0))), challenge.BadAnswer},
		"zeros":                    {until(&pb.ChallengeShow{}, say(data(4*12*12))), challenge.CommitMismatch},
		"a frame over the cap":     {until(&pb.ChallengeStart{}, say(data(wire.MaxData))), challenge.BadAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), challenge.MaxTime) // as Ask does
				defer cancel()
				v, err := converse(ctx, 1, c.p.serve, claim(1, 1e6), options(rand.NewChaCha8([32]byte{1})))
				require.LessOrEqual(t, time.Since(began), challenge.MaxTime+wire.IdleTimeout, "the script's own last sleep included")
				require.Equal(t, c.caught, v.Caught, "%v", err)
				if c.caught == "" {
					require.ErrorIs(t, err, challenge.ErrUnfinished)
				}
			})
		})
	}
}

// FuzzAnswer sends a provider any bytes as its questions, one after the other.
func FuzzAnswer(f *testing.F) {
	add := func(asks ...*pb.ChallengeRequest) {
		var all []byte
		for _, q := range asks {
			b, err := proto.Marshal(q)
			require.NoError(f, err)
			all = append(append(all, byte(len(b))), b...)
		}
		f.Add(all)
	}
	add(good(), product(8, 1, 32, 0, 1), show(0), fill(4, 32), sweep(1), show(1), chase(8), show(0))
	add(start(func(s *pb.ChallengeStart) { s.Lease = make([]byte, 32) }))
	add(good(), fill(4, 32), sweep(64))
	add(&pb.ChallengeRequest{Request: &pb.ChallengeRequest_Keep{Keep: &pb.Measurement{By: []byte("x")}}})
	f.Fuzz(func(t *testing.T, b []byte) {
		fuzztest.Bound(t)
		m := &careful{t: t}
		_ = challenge.Answer(t.Context(), &bytesConn{t: t, rest: b}, parties, m)
		if m.began != m.closed {
			t.Fatalf("%d sessions began, %d were closed", m.began, m.closed)
		}
	})
}

// bytesConn reads frames of one length byte each.
type bytesConn struct {
	t    *testing.T
	rest []byte
}

func (c *bytesConn) Read(m proto.Message, limit int, _ time.Duration) error {
	if len(c.rest) == 0 {
		return io.EOF
	}
	n := min(int(c.rest[0]), len(c.rest)-1, limit)
	b := c.rest[1 : 1+n]
	c.rest = c.rest[1+n:]
	if err := proto.Unmarshal(b, m); err != nil {
		return wire.Malformed("%v", err)
	}
	return nil
}

func (c *bytesConn) Reset() {}

func (c *bytesConn) Write(m proto.Message) error {
	if proto.Size(m) > wire.MaxData {
		c.t.Fatalf("a frame of %d bytes", proto.Size(m))
	}
	return nil
}
