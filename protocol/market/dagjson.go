package market

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ipld/go-ipld-prime/codec/dagjson"
	"github.com/ipld/go-ipld-prime/datamodel"
	"github.com/ipld/go-ipld-prime/node/basicnode"
)

// MaxBlock is the most bytes of a DAG-JSON document (DESIGN §11: job spec 32 KiB).
const MaxBlock = 32 << 10

// maxDepth is how deep maps and lists may lie in one another.
const maxDepth = 32

// BlockHash is the sha2-256 of a DAG-JSON block.
func BlockHash(block []byte) Hash { return sha256.Sum256(block) }

func encodeJSON(doc any) ([]byte, error) { return EncodeDAGJSON(doc, MaxBlock) }

func decodeJSON(block []byte, doc any) error { return DecodeDAGJSON(block, doc, MaxBlock) }

// EncodeDAGJSON gives the canonical DAG-JSON block of a struct with json
// tags. It refuses a block above limit bytes.
func EncodeDAGJSON(doc any, limit int) ([]byte, error) {
	plain, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	block, err := canonical(plain)
	if err != nil {
		return nil, err
	}
	if len(block) > limit {
		return nil, fmt.Errorf("%w: %d bytes, %d are allowed", ErrEncoding, len(block), limit)
	}
	return block, nil
}

// DecodeDAGJSON reads a block of at most limit bytes into doc, a pointer to a
// struct. It refuses a block that isn't canonical, floats, and keys that doc
// hasn't; keys that begin with "x-" are let through at the top level and lost.
func DecodeDAGJSON(block []byte, doc any, limit int) error {
	if len(block) > limit {
		return fmt.Errorf("%w: %d bytes, %d are allowed", ErrEncoding, len(block), limit)
	}
	if !utf8.Valid(block) {
		return fmt.Errorf("%w: it isn't UTF-8", ErrEncoding)
	}
	if depth(block) > maxDepth {
		return fmt.Errorf("%w: it is nested more than %d deep", ErrEncoding, maxDepth)
	}
	if plain(block, doc, limit) {
		return nil
	}
	same, err := canonical(block)
	if err != nil {
		return err
	}
	if !bytes.Equal(same, block) {
		return fmt.Errorf("%w: it isn't canonical DAG-JSON (sorted keys, no spaces, shortest numbers)", ErrEncoding)
	}
	known, err := withoutExtensions(block)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(known))
	dec.DisallowUnknownFields()
	if err := dec.Decode(doc); err != nil {
		return fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return onlyEncoding(known, doc, limit)
}

// plain reads a block without extensions that is its document's one encoding.
// Nearly all are. For the others the long way finds out what is wrong.
func plain(block []byte, doc any, limit int) bool {
	if bytes.Contains(block, []byte(`"x-`)) || json.Unmarshal(block, doc) != nil {
		return false
	}
	again, err := EncodeDAGJSON(doc, limit)
	return err == nil && bytes.Equal(again, block)
}

// onlyEncoding makes sure that one meaning has one encoding: no key in
// another case, no explicit zero where the document leaves zero out.
func onlyEncoding(known []byte, doc any, limit int) error {
	again, err := EncodeDAGJSON(doc, limit)
	if err != nil {
		return err
	}
	want, err := canonical(known)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, want) {
		return fmt.Errorf("%w: it says the same as another block (a key in another case, or a zero written out)", ErrEncoding)
	}
	return nil
}

func withoutExtensions(block []byte) ([]byte, error) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(block, &top); err != nil {
		return nil, fmt.Errorf("%w: a document is a map", ErrEncoding)
	}
	extended := false
	for k := range top {
		if strings.HasPrefix(k, "x-") {
			delete(top, k)
			extended = true
		}
	}
	if !extended {
		return block, nil
	}
	return json.Marshal(top)
}

// canonical re-encodes JSON as DAG-JSON.
func canonical(plain []byte) ([]byte, error) {
	b := basicnode.Prototype.Any.NewBuilder()
	if err := dagjson.Decode(b, bytes.NewReader(plain)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	n := b.Build()
	if err := noFloats(n); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := dagjson.Encode(n, &out); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return out.Bytes(), nil
}

// depth counts how deep brackets outside of strings lie in one another.
func depth(block []byte) (deepest int) {
	now, quoted := 0, false
	for i := 0; i < len(block); i++ {
		switch c := block[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '['):
			now++
			deepest = max(deepest, now)
		case !quoted && (c == '}' || c == ']'):
			now--
		}
	}
	return deepest
}

// noFloats refuses fractions and exponents wherever they stand: amounts are
// decimal strings, everything else is counted in whole units.
func noFloats(n datamodel.Node) error {
	switch n.Kind() {
	case datamodel.Kind_Float:
		return fmt.Errorf("%w: it has a number that isn't whole", ErrEncoding)
	case datamodel.Kind_Map:
		for it := n.MapIterator(); !it.Done(); {
			_, value, err := it.Next()
			if err != nil {
				return err
			}
			if err := noFloats(value); err != nil {
				return err
			}
		}
	case datamodel.Kind_List:
		for it := n.ListIterator(); !it.Done(); {
			_, value, err := it.Next()
			if err != nil {
				return err
			}
			if err := noFloats(value); err != nil {
				return err
			}
		}
	}
	return nil
}
