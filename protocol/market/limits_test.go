package market_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

// valid tries a document that is good but for what change makes of it.
func valid[T interface{ Validate() error }](good func() T, change func(d *T, n int)) limittest.Probe {
	return func(t *testing.T, n int64) error {
		d := good()
		change(&d, int(n))
		err := d.Validate()
		if err != nil {
			require.ErrorIs(t, err, market.ErrInvalid)
		}
		return err
	}
}

// blockOf tries a receipt's body that has n of what make makes.
func blockOf(text func(n int) string) limittest.Probe {
	return func(t *testing.T, n int64) error {
		_, err := market.DecodeBody([]byte(text(int(n))))
		if err != nil {
			require.ErrorIs(t, err, market.ErrEncoding)
		}
		return err
	}
}

func each[T any](n int, item func(i int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = item(i)
	}
	return out
}

func x(n int) string { return strings.Repeat("x", n) }

func TestLimits(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0", 64)
	limittest.Run(t, market.LimitRows(), map[string]limittest.Probe{
		"DAG-JSON document": blockOf(func(n int) string { return `{"x-a":"` + x(n-len(`{"x-a":""}`)) + `"}` }),
		"maps and lists in one another in a document": blockOf(func(n int) string {
			return `{"x-a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`
		}),
		"name of a network or executor": func(t *testing.T, n int64) error {
			words := map[string]error{}
			for what, change := range map[string]func(r *market.Request){
				"network": func(r *market.Request) { r.Network = x(int(n)) }, "executor": func(r *market.Request) { r.Executor = x(int(n)) },
			} {
				r := goodRequest()
				change(&r)
				words[what] = r.Validate()
			}
			require.Equal(t, words["network"] == nil, words["executor"] == nil)
			return errors.Join(words["network"], words["executor"])
		},
		"cores in a request": valid(goodRequest, func(r *market.Request, n int) { r.CPU = n }),
		"GPUs in a request":  valid(goodRequest, func(r *market.Request, n int) { r.GPU = &market.GPUNeed{Name: "any", Count: n} }),
		"kinds of device in the terms": valid(goodTerms, func(d *market.Terms, n int) {
			d.Devices = each(n, func(int) market.Device { return market.Device{Count: 1, Evidence: market.Claimed} })
		}),
		"devices whose use a receipt tells": valid(func() market.Body { return market.Body{} }, func(b *market.Body, n int) {
			b.Devices = each(n, func(i int) market.DeviceUse { return market.DeviceUse{ID: fmt.Sprint(i)} })
		}),
		"places that a job may connect to": valid(goodRequest, func(r *market.Request, n int) {
			r.Egress = each(n, func(i int) string { return fmt.Sprintf("h%d.example.org:443", i) })
		}),
		"name of a job":      valid(goodJob, func(j *market.Job, n int) { j.Name = x(n) }),
		"arguments of a job": valid(goodJob, func(j *market.Job, n int) { j.Args = each(n, func(int) string { return "" }) }),
		"environment variables of a job": valid(goodJob, func(j *market.Job, n int) {
			j.Env = map[string]string{}
			for i := range n {
				j.Env[fmt.Sprint(i)] = ""
			}
		}),
		"inputs of a job": valid(goodJob, func(j *market.Job, n int) {
			j.Inputs = each(n, func(i int) market.Input { return market.Input{CID: markettest.Module(), At: fmt.Sprintf("/in%d", i)} })
		}),
		"path in a job": valid(goodJob, func(j *market.Job, n int) { j.Outputs = "/" + x(n-1) }),
		"reference of an image": valid(goodJob, func(j *market.Job, n int) {
			*j = market.Job{Image: &market.Image{Ref: x(n-len(digest)) + digest}}
		}),
		"shortest tick":           valid(goodQuote, func(q *market.Quote, n int) { q.TickUnits = uint64(n) }),
		"longest tick":            valid(goodQuote, func(q *market.Quote, n int) { q.TickUnits = uint64(n) }),
		"running time of a lease": valid(goodQuote, func(q *market.Quote, n int) { q.MaxMillis = uint64(n) }),
		"ticks of prepayment or credit in the terms": func(t *testing.T, n int64) error {
			prepay, credit := goodTerms(), goodTerms()
			prepay.PrepayTicks, credit.CreditTicks = uint32(n), uint32(n)
			require.Equal(t, prepay.Validate() == nil, credit.Validate() == nil)
			return prepay.Validate()
		},
	})
}
