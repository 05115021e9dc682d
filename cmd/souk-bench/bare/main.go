// Command souk-bench-bare is libp2p with nothing of souk around it, in a process
// of its own, for souk-bench to measure souk beside:
//
//	souk-bench-bare idle          a host with a DHT, until standard input ends
//	souk-bench-bare ask N ADDR... connects to the addresses and asks each N times
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	echo  = "/souk-bench/echo/1.0.0"
	frame = 1 << 10 // bytes
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "souk-bench-bare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "idle":
		return idle(ctx)
	case len(args) > 2 && args[0] == "ask":
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return ask(ctx, n, args[2:])
	}
	return errors.New("usage: souk-bench-bare idle, or souk-bench-bare ask N ADDR... with peer IDs")
}

func newHost() (host.Host, error) {
	return libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay(), libp2p.DisableMetrics(), libp2p.ForceReachabilityPublic())
}

func idle(ctx context.Context) error {
	h, err := newHost()
	if err != nil {
		return err
	}
	d, err := dht.New(h, dht.Mode(dht.ModeServer), dht.ProtocolPrefix("/souk-bench"), dht.DisableValues())
	if err != nil {
		return err
	}
	h.SetStreamHandler(echo, func(s network.Stream) {
		if _, err := io.Copy(s, s); err != nil {
			_ = s.Reset()
			return
		}
		_ = s.Close()
	})
	if err := json.NewEncoder(os.Stdout).Encode(peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return errors.Join(d.Close(), h.Close())
}

func ask(ctx context.Context, n int, addrs []string) error {
	h, err := newHost()
	if err != nil {
		return err
	}
	for _, a := range addrs {
		info, err := peer.AddrInfoFromString(a)
		if err != nil {
			return err
		}
		if err := h.Connect(ctx, *info); err != nil {
			return err
		}
		for range n {
			if err := once(ctx, h, info.ID); err != nil {
				return err
			}
		}
	}
	return h.Close()
}

func once(ctx context.Context, h host.Host, p peer.ID) error {
	s, err := h.NewStream(ctx, p, echo)
	if err != nil {
		return err
	}
	data := make([]byte, frame)
	if _, err = s.Write(data); err == nil {
		if err = s.CloseWrite(); err == nil {
			_, err = io.ReadFull(s, data)
		}
	}
	if err != nil {
		_ = s.Reset()
		return err
	}
	return s.Close()
}
