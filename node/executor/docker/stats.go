package docker

import (
	"context"
	"encoding/json"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// stats asks the daemon for what a container uses; 0 is unknown. What it used at
// most is only known of a cgroup v1.
func (e *Executor) stats(ctx context.Context, id string) (cpu time.Duration, memory int64) {
	r, err := e.api.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if err != nil {
		return 0, 0
	}
	defer r.Body.Close()
	var s container.StatsResponse
	if json.NewDecoder(r.Body).Decode(&s) != nil {
		return 0, 0
	}
	return time.Duration(s.CPUStats.CPUUsage.TotalUsage), int64(max(s.MemoryStats.MaxUsage, s.MemoryStats.Usage)) //nolint:gosec // nanoseconds and bytes of this machine
}
