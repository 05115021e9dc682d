package testnet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"souk/node/config"
	"souk/node/control"
	"souk/node/identity"
	"souk/protocol/market"
)

// good is what a provider of a testnet has; no gpu is one without any.
type good struct{ gpu, price string }

// goods are what the providers of a testnet have, in turn.
var goods = []good{
	{"RTX 4090", "0.40/h"},
	{"RTX 3090", "0.25/h"},
	{"H100 80GB", "1.80/h"},
	{"A100 40GB:2", "0.95/h"},
	{"L40S", "0.70/h"},
	{"", "0.05/h"},
}

// hostilePrice is below every honest one with a GPU, as bait.
const hostilePrice = "0.10/h"

const hostileGPU = "RTX 4090"

// start starts the processes one after the other: each provider measures its
// speed at its start, and two at once would measure each other.
func (o *Options) start(ctx context.Context, s *State) error {
	bootstrap := ""
	for _, n := range append([]Node{{Name: "bootstrap", Role: Bootstrap}}, o.plan()...) {
		if err := o.launch(s, &n, bootstrap); err != nil {
			return err
		}
		if err := n.ready(ctx); err != nil {
			return err
		}
		s.Nodes[len(s.Nodes)-1] = n
		if n.Role == Bootstrap {
			bootstrap = n.Addr
		}
		o.Progress(fmt.Sprintf("%s is up", n.Name))
	}
	return s.save()
}

func (o *Options) plan() (nodes []Node) {
	for i := range o.Providers {
		g := goods[i%len(goods)]
		nodes = append(nodes, Node{Name: fmt.Sprintf("provider-%d", i+1), Role: Provider, GPU: g.gpu, Price: cmp.Or(o.Price, g.price)})
	}
	for i := range o.Behave {
		nodes = append(nodes, Node{Name: fmt.Sprintf("hostile-%d", i+1), Role: Hostile, GPU: hostileGPU, Price: hostilePrice})
	}
	for i := range o.Clients {
		nodes = append(nodes, Node{Name: fmt.Sprintf("client-%d", i+1), Role: Client})
	}
	return nodes
}

// launch gives a node its folder, key and config, and starts its process.
func (o *Options) launch(s *State, n *Node, bootstrap string) error {
	n.Dir = filepath.Join(s.Dir, n.Name)
	if err := os.Mkdir(n.Dir, 0o700); err != nil {
		return err
	}
	s.Nodes = append(s.Nodes, *n)
	if err := s.save(); err != nil { // Down removes only what it knows
		return err
	}
	command := n.command(o.Souk)
	if n.Role == Hostile {
		command = o.hostile(s, n, bootstrap)
	}
	if n.Role != Hostile {
		if _, err := identity.Create(filepath.Join(n.Dir, identity.FileName), ""); err != nil {
			return err
		}
		if err := o.configure(s, n, bootstrap); err != nil {
			return err
		}
	}
	var err error
	if n.PID, err = spawn(n.Dir, command); err != nil {
		return fmt.Errorf("start %s: %w", n.Name, err)
	}
	return s.put(*n) // so that Down finds the process whatever happens next
}

func (o *Options) hostile(s *State, n *Node, bootstrap string) []string {
	behave := ""
	for i, b := range o.Behave {
		if n.Name == fmt.Sprintf("hostile-%d", i+1) {
			behave = b
		}
	}
	return []string{
		o.Hostile, "provider", "--network", s.Network, "--bootstrap", bootstrap, "--listen", loopback, "--price", n.Price,
		"--tick", o.Tick.String(), "--gpu", n.GPU, "--behave", behave, "--ready-file", filepath.Join(n.Dir, readyFile),
	}
}

const (
	loopback  = "/ip4/127.0.0.1/tcp/0"
	readyFile = "ready"
)

