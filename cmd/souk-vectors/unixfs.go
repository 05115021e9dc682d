package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"souk/node/blob"
)

type unixfsVector struct {
	Name string `json:"name"`
	// Files are paths with sizes; byte i of a file is i*7+i/256 modulo 256. The
	// CID is of the file "data", or of the folder that holds them all.
	Files map[string]int `json:"files"`
	CID   string         `json:"cid"`
}

// unixfs are files and folders as souk names them.
func unixfs(ctx context.Context) (all any, err error) {
	dir, err := os.MkdirTemp("", "souk-vectors")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	store, err := blob.Open(filepath.Join(dir, "store"), blob.Options{})
	if err != nil {
		return nil, err
	}
	space, err := store.Space(blob.Local)
	if err != nil {
		return nil, err
	}
	vectors := []unixfsVector{
		{Name: "an empty file", Files: map[string]int{"data": 0}},
		{Name: "a file of one chunk", Files: map[string]int{"data": 262_144}},
		{Name: "a file of two chunks", Files: map[string]int{"data": 262_145}},
		{Name: "a file of two levels", Files: map[string]int{"data": 175 * 262_144}},
		{Name: "a folder", Files: map[string]int{"b.txt": 10, "a/c": 300_000, "a/d": 0}},
	}
	for i := range vectors {
		root := filepath.Join(dir, "tree", vectors[i].Name)
		for name, size := range vectors[i].Files {
			if err := writeFile(filepath.Join(root, name), size); err != nil {
				return nil, err
			}
		}
		if _, single := vectors[i].Files["data"]; single {
			root = filepath.Join(root, "data")
		}
		c, _, err := blob.AddPath(ctx, space, root, nil)
		if err != nil {
			return nil, err
		}
		vectors[i].CID = c.String()
	}
	return vectors, nil
}

func writeFile(path string, size int) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i*7 + i/256)
	}
	return os.WriteFile(path, data, 0o600)
}
