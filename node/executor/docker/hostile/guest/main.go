//go:build linux

// Command guest holds the hostile programs of the container suite: one static
// binary, a behaviour for each name. Each tries in earnest to do harm, then
// says in one sentence how far it came.
//
// Exit codes: 0 contained, 66 escaped, 67 the attempt itself could not be made
// (and so proves nothing). A behaviour that is meant to hit a limit is ended by
// it and never comes to say anything.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// Exit codes.
const (
	exitContained = 0
	exitEscaped   = 66
	exitBroken    = 67
)

// facts is what an attacker may know about the machine around it, so that a
// failure is the wall's doing and no lack of an address.
type facts struct {
	PID       int      `json:"pid"`       // of a process outside
	File      string   `json:"file"`      // path of a file outside
	Addresses []string `json:"addresses"` // IPs of the machine
	TCP       int      `json:"tcp"`       // port where a process outside listens, on all addresses
	UDP       int      `json:"udp"`
	Abstract  string   `json:"abstract"` // name of an abstract Unix socket outside
	SysV      int      `json:"sysv"`     // key of a System V shared memory segment outside
	Memory    int64    `json:"memory"`   // bytes leased
	Disk      int64    `json:"disk"`     // bytes leased
}

// outcome is what a behaviour achieved.
type outcome struct {
	code int
	text string
}

func contained(format string, args ...any) outcome {
	return outcome{exitContained, fmt.Sprintf(format, args...)}
}

func escaped(format string, args ...any) outcome {
	return outcome{exitEscaped, fmt.Sprintf(format, args...)}
}

func broken(format string, args ...any) outcome {
	return outcome{exitBroken, fmt.Sprintf(format, args...)}
}

// attempt is one thing that must not work.
type attempt struct {
	what string
	do   func() error
}

// none makes all attempts and is contained if every one was refused.
func none(attempts ...attempt) outcome {
	var worked, refused string
	for _, a := range attempts {
		if err := a.do(); err != nil {
			refused = fmt.Sprintf("%s: %v", a.what, err)
			say("refused: %s", refused)
			continue
		}
		worked += a.what + "; "
	}
	if worked != "" {
		return escaped("these worked: %s", worked)
	}
	return contained("%d attempts were refused, the last one %s", len(attempts), refused)
}

// each is behaviours that belong together, one after another; one escape is enough.
func each(all ...func(facts) outcome) func(facts) outcome {
	return func(f facts) outcome {
		var last outcome
		for _, b := range all {
			o := b(f)
			if o.code != exitContained {
				return o
			}
			say("%s", o.text)
			last = o
		}
		return last
	}
}

func say(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }

// forever is longer than any limit of the suite.
func forever() { time.Sleep(time.Hour) }

// behaviours are the hostile programs by name.
func behaviours() map[string]func(facts) outcome {
	all := map[string]func(facts) outcome{}
	for _, theme := range []map[string]func(facts) outcome{
		processes(), memory(), disk(), outputs(), logs(), devices(), kernel(), namespaces(), network(), files(), floods(), first(),
	} {
		for name, run := range theme {
			if all[name] != nil {
				panic("two behaviours are called " + name)
			}
			all[name] = run
		}
	}
	return all
}

func main() {
	all := behaviours()
	if len(os.Args) < 2 || all[os.Args[1]] == nil {
		names := make([]string, 0, len(all))
		for name := range all {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			say("%s", name)
		}
		os.Exit(exitBroken)
	}
	var known facts
	if err := json.Unmarshal([]byte(os.Getenv("HOSTILE_FACTS")), &known); err != nil {
		say("HOSTILE_FACTS: %v", err)
		os.Exit(exitBroken)
	}
	result := all[os.Args[1]](known)
	say("%s", result.text)
	os.Exit(result.code)
}
