package garbage

import (
	"fmt"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

// paced is a pacer that writes down what it does.
func paced() (p *pacer, did *[]string) {
	did = &[]string{}
	return &pacer{
		usual: 100, percent: busyPercent,
		set:  func(percent int) { *did = append(*did, fmt.Sprint(percent)) },
		free: func() { *did = append(*did, "free") },
	}, did
}

func TestAProcessRestsAfterAWhile(t *testing.T) {
	p, did := paced()
	const used = 8 << 20
	allocated := uint64(100 << 20)
	p.look(allocated, used)
	require.Empty(t, *did, "it is as busy as it began")
	for range calmLooks - 1 {
		allocated += busyBytes - 1
		p.look(allocated, used)
	}
	require.Empty(t, *did, "a pause is no rest")
	p.look(allocated, used)
	require.Equal(t, []string{"100", "free"}, *did)
	for range 10 {
		p.look(allocated, used)
	}
	require.Len(t, *did, 2, "a process that rests isn't disturbed")
	p.look(allocated+busyBytes, used)
	require.Equal(t, []string{"100", "free", "400"}, *did)
	for range calmLooks {
		p.look(allocated+busyBytes, used)
	}
	require.Equal(t, []string{"100", "free", "400", "100", "free"}, *did, "it rests again, as long after its work as before")
}

func TestWorkingHasRoomAndNoMore(t *testing.T) {
	p, _ := paced()
	require.Equal(t, 400, p.working(0))
	require.Equal(t, 400, p.working(room/4))
	require.Equal(t, 200, p.working(room/2))
	require.Equal(t, 100, p.working(room))
	require.Equal(t, 100, p.working(100*room), "never less than at rest")
	p.usual = 800
	require.Equal(t, 800, p.working(room), "what the user set by GOGC is the least")
}

func TestTheRuntimeTellsOfTheHeap(t *testing.T) {
	before, _ := heap()
	kept := make([]byte, 10<<20)
	after, _ := heap()
	require.GreaterOrEqual(t, after-before, uint64(len(kept)))
	debug.FreeOSMemory()
	_, used := heap()
	require.GreaterOrEqual(t, used, uint64(len(kept)))
	kept[0] = 1 // used until here
}
