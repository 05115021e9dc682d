// Command guest is the job of the egress tests: a static program, alone in its
// image, that tries to connect and says what came of it.
//
//	guest COMMAND [ARGUMENT] , COMMAND [ARGUMENT] , ...
//
// It writes a line for each command and ends with 0, or as exit says.
package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const limit = 3 * time.Second

func main() {
	for command := range strings.SplitSeq(strings.Join(os.Args[1:], " "), " , ") {
		name, arg, _ := strings.Cut(command, " ")
		said, err := do(name, arg)
		if err != nil {
			said = "error: " + err.Error()
		}
		fmt.Fprintln(os.Stdout, said)
	}
}

func do(name, arg string) (string, error) {
	switch name {
	case "echo": // network address: what comes back of a greeting
		return echo("tcp", arg)
	case "until": // address: greet until the answer is "second"
		return until(arg)
	case "try": // network address: whether it answers at all
		network, address, _ := strings.Cut(arg, " ")
		return echo(network, address)
	case "raw": // hex: sent to the socket, and the status
		return raw(arg)
	case "write": // path
		return "written", os.WriteFile(arg, []byte("x"), 0o600)
	case "remove": // path
		return "removed", os.Remove(arg)
	case "list": // path
		entries, err := os.ReadDir(arg)
		return fmt.Sprint(entries), err
	case "interfaces":
		all, err := net.InterfaceAddrs()
		return fmt.Sprint(all), err
	case "pid":
		return strconv.Itoa(os.Getpid()), nil
	case "term": // wait for SIGTERM
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Fprintln(os.Stdout, "waiting")
		<-c
		return "terminated", nil
	case "exit":
		code, err := strconv.Atoi(arg)
		if err == nil {
			os.Exit(code)
		}
		return "", err
	}
	return "", fmt.Errorf("no command is called %q", name)
}

// echo sends a greeting and reads to the end.
func echo(network, address string) (string, error) {
	c, err := net.DialTimeout(network, address, limit)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return "", err
	}
	if network == "udp" {
		c.SetDeadline(time.Now().Add(limit)) //nolint:errcheck // the read fails too
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		return "", err
	}
	if half, ok := c.(*net.TCPConn); ok {
		if err := half.CloseWrite(); err != nil {
			return "", err
		}
	}
	b, err := io.ReadAll(io.LimitReader(c, 1<<20))
	return string(b), err
}

func until(address string) (string, error) {
	for give := time.Now().Add(30 * time.Second); time.Now().Before(give); time.Sleep(50 * time.Millisecond) {
		if said, err := echo("tcp", address); err == nil && said == "second" {
			return said, nil
		}
	}
	return "", fmt.Errorf("%s never answered \"second\"", address)
}

func raw(text string) (string, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return "", err
	}
	c, err := net.Dial("unix", "/.souk/egress/socket")
	if err != nil {
		return "", err
	}
	defer c.Close()
	if _, err := c.Write(b); err != nil {
		return "", err
	}
	if err := c.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	status, err := io.ReadAll(c)
	return hex.EncodeToString(status), err
}
