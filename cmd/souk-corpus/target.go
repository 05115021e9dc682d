package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// What is kept of one target at most.
const (
	mostFiles = 30
	mostBytes = 16 << 10
	mostEach  = 4 << 10
)

// pkg is a package with fuzz targets, whose tests tell what they reach.
type pkg struct {
	dir, path string
	tests     string // the program
	found     string // the folder of what fuzzing found in it
}

// build builds the tests of a package into a folder.
func build(ctx context.Context, name, found, into string) (*pkg, error) {
	out, err := command(ctx, ".", "go", "list", "-f", "{{.Dir}}\n{{.ImportPath}}", name)
	if err != nil {
		return nil, err
	}
	dir, path, _ := strings.Cut(strings.TrimSpace(out), "\n")
	own, err := command(ctx, ".", "go", "list", "-deps", "-f", "{{with .Module}}{{if .Main}}{{$.ImportPath}}{{end}}{{end}}", name)
	if err != nil {
		return nil, err
	}
	p := &pkg{dir: dir, path: path, tests: filepath.Join(into, "tests"), found: filepath.Join(found, filepath.FromSlash(path))}
	_, err = command(ctx, ".", "go", "test", "-c", "-o", p.tests, "-covermode=count", "-coverpkg="+strings.Join(strings.Fields(own), ","), name)
	return p, err
}

// keep copies those of a target's inputs into the package that reach more than
// its seeds and what is kept already. Nothing is taken away.
func (p *pkg) keep(ctx context.Context, target string) (kept, added int, err error) {
	known, err := p.known(ctx, target)
	if err != nil {
		return 0, 0, err
	}
	left, kept, err := p.left(target)
	if err != nil {
		return 0, 0, err
	}
	found, err := p.inputs(ctx, target)
	if err != nil {
		return 0, 0, err
	}
	picked := pick(known, found, left)
	for _, i := range picked {
		if err := copyFile(filepath.Join(p.found, target, i.name), p.kept(target, i.name)); err != nil {
			return 0, 0, err
		}
	}
	return kept + len(picked), len(picked), nil
}

func (p *pkg) kept(target, name string) string {
	return filepath.Join(p.dir, "testdata", "fuzz", target, name)
}

var seedRuns = regexp.MustCompile(`(?m)^=== RUN +\S+?/(\S+)$`)

// known is what the seeds of a target and its kept inputs reach, each alone.
func (p *pkg) known(ctx context.Context, target string) (reach, error) {
	said, err := command(ctx, p.dir, p.tests, "-test.v", "-test.run=^"+target+"$", "-test.coverprofile="+p.tests+".cover")
	if err != nil {
		return nil, err
	}
	known := reach{}
	for _, run := range seedRuns.FindAllStringSubmatch(said, -1) {
		r, err := p.reached(ctx, target, run[1])
		if err != nil {
			return nil, err
		}
		known.add(r)
	}
	return known, nil
}

// left is the room for more inputs of a target, beside those that are kept.
func (p *pkg) left(target string) (left room, kept int, err error) {
	left = room{mostFiles, mostBytes}
	files, err := sizes(p.kept(target, ""))
	for _, size := range files {
		left.files--
		left.bytes -= size
	}
	return left, len(files), err
}

// sizes are those of the files in a folder, which may not be there.
func sizes(dir string) (map[string]int64, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	all := map[string]int64{}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			return nil, err
		}
		all[f.Name()] = info.Size()
	}
	return all, err
}

// inputs are what fuzzing found for a target, without what is large or kept.
func (p *pkg) inputs(ctx context.Context, target string) (all []input, err error) {
	files, err := sizes(filepath.Join(p.found, target))
	if err != nil {
		return nil, err
	}
	for name, size := range files {
		if size > mostEach {
			continue
		}
		r, err := p.tried(ctx, target, name)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, input{name, size, r})
	}
	return all, nil
}

// tried is what an input reaches that is not kept: it stands beside those that
// are while it is tried.
func (p *pkg) tried(ctx context.Context, target, name string) (r reach, err error) {
	path := p.kept(target, name)
	if err := copyFile(filepath.Join(p.found, target, name), path); err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, os.Remove(path))
		_ = os.Remove(filepath.Dir(path)) // it stays if there is something in it
		_ = os.Remove(filepath.Dir(filepath.Dir(path)))
	}()
	return p.reached(ctx, target, name)
}

// reached is what one input of a target reaches.
func (p *pkg) reached(ctx context.Context, target, name string) (reach, error) {
	profile := p.tests + ".cover"
	if _, err := command(ctx, p.dir, p.tests, "-test.run=^"+target+"$/^"+regexp.QuoteMeta(name)+"$", "-test.timeout=60s", "-test.coverprofile="+profile); err != nil {
		return nil, fmt.Errorf("input %s of %s: %w", name, target, err)
	}
	f, err := os.Open(profile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readProfile(f)
}

// copyFile makes a file that isn't there yet, and its folder.
func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // of the repository
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // of the repository
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// command runs a program in a folder and gives what it printed.
func command(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}
