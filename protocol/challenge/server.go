package challenge

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/proto"

	"souk/internal/modmath"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

// Prover is what the server needs: whoever has the devices.
type Prover interface {
	// Begin holds devices for a client and makes them warm. What it refuses
	// reaches the client.
	Begin(ctx context.Context, client peer.ID, s Start) (Session, error)
	// Keep is given what a client says that it measured; nothing of it is checked.
	Keep(ctx context.Context, client peer.ID, m *pb.Measurement) error
}

// Session is a conversation's hold on devices, numbered from 0. Its calls come
// one at a time; each one works on all devices named at once.
type Session interface {
	Ready() Ready
	Multiply(ctx context.Context, jobs []ProductJob) ([][]uint32, error)
	// Fill fills memory of all devices, one job for each.
	Fill(ctx context.Context, jobs []modmath.Memory) error
	Sweep(ctx context.Context, nonce uint64, passes int) ([][]uint64, error)
	Chase(ctx context.Context, nonce, start uint64, steps int) ([][]uint64, error)
	// Over is closed when the devices are the asker's no longer, as those of a
	// lease that ended: the conversation ends too. Nil: that doesn't happen.
	Over() <-chan struct{}
	// Close gives everything back. It is called once, after all other calls.
	Close()
}

// ProductJob is a product for one device.
type ProductJob struct {
	Device int
	modmath.Product
}

// Serve answers challenges of one network; self is the node's own ID.
func Serve(d *wire.Dispatcher, network string, self peer.ID, p Prover) {
	d.Handle(wire.ChallengeProtocol, refuse, func(ctx context.Context, s *wire.Stream) error {
		return Answer(ctx, s, Parties{Network: network, Provider: self, Client: s.Peer()}, p)
	})
}

func refuse(r *pb.Refusal) proto.Message {
	return &pb.ChallengeAnswer{Answer: &pb.ChallengeAnswer_Refusal{Refusal: r}}
}

// Answer is the provider's side of one conversation. Its error is what
// wire.Handler's is.
func Answer(ctx context.Context, c Conn, parties Parties, p Prover) error {
	ctx, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	var m pb.ChallengeRequest
	if err := c.Read(&m, controlLimit, wire.FrameTimeout); err != nil {
		return err
	}
	if k := m.GetKeep(); k != nil {
		if err := p.Keep(ctx, parties.Client, k); err != nil {
			return err
		}
		return c.Write(&pb.ChallengeAnswer{Answer: &pb.ChallengeAnswer_Kept{Kept: &pb.ChallengeKept{}}})
	}
	start, err := readStart(m.GetStart(), parties.Network)
	if err != nil {
		return err
	}
	session, err := p.Begin(ctx, parties.Client, start)
	if err != nil {
		return err
	}
	defer session.Close()
	defer endWith(ctx, session.Over(), func() {
		cancel()
		c.Reset()
	})()
	s := &server{conn: c, parties: parties, session: session, start: start, ready: session.Ready()}
	if err := c.Write(&pb.ChallengeAnswer{Answer: &pb.ChallengeAnswer_Ready{Ready: &pb.ChallengeReady{Blocks: s.ready.Blocks, Simulated: s.ready.Simulated}}}); err != nil {
		return err
	}
	return s.run(ctx)
}

// endWith calls end when over is closed, unless ctx or stop, which waits, come first.
func endWith(ctx context.Context, over <-chan struct{}, end func()) (stop func()) {
	if over == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-over:
			end()
		case <-ctx.Done():
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// server is one conversation at its provider.
type server struct {
	conn    Conn
	parties Parties
	session Session
	start   Start
	ready   Ready

	pings, products, sweeps, chases int
	filled                          bool
	last                            []result // what may be shown, each once
}

func (s *server) run(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return s.because(tooLong())
		}
		var m pb.ChallengeRequest
		err := s.conn.Read(&m, controlLimit, wire.IdleTimeout)
		if errors.Is(err, io.EOF) && !errors.Is(err, wire.ErrMalformed) {
			return nil
		}
		if err == nil {
			err = s.answer(ctx, &m)
		}
		if err != nil {
			return s.because(err)
		}
	}
}

// because names the lease's end where that is what broke the conversation off.
func (s *server) because(err error) error {
	select {
	case <-s.session.Over():
		return wire.Refuse(wire.WrongState, "the lease has ended, and the challenge of its devices with it")
	default:
		return err
	}
}

func tooLong() error {
	return wire.Refuse(wire.OverLimit, "this challenge takes longer than %s", MaxTime)
}

func (s *server) answer(whole context.Context, m *pb.ChallengeRequest) error {
	ctx, cancel := context.WithTimeout(whole, MaxWork)
	defer cancel()
	switch q := m.GetRequest().(type) {
	case *pb.ChallengeRequest_Ping:
		return s.pong()
	case *pb.ChallengeRequest_Product:
		return s.product(ctx, q.Product)
	case *pb.ChallengeRequest_Fill:
		return s.fill(ctx, q.Fill)
	case *pb.ChallengeRequest_Sweep:
		return s.sweep(ctx, q.Sweep)
	case *pb.ChallengeRequest_Chase:
		return s.chase(ctx, q.Chase)
	case *pb.ChallengeRequest_Show:
		return s.show(whole, int(q.Show.GetIndex()))
	default:
		return wire.Malformed("neither a ping, a product, a fill, a sweep, a chase nor a show")
	}
}

