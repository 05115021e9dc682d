// Package crashpoint has no code of its own: its tests let a provider and a
// client live through stories in one process, on fake time and disks in memory, end one of
// them before and after each durable write, each message and each call of the
// executor, and have both sides' books audited. scripts/crash --list shows the
// points.
package crashpoint
