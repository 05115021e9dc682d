// Package limit is the row that souk's tables of limits are made of.
//
// Each package that bounds a peer, a job or a file has a function LimitRows with
// its rows, which take their figures from the constants that are enforced, and
// a test that goes one over each (see limittest). Package node puts all of
// them into one table. This package enforces nothing itself.
package limit

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"souk/internal/quantity"
)

// Unit is what a limit's figure counts.
type Unit string

// The units.
const (
	Count  Unit = "" // of what the limit's name says
	Bytes  Unit = "bytes"
	Millis Unit = "ms"
	Micros Unit = "µUSD" // millionths of a dollar, the smallest unit of the token
)

// Limit is one named bound.
type Limit struct {
	Name   string `json:"name"` // what is bounded; no two limits have the same
	Value  int64  `json:"value"`
	Unit   Unit   `json:"unit,omitempty"`
	Least  bool   `json:"least,omitempty"` // nothing below is taken, rather than nothing above
	Beyond string `json:"beyond"`          // what happens beyond it
	Where  string `json:"where"`           // the package that enforces it
	Key    string `json:"key,omitempty"`   // of the configuration, which changes it; empty: it is fixed
	Wire   bool   `json:"wire,omitempty"`  // part of the protocol: another implementation has to keep to it
}

// Of counts things.
func Of(name string, most int64, beyond string) Limit {
	return Limit{Name: name, Value: most, Beyond: beyond}
}

// Size counts bytes.
func Size(name string, most int64, beyond string) Limit {
	return Limit{Name: name, Value: most, Unit: Bytes, Beyond: beyond}
}

// Time counts milliseconds.
func Time(name string, most time.Duration, beyond string) Limit {
	return Limit{Name: name, Value: most.Milliseconds(), Unit: Millis, Beyond: beyond}
}

// Money counts millionths of a dollar.
func Money(name string, most int64, beyond string) Limit {
	return Limit{Name: name, Value: most, Unit: Micros, Beyond: beyond}
}

// AtLeast makes a floor of a limit.
func (l Limit) AtLeast() Limit {
	l.Least = true
	return l
}

// By names the configuration's key that changes a limit.
func (l Limit) By(key string) Limit {
	l.Key = key
	return l
}

// OnTheWire marks limits that are part of the protocol.
func OnTheWire(limits ...Limit) []Limit {
	for i := range limits {
		limits[i].Wire = true
	}
	return limits
}

// In says which package enforces limits.
func In(where string, limits ...Limit) []Limit {
	for i := range limits {
		limits[i].Where = where
	}
	return limits
}

// Text is the figure for people: "64 KiB", "15 s", "at least 1 s", "1,024".
func (l Limit) Text() string {
	text := l.figure()
	if l.Least {
		text = "at least " + text
	}
	return text
}

func (l Limit) figure() string {
	switch l.Unit {
	case Bytes:
		return size(l.Value)
	case Millis:
		return duration(time.Duration(l.Value) * time.Millisecond)
	case Micros:
		return dollars(l.Value)
	}
	return grouped(l.Value)
}

func dollars(micros int64) string {
	const dollar = 1_000_000
	text := grouped(micros / dollar)
	if rest := micros % dollar; rest != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%06d", rest), "0")
	}
	return text + " USD"
}

func size(bytes int64) string {
	text := quantity.Format(bytes)
	unit := strings.TrimLeft(text, "-0123456789")
	if unit == "" {
		unit = "bytes"
		text += unit
	}
	return strings.TrimSuffix(text, unit) + " " + unit
}

// duration uses the largest unit that divides d, and two of them for many days
// and a little. Hours go on up to a day.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	if rest := d % day; d > 10*day && rest > 0 {
		return duration(d-rest) + " and " + duration(rest)
	}
	for _, u := range []struct {
		name  string
		unit  time.Duration
		above time.Duration
	}{{"days", day, day}, {"h", time.Hour, 0}, {"min", time.Minute, 0}, {"s", time.Second, 0}} {
		if d > u.above && d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + " " + u.name
		}
	}
	return grouped(d.Milliseconds()) + " ms"
}

func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
