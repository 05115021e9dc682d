package crashpoint_test

import (
	"errors"

	"github.com/cockroachdb/pebble/v2/vfs"

	"souk/node/blob"
)

// frailDisk is where blobs are: what makes them durable are points.
type frailDisk struct {
	vfs.FS
	fate *fate
}

func (d *frailDisk) Unwrap() vfs.FS { return d.FS }

func (d *frailDisk) Create(name string, c vfs.DiskWriteCategory) (f vfs.File, err error) {
	err = d.fate.around("blob create in "+d.folder(name), func() (err error) { f, err = d.FS.Create(name, c); return err })
	if err != nil {
		return nil, closed(f, err)
	}
	return frailFile{f, d.fate, "blob sync a file in " + d.folder(name)}, nil
}

func (d *frailDisk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return frailFile{f, d.fate, "blob sync folder " + folder(d.PathBase(name))}, nil
}

func (d *frailDisk) Rename(from, to string) error {
	return d.fate.around("blob rename into "+d.folder(to), func() error { return d.FS.Rename(from, to) })
}

func (d *frailDisk) Remove(name string) error {
	return d.fate.around("blob remove from "+d.folder(name), func() error { return d.FS.Remove(name) })
}

// folder is what kind of folder a file is in.
func (d *frailDisk) folder(file string) string { return folder(d.PathBase(d.PathDir(file))) }

func folder(name string) string {
	switch name {
	case "node", "blobs", blob.Local, "blocks", "pins", "tmp":
		return name
	}
	return "of a peer"
}

func closed(f vfs.File, err error) error {
	if f != nil {
		return errors.Join(err, f.Close())
	}
	return err
}

type frailFile struct {
	vfs.File
	fate *fate
	what string
}

func (f frailFile) Sync() error { return f.fate.around(f.what, f.File.Sync) }
