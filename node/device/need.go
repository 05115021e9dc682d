package device

import (
	"fmt"
	"strconv"
	"strings"

	"souk/internal/quantity"
)

// maxCount is the most devices that one need or one simulated entry may name.
const maxCount = 64

// AnyModel is the need of some GPU, whichever it is.
const AnyModel = "any"

// Need is what a client asks for. Its zero value needs no device.
type Need struct {
	// Name is the model as the user wrote it, for people; "" shows the slug.
	Name string
	// Slug names the model; "" is any model.
	Slug string
	// Count is how many like devices; 0 is none.
	Count int
	// VRAM is the least memory of each device, in bytes.
	VRAM int64
	// AllowSimulated also takes devices on which nothing can run.
	AllowSimulated bool
}

// SyntaxError is a text that names no device.
type SyntaxError struct {
	Text   string // what was read, cut to a printable length
	Reason string // what is wrong and what would be right
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%q names no GPU: %s", e.Text, e.Reason) }

func malformed(text, reason string, args ...any) error {
	if len(text) > maxName {
		text = text[:maxName] + "…"
	}
	return &SyntaxError{Text: text, Reason: fmt.Sprintf(reason, args...)}
}

// ParseNeed reads what a user writes after --gpu: "RTX4090", "A100:2",
// "A100-80GB:4", "any". The empty text needs no device. Its errors are *SyntaxError.
func ParseNeed(text string) (Need, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Need{}, nil
	}
	name, count, err := cutCount(text)
	if err != nil {
		return Need{}, err
	}
	if strings.EqualFold(name, AnyModel) {
		return Need{Count: count}, nil
	}
	if err := checkName(text, name); err != nil {
		return Need{}, err
	}
	return Need{Name: name, Slug: Slug(name), Count: count}, nil
}

// cutCount reads the ":2" at the end of "RTX 4090:2"; without one it is 1.
func cutCount(text string) (name string, count int, err error) {
	name, digits, found := strings.Cut(text, ":")
	name = strings.TrimSpace(name)
	if !found {
		return name, 1, nil
	}
	digits = strings.TrimSpace(digits)
	count, err = strconv.Atoi(digits)
	if err != nil || !isNumber(digits) || count < 1 || count > maxCount {
		return "", 0, malformed(text, "after the colon stands how many, from 1 to %d, as in RTX4090:2", maxCount)
	}
	return name, count, nil
}

func checkName(text, name string) error {
	switch {
	case len(name) > maxName, len(Slug(name)) > maxName:
		return malformed(text, "a model's name has at most %d bytes", maxName)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }):
		return malformed(text, "a model's name is plain ASCII, as in RTX 4090")
	case Slug(name) == "":
		return malformed(text, "write a model such as RTX4090 or A100-80GB, or %s", AnyModel)
	}
	return nil
}

// String writes the need as ParseNeed reads it: "a100-80gb:4", with VRAM, which
// stands outside that syntax, after it.
func (n Need) String() string {
	if n.Count == 0 {
		return "no GPU"
	}
	text := n.Name
	if text == "" {
		text = n.Slug
	}
	if text == "" {
		text = AnyModel
	}
	if n.Count > 1 {
		text += ":" + strconv.Itoa(n.Count)
	}
	if n.VRAM > 0 {
		text += " with " + quantity.Format(n.VRAM)
	}
	return text
}

// Slugs are the names to look the need up under, the narrowest first: who needs
// an A100-80GB also finds a driver that says only "A100". It is empty for any model.
func (n Need) Slugs() []string {
	if n.Slug == "" {
		return nil
	}
	return withoutSize(n.Slug)
}

// Match says whether d is one of the devices needed, Count aside. A size in the
// need is the device's memory within a tenth, because 80 GB cards hold 79 to 85 GB.
func (n Need) Match(d Device) bool {
	switch {
	case n.Count == 0, d.VRAM < n.VRAM, d.Kind == Simulated && !n.AllowSimulated:
		return false
	case n.Slug == "", n.Slug == d.Slug:
		return true
	}
	wantBase, wantGiB := size(n.Slug)
	haveBase, haveGiB := size(d.Slug)
	switch {
	case wantBase != haveBase:
		return false
	case wantGiB == 0:
		return true
	case haveGiB != 0:
		return wantGiB == haveGiB
	}
	want := wantGiB << 30
	return d.VRAM >= want-want/10 && d.VRAM <= want+want/10
}
