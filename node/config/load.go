package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/v2"

	"souk/internal/nearest"
)

const separator = "."

// Flag is a value given on the command line.
type Flag struct {
	Name   string // as the user wrote it: "--price"
	Key    string // "provider.price"
	Values []string
}

// Sources are what a Config is read from.
type Sources struct {
	DataDir string   // of --data-dir; empty: the environment, else XDG
	Environ []string // "NAME=value", as os.Environ gives it
	Flags   []Flag
}

// Value is one key of a loaded config, for people.
type Value struct {
	Key    string   `json:"key"`
	Values []string `json:"value"`
	Origin string   `json:"origin"` // "default", "FILE:LINE", "SOUK_…" or "--flag"
	// Means is what holds where the value is 0 or empty and that isn't what holds: "all".
	Means string `json:"means,omitempty"`
}

// Loaded is a Config and where each of its values came from.
type Loaded struct {
	Config
	Values   []Value
	Warnings []string // what was ignored, one sentence each
}

// Error is a value or key that can't be meant. Tell the user.
type Error struct {
	Origin string // where it stands, as in Value
	Key    string
	Reason string // what is wrong and what would be right
}

func (e *Error) Error() string {
	if e.Key == "" || e.Key == e.Origin {
		return e.Origin + ": " + e.Reason
	}
	return e.Origin + ": " + e.Key + ": " + e.Reason
}

// Load reads the data directory's config file, if there is one, then the
// environment, then the flags. Its errors are *Error, or say that the file
// can't be read.
func Load(s Sources) (*Loaded, error) {
	env := environment(s.Environ)
	dir, dirOrigin := Dir(s.DataDir, func(name string) string { return env[name] })
	file, err := fileLayer(File(dir))
	if err != nil {
		return nil, err
	}
	out := &Loaded{Config: Config{DataDir: dir}, Values: []Value{{Key: "data_dir", Values: []string{dir}, Origin: dirOrigin}}}
	fromEnv, warnings := envLayer(env)
	out.Warnings = warnings
	fromFlags, err := flagLayer(s.Flags)
	if err != nil {
		return nil, err
	}
	k := koanf.New(separator)
	origins := map[string]string{}
	for _, layer := range []layer{defaults(), file, fromEnv, fromFlags} {
		if err := k.Load(layer, nil); err != nil {
			return nil, err
		}
		for key, origin := range layer.origins {
			origins[key] = origin
		}
	}
	return out, out.fill(k, origins)
}

// fill reads every field's winning value.
func (l *Loaded) fill(k *koanf.Koanf, origins map[string]string) error {
	for _, f := range fields() {
		v := Value{Key: f.key, Origin: "default"}
		if k.Exists(f.key) {
			v.Values, v.Origin = k.Strings(f.key), origins[f.key]
			if err := f.read(&l.Config, v.Values); err != nil {
				return &Error{Origin: v.Origin, Key: f.key, Reason: err.Error()}
			}
		}
		if text := strings.Join(v.Values, ""); text == "" || text == "0" {
			v.Means = f.blank
		}
		l.Values = append(l.Values, v)
	}
	return nil
}

// layer is one source's values. It is a koanf.Provider.
type layer struct {
	values  map[string][]string
	origins map[string]string
}

func newLayer() layer {
	return layer{values: map[string][]string{}, origins: map[string]string{}}
}

func (l layer) set(key string, values []string, origin string) {
	l.values[key], l.origins[key] = values, origin
}

// ReadBytes is no way to read a layer.
func (l layer) ReadBytes() ([]byte, error) {
	return nil, errors.New("a layer of config has no bytes")
}

// Read is the layer as nested maps.
func (l layer) Read() (map[string]any, error) {
	nested := map[string]any{}
	for key, values := range l.values {
		at, parts := nested, strings.Split(key, separator)
		for _, part := range parts[:len(parts)-1] {
			inner, ok := at[part].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[part] = inner
			}
			at = inner
		}
		at[parts[len(parts)-1]] = values
	}
	return nested, nil
}

func defaults() layer {
	l := newLayer()
	for _, f := range fields() {
		if f.initial != nil {
			l.set(f.key, f.initial, "default")
		}
	}
	return l
}

func flagLayer(flags []Flag) (layer, error) {
	l := newLayer()
	for _, flag := range flags {
		if !slices.ContainsFunc(fields(), func(f field) bool { return f.key == flag.Key }) {
			return l, &Error{Origin: flag.Name, Reason: fmt.Sprintf("there is no config key %q", flag.Key)}
		}
		l.set(flag.Key, flag.Values, flag.Name)
	}
	return l, nil
}

const envPrefix = "SOUK_"

// EnvName is the environment variable of a key: SOUK_PROVIDER_PRICE.
func EnvName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, separator, "_"))
}

// PassphraseEnv holds the passphrase of a sealed key. It is no config.
const PassphraseEnv = "SOUK_PASSPHRASE"

func environment(environ []string) map[string]string {
	env := map[string]string{}
	for _, entry := range environ {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, envPrefix) {
			env[name] = value
		}
	}
	return env
}

func envLayer(env map[string]string) (l layer, warnings []string) {
	l = newLayer()
	names := map[string]bool{DirEnv: true, PassphraseEnv: true}
	for _, f := range fields() {
		name := EnvName(f.key)
		names[name] = true
		value, ok := env[name]
		if !ok {
			continue
		}
		values := []string{value}
		if f.list {
			values = commaList(value)
		}
		l.set(f.key, values, name)
	}
	known := make([]string, 0, len(names))
	for name := range names {
		known = append(known, name)
	}
	slices.Sort(known)
	for name := range env {
		if !names[name] {
			warnings = append(warnings, fmt.Sprintf("%.60s in the environment means nothing to souk%s", name, meantName(name, known)))
		}
	}
	slices.Sort(warnings)
	return l, warnings
}

// meantName guesses without what all the names begin with.
func meantName(name string, known []string) string {
	bare := make([]string, 0, len(known))
	for _, k := range known {
		bare = append(bare, strings.TrimPrefix(k, envPrefix))
	}
	if near := nearest.To(strings.TrimPrefix(name, envPrefix), bare); near != "" {
		return ", did you mean " + envPrefix + near + "?"
	}
	return ""
}

func commaList(text string) []string {
	out := []string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

func fileLayer(path string) (layer, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the user's own file
	if os.IsNotExist(err) {
		return newLayer(), nil
	}
	if err != nil {
		return layer{}, fmt.Errorf("the config file can't be read: %w", err)
	}
	return parseFile(path, data)
}
