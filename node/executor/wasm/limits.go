package wasm

import (
	"souk/internal/limit"
)

// LimitRows are this package's rows of the table of limits.
func LimitRows() []limit.Limit {
	return limit.In("node/executor/wasm",
		limit.Size("memory of a WASM job", maxMemory, "the job doesn't start"),
		limit.Time("compiling a WASM module", compileTime, "the job doesn't start"),
	)
}
