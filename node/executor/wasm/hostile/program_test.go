package hostile_test

import "slices"

// call of WASI: its name and the types of its parameters, i for i32 and I for
// i64. All but proc_exit give an errno.
type wasiCall struct{ name, params string }

var wasi = []wasiCall{
	{"args_get", "ii"}, {"args_sizes_get", "ii"}, {"environ_get", "ii"}, {"environ_sizes_get", "ii"},
	{"clock_res_get", "ii"}, {"clock_time_get", "iIi"},
	{"fd_advise", "iIIi"}, {"fd_allocate", "iII"}, {"fd_close", "i"}, {"fd_datasync", "i"}, {"fd_fdstat_get", "ii"},
	{"fd_fdstat_set_flags", "ii"}, {"fd_fdstat_set_rights", "iII"}, {"fd_filestat_get", "ii"}, {"fd_filestat_set_size", "iI"},
	{"fd_filestat_set_times", "iIIi"}, {"fd_pread", "iiiIi"}, {"fd_prestat_get", "ii"}, {"fd_prestat_dir_name", "iii"},
	{"fd_pwrite", "iiiIi"}, {"fd_read", "iiii"}, {"fd_readdir", "iiiIi"}, {"fd_renumber", "ii"}, {"fd_seek", "iIii"},
	{"fd_sync", "i"}, {"fd_tell", "ii"}, {"fd_write", "iiii"},
	{"path_create_directory", "iii"}, {"path_filestat_get", "iiiii"}, {"path_filestat_set_times", "iiiiIIi"},
	{"path_link", "iiiiiii"}, {"path_open", "iiiiiIIii"}, {"path_readlink", "iiiiii"}, {"path_remove_directory", "iii"},
	{"path_rename", "iiiiii"}, {"path_symlink", "iiiii"}, {"path_unlink_file", "iii"},
	{"poll_oneoff", "iiii"}, {"proc_exit", "i"}, {"proc_raise", "i"}, {"sched_yield", ""}, {"random_get", "ii"},
	{"sock_accept", "iii"}, {"sock_recv", "iiiiii"}, {"sock_send", "iiiii"}, {"sock_shutdown", "ii"},
}

func position(name string) int {
	at := slices.IndexFunc(wasi, func(c wasiCall) bool { return c.name == name })
	if at < 0 {
		panic("WASI has no " + name)
	}
	return at
}

func valueTypes(params string) (types []byte) {
	for _, p := range params {
		types = append(types, map[rune]byte{'i': i32t, 'I': i64t}[p])
	}
	return types
}

// function is one of a program's own, without parameters or results.
type function struct {
	locals uint64 // i32 each
	code   code
}

// program is a WASI command that imports all of WASI. Its memory holds data,
// and behind it, at scratch, room for what calls need.
type program struct {
	functions []function // the first is _start
	min, max  uint64     // pages; max 0: none is given
	data      []byte
	extra     map[byte][]byte // further sections' bodies, by their number
}

const scratch = 32 << 10 // address of the free half of the first page

func run(c ...code) *program {
	return &program{functions: []function{{locals: 4, code: do(c...)}}, min: 1, max: 1}
}

// pages gives it other bounds of memory.
func (p *program) pages(least, most uint64) *program {
	p.min, p.max = least, most
	return p
}

// also gives it one more function.
func (p *program) also(locals uint64, c ...code) *program {
	p.functions = append(p.functions, function{locals, do(c...)})
	return p
}

// with gives it one more section.
func (p *program) with(id byte, body []byte) *program {
	if p.extra == nil {
		p.extra = map[byte][]byte{}
	}
	p.extra[id] = body
	return p
}

// texts are the strings that programs pass to calls, at fixed places.
type texts struct{ all []byte }

// at gives the two operands that name a string: address and length.
func (t *texts) at(s string) code {
	at := len(t.all)
	t.all = append(t.all, s...)
	if len(t.all) > scratch {
		panic("the strings are too long")
	}
	return do(i32(int64(at)), i32(int64(len(s))))
}

// holding makes the strings the program's data.
func (p *program) holding(t *texts) *program {
	p.data = t.all
	return p
}

func (p *program) encode() []byte {
	types, imports := [][]byte{{0x60, 0, 0}}, [][]byte{}
	for i, c := range wasi {
		results := []byte{1, i32t}
		if c.name == "proc_exit" {
			results = []byte{0}
		}
		types = append(types, append(append([]byte{0x60}, sized(valueTypes(c.params))...), results...))
		imports = append(imports, slices.Concat(name("wasi_snapshot_preview1"), name(c.name), []byte{0}, unsigned(uint64(i+1))))
	}
	var decls, bodies [][]byte
	for _, f := range p.functions {
		decls = append(decls, []byte{0})
		bodies = append(bodies, body(f.locals, f.code))
	}
	exports := list(
		slices.Concat(name("_start"), []byte{0}, unsigned(uint64(len(wasi)))),
		slices.Concat(name("memory"), []byte{2, 0}),
	)
	all := map[byte][]byte{1: list(types...), 2: list(imports...), 3: list(decls...), 5: p.memory(), 7: exports, 10: list(bodies...)}
	if len(p.data) > 0 {
		all[11] = list(segment(0, p.data))
	}
	for id, body := range p.extra {
		all[id] = body
	}
	var sections [][]byte
	for _, id := range []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11} { // as they must follow each other
		if body, ok := all[id]; ok {
			sections = append(sections, section(id, body))
		}
	}
	return module(sections...)
}

func (p *program) memory() []byte {
	if p.max == 0 {
		return list(append([]byte{0}, unsigned(p.min)...))
	}
	return list(slices.Concat([]byte{1}, unsigned(p.min), unsigned(p.max)))
}

// segment is an active data segment of the first memory.
func segment(at int64, content []byte) []byte {
	return slices.Concat([]byte{0}, i32(at), []byte{0x0b}, sized(content))
}

// The results that a program that tries something tells by its exit code.
const (
	refusedExit = 0  // it was refused
	workedExit  = 66 // it worked, and should not have
)

func exit(status code) code { return sys("proc_exit", status) }

// mustFail ends the program with workedExit if a call succeeded.
func mustFail(call code) code { return do(call, not, when(exit(i32(workedExit)))) }

// mustWork ends the program with the number if a call failed.
func mustWork(number int64, call code) code { return do(call, when(exit(i32(number)))) }

// vector puts an address and a length at scratch, as fd_write and its like take
// them, and gives its address and their number.
func vector(at, length code) code {
	return do(i32(scratch), at, store, i32(scratch+4), length, store, i32(scratch), i32(1))
}

// numbered is a name of eight bytes whose last ones are those of a local, at an address.
func numbered(at int64, local byte) code {
	c := do(i32(at), i32(0x61616161), store)
	for i := range int64(4) { // a letter for each half byte
		c = do(c, i32(at+4+i), get(local), i32(4*i), op(0x76), i32(15), op(0x71), i32('a'), op(0x6a), store8)
	}
	return do(c, i32(at+8), get(local), i32(16), op(0x76), i32('a'), op(0x6a), store8)
}
