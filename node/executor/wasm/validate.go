package wasm

import (
	"slices"

	"souk/node/executor"
	"souk/node/executor/wasm/control"
)

const maxMemory = 4 << 30 // bytes that WebAssembly can address

// refuse makes a *executor.JobError.
func refuse(format string, args ...any) error { return executor.Refuse(format, args...) }

// validate adds what a WASM job has to be.
func validate(s executor.Spec) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if s.Limits.Memory > maxMemory {
		return refuse("a WASM job can use at most 4 GiB of memory, and this one asks for %d bytes", s.Limits.Memory)
	}
	if !s.Module.Defined() {
		return refuse("the job names no module")
	}
	return nil
}

// sandboxed is what the sandbox is told of a Spec; disk is what the inputs left.
func sandboxed(s executor.Spec, disk int64) control.Spec {
	env := make([]string, 0, len(s.Env))
	for name, value := range s.Env {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return control.Spec{
		ID: s.ID, Owner: s.Owner, Module: s.Module.String(), Args: s.Args, Env: env, Outputs: s.Outputs, RealTime: s.RealTime,
		CPU: max(s.Limits.CPU, 1), Memory: s.Limits.Memory, Disk: disk, File: s.Limits.Disk, Log: s.Limits.Log, Time: s.Limits.Time,
	}
}
