package jobfile

import (
	"os"
	"slices"
	"strings"

	"souk/internal/quantity"
	"souk/node/image"
	"souk/protocol/market"
)

// archiveSuffix ends the path of an image's archive.
const archiveSuffix = ".tar"

// setImage takes the path of an archive, which is a file or ends in .tar, or
// else a name. A flag goes over a module in the file.
func (d *draft) setImage(at place, text string) error {
	if text == "" {
		return at.wrong("the name of an image is needed, such as ghcr.io/you/app:1, or the path of an archive such as app.tar")
	}
	if d.spec.WASM != "" && at.file != "" {
		return at.wrong("there is a WASM module too; a job has one of wasm and image")
	}
	d.spec.WASM, d.spec.Image = "", &Image{Ref: text}
	info, err := os.Stat(d.absolute(text))
	if err == nil && info.IsDir() && strings.ContainsRune("./", rune(text[0])) {
		return at.wrong("%.100q is a folder; an image is a name such as ghcr.io/you/app:1 or an archive as docker save writes it", text)
	}
	if strings.HasSuffix(text, archiveSuffix) || err == nil && info.Mode().IsRegular() {
		d.spec.Image = &Image{Path: d.absolute(text)}
	}
	return nil
}

// checkProgram looks at what is run.
func (d *draft) checkProgram(file string) error {
	s, memory := &d.spec, d.placeOf("needs.memory", file)
	if s.Image == nil {
		if s.Memory > MaxMemory {
			return memory.wrong("%s is over the limit of %s", quantity.Format(s.Memory), quantity.Format(MaxMemory))
		}
		if len(s.Egress) > 0 {
			return d.placeOf("needs.egress", file).wrong("a WASM job has no network; use an image")
		}
		return checkModule(d.placeOf("task.wasm", file), s.WASM)
	}
	at := d.placeOf("task.image", file)
	if s.RealTime {
		return d.placeOf("task.realTime", file).wrong("an image always has the real clock; leave it out")
	}
	if s.Memory < market.MinImageMemory {
		return memory.wrong("%s is too little: an image's job needs %s at least", quantity.Format(s.Memory), quantity.Format(market.MinImageMemory))
	}
	if s.Image.Path == "" {
		if err := image.CheckName(s.Image.Ref); err != nil {
			return at.wrong("%v", err)
		}
		return nil
	}
	platform, err := image.Archive(s.Image.Path)
	if err != nil {
		return at.wrong("%v", err)
	}
	s.Image.Platform = platform
	return nil
}

// addEgress adds one place that the job may connect to.
func (d *draft) addEgress(at place, text string) error {
	list := append(slices.Clone(d.spec.Egress), strings.ToLower(strings.TrimSpace(text)))
	if err := market.CheckEgress(list); err != nil {
		return at.wrong("%s", strings.TrimPrefix(err.Error(), market.ErrInvalid.Error()+" egress: "))
	}
	d.spec.Egress = list
	d.places["needs.egress"] = at
	return nil
}