// configure writes the node's config file.
func (o *Options) configure(s *State, n *Node, bootstrap string) error {
	c := map[string]any{
		"network": s.Network, "loopback": true, "mdns": false, "listen": []string{loopback},
		"client": map[string]any{"lost_after": o.LostAfter.String()},
	}
	if bootstrap != "" {
		c["bootstrap"] = []string{bootstrap}
	}
	if n.Role == Provider {
		p := provides(good{gpu: n.GPU, price: n.Price}, o.Tick)
		if o.Slots > 0 {
			p["cpu"], p["slots"] = o.Slots, o.Slots // each execution takes a core
		}
		c["provider"] = p
		if p["executors"] = []string{market.KindWASM}; o.Docker {
			p["executors"] = []string{market.KindWASM, market.KindDocker}
			c["docker"] = map[string]any{"allow_runc": true, "host": s.DockerHost}
		}
	}
	b, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(config.File(n.Dir), b, 0o600)
}

// provides is the provider's part of a config file.
func provides(g good, tick time.Duration) map[string]any {
	p := map[string]any{"price": g.price, "tick": tick.String(), "cpu": 2, "slots": 4, "memory": "2GiB", "disk": "2GiB"}
	if g.gpu != "" {
		p["simulate_gpu"] = []string{g.gpu}
	}
	return p
}

// lookEvery is how often something that comes up is looked at again.
const lookEvery = 100 * time.Millisecond

// ready waits until the node's process answers, and learns its addresses.
func (n *Node) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("no answer within %s", readyWithin))
	defer cancel()
	for {
		if n.answers(ctx) {
			n.Up = true
			return nil
		}
		if !n.alive() {
			return fmt.Errorf("%s ended while it started: %s", n.Name, lastLines(n.Dir))
		}
		if wait(ctx, lookEvery) != nil {
			return fmt.Errorf("%s did not come up: %w: %s", n.Name, context.Cause(ctx), lastLines(n.Dir))
		}
	}
}

func (n *Node) answers(ctx context.Context) bool {
	if n.Role == Hostile {
		return n.isReady()
	}
	st, err := control.NewClient(n.Dir).Status(ctx)
	if err != nil || len(st.Addrs) == 0 {
		return false
	}
	n.Peer, n.Addr = st.Peer, st.Addrs[0]
	return true
}

// isReady reads what souk-hostile writes once it is up.
func (n *Node) isReady() bool {
	var said struct {
		Peer  string   `json:"peer"`
		Addrs []string `json:"addrs"`
	}
	b, err := os.ReadFile(filepath.Join(n.Dir, readyFile))
	if err != nil || json.Unmarshal(b, &said) != nil || len(said.Addrs) == 0 {
		return false
	}
	n.Peer, n.Addr = said.Peer, said.Addrs[0]
	return true
}

// await waits until every client finds every provider.
func (o *Options) await(ctx context.Context, s *State) error {
	ctx, cancel := context.WithTimeoutCause(ctx, foundWithin, fmt.Errorf("not found within %s", foundWithin))
	defer cancel()
	o.Progress("waiting until the nodes find each other")
	for _, c := range s.Nodes {
		if c.Role != Client {
			continue
		}
		for {
			missing, err := s.missing(ctx, c)
			if err == nil && len(missing) == 0 {
				break
			}
			if wait(ctx, lookEvery) != nil {
				return errors.Join(fmt.Errorf("%s does not find %s", c.Name, strings.Join(missing, ", ")), context.Cause(ctx), err)
			}
		}
	}
	return nil
}

// missing names the providers whose offers a client doesn't see.
func (s *State) missing(ctx context.Context, c Node) (names []string, err error) {
	offers, err := control.NewClient(c.Dir).Offers(ctx, control.Need{AllowSimulated: true, All: true})
	seen := map[string]bool{}
	for _, o := range offers {
		seen[o.Peer] = true
	}
	for _, n := range s.Nodes {
		if (n.Role == Provider || n.Role == Hostile) && !seen[n.Peer] {
			names = append(names, n.Name)
		}
	}
	return names, err
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
