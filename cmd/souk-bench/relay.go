package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// relayBuffer is how much of one direction is under way at most: with 25 ms it
// lets 2.5 GB/s through.
const (
	relayPiece  = 64 << 10
	relayPieces = 1024
)

// relay passes on what comes to it, each way after a delay, as a long line does.
type relay struct {
	addr  ma.Multiaddr
	delay time.Duration
	close func() error
}

// delayed is a piece on its way, and when it arrives.
type delayed struct {
	data []byte
	due  time.Time
}

// behind gives a peer as it is reached through relays that add rtt to each round trip.
func behind(p peer.AddrInfo, rtt time.Duration) (peer.AddrInfo, func() error, error) {
	var opened parts
	out := peer.AddrInfo{ID: p.ID}
	for _, a := range p.Addrs {
		r, err := newRelay(a, rtt/2)
		if err != nil {
			return out, nil, errors.Join(err, opened.close())
		}
		opened.add(r.close)
		out.Addrs = append(out.Addrs, r.addr)
	}
	return out, opened.close, nil
}

func newRelay(target ma.Multiaddr, delay time.Duration) (*relay, error) {
	network, address, err := manet.DialArgs(target[:2])
	if err != nil {
		return nil, err
	}
	r := &relay{delay: delay}
	port := 0
	if _, err := target.ValueForProtocol(ma.P_TCP); err == nil {
		port, err = r.listenTCP(address)
		if err != nil {
			return nil, err
		}
		r.addr, err = ma.NewMultiaddr(fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port))
		return r, err
	}
	if network != "udp4" && network != "udp" {
		return nil, fmt.Errorf("no relay for %s", target)
	}
	if port, err = r.listenUDP(address); err != nil {
		return nil, err
	}
	r.addr, err = ma.NewMultiaddr(fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", port))
	return r, err
}

func (r *relay) listenTCP(target string) (port int, err error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	r.close = func() error {
		cancel()
		err := l.Close()
		wg.Wait()
		return err
	}
	wg.Go(func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp4", target)
			if err != nil {
				_ = here.Close()
				continue
			}
			stop := context.AfterFunc(ctx, func() { _, _ = here.Close(), there.Close() })
			wg.Go(func() { r.pump(here, there); stop() })
			wg.Go(func() { r.pump(there, here) })
		}
	})
	return l.Addr().(*net.TCPAddr).Port, nil //nolint:forcetypeassert // it is one
}

// pump passes one direction of a connection on, until it ends.
func (r *relay) pump(from io.Reader, to net.Conn) {
	queue := make(chan delayed, relayPieces)
	var wg sync.WaitGroup
	wg.Go(func() {
		var failed bool
		for d := range queue {
			waitUntil(d.due)
			if !failed {
				_, err := to.Write(d.data)
				failed = err != nil
			}
		}
		_ = to.Close()
	})
	for {
		piece := make([]byte, relayPiece)
		n, err := from.Read(piece)
		if n > 0 {
			queue <- delayed{piece[:n], time.Now().Add(r.delay)}
		}
		if err != nil {
			break
		}
	}
	close(queue)
	wg.Wait()
}

func waitUntil(due time.Time) {
	if d := time.Until(due); d > 0 {
		time.Sleep(d)
	}
}

func (r *relay) listenUDP(target string) (port int, err error) {
	to, err := net.ResolveUDPAddr("udp4", target)
	if err != nil {
		return 0, err
	}
	here, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	there, err := net.DialUDP("udp4", nil, to)
	if err != nil {
		return 0, errors.Join(err, here.Close())
	}
	for _, c := range []*net.UDPConn{here, there} {
		_, _ = c.SetReadBuffer(7<<20), c.SetWriteBuffer(7<<20) // as much as the system allows
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var asker *net.UDPAddr // the one who talks through this relay
	r.close = func() error {
		err := errors.Join(here.Close(), there.Close())
		wg.Wait()
		return err
	}
	r.packets(&wg, func(b []byte) (int, error) {
		n, from, err := here.ReadFromUDP(b)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			asker = from
		}
		return n, err
	}, there.Write)
	r.packets(&wg, there.Read, func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return here.WriteToUDP(b, asker)
	})
	return here.LocalAddr().(*net.UDPAddr).Port, nil //nolint:forcetypeassert // it is one
}

// packets passes packets on until reading fails. Those for which there is no room
// are dropped, as routers do.
func (r *relay) packets(wg *sync.WaitGroup, read, write func([]byte) (int, error)) {
	queue := make(chan delayed, 16*relayPieces)
	wg.Go(func() {
		for d := range queue {
			waitUntil(d.due)
			_, _ = write(d.data)
		}
	})
	wg.Go(func() {
		defer close(queue)
		for {
			packet := make([]byte, 2048)
			n, err := read(packet)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // such as that nobody listens any more
			}
			select {
			case queue <- delayed{packet[:n], time.Now().Add(r.delay)}:
			default:
			}
		}
	})
}
