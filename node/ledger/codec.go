package ledger

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A stored value is one version byte, the record's fields (nothing for an index
// entry), and four bytes of CRC-32C over key, version and record, so that
// neither a flipped bit nor a value under a wrong key is ever decoded. Values of
// version 1 hold the record as JSON: they are read and never written.
const (
	version  = 2
	inJSON   = 1
	maxValue = 4 << 20 // bytes; far above what the protocol's caps allow
	overhead = 1 + crc32.Size
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, body []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, body)
}

// seal encodes a record, or an index entry for nil.
func seal(key []byte, r record) ([]byte, error) {
	f := fields{out: append(make([]byte, 0, 512), version)}
	if r != nil {
		r.fields(&f)
	}
	if len(f.out)+crc32.Size > maxValue {
		return nil, fmt.Errorf("a record of %d bytes is too large, at most %d go into the ledger", len(f.out), maxValue)
	}
	return binary.BigEndian.AppendUint32(f.out, checksum(key, f.out)), nil
}

// unseal decodes what seal made. Its errors say how the value is damaged.
func unseal(key, value []byte, r record) error {
	if len(value) < overhead {
		return fmt.Errorf("it has %d bytes, fewer than any record", len(value))
	}
	body, sum := value[:len(value)-crc32.Size], binary.BigEndian.Uint32(value[len(value)-crc32.Size:])
	if got := checksum(key, body); got != sum {
		return fmt.Errorf("its checksum is %08x, not the stored %08x", got, sum)
	}
	kind, body := body[0], body[1:]
	switch {
	case kind != version && kind != inJSON:
		return fmt.Errorf("it has version %d, this souk knows %d", kind, version)
	case r == nil && len(body) > 0:
		return errors.New("it is an index entry with a body")
	case r == nil:
		return nil
	case kind == inJSON:
		return fromJSON(body, r)
	}
	f := fields{reading: true, in: bytes.Clone(body)} // the record keeps parts of it
	r.fields(&f)
	if f.err == nil && len(f.in) > 0 {
		f.err = errors.New("something follows the record")
	}
	return f.err
}

func fromJSON(body []byte, r record) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the record")
	}
	return nil
}
