package egress

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"souk/node/executor/docker/egress/frame"
)

// maxHost is the longest host name, in bytes, as DNS has it.
const maxHost = 253

// Target is one entry of an allow-list.
type Target struct {
	Host string // lower case, at least two labels, no final dot
	Port uint16 // never 0
}

// String is host:port.
func (t Target) String() string { return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))) }

// Parse reads an allow-list of host:port entries, in its order. It refuses an
// empty list, more than frame.MaxEntries, one entry twice, addresses, and
// names that belong to a local network. The error says which entry and why.
func Parse(allow []string) ([]Target, error) {
	if len(allow) == 0 || len(allow) > frame.MaxEntries {
		return nil, fmt.Errorf("the list of places to connect to has %d entries; 1 to %d would be right", len(allow), frame.MaxEntries)
	}
	targets := make([]Target, 0, len(allow))
	seen := make(map[Target]bool, len(allow))
	for _, entry := range allow {
		t, err := parseTarget(entry)
		if err != nil {
			return nil, err
		}
		if seen[t] {
			return nil, fmt.Errorf("%s is twice in the list of places to connect to", t)
		}
		seen[t] = true
		targets = append(targets, t)
	}
	return targets, nil
}

func parseTarget(entry string) (Target, error) {
	if len(entry) > maxHost+len(":65535")+1 {
		return Target{}, fmt.Errorf("a place to connect to has %d bytes; a host name has at most %d", len(entry), maxHost)
	}
	host, text, found := strings.Cut(entry, ":")
	port, err := strconv.ParseUint(text, 10, 16)
	switch {
	case isAddress(entry):
		return Target{}, fmt.Errorf("%q names an address; write a host name, because a container has no network of its own and only names can be led out of it", entry)
	case !found || err != nil || port == 0 || text != strconv.FormatUint(port, 10):
		return Target{}, fmt.Errorf("%q is no place to connect to; host:port with a port from 1 to 65535 would be right, such as \"example.com:443\"", entry)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if err := checkHost(host); err != nil {
		return Target{}, fmt.Errorf("%q is no place to connect to: %w", entry, err)
	}
	return Target{Host: host, Port: uint16(port)}, nil
}

// isAddress takes addresses with and without a port, and every form of IPv6.
func isAddress(entry string) bool {
	if strings.Count(entry, ":") > 1 || strings.HasPrefix(entry, "[") {
		return true
	}
	host, _, _ := strings.Cut(entry, ":")
	_, err := netip.ParseAddr(host)
	return err == nil
}

// localNames are the ends of names that DNS doesn't have.
var localNames = []string{"localhost", "local", "internal", "home.arpa", "onion", "invalid"}

func checkHost(host string) error {
	if len(host) > maxHost {
		return fmt.Errorf("a host name has at most %d bytes", maxHost)
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !validLabel(label) {
			return fmt.Errorf("%q is no part of a host name; letters, digits and hyphens would be right (write other alphabets in their xn-- form)", label)
		}
	}
	if len(labels) < 2 {
		return fmt.Errorf("a name without a dot means something else on every network; write it in full, such as \"www.example.com\"")
	}
	for _, end := range localNames {
		if strings.HasSuffix(host, "."+end) || host == end {
			return fmt.Errorf("names under %q belong to a local network", end)
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return fmt.Errorf("a name that ends in a number is an address to some programs")
	}
	return nil
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range []byte(label) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
