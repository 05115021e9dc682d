// Package pid1 is what the executor of containers and souk-init, the first
// process of each container, agree on.
//
// It promises that what Args writes is what Parse reads, and that a job's
// environment can't reach souk-init itself: variables that its Go runtime obeys
// travel under another name.
package pid1

import (
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"time"
)

// Whom the processes of a container run as: users and groups alike.
const (
	Job  = 65534 // nobody: the job
	Init = 65533 // souk-init, so that the job may not so much as signal it
)

// Exit statuses, as Docker's own are.
const (
	ExitSelf      = 125 // souk-init itself failed
	ExitNoProgram = 126 // the job's program can't be run
	ExitNotFound  = 127 // there is no such program
	ExitKilled    = 137 // everything was killed: time was up, or the node was gone
)

const separator = "--" // between souk-init's arguments and the job's program

// Orders are what souk-init has to see to.
type Orders struct {
	Limit time.Duration // how long the job may run
	Gone  time.Duration // without a sign of the node, after which it is taken to be gone for good
	Sign  string        // path of the file whose time of change is the node's sign of life
}

// Args is the command line before the job's program.
func (o Orders) Args() []string {
	return []string{"-limit=" + o.Limit.String(), "-gone=" + o.Gone.String(), "-sign=" + o.Sign, separator}
}

// Parse reads what Args wrote, and the job's program with its arguments.
func Parse(args []string) (o Orders, program []string, err error) {
	at := slices.Index(args, separator)
	set := flag.NewFlagSet("souk-init", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.DurationVar(&o.Limit, "limit", 0, "")
	set.DurationVar(&o.Gone, "gone", 0, "")
	set.StringVar(&o.Sign, "sign", "", "")
	if at < 0 || at == len(args)-1 || set.Parse(args[:at]) != nil || set.NArg() > 0 || o.Limit <= 0 || o.Gone <= 0 || o.Sign == "" {
		return Orders{}, nil, errors.New("-limit=DURATION -gone=DURATION -sign=FILE -- PROGRAM [ARGUMENT...] would be right; souk puts it before a job's program, and it has no use elsewhere")
	}
	return o, args[at+1:], nil
}

const cover = "SOUK_COVERED_" // before the name of a variable that Go's runtime obeys

// Covered says whether a variable must not reach souk-init by its own name.
func Covered(name string) bool {
	return slices.Contains([]string{"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOTRACEBACK", "GOCOVERDIR"}, name)
}

// Cover is the name under which a covered variable travels.
func Cover(name string) string { return cover + name }

// Uncover gives an environment its covered variables back.
func Uncover(env []string) []string {
	all := make([]string, len(env))
	for i, pair := range env {
		all[i] = strings.TrimPrefix(pair, cover)
	}
	return all
}