func (s *server) pong() error {
	if s.pings++; s.pings > MaxPings {
		return wire.Refuse(wire.OverLimit, "more than %d pings", MaxPings)
	}
	return s.conn.Write(&pb.ChallengeAnswer{Answer: &pb.ChallengeAnswer_Pong{Pong: &pb.ChallengePong{}}})
}

func (s *server) product(ctx context.Context, q *pb.ChallengeProduct) error {
	if s.products++; s.products > MaxProducts {
		return wire.Refuse(wire.OverLimit, "more than %d products", MaxProducts)
	}
	jobs, err := readProduct(q, s.start.Count, s.parties)
	if err != nil {
		return err
	}
	s.last = nil
	products, err := s.session.Multiply(ctx, jobs)
	if err != nil {
		return err
	}
	results := make([]result, len(products))
	for i, p := range products {
		results[i] = result{residues: p}
	}
	return s.commit(results)
}

func (s *server) fill(ctx context.Context, q *pb.ChallengeFill) error {
	if s.filled {
		return wire.Refuse(wire.OverLimit, "memory is filled once in a challenge")
	}
	s.filled, s.last = true, nil
	if len(q.GetNonce()) != nonceBytes || q.GetBlocks() < 1 || q.GetBlocks() > s.ready.Blocks {
		return wire.Malformed("a fill of %d blocks, %d may be filled, with a nonce of %d bytes", q.GetBlocks(), s.ready.Blocks, len(q.GetNonce()))
	}
	jobs := make([]modmath.Memory, s.start.Count)
	for i := range jobs {
		jobs[i] = modmath.Memory{Seed: s.parties.seed(memoryPhase, q.GetNonce(), i), Blocks: q.GetBlocks()}
	}
	if err := s.session.Fill(ctx, jobs); err != nil {
		return err
	}
	return s.commit(nil)
}

func (s *server) sweep(ctx context.Context, q *pb.ChallengeSweep) error {
	if s.sweeps++; s.sweeps > MaxMemory {
		return wire.Refuse(wire.OverLimit, "more than %d sweeps", MaxMemory)
	}
	if !s.filled || q.GetPasses() < 1 || q.GetPasses() > MaxPasses {
		return wire.Malformed("a sweep of %d passes, 1 to %d of memory that was filled can be asked for", q.GetPasses(), MaxPasses)
	}
	s.last = nil
	sums, err := s.session.Sweep(ctx, q.GetNonce(), int(q.GetPasses()))
	return s.commitWords(sums, err)
}

func (s *server) chase(ctx context.Context, q *pb.ChallengeChase) error {
	if s.chases++; s.chases > MaxMemory {
		return wire.Refuse(wire.OverLimit, "more than %d chases", MaxMemory)
	}
	if !s.filled || q.GetSteps() < 1 || q.GetSteps() > modmath.MaxSteps {
		return wire.Malformed("a chase of %d steps, 1 to %d through memory that was filled can be asked for", q.GetSteps(), modmath.MaxSteps)
	}
	s.last = nil
	traces, err := s.session.Chase(ctx, q.GetNonce(), q.GetStart(), int(q.GetSteps()))
	return s.commitWords(traces, err)
}

func (s *server) commitWords(words [][]uint64, err error) error {
	if err != nil {
		return err
	}
	results := make([]result, len(words))
	for i, w := range words {
		results[i] = result{words: w}
	}
	return s.commit(results)
}

// commit tells the hashes, which are all that the client's clock waits for.
func (s *server) commit(results []result) error {
	hashes := make([][]byte, len(results))
	var wg sync.WaitGroup
	for i, r := range results {
		wg.Go(func() { hashes[i] = r.hash() })
	}
	wg.Wait()
	s.last = results
	return s.conn.Write(&pb.ChallengeAnswer{Answer: &pb.ChallengeAnswer_Commit{Commit: &pb.ChallengeCommit{Hashes: hashes}}})
}

// show sends one of the last results, once. Devices are held meanwhile, so a
// client that takes it in drop by drop is cut off.
func (s *server) show(ctx context.Context, index int) error {
	if index >= len(s.last) || s.last[index].size() == 0 {
		return wire.Malformed("there is no result %d to show, or it was shown", index)
	}
	r := s.last[index]
	s.last[index] = result{}
	for at := 0; at < r.size(); at += frameBytes {
		if ctx.Err() != nil {
			return tooLong()
		}
		if err := s.conn.Write(&pb.ChallengeAnswer{Answer: &pb.ChallengeAnswer_Data{Data: &pb.ChallengeData{Data: r.chunk(at)}}}); err != nil {
			return err
		}
	}
	return nil
}

// Converse is Answer where no dispatcher sends what it refuses.
func Converse(ctx context.Context, c Conn, parties Parties, p Prover) {
	if err := Answer(ctx, c, parties, p); err != nil {
		_ = c.Write(refuse(wire.AsRefusal(err).Proto())) // who has gone needs no answer
	}
}
