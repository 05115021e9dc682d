package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

// peerCommand is the first argument of a process that another souk-bench
// started to be the other side of what it measures.
const peerCommand = "peer"

// peerRoles are what such a process can be: each begins to serve, and gives
// what it is reached at. What it opens in dir ends with the process.
var peerRoles = map[string]func(dir string) (peer.AddrInfo, error){
	"floor":  serveFloor,
	"siege":  serveSiege,
	"stream": serveStream,
	"vault":  serveVault,
}

// other is a process that is the other side of what is measured, until close.
type other struct {
	peer.AddrInfo
	cmd  *exec.Cmd
	hold io.Closer // its standard input: it ends with that
}

// startPeer starts a process of this program in a role and waits until it serves.
func startPeer(ctx context.Context, role, dir string) (*other, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return startOther(ctx, self, peerCommand, role, dir)
}

// startOther starts a process that says in its first line where it is reached,
// and waits for that.
func startOther(ctx context.Context, program string, args ...string) (*other, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // one of those that scripts/bench built
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	o := &other{cmd: cmd, hold: in}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &o.AddrInfo)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s %s did not come up: %w", filepath.Base(program), strings.Join(args, " "), err), o.close())
	}
	return o, nil
}

func (o *other) close() error {
	_ = o.hold.Close()
	return o.cmd.Wait()
}

// servePeer is the whole of such a process: it serves until its standard input ends.
func servePeer(args []string) {
	err := errors.New("usage: souk-bench peer ROLE FOLDER")
	if len(args) == 2 && peerRoles[args[0]] != nil {
		var at peer.AddrInfo
		if at, err = peerRoles[args[0]](args[1]); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(at)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "souk-bench:", err)
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// The addresses that hosts listen on.
const (
	onTCP  = "/ip4/127.0.0.1/tcp/0"
	onQUIC = "/ip4/127.0.0.1/udp/0/quic-v1"
)

// bareHost is libp2p alone, with souk's transports and no limits.
func bareHost(listen ...string) (host.Host, error) {
	return libp2p.New(
		libp2p.ListenAddrStrings(listen...), libp2p.DisableRelay(), libp2p.DisableMetrics(),
		libp2p.Transport(quic.NewTransport), libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(tls.ID, tls.New), libp2p.Security(noise.ID, noise.New), libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.ResourceManager(&network.NullResourceManager{}), libp2p.ForceReachabilityPublic(),
	)
}

func infoOf(h host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

// only keeps the addresses that have a protocol, such as ma.P_TCP.
func only(p peer.AddrInfo, protocol int) peer.AddrInfo {
	p.Addrs = slices.DeleteFunc(slices.Clone(p.Addrs), func(a ma.Multiaddr) bool {
		_, err := a.ValueForProtocol(protocol)
		return err != nil
	})
	return p
}

// beside is the path of a program that scripts/bench builds beside this one.
func beside(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(path); err != nil {
		return "", &notRun{fmt.Sprintf("%s is not beside this program; scripts/bench builds it", name)}
	}
	return path, nil
}
