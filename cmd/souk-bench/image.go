package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"runtime"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

// writeImage writes an image of one layer with the program alone, as docker save
// does, and gives its ID and the archive's CID.
func writeImage(to, program, tag string) (id string, archive cid.Cid, err error) {
	binary, err := os.ReadFile(program) //nolint:gosec // it was built just now
	if err != nil {
		return "", cid.Undef, err
	}
	layer, err := tarball(entry{"noop", binary, 0o755})
	if err != nil {
		return "", cid.Undef, err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Entrypoint": []string{"/noop"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
	})
	if err != nil {
		return "", cid.Undef, err
	}
	name := digest(config) + ".json"
	manifest, err := json.Marshal([]map[string]any{{"Config": name, "RepoTags": []string{tag}, "Layers": []string{"layer/layer.tar"}}})
	if err != nil {
		return "", cid.Undef, err
	}
	raw, err := tarball(entry{"layer/layer.tar", layer, 0o644}, entry{name, config, 0o644}, entry{"manifest.json", manifest, 0o644})
	if err != nil {
		return "", cid.Undef, err
	}
	sum, err := multihash.Sum(raw, multihash.SHA2_256, -1)
	if err != nil {
		return "", cid.Undef, err
	}
	return "sha256:" + digest(config), cid.NewCidV1(cid.Raw, sum), os.WriteFile(to, raw, 0o600)
}

type entry struct {
	name    string
	content []byte
	mode    int64
}

func tarball(entries ...entry) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.content)), Mode: e.mode}); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
