package control

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	pool "github.com/libp2p/go-buffer-pool"

	"souk/node/client"
	"souk/node/jobfile"
	"souk/protocol/market"
	"souk/protocol/receiptfile"
	"souk/protocol/wire"
)

// Server answers commands for the node that holds a data directory.
type Server struct {
	backend Backend
	socket  *socket
	http    *http.Server
	ctx     context.Context //nolint:containedctx // the life of the server
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	busy    activity
}

// Serve listens on the data directory's socket. The caller holds the
// directory; a socket that a dead process left is replaced. Close ends it.
func Serve(dataDir string, backend Backend, log *slog.Logger) (*Server, error) {
	sock, err := listen(dataDir)
	if err != nil {
		return nil, err
	}
	s := &Server{backend: backend, socket: sock, busy: activity{latest: time.Now()}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler: s.busy.count(s.routes()), ReadHeaderTimeout: headTimeout, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return s.ctx },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	s.wg.Go(func() {
		if err := s.http.Serve(sock.listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the node's socket failed; commands can't reach it any more", "err", err)
		}
	})
	return s, nil
}

// Close ends every stream, waits for their handlers and takes the socket away.
func (s *Server) Close() error {
	s.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), headTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	s.wg.Wait()
	s.socket.remove()
	return err
}

// WaitIdle returns nil once nobody has asked anything, and active has been 0,
// for the time quiet; or ctx's error.
func (s *Server) WaitIdle(ctx context.Context, active func() int, quiet time.Duration) error {
	return s.busy.wait(ctx, active, quiet)
}

func (s *Server) routes() http.Handler {
	b, mux := s.backend, http.NewServeMux()
	answer(mux, pathStatus, func(ctx context.Context, _ nothing) (Status, error) { return b.Status(ctx) })
	answer(mux, pathDoctor, func(ctx context.Context, _ nothing) ([]Check, error) { return b.Doctor(ctx) })
	answer(mux, pathShutdown, func(ctx context.Context, _ nothing) (nothing, error) { return nothing{}, b.Shutdown(ctx) })
	answer(mux, pathOffers, b.Offers)
	long(mux, pathChallenge, b.Challenge)
	answer(mux, pathPlan, func(ctx context.Context, spec jobfile.Spec) (client.Plan, error) { return b.Plan(ctx, spec) })
	long(mux, pathSubmit, func(ctx context.Context, in submission) (string, error) { return b.Submit(ctx, in.Spec, in.Plan) })
	answer(mux, pathJobs, func(ctx context.Context, _ nothing) ([]JobInfo, error) { return b.Jobs(ctx) })
	answer(mux, pathJob, func(ctx context.Context, in ref) (JobInfo, error) { return b.Job(ctx, in.ID) })
	answer(mux, pathCancel, func(ctx context.Context, in ref) (nothing, error) { return nothing{}, b.Cancel(ctx, in.ID) })
	long(mux, pathOutputs, func(ctx context.Context, in ref) (nothing, error) { return nothing{}, b.Outputs(ctx, in.ID, in.Dir) })
	answer(mux, pathReceipts, func(ctx context.Context, _ nothing) ([]ReceiptInfo, error) { return b.Receipts(ctx) })
	answer(mux, pathDisputes, func(ctx context.Context, _ nothing) ([]DisputeInfo, error) { return b.Disputes(ctx) })
	answer(mux, pathPay, func(ctx context.Context, in payment) (nothing, error) {
		return nothing{}, b.PayDisputed(ctx, in.Lease, in.Most)
	})
	answer(mux, pathLeave, func(ctx context.Context, in ref) (nothing, error) { return nothing{}, b.LeaveDisputed(ctx, in.ID) })
	answer(mux, pathLeases, func(ctx context.Context, _ nothing) ([]LeaseInfo, error) { return b.Leases(ctx) })
	stream(mux, pathWatch, func(ctx context.Context, in ref) (<-chan client.Event, error) { return b.Watch(ctx, in.ID, in.Offset) })
	stream(mux, pathLeaseEvents, func(ctx context.Context, _ nothing) (<-chan LeaseEvent, error) { return b.LeaseEvents(ctx) })
	mux.HandleFunc("POST "+pathBundle, func(w http.ResponseWriter, r *http.Request) {
		var in ref
		var bundle market.Bundle
		err := readBody(w, r, &in)
		if err == nil {
			bundle, err = b.Bundle(r.Context(), in.ID)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.ipld.car")
		if err := receiptfile.Write(w, bundle); err != nil {
			panic(http.ErrAbortHandler) // the file is cut short, and must not look whole
		}
	})
	return mux
}

// answer serves questions with one answer within askTimeout.
func answer[In, Out any](mux *http.ServeMux, path string, work func(context.Context, In) (Out, error)) {
	long(mux, path, func(ctx context.Context, in In) (Out, error) {
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		return work(ctx, in)
	})
}

// long serves questions whose answer may take as long as the caller waits.
func long[In, Out any](mux *http.ServeMux, path string, work func(context.Context, In) (Out, error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		var in In
		var out Out
		err := readBody(w, r, &in)
		if err == nil {
			out, err = work(r.Context(), in)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) // a caller who is gone doesn't miss it
	})
}

// stream serves questions with a stream of events, which ends with a line of
// its own or when the caller goes.
func stream[In, Event any](mux *http.ServeMux, path string, work func(context.Context, In) (<-chan Event, error)) {
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		var in In
		var events <-chan Event
		err := readBody(w, r, &in)
		if err == nil {
			events, err = work(r.Context(), in)
		}
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.WriteHeader(http.StatusOK)
		copyEvents(w, r, events)
	})
}

func copyEvents[Event any](w http.ResponseWriter, r *http.Request, events <-chan Event) {
	control := http.NewResponseController(w)
	send := func(l line[Event]) bool {
		_ = control.SetWriteDeadline(time.Now().Add(lineTimeout))
		return l.write(w) == nil && control.Flush() == nil
	}
	if control.Flush() != nil {
		return
	}
	for {
		select {
		case <-r.Context().Done():
			send(line[Event]{Error: &refusal{Code: NodeStopped, Sentence: "the node is ending; the job goes on when it is up again"}})
			return
		case event, ok := <-events:
			if !ok {
				if r.Context().Err() == nil {
					send(line[Event]{End: true})
				}
				return
			}
			l := line[Event]{Event: &event}
			if !send(l) {
				return
			}
			pool.Put(l.takeLog())
		}
	}
}

func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(headTimeout))
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return wire.Refuse(wire.BadRequest, "the question can't be read (%v); command and node may be of different versions, so stop the node with `souk node down`", err)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return nil
}

// refusedStatus is the HTTP status of every refusal; the body says which.
const refusedStatus = http.StatusUnprocessableEntity

func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(refusedStatus)
	_ = json.NewEncoder(w).Encode(refusalOf(err)) // a caller who is gone doesn't miss it
}
