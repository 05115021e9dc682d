package client

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	protoblob "souk/protocol/blob"
)

func TestHowLongOutputsAreAskedFor(t *testing.T) {
	const lost = time.Minute
	hungUp := &network.StreamError{Remote: true}
	type try struct {
		after time.Duration
		bytes int64
		err   error
	}
	again := func(n int, one try) (all []try) {
		for range n {
			all = append(all, one)
		}
		return all
	}
	for name, c := range map[string]struct {
		tries []try
		gone  bool // the provider isn't connected
		over  bool
	}{
		"just begun":                    {},
		"lacks them twice":              {tries: again(2, try{err: protoblob.ErrWithheld})},
		"lacks them three times":        {tries: again(3, try{err: protoblob.ErrWithheld}), over: true},
		"hangs up seven times":          {tries: again(7, try{err: hungUp})},
		"hangs up eight times":          {tries: again(8, try{err: io.EOF}), over: true},
		"gives something in between":    {tries: append(again(7, try{err: hungUp}), try{bytes: 1, err: hungUp}, try{err: hungUp})},
		"the network breaks it off":     {tries: again(20, try{err: errors.New("no route")})},
		"silent too long":               {tries: again(2, try{after: 30 * time.Second, err: io.ErrUnexpectedEOF}), over: true},
		"gone, not yet too long":        {tries: again(2, try{after: 30 * time.Second, err: io.ErrUnexpectedEOF}), gone: true},
		"trickles":                      {tries: again(10, try{after: 50 * time.Second, bytes: 1000, err: hungUp}), over: true},
		"slow, but fast enough":         {tries: again(60, try{after: 50 * time.Second, bytes: 1 << 20, err: hungUp})},
		"fast enough, but far too much": {tries: again(700, try{after: 50 * time.Second, bytes: 1 << 20}), over: true},
	} {
		t.Run(name, func(t *testing.T) {
			var f fetching
			now := time.Hour
			f.begin(now)
			over := false
			for _, one := range c.tries {
				now += one.after
				f.begin(now) // as another conversation does
				f.count(now, one.bytes, one.err)
				over = f.over(now, lost, !c.gone)
				if over {
					break
				}
			}
			require.Equal(t, c.over, over)
		})
	}
}
