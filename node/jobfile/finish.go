package jobfile

import (
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ipfs/go-cid"

	"souk/internal/pattern"
	"souk/node/blob"
	"souk/node/device"
	"souk/protocol/market"
)

// finish fills in what follows from the rest, and looks at everything that
// can be known before a provider is asked.
func (d *draft) finish(file string) (Spec, error) {
	if d.spec.WASM == "" && d.spec.Image == nil {
		return Spec{}, d.placeOf("task.wasm", file).wrong("the job has no module; write the path of a .wasm file, or an image (task.image)")
	}
	if d.spec.Name == "" {
		d.spec.Name = nameOf(d.spec)
	}
	d.settleGPU()
	if d.spec.Verify.Challenge && d.spec.GPU == nil {
		return Spec{}, d.placeOf("verify.challenge", file).wrong("GPUs are challenged, and the job needs none; name one (needs.gpu, --gpu), or leave the challenge out")
	}
	if err := d.settleTotal(file); err != nil {
		return Spec{}, err
	}
	if err := d.checkProgram(file); err != nil {
		return Spec{}, err
	}
	if err := d.checkInputs(); err != nil {
		return Spec{}, err
	}
	if err := d.checkDocument(file); err != nil {
		return Spec{}, err
	}
	return d.spec, nil
}

// settleGPU lets a need of VRAM alone need any GPU.
func (d *draft) settleGPU() {
	if d.vram == 0 {
		return
	}
	if d.spec.GPU == nil {
		d.spec.GPU = &market.GPUNeed{Name: device.AnyModel, Count: 1}
	}
	d.spec.GPU.VRAM = d.vram
}

var notName = pattern.Lazy(`[^A-Za-z0-9._-]+`)

// nameOf makes a name of the module's or archive's file name, or of the image's.
func nameOf(s Spec) string {
	base := filepath.Base(s.Program())
	if s.Image != nil && s.Image.Path == "" {
		base, _, _ = strings.Cut(s.Image.Ref, "@")
		base, _, _ = strings.Cut(filepath.Base(base), ":")
		base += archiveSuffix
	}
	name := strings.TrimLeft(notName().ReplaceAllString(strings.TrimSuffix(base, filepath.Ext(base)), "-"), "-._")
	if name == "" {
		return "job"
	}
	return name[:min(len(name), 64)]
}

func (d *draft) settleTotal(file string) error {
	if d.hasTotal {
		return nil
	}
	if d.spec.Price == nil {
		return d.placeOf("limits.total", file).wrong("it is missing; write the most that the job may cost in all, such as 0.10 here or with --total, or a price limit per hour (limits.price, --max-price) to work it out from")
	}
	d.spec.Total = twice(*d.spec.Price, d.spec.Time)
	return nil
}

// twice is 2 x price x time, rounded up to a ten-thousandth of a dollar.
func twice(price market.Amount, t time.Duration) market.Amount {
	const grain = 100
	cost := price.Big()
	cost.Mul(cost, big.NewInt(2*t.Milliseconds()))
	hour := big.NewInt(time.Hour.Milliseconds() * grain)
	cost.Add(cost, new(big.Int).Sub(hour, big.NewInt(1))).Quo(cost, hour)
	return market.NewAmount(cost.Mul(cost, big.NewInt(grain)).Uint64()) // price <= 1e15, 720 h: below 2^64
}

func clean(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// anyCID stands for content that has no CID yet.
var anyCID = market.Hash{}.JSONCID()

// checkGuestPath holds one path to the rules of market.Job.
func checkGuestPath(at place, path string) error {
	if (market.Job{WASM: anyCID, Outputs: path}).Validate() != nil || path == "" {
		return at.wrong("%.80q is not a clean absolute path in the job's own tree, without colons, such as /out", path)
	}
	return nil
}

// checkDocument looks at the job as it will be sent.
func (d *draft) checkDocument(file string) error {
	job := market.Job{
		Name: d.spec.Name, WASM: anyCID, Args: d.spec.Args, Env: d.spec.Env,
		Outputs: d.spec.Outputs, RealTime: d.spec.RealTime,
	}
	if d.spec.Image != nil {
		job.WASM, job.Image = cid.Undef, &market.Image{Archive: anyCID}
	}
	for i, in := range d.spec.Inputs {
		job.Inputs = append(job.Inputs, market.Input{At: in.At, CID: anyCID})
		if err := job.Validate(); err != nil {
			return d.inputs[i].wrong("%s lies in the same place as another input or the outputs; give each a path of its own", in.At)
		}
	}
	if err := job.Validate(); err != nil {
		return place{file: file}.wrong("%v", err)
	}
	if _, err := job.Encode(); err != nil {
		return place{file: file}.wrong("arguments and environment don't fit the job document that is sent (%v); put long texts into an input", err)
	}
	return nil
}

// addInput adds an input that was checked for having one source and a place.
func (d *draft) addInput(at place, in Input) error {
	switch {
	case len(d.spec.Inputs) == market.MaxInputs:
		return at.wrong("there are more than %d inputs; put some into a folder", market.MaxInputs)
	case (in.Path == "") == (in.CID == ""):
		return at.wrong("an input has either a path or a cid")
	case in.At == "":
		return at.wrong("it doesn't say where the job finds it; write at: /in/NAME")
	}
	if err := checkGuestPath(at, in.At); err != nil {
		return err
	}
	if in.CID != "" {
		c, err := cid.Decode(in.CID)
		if err == nil {
			err = blob.CheckCID(c)
		}
		if err != nil {
			return at.wrong("%.80q is no CID of a file or folder as `ipfs add --cid-version=1` makes them", in.CID)
		}
	} else {
		in.Path = d.absolute(in.Path)
	}
	d.spec.Inputs = append(d.spec.Inputs, in)
	d.inputs = append(d.inputs, at)
	return nil
}

func (d *draft) checkInputs() error {
	var total int64
	for i, in := range d.spec.Inputs {
		if in.Path == "" {
			continue
		}
		info, err := os.Stat(in.Path)
		if err != nil {
			return d.inputs[i].wrong("%s", whyNot(in.Path, "input", err))
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return d.inputs[i].wrong("input %s is neither a file nor a folder", in.Path)
		}
		if !info.IsDir() {
			total += info.Size()
		}
		if total > market.MaxInputBytes {
			return d.inputs[i].wrong("the inputs have more than 16GiB together, which is the limit")
		}
		if err := readable(in.Path); err != nil {
			return d.inputs[i].wrong("%s", whyNot(in.Path, "input", err))
		}
	}
	return nil
}

func readable(path string) error {
	f, err := os.Open(path) //nolint:gosec // the user's own path
	if err != nil {
		return err
	}
	return f.Close()
}

// whyNot says why a file can't be had.
func whyNot(path, what string, err error) string {
	switch {
	case os.IsNotExist(err):
		return fmt.Sprintf("%s %s does not exist", what, path)
	case os.IsPermission(err):
		return fmt.Sprintf("%s %s can't be read: permission denied", what, path)
	}
	return fmt.Sprintf("%s %s can't be read: %v", what, path, err)
}
