package jobfile

import (
	"os"
	"strings"
)

// Setting is one value that the user gave beside, or instead of, a job file.
type Setting struct {
	// Flag is what the user wrote, for errors: "--memory".
	Flag string
	// Field is what it sets: a field of the job file such as "needs.memory"
	// that takes one value, or "inputs" with SRC:/at, "env" with K=V, or "needs.egress".
	Field string
	Text  string
}

// FromFlags makes a job of a module, its arguments and settings; the module is
// empty where a setting names an image. Relative
// paths start at the working directory. Its errors are *Error.
func FromFlags(module string, args []string, settings []Setting) (Spec, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Spec{}, place{}.wrong("the working directory is gone: %v", err)
	}
	d := newDraft(dir)
	if module != "" {
		if err := d.set("task.wasm", place{field: "module"}, module); err != nil {
			return Spec{}, err
		}
	}
	for _, arg := range args {
		if err := d.addArg(place{field: "arguments"}, arg); err != nil {
			return Spec{}, err
		}
	}
	if err := d.apply(settings); err != nil {
		return Spec{}, err
	}
	if _, given := d.places["limits.total"]; !given && d.spec.Price == nil {
		return Spec{}, place{field: "limits.total"}.wrong("it is missing; write the most that the job may cost in all, such as --total 0.10, or a price limit per hour to work it out from, such as --max-price 0.50/h")
	}
	return d.finish("")
}

func (d *draft) apply(settings []Setting) error {
	for _, s := range settings {
		at := place{field: s.Flag}
		var err error
		switch s.Field {
		case "inputs":
			err = d.addInputText(at, s.Text)
		case "env":
			key, value, ok := strings.Cut(s.Text, "=")
			if !ok {
				return at.wrong("%.40q has no =; write NAME=VALUE", s.Text)
			}
			err = d.addEnv(at, key, value)
		case "needs.egress":
			err = d.addEgress(at, s.Text)
		default:
			if setters[s.Field] == nil {
				return at.wrong("a job has no field %.40q", s.Field)
			}
			err = d.set(s.Field, at, s.Text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addInputText reads SRC:/at; SRC is a path, or a CID as cid=bafy….
func (d *draft) addInputText(at place, text string) error {
	cut := strings.LastIndex(text, ":")
	if cut <= 0 || !strings.HasPrefix(text[cut+1:], "/") {
		return at.wrong("%.80q does not say what and where; write SOURCE:/PATH/IN/JOB, such as digits.bin:/in/digits.bin", text)
	}
	in := Input{Path: text[:cut], At: text[cut+1:]}
	if c, ok := strings.CutPrefix(in.Path, "cid="); ok {
		in.Path, in.CID = "", c
	}
	return d.addInput(at, in)
}

// Partial reads settings that needn't make a whole job: what offers are looked
// for by. The other fields have their defaults. Its errors are *Error.
func Partial(settings []Setting) (Spec, error) {
	d := newDraft("")
	if err := d.apply(settings); err != nil {
		return Spec{}, err
	}
	d.settleGPU()
	return d.spec, nil
}
