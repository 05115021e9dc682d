package crashpoint_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"souk/node/executor"
	"souk/protocol/wire"
)

// exceptions are what both sides may write, say or call that no point stands
// before and after, and why.
var exceptions = map[string]string{
	"call Close":                "the node calls it, when it ends in order",
	"call Done":                 "gives a channel, and asks nothing of the machine",
	"call ID":                   "a name",
	"call Kind":                 "a name",
	"send BlobAnswer refusal":   "promises nothing: an upload or download that comes before or after its lease's time is tried again",
	"send StatusAnswer refusal": "promises nothing, and who is refused asks again: a second node with the same key, or one that asks too often",
}

// surveys is how often the stories are lived through to look for a point: what
// two goroutines do at once, they do in either order.
const surveys = 5

// Whoever has a node write something new, say something new or call the executor
// anew has one of the stories meet it, or says why not.
func TestEveryWriteMessageAndCallIsAPoint(t *testing.T) {
	all := map[string]bool{}
	for _, role := range []string{"client", "provider"} {
		for _, name := range writers(t, role) {
			all["write "+name] = true
		}
	}
	for _, name := range slices.Concat(sendings(), calls()) {
		all[name] = true
	}
	for name := range exceptions {
		require.Contains(t, all, name, "an exception that doesn't exist (any more)")
		delete(all, name)
	}
	for range surveys {
		for _, m := range survey(t) {
			delete(all, m.what)
		}
		if len(all) == 0 {
			return
		}
	}
	require.Empty(t, slices.Sorted(maps.Keys(all)), "no crash point stands before and after these: have a story meet them, or say in the exceptions why not")
}

// writers are the functions of a role's package that have the ledger written,
// by themselves or through a helper, as writer names them.
func writers(t *testing.T, role string) (names []string) {
	files, err := filepath.Glob(filepath.Join("..", "..", role, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range parsed.Decls {
			if name := nameOfDecl(role, file, d); writes(d) && !slices.Contains(helpers, name) {
				names = append(names, name)
			}
		}
	}
	require.NotEmpty(t, names, "no writer was found in the %s's package", role)
	return names
}

// nameOfDecl names a function as the runtime does, and what is none by its file.
func nameOfDecl(role, file string, d ast.Decl) string {
	f, ok := d.(*ast.FuncDecl)
	switch {
	case !ok:
		return file
	case f.Recv == nil:
		return role + "." + f.Name.Name
	}
	if star, ok := f.Recv.List[0].Type.(*ast.StarExpr); ok {
		return fmt.Sprintf("%s.(*%v).%s", role, star.X, f.Name.Name)
	}
	return fmt.Sprintf("%s.%v.%s", role, f.Recv.List[0].Type, f.Name.Name)
}

// writes tells that there is a call of the ledger's Update, or of a helper, in
// a declaration, or that one is handed on.
func writes(d ast.Decl) (yes bool) {
	ast.Inspect(d, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			yes = yes || s.Sel.Name == "Update" || slices.ContainsFunc(helpers, func(h string) bool { return strings.HasSuffix(h, ")."+s.Sel.Name) })
		}
		return true
	})
	return yes
}

// sendings are all messages that the protocols of a lease have.
func sendings() (names []string) {
	for _, id := range []protocol.ID{wire.OfferProtocol, wire.LeaseProtocol, wire.RunProtocol, wire.BlobProtocol, wire.StatusProtocol} {
		asked, answered := messages(id)
		for _, m := range []proto.Message{asked, answered} {
			names = append(names, kindsOf(m)...)
		}
	}
	return names
}

// kindsOf are the names that nameOf gives to what a message may be.
func kindsOf(m proto.Message) (names []string) {
	d := m.ProtoReflect().Descriptor()
	if d.Oneofs().Len() == 0 {
		return []string{"send " + string(d.Name())}
	}
	kinds := d.Oneofs().Get(0).Fields()
	for i := range kinds.Len() {
		names = append(names, "send "+string(d.Name())+" "+string(kinds.Get(i).Name()))
	}
	return names
}

// calls are those of the executor that do or tell something.
func calls() (names []string) {
	for _, of := range []reflect.Type{reflect.TypeFor[executor.Executor](), reflect.TypeFor[executor.Execution]()} {
		for i := range of.NumMethod() {
			names = append(names, "call "+of.Method(i).Name)
		}
	}
	return names
}
