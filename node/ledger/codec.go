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

// A stored value is one version byte, the record as JSON (nothing for an index
// entry), and four bytes of CRC-32C over key, version and record, so that
// neither a flipped bit nor a value under a wrong key is ever decoded.
const (
	version  = 1
	maxValue = 4 << 20 // bytes; far above what the protocol's caps allow
	overhead = 1 + crc32.Size
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, body []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, body)
}

// seal encodes a record, or an index entry for nil.
func seal(key []byte, record any) ([]byte, error) {
	value := []byte{version}
	if record != nil {
		body, err := json.Marshal(record)
		if err != nil {
			return nil, fmt.Errorf("a record can't be encoded: %w", err)
		}
		value = append(value, body...)
	}
	if len(value)+crc32.Size > maxValue {
		return nil, fmt.Errorf("a record of %d bytes is too large, at most %d go into the ledger", len(value), maxValue)
	}
	return binary.BigEndian.AppendUint32(value, checksum(key, value)), nil
}

// unseal decodes what seal made. Its errors say how the value is damaged.
func unseal(key, value []byte, record any) error {
	if len(value) < overhead {
		return fmt.Errorf("it has %d bytes, fewer than any record", len(value))
	}
	body, sum := value[:len(value)-crc32.Size], binary.BigEndian.Uint32(value[len(value)-crc32.Size:])
	if got := checksum(key, body); got != sum {
		return fmt.Errorf("its checksum is %08x, not the stored %08x", got, sum)
	}
	if body[0] != version {
		return fmt.Errorf("it has version %d, this souk knows %d", body[0], version)
	}
	if record == nil {
		if len(body) != 1 {
			return errors.New("it is an index entry with a body")
		}
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body[1:]))
	d.DisallowUnknownFields()
	if err := d.Decode(record); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the record")
	}
	return nil
}
