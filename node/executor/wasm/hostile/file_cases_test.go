package hostile_test

import "fmt"

// The descriptors that a program with outputs starts with.
const (
	rootFD = 3 // its inputs, which it may read
	outFD  = 4 // its outputs
)

// Flags of path_open.
const (
	create    = 1
	directory = 2
	truncate  = 8
)

const fdAt = scratch + 16 // where openFile leaves the descriptor

// opened is the descriptor that openFile got.
var opened = do(i32(fdAt), op(0x28, 2, 0))

// openFile opens a path for reading and writing, or a folder.
func openFile(dir int64, path code, flags int64) code {
	rights := int64(1<<1 | 1<<6)
	if flags&directory != 0 {
		rights = 1 << 1
	}
	return sys("path_open", i32(dir), i32(0), path, i32(flags), i64(rights), i64(rights), i32(0), i32(fdAt))
}

// place is where the name is that numbered makes.
const place = scratch + 64

var numberedPath = do(i32(place), i32(9))

// outside are paths that lead out, or to what is the machine's.
var outside = []string{
	"..", "../escaped", "../../escaped", "../../../escaped", "x/../../escaped", "./../escaped", "//../escaped", "../out/../escaped",
	"/../escaped", "/tmp/escaped", "/escaped", "../root/escaped", "../log", "../result.json", "../spec.json", "../control.sock",
	"../module.wasm", "../cache/escaped", "/etc/passwd", "/proc/self/environ", "/proc/self/fd/0", "/proc/1/root/escaped",
	"/dev/zero", "/dev/shm/escaped", "../../../../../../../../../../etc/passwd", "..\x00", "x\x00/../../escaped", "\xff\xfe/../../escaped",
}

// each tries a call on each of the paths outside, with both of its folders.
func each(try func(dir int64, path code) code) *program {
	t := new(texts)
	var all code
	for _, p := range outside {
		path := t.at(p)
		all = do(all, try(rootFD, path), try(outFD, path))
	}
	return run(all).holding(t)
}

func ignored(c code) code { return do(c, drop) }

// paths try to leave their folders. What a call answers tells little where it
// made something inside instead; whoever runs these looks from outside.
func paths() []hostile {
	t := new(texts)
	own, link, machine := t.at("own"), t.at("link"), t.at("/etc/passwd")
	input, up, inner := t.at("in/file"), t.at("../escaped"), t.at("own/escaped")
	holding := func(c ...code) *program { return run(c...).holding(t) }
	make1 := mustWork(1, openFile(outFD, own, create))
	return []hostile{
		ending("path-read-outside", each(func(d int64, p code) code { return mustFail(openFile(d, p, 0)) }), ok),
		ending("path-list-outside", each(func(d int64, p code) code { return mustFail(openFile(d, p, directory)) }), ok),
		ending("path-create-outside", each(func(d int64, p code) code { return ignored(openFile(d, p, create|truncate)) }), ok),
		ending("path-mkdir-outside", each(func(d int64, p code) code { return ignored(sys("path_create_directory", i32(d), p)) }), ok),
		ending("path-remove-outside", each(func(d int64, p code) code {
			return do(mustFail(sys("path_unlink_file", i32(d), p)), mustFail(sys("path_remove_directory", i32(d), p)))
		}), ok),
		ending("path-stat-outside", each(func(d int64, p code) code {
			return mustFail(sys("path_filestat_get", i32(d), i32(1), p, i32(scratch+128)))
		}), ok),
		ending("path-touch-outside", each(func(d int64, p code) code {
			return mustFail(sys("path_filestat_set_times", i32(d), i32(1), p, i64(0), i64(0), i32(5)))
		}), ok),
		ending("path-readlink-outside", each(func(d int64, p code) code {
			return mustFail(sys("path_readlink", i32(d), p, i32(scratch+128), i32(100), i32(scratch)))
		}), ok),
		ending("path-link-outside", each(func(d int64, p code) code {
			return do(mustFail(sys("path_link", i32(d), i32(1), p, i32(outFD), link)), mustFail(sys("path_symlink", p, i32(outFD), link)))
		}), ok),
		ending("path-rename-outside", each(func(d int64, p code) code { return ignored(sys("path_rename", i32(outFD), own, i32(d), p)) }), ok),
		ending("path-rename-in", each(func(d int64, p code) code { return mustFail(sys("path_rename", i32(d), p, i32(outFD), own)) }), ok),
		ending("link-symbolic", holding(make1, mustFail(sys("path_symlink", machine, i32(outFD), link)), mustFail(openFile(outFD, link, 0))), ok),
		ending("link-hard", holding(make1, mustFail(sys("path_link", i32(outFD), i32(0), own, i32(outFD), link))), ok),
		ending("link-hard-of-an-input", holding(mustFail(sys("path_link", i32(rootFD), i32(0), input, i32(outFD), link))), ok),
		ending("rename-of-an-input", holding(mustFail(sys("path_rename", i32(rootFD), input, i32(outFD), own))), ok),
		ending("rename-into-the-inputs", holding(make1, mustFail(sys("path_rename", i32(outFD), own, i32(rootFD), own))), ok),
		ending("rename-upwards", holding(make1, mustFail(sys("path_rename", i32(outFD), own, i32(outFD), up))), ok),
		ending("input-overwritten", holding(mustFail(openFile(rootFD, input, truncate)), mustFail(sys("path_unlink_file", i32(rootFD), input))), ok),
		ending("input-beside", holding(mustFail(openFile(rootFD, own, create)), mustFail(sys("path_create_directory", i32(rootFD), own))), ok),
		ending("descriptor-of-a-file-as-folder", holding(make1, mustFail(sys("path_open", opened, i32(0), up, i32(create), i64(66), i64(66), i32(0), i32(fdAt)))), ok),
		ending("descriptor-of-a-removed-folder", holding(
			mustWork(1, sys("path_create_directory", i32(outFD), own)), mustWork(2, openFile(outFD, own, directory)),
			mustWork(3, sys("path_remove_directory", i32(outFD), own)),
			mustFail(sys("path_open", opened, i32(0), up, i32(create), i64(66), i64(66), i32(0), i32(fdAt))), mustFail(openFile(outFD, inner, create)),
		), ok),
		endless("descriptors-exhausted", holding(make1, forever(ignored(openFile(outFD, own, 0)), ignored(openFile(outFD, own, directory))))),
	}
}

