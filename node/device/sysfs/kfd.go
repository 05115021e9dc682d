package sysfs

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"souk/node/device"
)

const (
	topology  = "sys/class/kfd/kfd/topology/nodes"
	processes = "sys/class/kfd/kfd/proc"
	xgmi      = 11 // a link of AMD's own between GPUs
	heapOpen  = 1  // a memory bank of the GPU's own that programs can map as a whole
	heapKept  = 2  // and one that they can't
	maxNodes  = 256
)

// node is a GPU as amdgpu's compute driver (KFD) lists it.
type node struct {
	number   string // its folder
	gpu      string // KFD's own ID of it
	location int64  // bus << 8 | device << 3 | function
	domain   int64
	version  int64 // 110000 is gfx1100
	vram     int64
	peers    []string // numbers of the nodes that XGMI links to it
}

// kfdNodes are the GPUs that can compute.
func (s *Source) kfdNodes() []node {
	entries, err := fs.ReadDir(s.root, topology)
	if err != nil {
		return nil
	}
	var out []node
	for _, e := range entries[:min(len(entries), maxNodes)] {
		dir := topology + "/" + e.Name()
		if number(s.field(dir+"/properties", "simd_count")) == 0 {
			continue // a processor
		}
		n := node{number: e.Name(), gpu: s.line(dir + "/gpu_id")}
		n.location, n.domain = number(s.field(dir+"/properties", "location_id")), number(s.field(dir+"/properties", "domain"))
		n.version = number(s.field(dir+"/properties", "gfx_target_version"))
		for _, bank := range s.folders(dir + "/mem_banks") {
			if heap := number(s.field(bank+"/properties", "heap_type")); heap == heapOpen || heap == heapKept {
				n.vram += number(s.field(bank+"/properties", "size_in_bytes"))
			}
		}
		for _, l := range s.folders(dir + "/io_links") {
			if number(s.field(l+"/properties", "type")) == xgmi {
				n.peers = append(n.peers, s.field(l+"/properties", "node_to"))
			}
		}
		out = append(out, n)
	}
	return out
}

// bus is the node's PCI address.
func (n node) bus() string {
	return fmt.Sprintf("%04x:%02x:%02x.%d", n.domain, n.location>>8&0xff, n.location>>3&0x1f, n.location&7)
}

// target is the compiler's name for what it can run: 90402 is "gfx942", 110001 "gfx1101".
func (n node) target() string {
	if n.version == 0 {
		return ""
	}
	major, minor, step := n.version/10000, n.version/100%100, n.version%100
	return "gfx" + strconv.FormatInt(major, 10) + strconv.FormatInt(minor, 16) + strconv.FormatInt(step, 16)
}

// find is the node of a card, nil if KFD doesn't list it.
func find(nodes []node, c card) *node {
	at := slices.IndexFunc(nodes, func(n node) bool { return n.bus() == c.bus })
	if at < 0 {
		return nil
	}
	return &nodes[at]
}

// link names the devices that XGMI links to each.
func link(devices []device.Device, nodes []node) {
	ids := map[string]string{} // of a node's number
	for _, n := range nodes {
		for _, d := range devices {
			if d.Bus == n.bus() {
				ids[n.number] = d.ID
			}
		}
	}
	for i := range devices {
		for _, n := range nodes {
			if n.bus() != devices[i].Bus {
				continue
			}
			for _, peer := range n.peers {
				if id := ids[peer]; id != "" {
					devices[i].Detail.Peers = append(devices[i].Detail.Peers, id)
				}
			}
		}
	}
}

// users are the processes that compute on a node, with their memory there.
func (s *Source) users(n *node) (out []device.Process) {
	entries, err := fs.ReadDir(s.root, processes)
	if n == nil || n.gpu == "" || err != nil {
		return nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if memory := number(s.line(processes + "/" + e.Name() + "/vram_" + n.gpu)); memory > 0 {
			out = append(out, device.Process{PID: pid, Memory: memory})
		}
	}
	slices.SortFunc(out, func(a, b device.Process) int { return a.PID - b.PID })
	return out
}

// folders are the folders in one, in the order of their names.
func (s *Source) folders(dir string) (out []string) {
	entries, err := fs.ReadDir(s.root, dir)
	if err != nil {
		return nil
	}
	for _, e := range entries[:min(len(entries), maxNodes)] {
		out = append(out, dir+"/"+strings.TrimSpace(e.Name()))
	}
	return out
}
