//go:build !linux

package client

import "time"

// awake stands still during a suspend: a provider that ran on is then refused
// what it charges for that time.
func awake(mono func() time.Duration) func() time.Duration { return mono }