// disks write more than they may.
func disks() []hostile {
	t := new(texts)
	a, b, deep := t.at("a"), t.at("b"), t.at("dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd")
	holding := func(c ...code) *program { return run(c...).holding(t) }
	fresh := do(numbered(place, 0), mustWork(1, openFile(outFD, numberedPath, create)))
	closed := ignored(sys("fd_close", opened))
	write := func(n int64) code { return sys("fd_write", opened, vector(i32(0), i32(n)), i32(scratch+8)) }
	openA := mustWork(1, openFile(outFD, a, create))
	return []hostile{
		ending("disk-one-file", holding(openA, forever(ignored(write(60000)))), limitDisk),
		ending("disk-many-files", holding(forever(fresh, ignored(write(30000)), closed, add(0, 1))), limitDisk),
		ending("disk-a-million-empty-files", holding(times(0, 1_000_000, fresh, closed)), limitDisk),
		ending("disk-a-million-folders", holding(times(0, 1_000_000, numbered(place, 0), ignored(sys("path_create_directory", i32(outFD), numberedPath)))), limitDisk),
		ending("disk-a-terabyte-by-size", holding(openA, ignored(sys("fd_filestat_set_size", opened, i64(1<<40)))), limitDisk),
		ending("disk-a-terabyte-allocated", holding(openA, ignored(sys("fd_allocate", opened, i64(0), i64(1<<40)))), limitDisk),
		ending("disk-allocated-past-the-end", holding(openA, mustFail(sys("fd_allocate", opened, i64(1<<62), i64(1<<62)))), ok),
		ending("disk-a-terabyte-by-seeking", holding(openA, ignored(sys("fd_seek", opened, i64(1<<40), i32(0), i32(scratch+8))), ignored(write(1))), limitDisk),
		ending("disk-a-terabyte-by-pwrite", holding(openA, ignored(sys("fd_pwrite", opened, vector(i32(0), i32(1)), i64(1<<40), i32(scratch+8)))), limitDisk),
		ending("disk-many-sparse-files", holding(forever(fresh, ignored(sys("fd_filestat_set_size", opened, i64(1<<20))), closed, add(0, 1))), limitDisk),
		ending("disk-in-files-without-a-name", holding(forever(openA, ignored(write(60000)), ignored(sys("path_unlink_file", i32(outFD), a)))), limitDisk),
		ending("disk-in-files-replaced-while-open", holding(forever(openA, ignored(write(60000)),
			ignored(openFile(outFD, b, create)), ignored(sys("path_rename", i32(outFD), b, i32(outFD), a)))), limitDisk),
		ending("disk-hidden-by-renames", holding(ignored(sys("path_create_directory", i32(outFD), a)),
			forever(fresh, ignored(write(30000)), closed, add(0, 1),
				ignored(sys("path_rename", i32(outFD), a, i32(outFD), b)), ignored(sys("path_rename", i32(outFD), b, i32(outFD), a)))), limitDisk),
		endless("disk-folders-in-folders", holding(forever(
			ignored(sys("path_create_directory", i32(outFD), deep)), ignored(sys("path_create_directory", i32(outFD), a)),
			ignored(sys("path_rename", i32(outFD), deep, i32(outFD), t.at("a/d"))),
			ignored(sys("path_rename", i32(outFD), a, i32(outFD), deep))))).orEnds(limitDisk),
		ending("disk-below-nameable-depth", holding(nest(t)), ok),
		ending("disk-overwritten-in-place", holding(openA, times(0, 2000, ignored(write(30000)), ignored(sys("fd_seek", opened, i64(0), i32(0), i32(scratch+8))))), ok),
		ending("disk-written-and-removed", holding(times(0, 500, openA, ignored(write(30000)), closed, mustWork(2, sys("path_unlink_file", i32(outFD), a)))), ok),
		ending("disk-written-and-cut", holding(times(0, 500, mustWork(1, openFile(outFD, a, create|truncate)), ignored(write(30000)), closed)), ok),
		ending("disk-written-and-replaced", holding(times(0, 500, openA, ignored(write(30000)), closed, mustWork(2, sys("path_rename", i32(outFD), a, i32(outFD), b)))), ok),
	}
}

// orEnds adds an ending that is right too.
func (h hostile) orEnds(how string) hostile {
	h.ends = append(h.ends, how)
	return h
}

// nest puts a folder into one more of the same length, and so on, until its
// path could not be named any more. It fails if that never comes.
func nest(t *texts) code {
	long := fmt.Sprintf("%0200d", 0)
	inner, outer, into := t.at("i"+long), t.at("o"+long), t.at("o"+long+"/i"+long)
	return do(mustWork(1, sys("path_create_directory", i32(outFD), inner)),
		times(0, 60,
			mustWork(2, sys("path_create_directory", i32(outFD), outer)),
			sys("path_rename", i32(outFD), inner, i32(outFD), into), when(exit(i32(0))),
			mustWork(3, sys("path_rename", i32(outFD), outer, i32(outFD), inner))),
		exit(i32(workedExit)))
}
