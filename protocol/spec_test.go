package protocol

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/stretchr/testify/require"

	"souk/protocol/market"
	"souk/protocol/pb"
	"souk/protocol/wire"
)

func TestThePageNamesEveryRefusal(t *testing.T) {
	require.ElementsMatch(t, constants(t, "wire/refusal.go", "Code"), column(spec(t).table(t, "### Refusals"), 0))
}

func TestThePageNamesEveryProtocol(t *testing.T) {
	rows := spec(t).table(t, "## Streams")
	var want []string
	for _, id := range []string{"OfferProtocol", "LeaseProtocol", "RunProtocol", "BlobProtocol", "StatusProtocol", "ChallengeProtocol"} {
		want = append(want, constant(t, "wire/limits.go", id))
	}
	require.Equal(t, want, column(rows, 0))
	for _, r := range rows {
		relayed := r[4] != "no"
		require.Equal(t, wire.Relayed(protocol.ID(r[0])), relayed, "%s through a relay", r[0])
	}
}

func TestThePageNamesEveryMessage(t *testing.T) {
	text := strings.Join(spec(t), "\n")
	messages := pb.File_souk_proto.Messages()
	for i := range messages.Len() {
		name := string(messages.Get(i).Name())
		if !strings.HasPrefix(name, "Challenge") || name == "ChallengeRequest" || name == "ChallengeAnswer" { // those are in challenge.md
			require.Contains(t, text, name, "docs/spec.md says nothing of the message %s", name)
		}
	}
}

// The type hashes are recomputed from what the page prints, and compared with
// what the code puts in front of each document.
func TestThePagesTypesAreThoseThatAreSigned(t *testing.T) {
	blocks := map[string][]byte{
		"Quote": market.Quote{}.Encode(), "Lease": market.Lease{}.Encode(), "Receipt": market.Receipt{}.Encode(),
		"Voucher": market.Voucher{}.Encode(), "ChannelConfig": market.ChannelConfig{}.Encode(),
	}
	rows := spec(t).table(t, "### Signed documents")
	require.Len(t, rows, len(blocks))
	for _, r := range rows {
		name, fields, _ := strings.Cut(r[0], "(")
		hash := market.Hash(crypto.Keccak256([]byte(r[0])))
		require.Equal(t, hash.String(), r[1], "type hash of %s", name)
		require.Equal(t, hash[:], blocks[name][:32], "%s", name)
		require.Len(t, blocks[name], 32*(2+strings.Count(fields, ",")), "%s", name)
	}
}

// A field that is optional on the page is left out of a block where it is zero.
func TestThePagesFieldsAreThoseOfTheDocuments(t *testing.T) {
	p := spec(t)
	for place, doc := range map[string]any{
		"**Request**": market.Request{}, "**GPUNeed**": market.GPUNeed{}, "**Terms**": market.Terms{}, "**Device**": market.Device{},
		"**Job**": market.Job{}, "**Image**": market.Image{}, "**Input**": market.Input{}, "**Body**": market.Body{}, "**DeviceUse**": market.DeviceUse{},
	} {
		var page [][2]string
		for _, r := range p.table(t, place) {
			page = append(page, [2]string{r[0], r[1]})
		}
		require.Equal(t, fields(reflect.TypeOf(doc)), page, place)
	}
}

func TestThePagesStatesAreThoseOfTheMachine(t *testing.T) {
	states := constants(t, "market/state.go", "State")
	events := constants(t, "market/state.go", "Event")
	want := map[[2]string]string{}
	late := map[[2]string]string{}
	for _, r := range spec(t).table(t, "## Lease states") {
		for _, s := range strings.Split(r[0], ", ") {
			want[[2]string{s, r[1]}] = r[2]
			late[[2]string{s, r[1]}], _, _ = strings.Cut(r[3], ",")
		}
	}
	for _, s := range states {
		for _, e := range events {
			k := [2]string{s, e}
			next, err := market.Next(market.State(s), market.Event(e), market.Moment{})
			if want[k] == "" {
				require.ErrorIs(t, err, market.ErrTransition, "%s while %s", e, s)
				continue
			}
			require.NoError(t, err, "%s while %s", e, s)
			require.EqualValues(t, want[k], next, "%s while %s", e, s)
			require.Equal(t, late[k], judgedBy(s, e), "%s while %s is in time until", e, s)
		}
	}
}

// judgedBy names the moment after which an event is refused, if there is one.
func judgedBy(s, e string) string {
	for name, m := range map[string]market.Moment{"expiresAt": {Now: 2, ExpiresAt: 1, StartBy: 2}, "startBy": {Now: 2, ExpiresAt: 2, StartBy: 1}} {
		if _, err := market.Next(market.State(s), market.Event(e), m); err != nil {
			return name
		}
	}
	return ""
}

func TestThePageNamesEveryOutcome(t *testing.T) {
	var want []string
	for o := market.Succeeded; o <= market.Expired; o++ {
		want = append(want, o.String())
		require.Contains(t, strings.Join(spec(t), " "), strconv.Itoa(int(o))+" "+o.String())
	}
	require.Equal(t, want, column(spec(t).table(t, "| Outcome |"), 0))
}

// fields are a document's keys with their types, as the page writes them.
func fields(doc reflect.Type) (out [][2]string) {
	for i := range doc.NumField() {
		name, options, _ := strings.Cut(doc.Field(i).Tag.Get("json"), ",")
		what := written(doc.Field(i).Type)
		if options != "" {
			what += ", optional"
		}
		out = append(out, [2]string{name, what})
	}
	return out
}

func written(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[market.Amount](), t == reflect.TypeFor[*market.Amount]():
		return "amount"
	case t == reflect.TypeFor[cid.Cid](), t == reflect.TypeFor[*cid.Cid]():
		return "link"
	}
	switch t.Kind() { //nolint:exhaustive // documents have no others
	case reflect.Pointer:
		return written(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return "integer"
	case reflect.Slice:
		return "list of " + written(t.Elem()) + "s"
	case reflect.Map:
		return "map of " + written(t.Elem()) + "s"
	default:
		return "map"
	}
}

// constants are the values of a file's string constants of one type.
func constants(t *testing.T, file, typ string) (out []string) {
	t.Helper()
	each(t, file, func(s *ast.ValueSpec) {
		if id, ok := s.Type.(*ast.Ident); ok && id.Name == typ {
			out = append(out, literal(t, s))
		}
	})
	require.NotEmpty(t, out)
	return out
}

// constant is the value of one string constant.
func constant(t *testing.T, file, name string) (out string) {
	t.Helper()
	each(t, file, func(s *ast.ValueSpec) {
		if s.Names[0].Name == name {
			out = literal(t, s)
		}
	})
	require.NotEmpty(t, out)
	return out
}

func each(t *testing.T, file string, see func(*ast.ValueSpec)) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.ValueSpec); ok {
			see(s)
		}
		return true
	})
}

func literal(t *testing.T, s *ast.ValueSpec) string {
	t.Helper()
	text, err := strconv.Unquote(s.Values[0].(*ast.BasicLit).Value)
	require.NoError(t, err)
	return text
}
