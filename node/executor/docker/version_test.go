package docker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRuncGate(t *testing.T) {
	for _, c := range []struct {
		version, commit string
		safe            bool
	}{
		{"1.1.12", "v1.1.12-0-g51d5e94", true},
		{"1.1.11", "v1.1.11-0-g4bccb38", false},
		{"1.2.0-rc.1", "v1.2.0-rc.1-0-g", true},
		{"1.1.12-rc.1", "", false},
		{"1.3.4", "v1.3.4", true},
		{"1.0.0-rc93", "12644e614e25b05da6fd08a38ffa0cfe1903fdec", false},
		{"2.0", "", true},
		{"1.1.5+ds1", "1.1.5+ds1-1+deb12u1", true},
		{"1.1.5+ds1", "1.1.5+ds1-1+deb12u2", true},
		{"1.1.5+ds1", "1.1.5+ds1-1+b3", false},
		{"1.1.5+ds1", "1.1.5+ds1-1", false},
		{"1.1.4+ds1", "1.1.4+ds1-1+deb12u1", false},
		{"1.0.0~rc93+ds1", "1.0.0~rc93+ds1-5+deb11u3", true},
		{"1.0.0~rc93+ds1", "1.0.0~rc93+ds1-5+deb11u2", false},
		{"1.1.7-0ubuntu1~22.04.2", "", true},
		{"1.1.7-0ubuntu1~22.04.1", "", false},
		{"1.1.7-0ubuntu1~20.04.2", "", true},
		{"", "", false},
		{"unknown", "deb12u1", false},
	} {
		err := checkRunc(c.version, c.commit)
		if c.safe {
			require.NoError(t, err, c.version+" "+c.commit)
			continue
		}
		require.ErrorContains(t, err, "CVE-2024-21626", c.version+" "+c.commit)
	}
}

func TestLaterHoles(t *testing.T) {
	for version, mended := range map[string]bool{"1.1.12": false, "1.2.7": false, "1.2.8": true, "1.3.0": false, "1.3.2": false, "1.3.3": true, "1.4.0": true, "1.1.5+ds1": false, "": false} {
		require.Equal(t, mended, laterHoles(version) == "", version)
	}
}

func TestToolkitGate(t *testing.T) {
	for said, safe := range map[string]bool{
		"NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80a9b9d0db00d9b1d73c0128c8962c55f4d\n": true,
		"NVIDIA Container Toolkit CLI version 1.18.0-rc.1\n":                                              true,
		"NVIDIA Container Toolkit CLI version 1.17.7\n":                                                   false,
		"NVIDIA Container Toolkit CLI version 1.17.8-rc.2\n":                                              false,
		"no number": false,
		"":          false,
	} {
		err := checkToolkit(said)
		if safe {
			require.NoError(t, err, said)
			continue
		}
		require.ErrorContains(t, err, "CVE-2025-23266", said)
	}
}

func TestAPIVersions(t *testing.T) {
	for version, old := range map[string]bool{"1.40": true, "1.41": false, "1.9": true, "1.100": false, "2.0": false, "0.99": true, "": true, "x.y": true} {
		require.Equal(t, old, older(version, minAPI), version)
	}
}

func TestChooseRuntime(t *testing.T) {
	for name, c := range map[string]struct {
		cfg   Config
		known []string
		want  string
	}{
		"runsc is taken":          {Config{AllowRunc: true}, []string{"runc", "runsc"}, "runsc"},
		"runc if allowed":         {Config{AllowRunc: true}, []string{"runc"}, "runc"},
		"runc never by itself":    {Config{}, []string{"runc"}, ""},
		"runc named, not allowed": {Config{Runtime: "runc"}, []string{"runc", "runsc"}, ""},
		"runc named and allowed":  {Config{Runtime: "runc", AllowRunc: true}, []string{"runc", "runsc"}, "runc"},
		"a variant of runsc":      {Config{Runtime: "runsc-kvm"}, []string{"runc", "runsc-kvm"}, "runsc-kvm"},
		"not installed":           {Config{Runtime: "kata", AllowRunc: true}, []string{"runc"}, ""},
		"another shares a kernel": {Config{Runtime: "crun"}, []string{"crun"}, ""},
	} {
		got, err := (&Executor{cfg: c.cfg}).chooseRuntime(c.known)
		require.Equal(t, c.want, got, name)
		require.Equal(t, c.want == "", err != nil, name)
	}
}
