package market

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ipld/go-ipld-prime/codec/dagjson"
	"github.com/ipld/go-ipld-prime/node/basicnode"
)

// MaxBlock is the most bytes of a DAG-JSON document (DESIGN §11: job spec 32 KiB).
const MaxBlock = 32 << 10

// BlockHash is the sha2-256 of a DAG-JSON block.
func BlockHash(block []byte) Hash { return sha256.Sum256(block) }

// encodeJSON gives the canonical DAG-JSON block of a document.
func encodeJSON(doc any) ([]byte, error) {
	plain, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	block, err := canonical(plain)
	if err != nil {
		return nil, err
	}
	if len(block) > MaxBlock {
		return nil, fmt.Errorf("%w: %d bytes, %d are allowed", ErrEncoding, len(block), MaxBlock)
	}
	return block, nil
}

// decodeJSON reads a block into doc, a pointer to a struct. It refuses a
// block that isn't canonical, floats, and keys that doc hasn't; keys that
// begin with "x-" are let through at the top level.
func decodeJSON(block []byte, doc any) error {
	if len(block) > MaxBlock {
		return fmt.Errorf("%w: %d bytes, %d are allowed", ErrEncoding, len(block), MaxBlock)
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
	return onlyEncoding(known, doc)
}

// onlyEncoding makes sure that one meaning has one encoding: no key in
// another case, no explicit zero where the document leaves zero out.
func onlyEncoding(known []byte, doc any) error {
	again, err := encodeJSON(doc)
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
	var out bytes.Buffer
	if err := dagjson.Encode(b.Build(), &out); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncoding, err)
	}
	return out.Bytes(), nil
}
