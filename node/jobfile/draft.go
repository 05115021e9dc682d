package jobfile

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"souk/internal/money"
	"souk/internal/pattern"
	"souk/internal/quantity"
	"souk/node/device"
	"souk/node/p2p"
	"souk/protocol/market"
)

// draft is a Spec that is being filled, with where each thing was said.
type draft struct {
	spec     Spec
	dir      string // that relative paths start from
	vram     int64
	hasTotal bool
	places   map[string]place // of fields that were set
	inputs   []place          // of each input
}

func newDraft(dir string) *draft {
	return &draft{
		dir:    dir,
		places: map[string]place{},
		spec: Spec{
			CPU: DefaultCPU, Memory: DefaultMemory, Disk: DefaultDisk, Time: DefaultTime,
			Region: DefaultRegion, Retries: DefaultRetries,
		},
	}
}

// setters are the fields that one text can set, by name.
var setters = map[string]func(d *draft, at place, text string) error{
	"name":                 (*draft).setName,
	"task.wasm":            (*draft).setWASM,
	"task.image":           (*draft).setImage,
	"verify.challenge":     func(d *draft, at place, s string) error { return setBool(&d.spec.Verify.Challenge, at, s) },
	"task.realTime":        func(d *draft, at place, s string) error { return setBool(&d.spec.RealTime, at, s) },
	"outputs":              (*draft).setOutputs,
	"needs.cpu":            func(d *draft, at place, s string) error { return setInt(&d.spec.CPU, at, s, 1, market.MaxCPU) },
	"needs.memory":         func(d *draft, at place, s string) error { return setMemory(&d.spec.Memory, at, s) },
	"needs.disk":           func(d *draft, at place, s string) error { return setSize(&d.spec.Disk, at, s, 1<<60) },
	"needs.gpu":            (*draft).setGPU,
	"needs.vram":           func(d *draft, at place, s string) error { return setSize(&d.vram, at, s, 1<<50) },
	"needs.allowSimulated": func(d *draft, at place, s string) error { return setBool(&d.spec.AllowSimulated, at, s) },
	"needs.exclusive":      func(d *draft, at place, s string) error { return setBool(&d.spec.Exclusive, at, s) },
	"limits.time":          (*draft).setTime,
	"limits.price":         (*draft).setPrice,
	"limits.total":         (*draft).setTotal,
	"region":               (*draft).setRegion,
	"retries":              func(d *draft, at place, s string) error { return setInt(&d.spec.Retries, at, s, 0, MaxRetries) },
}

// set reads text into the field of that name.
func (d *draft) set(field string, at place, text string) error {
	if err := setters[field](d, at, text); err != nil {
		return err
	}
	d.places[field] = at
	return nil
}

var nameShape = pattern.Lazy(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func (d *draft) setName(at place, text string) error {
	if !nameShape().MatchString(text) {
		return at.wrong("%.80q can't be a job's name; use 1 to 64 letters, digits, dots, hyphens and underscores, such as digits-2", text)
	}
	d.spec.Name = text
	return nil
}

func (d *draft) setWASM(at place, text string) error {
	if text == "" {
		return at.wrong("the path of a WASM module is needed, such as train.wasm")
	}
	if d.spec.Image != nil && at.file != "" {
		return at.wrong("there is an image too; a job has one of wasm and image")
	}
	d.spec.WASM, d.spec.Image = d.absolute(text), nil
	return nil
}

func (d *draft) absolute(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(d.dir, path)
}

func (d *draft) setOutputs(at place, text string) error {
	if err := checkGuestPath(at, text); err != nil {
		return err
	}
	d.spec.Outputs = text
	return nil
}

func (d *draft) setGPU(at place, text string) error {
	need, err := device.ParseNeed(text)
	if err != nil {
		return at.wrong("%v", err)
	}
	if need.Count == 0 {
		return at.wrong("it is empty; write a model such as RTX4090:1 or any, or leave it out if no GPU is needed")
	}
	name, _, _ := strings.Cut(strings.TrimSpace(text), ":")
	d.spec.GPU = &market.GPUNeed{Name: strings.TrimSpace(name), Count: need.Count}
	return nil
}

func (d *draft) setTime(at place, text string) error {
	t, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return at.wrong("%.40q is no time; write a number and a unit, such as 90s, 10m or 1h30m", text)
	case t < time.Second || t > market.MaxLeaseMillis*time.Millisecond:
		return at.wrong("%s is not from 1s to 720h (30 days)", t)
	}
	d.spec.Time = t.Truncate(time.Millisecond)
	return nil
}

