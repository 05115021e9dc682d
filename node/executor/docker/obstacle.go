package docker

import "fmt"

// Obstacle is what keeps container jobs from running on this machine. Its parts
// and its error are sentences for the person who leases the machine out.
type Obstacle struct {
	Why      string // what was found
	Fix      string // what to do about it
	Misnamed bool   // the configuration names what isn't there
	Err      error  // what somebody else's code said; may be nil
}

func (o *Obstacle) Error() string {
	if o.Err != nil {
		return fmt.Sprintf("%s: %s (%v)", o.Why, o.Fix, o.Err)
	}
	return o.Why + ": " + o.Fix
}

func (o *Obstacle) Unwrap() error { return o.Err }
