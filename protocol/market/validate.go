package market

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/holiman/uint256"

	"souk/internal/pattern"
)

// Limits on what documents may say.
const (
	MaxNameBytes   = 128
	MaxArgs        = 256
	MaxEnv         = 256
	MaxInputs      = 64
	MaxCPU         = 4096
	MaxGPUs        = 1024
	MaxDeviceUses  = 64
	MaxKinds       = 64 // of device in the terms
	MaxPathBytes   = 1024
	MaxWordBytes   = 32 // of a network's or executor's name
	MaxRefBytes    = 512
	MaxEgress      = 16
	MaxLeaseMillis = 30 * 24 * 3600 * 1000 // longest running time of a lease
	MinTickMillis  = 1000
	MaxTickMillis  = 3600 * 1000
	MaxTermTicks   = 100 // of prepayment, and of credit
)

// Limits on what a job moves, in bytes, which both sides keep to (DESIGN §11).
const (
	MaxModuleBytes = 256 << 20
	MaxInputBytes  = 16 << 30 // of all inputs together
	MaxOutputBytes = 16 << 30
	MaxLogBytes    = 64 << 20
)

// ErrInvalid is a document whose figures can't be meant: the sentence says which.
var ErrInvalid = errors.New("invalid")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// ValidNetwork tells whether s can name a network.
func ValidNetwork(s string) bool {
	if s == "" || len(s) > MaxWordBytes {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// Validate checks a request's figures.
func (r Request) Validate() error {
	switch {
	case !ValidNetwork(r.Network):
		return invalid("request: network %.40q is not 1 to 32 of a-z, 0-9 and -", r.Network)
	case r.Executor == "" || len(r.Executor) > MaxWordBytes:
		return invalid("request: executor %.40q", r.Executor)
	case r.CPU < 1 || r.CPU > MaxCPU:
		return invalid("request: cpu %d is not from 1 to %d", r.CPU, MaxCPU)
	case r.Memory <= 0 || r.Disk <= 0 || r.InputBytes < 0:
		return invalid("request: memory and disk must be above 0 bytes")
	case r.MaxMillis == 0 || r.MaxMillis > MaxLeaseMillis:
		return invalid("request: running time of %d ms is not from 1 ms to 30 days", r.MaxMillis)
	case r.GPU != nil && (r.GPU.Count < 1 || r.GPU.Count > MaxGPUs || r.GPU.VRAM < 0 || r.GPU.Name == "" || len(r.GPU.Name) > 64):
		return invalid("request: gpu %.64q, count %d", r.GPU.Name, r.GPU.Count)
	case len(r.Region) > 8:
		return invalid("request: region %.16q", r.Region)
	case r.Platform != "" && !platformShape().MatchString(r.Platform):
		return invalid("request: platform %.40q is not like linux/amd64", r.Platform)
	}
	return CheckEgress(r.Egress)
}

// Validate checks the terms' figures.
func (t Terms) Validate() error {
	switch {
	case !ValidNetwork(t.Network):
		return invalid("terms: network %.40q", t.Network)
	case t.CPU < 1 || t.Memory <= 0 || t.Disk <= 0 || t.MaxOutput < 0 || t.MaxLog < 0:
		return invalid("terms: cpu, memory and disk must be above 0")
	case t.Executor == "" || len(t.Executor) > MaxWordBytes:
		return invalid("terms: executor %.40q", t.Executor)
	case t.Unit == "" || len(t.Unit) > 32:
		return invalid("terms: unit %.40q", t.Unit)
	case t.PrepayTicks > MaxTermTicks || t.CreditTicks > MaxTermTicks:
		return invalid("terms: more than %d ticks of prepayment or credit", MaxTermTicks)
	case len(t.Devices) > MaxKinds:
		return invalid("terms: %d kinds of device, %d are allowed", len(t.Devices), MaxKinds)
	}
	for _, d := range t.Devices {
		if d.Count < 1 || d.Count > MaxGPUs || d.VRAM < 0 || (d.Evidence != Measured && d.Evidence != Claimed && d.Evidence != Simulated) {
			return invalid("terms: device %.64q", d.Model)
		}
	}
	return CheckEgress(t.Egress)
}

// Validate checks what a receipt says of devices.
func (b Body) Validate() error {
	if len(b.Devices) > MaxDeviceUses {
		return invalid("body: use of %d devices, %d are allowed", len(b.Devices), MaxDeviceUses)
	}
	for _, d := range b.Devices {
		if d.ID == "" || len(d.ID) > 128 || len(d.Model) > 128 || d.Utilisation < 0 || d.Utilisation > 100 || d.Memory < 0 || d.Watts < 0 {
			return invalid("body: use of device %.64q", d.ID)
		}
	}
	return nil
}

// Validate checks a job's figures and paths.
func (j Job) Validate() error {
	switch {
	case len(j.Name) > MaxNameBytes || !utf8.ValidString(j.Name):
		return invalid("job: a name has at most %d bytes of UTF-8", MaxNameBytes)
	case j.WASM.Defined() == (j.Image != nil):
		return invalid("job: it has either a WASM module or an image")
	case len(j.Args) > MaxArgs || len(j.Env) > MaxEnv || len(j.Inputs) > MaxInputs:
		return invalid("job: more than %d arguments, %d environment variables or %d inputs", MaxArgs, MaxEnv, MaxInputs)
	}
	for _, a := range j.Args {
		if !cleanText(a) {
			return invalid("job: an argument has a NUL byte or is not UTF-8")
		}
	}
	for k, v := range j.Env {
		if k == "" || strings.Contains(k, "=") || !cleanText(k) || !cleanText(v) {
			return invalid("job: environment variable %.40q", k)
		}
	}
	if j.Image != nil {
		if err := j.Image.Validate(); err != nil {
			return err
		}
	}
	return j.validatePaths()
}

var (
	platformShape = pattern.Lazy(`^[a-z0-9]{1,16}/[a-z0-9]{1,16}(/[a-z0-9]{1,16})?$`)
	refShape      = pattern.Lazy(`^[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?(?:/[a-z0-9][a-z0-9._-]*)*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?@sha256:[0-9a-f]{64}$`)
)

// Validate checks that an image is named in one way, and for good.
func (i Image) Validate() error {
	switch {
	case (i.Ref == "") == !i.Archive.Defined():
		return invalid("image: it has either a reference or an archive")
	case i.Ref != "" && (len(i.Ref) > MaxRefBytes || !refShape().MatchString(i.Ref)):
		return invalid("image: %.100q is not NAME@sha256: and 64 hexadecimal digits", i.Ref)
	}
	return nil
}

func (j Job) validatePaths() error {
	taken := make([]string, 0, len(j.Inputs)+1)
	if j.Outputs != "" {
		taken = append(taken, j.Outputs)
	}
	for _, in := range j.Inputs {
		if !in.CID.Defined() {
			return invalid("job: the input at %.80q has no CID", in.At)
		}
		taken = append(taken, in.At)
	}
	for i, p := range taken {
		if err := guestPath(p); err != nil {
			return err
		}
		for _, q := range taken[:i] {
			if p == q || strings.HasPrefix(p, q+"/") || strings.HasPrefix(q, p+"/") {
				return invalid("job: paths %.80q and %.80q lie in one another", q, p)
			}
		}
	}
	return nil
}

// cleanText tells whether s can be an argument, and survives JSON.
func cleanText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func guestPath(p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" || len(p) > MaxPathBytes || !cleanText(p) || strings.ContainsAny(p, ":\\") {
		return invalid("job: path %.80q is not a clean absolute path below / without colons", p)
	}
	return nil
}

// Validate checks a quote's figures.
func (q Quote) Validate() error {
	switch {
	case q.TickUnits == 0 || q.MaxTicks == 0:
		return invalid("quote: tickUnits and maxTicks must be above 0")
	case q.TickPrice.Less(q.MinCharge):
		return invalid("quote: minCharge %s is above tickPrice %s", q.MinCharge, q.TickPrice)
	case q.productOverflows():
		return invalid("quote: tickPrice times maxTicks reaches 2^128")
	case q.Unit > UnitMeter:
		return invalid("quote: unit %d", q.Unit)
	case q.MaxMillis == 0 || q.MaxMillis > MaxLeaseMillis:
		return invalid("quote: running time of %d ms is not from 1 ms to 30 days", q.MaxMillis)
	case q.Unit == UnitMillis && (q.TickUnits < MinTickMillis || q.TickUnits > MaxTickMillis):
		return invalid("quote: a tick of %d ms is not from 1 s to 1 h", q.TickUnits)
	case q.StartBy < q.ExpiresAt:
		return invalid("quote: startBy lies before expiresAt")
	}
	return nil
}

// productOverflows tells whether tickPrice*maxTicks reaches 2^128.
func (q Quote) productOverflows() bool {
	var product uint256.Int
	product.Mul(&q.TickPrice.v, uint256.NewInt(uint64(q.MaxTicks)))
	return product.Gt(&maxAmount)
}