func (d *draft) setPrice(at place, text string) error {
	n, err := money.ParsePrice(text)
	if err != nil {
		return at.wrong("%v", err)
	}
	price := market.NewAmount(n)
	d.spec.Price = &price
	return nil
}

func (d *draft) setTotal(at place, text string) error {
	n, err := money.Parse(text)
	if err != nil {
		return at.wrong("%v", err)
	}
	d.spec.Total, d.hasTotal = market.NewAmount(n), true
	return nil
}

func (d *draft) setRegion(at place, text string) error {
	valid := append([]string{DefaultRegion}, p2p.Regions()...)
	if !slices.Contains(valid, text) {
		return at.wrong("%.40q is no region; use one of %s", text, strings.Join(valid, ", "))
	}
	d.spec.Region = text
	return nil
}

func setBool(to *bool, at place, text string) error {
	switch text {
	case "true":
		*to = true
	case "false":
		*to = false
	default:
		return at.wrong("%.40q is neither true nor false", text)
	}
	return nil
}

func setInt(to *int, at place, text string, least, most int) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return at.wrong("%.40q is not a whole number from %d to %d", text, least, most)
	}
	*to = n
	return nil
}

// mostWASM is the most GiB of memory that a WASM job can have.
const mostWASM = 4

// setMemory is setSize of memory, of which only an image's job can have more
// than WebAssembly addresses.
func setMemory(to *int64, at place, text string) error {
	if n, err := strconv.Atoi(strings.TrimSpace(text)); err == nil && n > mostWASM && n < 1024 {
		return at.wrong("%d is %d bytes: write %dMiB, or for an image %dGiB", n, n, n, n)
	}
	return setSize(to, at, text, MaxImage)
}

func setSize(to *int64, at place, text string, most int64) error {
	n, err := quantity.Meant(text)
	switch {
	case err != nil:
		return at.wrong("%v", err)
	case n <= 0:
		return at.wrong("%q is nothing; write more than 0, such as 256MiB", text)
	case n > most:
		return at.wrong("%s is over the limit of %s", quantity.Format(n), quantity.Format(most))
	}
	*to = n
	return nil
}

// addEnv adds one variable of the job's environment.
func (d *draft) addEnv(at place, key, value string) error {
	if key == "" || strings.Contains(key, "=") || !clean(key) {
		return at.wrong("%.40q can't be the name of an environment variable", key)
	}
	if !clean(value) {
		return at.wrong("the value of %.40s has a NUL byte or is not UTF-8", key)
	}
	if _, twice := d.spec.Env[key]; twice {
		return at.wrong("%.40s is set twice", key)
	}
	if len(d.spec.Env) == market.MaxEnv {
		return at.wrong("there are more than %d environment variables", market.MaxEnv)
	}
	if d.spec.Env == nil {
		d.spec.Env = map[string]string{}
	}
	d.spec.Env[key] = value
	return nil
}

func (d *draft) addArg(at place, text string) error {
	if !clean(text) {
		return at.wrong("an argument has a NUL byte or is not UTF-8")
	}
	if len(d.spec.Args) == market.MaxArgs {
		return at.wrong("there are more than %d arguments", market.MaxArgs)
	}
	d.spec.Args = append(d.spec.Args, text)
	return nil
}

// placeOf is where field was set, or else its name alone.
func (d *draft) placeOf(field string, file string) place {
	if at, ok := d.places[field]; ok {
		return at
	}
	return place{file: file, field: field}
}
