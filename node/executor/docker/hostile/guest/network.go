//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long one connection is tried.
const patience = time.Second

func network() map[string]func(facts) outcome {
	return map[string]func(facts) outcome{
		"egress-tcp":    each(egressTCP, egressIPv6),
		"egress-udp":    egressUDP,
		"egress-dns":    egressDNS,
		"metadata":      metadata,
		"interfaces":    interfaces,
		"docker-socket": dockerSocket,
		"neighbours":    each(abstractSockets, sysvIPC),
	}
}

func dial(network string, addresses ...string) []attempt {
	var all []attempt
	for _, address := range addresses {
		all = append(all, attempt{fmt.Sprintf("%s to %s", network, address), func() error {
			c, err := net.DialTimeout(network, address, patience)
			if err != nil {
				return err
			}
			return c.Close()
		}})
	}
	return all
}

func (f facts) at(port int, more ...string) []string {
	var all []string
	for _, ip := range append(f.Addresses, more...) {
		all = append(all, net.JoinHostPort(ip, strconv.Itoa(port)))
	}
	return all
}

func egressTCP(f facts) outcome {
	return none(dial("tcp", f.at(f.TCP, "127.0.0.1", "0.0.0.0", "172.17.0.1", "host.docker.internal", "192.0.2.1")...)...)
}

func egressIPv6(f facts) outcome {
	return none(append(dial("tcp6", f.at(f.TCP, "::1", "::ffff:127.0.0.1", "ff02::1%eth0", "fe80::1%eth0", "2001:db8::1")...),
		dial("udp6", "[2001:db8::1]:53", "[ff02::1%eth0]:5353")...)...)
}

// egressUDP sends; whether anything arrived is seen outside. Only what has an answer
// counts here, since sending to itself works even without a network.
func egressUDP(f facts) outcome {
	var all []attempt
	for _, address := range f.at(f.UDP, "172.17.0.1", "192.0.2.1", "255.255.255.255", "127.0.0.1") {
		all = append(all, attempt{"a UDP answer from " + address, func() error {
			c, err := net.Dial("udp", address)
			if err != nil {
				return err
			}
			defer c.Close()
			if _, err := c.Write([]byte("hostile")); err != nil {
				return err
			}
			if err := c.SetReadDeadline(time.Now().Add(patience / 4)); err != nil {
				return err
			}
			_, err = c.Read(make([]byte, 16))
			return err
		}})
	}
	return none(all...)
}

// egressDNS leaks by name look-ups, to the server of the container and to well-known ones.
func egressDNS(f facts) outcome {
	all := []attempt{{"looking up a name", func() error { _, err := net.LookupHost("secret.example.com"); return err }}}
	all = append(all, dial("tcp", "127.0.0.11:53", "127.0.0.53:53", "172.17.0.1:53", "192.0.2.1:53")...)
	if b, err := os.ReadFile("/etc/resolv.conf"); err == nil {
		for _, word := range strings.Fields(string(b)) {
			if net.ParseIP(word) != nil {
				all = append(all, dial("tcp", net.JoinHostPort(word, "53"))...)
			}
		}
	}
	return none(all...)
}

func metadata(facts) outcome {
	return none(dial("tcp", "169.254.169.254:80", "169.254.169.254:443", "169.254.170.2:80", "[fd00:ec2::254]:80", "100.100.100.200:80",
		"metadata.google.internal:80", "[::ffff:169.254.169.254]:80")...)
}

// interfaces looks for a way out and tries to make one.
func interfaces(facts) outcome {
	found, err := net.Interfaces()
	if err != nil {
		say("interfaces: %v", err)
	}
	for _, i := range found {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			return escaped("there is an interface %s that leads elsewhere", i.Name)
		}
	}
	return none(
		attempt{"a route", func() error { return netlink(unix.RTM_NEWROUTE) }},
		attempt{"an interface", func() error { return netlink(unix.RTM_NEWLINK) }},
		attempt{"an interface's flags", func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			ifr, err := unix.NewIfreq("lo")
			if err != nil {
				return err
			}
			ifr.SetUint16(unix.IFF_PROMISC | unix.IFF_UP)
			return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr)
		}},
	)
}

// netlink sends a request without a body, which the kernel judges by its sender first.
func netlink(kind uint16) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return err
	}
	// nlmsghdr: length, type, flags (request, ack, create), sequence, port; then an empty body.
	message := make([]byte, 48)
	message[0], message[4], message[6], message[7] = 48, byte(kind), 0x05, 0x04
	if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	if n < 20 {
		return fmt.Errorf("an answer of %d bytes", n)
	}
	code := int32(answer[16]) | int32(answer[17])<<8 | int32(answer[18])<<16 | int32(answer[19])<<24
	return allowed(failed(unix.Errno(-code)))
}

// dockerSocket looks for every control socket that a machine may have.
func dockerSocket(facts) outcome {
	var all []attempt
	for _, path := range []string{
		"/var/run/docker.sock", "/run/docker.sock", "/docker.sock", "/run/containerd/containerd.sock", "/var/run/docker/containerd/containerd.sock",
		"/run/podman/podman.sock", "/run/crio/crio.sock", "/run/user/1000/docker.sock", "/run/dbus/system_bus_socket",
		"/run/systemd/private", "/run/systemd/notify", "/run/udev/control", "/var/run/nvidia-persistenced/socket", "/run/snapd.socket",
		"/host/var/run/docker.sock", "/proc/1/root/var/run/docker.sock",
	} {
		all = append(all, attempt{path, func() error {
			if _, err := os.Lstat(path); err != nil {
				return err
			}
			return nil
		}})
	}
	return none(append(all, dial("tcp", "127.0.0.1:2375", "127.0.0.1:2376", "172.17.0.1:2375", "172.17.0.1:2376")...)...)
}

// abstractSockets have no path, so only the network namespace keeps them apart.
func abstractSockets(f facts) outcome {
	return none(append(dial("unix", "@"+f.Abstract, "@/containerd-shim/", "@/tmp/dbus", "@/tmp/.X11-unix/X0"),
		attempt{"sockets in /proc/net/unix", func() error {
			b, err := os.ReadFile("/proc/net/unix")
			if err != nil {
				return err
			}
			if !strings.Contains(string(b), "@"+f.Abstract) {
				return unix.ENOENT
			}
			return nil
		}})...)
}

func sysvIPC(f facts) outcome {
	return none(
		attempt{"shared memory of a process outside", func() error {
			_, err := unix.SysvShmGet(f.SysV, 1, 0)
			return err
		}},
		attempt{"a list of the machine's shared memory", func() error {
			b, err := os.ReadFile("/proc/sysvipc/shm")
			if err != nil {
				return err
			}
			if strings.Count(string(b), "\n") < 2 {
				return unix.ENOENT
			}
			return nil
		}},
	)
}
