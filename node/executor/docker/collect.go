package docker

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/moby/moby/client"
)

const (
	maxFrame     = 1 << 20  // bytes of a message of the daemon's log
	pieceBytes   = 16 << 10 // the daemon breaks a longer line into pieces of this size
	batchBytes   = 64 << 10
	drainWithin  = 500 * time.Millisecond // for the end of the stream after the container's
	hurriedDrain = 100 * time.Millisecond // the same, where the container was killed
	smallLog     = 8 << 20                // bytes that are quickly read again
)

// collect copies the daemon's log into the journal until the container ended
// or ctx did, following it again where the daemon breaks off.
func (x *execution) collect(ctx context.Context) {
	for ctx.Err() == nil {
		full, err := x.copyLog(ctx, true)
		if full || err == nil {
			return
		}
		rest(ctx, askAgain)
	}
}

// drain waits for the end of the log. The daemon may end a stream before all was
// in it, so what there is is read once more.
func (x *execution) drain(cancel context.CancelFunc, collected <-chan struct{}) {
	x.mu.Lock()
	within, timeout, enough := drainWithin, callTimeout, int64(smallLog)
	if x.cause != "" { // whoever asked for the end waits
		within, timeout, enough = hurriedDrain, drainWithin, 0
	}
	x.mu.Unlock()
	clean := false
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-collected:
		clean = true
	case <-t.C:
		cancel()
		<-collected
	}
	if size := x.log.size(); size > x.log.limit || clean && size >= enough {
		return
	}
	ctx, end := context.WithTimeout(context.Background(), timeout)
	defer end()
	if _, err := x.copyLog(ctx, false); err != nil {
		x.exec.cfg.Log.Warn("the end of a log could not be read", "execution", x.rec.ID, "error", err)
	}
}

// copyLog reads the daemon's log from its begin and adds what the journal lacks.
func (x *execution) copyLog(ctx context.Context, follow bool) (full bool, err error) {
	if full, err := x.log.resume(); full || err != nil {
		return full, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := x.exec.api.ContainerLogs(ctx, x.rec.Container, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: follow,
	})
	if err != nil {
		return false, err
	}
	defer r.Close()
	return newCopier(x.log).copy(bufio.NewReaderSize(r, batchBytes))
}

// copier turns the daemon's messages into bytes.
type copier struct {
	log     *journal
	at      position // from where the journal lacks what follows
	skip    int64    // bytes after it that the journal has
	seeking bool
	newest  string    // time of any message so far
	open    [256]bool // by stream: its last message was a line's end without the newline
	batch   []byte    // not yet written
	time    string    // of the message at the batch's begin, if that can be a mark
}

func newCopier(log *journal) *copier {
	at, length := log.position()
	return &copier{log: log, at: at, skip: length - at.offset, seeking: at.time != ""}
}

// copy takes messages until the end of the stream, and writes whenever no more
// is there at once.
func (c *copier) copy(r *bufio.Reader) (full bool, err error) {
	for {
		if r.Buffered() == 0 || len(c.batch) >= batchBytes {
			if full, err := c.flush(); full || err != nil {
				return full, err
			}
		}
		stream, message, err := readFrame(r)
		if err != nil {
			full, wrote := c.flush()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return full, errors.Join(err, wrote)
		}
		if err := c.take(stream, message); err != nil {
			return false, err
		}
	}
}

func (c *copier) flush() (full bool, err error) {
	if len(c.batch) == 0 {
		return false, nil
	}
	full, err = c.log.append(c.batch, c.time)
	c.batch, c.time = c.batch[:0], ""
	return full, err
}

// readFrame reads one message of the multiplexed stream.
func readFrame(r *bufio.Reader) (stream byte, message []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[4:])
	if size > maxFrame {
		return 0, nil, fmt.Errorf("a message of the daemon's log has %d bytes", size)
	}
	message = make([]byte, size)
	_, err = io.ReadFull(r, message)
	return head[0], message, err
}

// take adds a message: its time, a blank, and what was written.
func (c *copier) take(stream byte, message []byte) error {
	const timeLength = len("2006-01-02T15:04:05.000000000Z")
	if len(message) < timeLength+1 || message[timeLength] != ' ' {
		return errors.New("a message of the daemon's log has no time")
	}
	at, body := string(message[:timeLength]), c.whole(stream, message[timeLength+1:])
	fresh := at > c.newest
	if fresh {
		c.newest = at
	}
	if c.seeking {
		switch {
		case at == c.at.time:
			c.seeking = false
		case at > c.at.time && fresh:
			c.seeking, c.skip = false, 0
			c.batch = append(c.batch, lostNotice(c.at.time)...)
		default:
			return nil
		}
	}
	if n := min(c.skip, int64(len(body))); n > 0 {
		c.skip -= n
		body, fresh = body[n:], false
	}
	if len(c.batch) == 0 && fresh && len(body) > 0 {
		c.time = at
	}
	c.batch = append(c.batch, body...)
	return nil
}

// whole puts back the newline that the daemon's local driver loses at the end
// of a line which it broke into pieces: seen when more comes on that stream.
func (c *copier) whole(stream byte, body []byte) []byte {
	if c.open[stream] {
		body = append([]byte{'\n'}, body...)
	}
	c.open[stream] = len(body) < pieceBytes && (len(body) == 0 || body[len(body)-1] != '\n')
	return body
}
