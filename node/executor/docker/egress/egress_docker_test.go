//go:build dockertest

package egress

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// docker runs the docker command, which must succeed.
func docker(t *testing.T, stdin io.Reader, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "docker %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// onEach runs a test on each runtime of the daemon that can have egress.
func onEach(t *testing.T, test func(t *testing.T, runtime string)) {
	var known map[string]struct {
		Path string
		Args []string `json:"runtimeArgs"`
	}
	require.NoError(t, json.Unmarshal([]byte(docker(t, nil, "info", "--format", "{{json .Runtimes}}")), &known))
	require.Contains(t, known, "runc")
	for name, r := range known {
		if name == "runc" || strings.HasPrefix(name, "runsc") && CheckRuntime(name, r.Path, r.Args) == nil {
			t.Run(name, func(t *testing.T) { test(t, name) })
		}
	}
}

// image makes an image FROM scratch that holds the guest alone.
func image(t *testing.T) string {
	guest := filepath.Join(t.TempDir(), "guest")
	build := exec.Command("go", "build", "-o", guest, "souk/node/executor/docker/egress/egresstest/guest")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	program, err := os.ReadFile(guest)
	require.NoError(t, err)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "bin/guest", Mode: 0o755, Size: int64(len(program))}))
	_, err = w.Write(program)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	name := fmt.Sprintf("souk-egress-test-%d", time.Now().UnixNano())
	docker(t, &archive, "import", "-c", "ENV PATH=/bin", "-", name)
	t.Cleanup(func() { docker(t, nil, "rmi", name) })
	return name
}

// start runs a program of the image with what a Wiring says, as the docker
// executor does, and gives the container.
func start(t *testing.T, runtime, image string, w Wiring, program ...string) string {
	args := []string{"run", "--detach", "--runtime", runtime, "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
		"--user", "65532:65532", "--pids-limit", "64", "--memory", "128m", "--entrypoint", w.EntrypointPrefix[0]}
	for _, m := range w.Mounts {
		args = append(args, "--mount", "type=bind,readonly,source="+m.Source+",target="+m.Target)
	}
	for _, h := range w.ExtraHosts {
		args = append(args, "--add-host", h)
	}
	args = append(append(append(args, image), w.EntrypointPrefix[1:]...), program...)
	container := docker(t, nil, args...)
	t.Cleanup(func() { docker(t, nil, "rm", "--force", container) })
	return container
}

// end waits for a container and gives its exit status and log.
func end(t *testing.T, container string) (status, log string) {
	return docker(t, nil, "wait", container), docker(t, nil, "logs", container)
}

// play runs commands of the guest and gives what it said to each.
func play(t *testing.T, runtime, image string, w Wiring, commands ...string) []string {
	status, log := end(t, start(t, runtime, image, w, append([]string{"guest"}, strings.Fields(strings.Join(commands, " , "))...)...))
	require.Equal(t, "0", status, log)
	return strings.Split(log, "\n")
}

func TestAContainerReachesItsList(t *testing.T) { onEach(t, aContainerReachesItsList) }

func aContainerReachesItsList(t *testing.T, runtime string) {
	w := newWorld()
	w.serve(t, "example.com", "93.184.216.34:443", echo)
	w.serve(t, "db.example.com", "93.184.216.35:5432", answer("database"))
	g := w.gate(t)
	wiring := open(t, g, "job1", "example.com:443", "db.example.com:5432")
	said := play(t, runtime, image(t), wiring, "echo example.com:443", "echo db.example.com:5432", "pid", "echo example.com:443")
	require.Equal(t, []string{"hello", "database", "1", "hello"}, said)
	require.Equal(t, uint64(2), g.Traffic("job1")[0].Connections)
	require.Equal(t, uint64(10), g.Traffic("job1")[0].Received)
}

func TestAContainerReachesNothingElse(t *testing.T) { onEach(t, aContainerReachesNothingElse) }

func aContainerReachesNothingElse(t *testing.T, runtime string) {
	w := newWorld()
	w.serve(t, "example.com", "93.184.216.34:443", echo)
	w.names["inside.example.com."] = []string{"169.254.169.254", "172.17.0.1"}
	wiring := open(t, w.gate(t), "job1", "example.com:443", "inside.example.com:80")
	// Something that answers at every address of this machine, docker0's too.
	l, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	defer l.Close()
	reached := make(chan net.Addr, 100)
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			reached <- c.LocalAddr()
			c.Close()
		}
	}()
	commands := []string{
		"try tcp example.com:80", "try tcp inside.example.com:80", "try tcp other.example:443", "try tcp 93.184.216.34:443", "try tcp 127.0.0.3:443",
		"try tcp 169.254.169.254:80", "try tcp [fd00:ec2::254]:80", "try tcp 1.1.1.1:53", "try udp 1.1.1.1:53", "try udp 127.0.0.11:53",
		"raw 73450102", "raw 734501ff", "raw 00000000", "raw 73450101", "write /.souk/egress/x", "remove /.souk/egress/socket", "write /.souk/souk-egress",
	}
	addrs, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range addrs {
		ip, _, err := net.ParseCIDR(a.String())
		require.NoError(t, err)
		commands = append(commands, "try tcp "+net.JoinHostPort(ip.String(), fmt.Sprint(l.Addr().(*net.TCPAddr).Port)))
	}
	said := play(t, runtime, image(t), wiring, append(commands, "interfaces", "list /.souk/egress")...)
	var told []string
	for i, line := range said {
		if strings.HasPrefix(line, "souk-egress: ") {
			told = append(told, line)
			said = append(said[:i:i], said[i+1:]...)
			break
		}
	}
	require.Len(t, told, 1)
	require.Contains(t, told[0], "inside.example.com:80 can't be reached: the name leads to a private, local or reserved address")
	require.Len(t, said, len(commands)+2)
	for i, c := range commands {
		if !strings.HasPrefix(c, "raw ") {
			require.Contains(t, said[i], "error: ", "%s", c)
		}
	}
	require.Equal(t, []string{"02", "02", "02", "04"}, said[10:14])
	require.NotContains(t, said[len(commands)], "172.", "the container has no network but loopback")
	require.Equal(t, "[S socket]", said[len(commands)+1])
	require.Empty(t, reached)
	require.Empty(t, w.dials())
}

func TestTheJobIsItsOwnPID1(t *testing.T) { onEach(t, theJobIsItsOwnPID1) }

func theJobIsItsOwnPID1(t *testing.T, runtime string) {
	w := newWorld()
	name := image(t)
	g := w.gate(t)
	wiring := open(t, g, "job1", "example.com:443")
	for want, program := range map[string][]string{
		"7":   {"guest", "exit", "7"},
		"127": {"nothing-like-this"},
		"126": {"/bin"},
	} {
		status, log := end(t, start(t, runtime, name, wiring, program...))
		require.Equal(t, want, status, log)
	}
	container := start(t, runtime, name, wiring, "guest", "term", ",", "exit", "9")
	require.Eventually(t, func() bool { return docker(t, nil, "logs", container) == "waiting" }, soon, 50*time.Millisecond)
	docker(t, nil, "kill", "--signal", "TERM", container)
	status, log := end(t, container)
	require.Equal(t, "9", status, log)
}

func TestAContainerOutlivesItsNode(t *testing.T) { onEach(t, aContainerOutlivesItsNode) }

func aContainerOutlivesItsNode(t *testing.T, runtime string) {
	dir := filepath.Join(t.TempDir(), "egress")
	at := func(c *Config) { c.Dir = dir }
	w := newWorld()
	came := make(chan struct{}, 1000)
	w.serve(t, "example.com", "93.184.216.34:443", func(c *net.TCPConn) { came <- struct{}{}; answer("first")(c) })
	first := w.gate(t, at)
	container := start(t, runtime, image(t), open(t, first, "job1", "example.com:443"), "guest", "until", "example.com:443")
	select {
	case <-came:
	case <-time.After(30 * time.Second):
		require.Fail(t, "the container never connected")
	}
	require.NoError(t, first.Close())

	w = newWorld()
	w.serve(t, "example.com", "93.184.216.34:443", answer("second"))
	open(t, w.gate(t, at), "job1", "example.com:443")
	status, log := end(t, container)
	require.Equal(t, "0", status, log)
	require.Equal(t, "second", log)
}
