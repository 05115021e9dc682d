// Package identity keeps a node's one key: secp256k1, in a file that only its
// owner can read, as plain text or sealed with a passphrase (the keystore v3
// format that Ethereum wallets read).
//
// It promises never to overwrite a key, never to leave half a file, and never
// to take a key of another kind.
package identity

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/crypto/pb"

	"souk/protocol/market"
)

// What is wrong with a key file, by what to do about it.
var (
	ErrExists     = errors.New("there is a key already")
	ErrNoKey      = errors.New("there is no key yet")
	ErrKind       = errors.New("the key is of the wrong kind")
	ErrUnreadable = errors.New("the key file can't be read")
	ErrOpen       = errors.New("the key file is open to other users")
	ErrPassphrase = errors.New("the key is sealed and the passphrase doesn't open it")
	// ErrNoPassphrase is a sealed key's error where no passphrase could be had.
	ErrNoPassphrase = errors.New("the key is sealed and its passphrase is missing")
)

// FileName is the name of the key file in a data directory.
const FileName = "key"

// maxFile is more than any key file has, in bytes.
const maxFile = 16 << 10

// Create makes a key and writes it to path with mode 0600, sealed if the
// passphrase isn't empty.
func Create(path, passphrase string) (crypto.PrivKey, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%w at %s; it was left alone", ErrExists, path)
	}
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := encode(key, passphrase)
	if err != nil {
		return nil, err
	}
	return key, write(path, text)
}

func encode(key crypto.PrivKey, passphrase string) ([]byte, error) {
	if passphrase != "" {
		return seal(key, passphrase, scryptN)
	}
	b, err := crypto.MarshalPrivateKey(key)
	return []byte(base64.StdEncoding.EncodeToString(b) + "\n"), err
}

func seal(key crypto.PrivKey, passphrase string, n int) ([]byte, error) {
	raw, err := key.Raw()
	if err != nil {
		return nil, err
	}
	signer, err := market.NewSigner(key)
	if err != nil {
		return nil, err
	}
	return encrypt(raw, strings.TrimPrefix(strings.ToLower(signer.Address().String()), "0x"), passphrase, n)
}

// write puts the file in place whole and synced, and never over another one.
func write(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Load reads a key. passphrase is asked only for a sealed one.
func Load(path string, passphrase func() (string, error)) (crypto.PrivKey, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w at %s; `souk init` makes one", ErrNoKey, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o; `chmod 600 %s` closes it", ErrOpen, path, mode, path)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%w: %s has %d bytes, no key has more than %d", ErrUnreadable, path, info.Size(), maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if strings.HasPrefix(strings.TrimSpace(string(text)), "{") {
		return unseal(path, text, passphrase)
	}
	return decode(path, text)
}

func decode(path string, text []byte) (crypto.PrivKey, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%w: %s holds no base64 key; restore it from a backup, or move it away and run `souk init`", ErrUnreadable, path)
	}
	key, err := crypto.UnmarshalPrivateKey(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is damaged; restore it from a backup, or move it away and run `souk init`", ErrUnreadable, path)
	}
	if key.Type() != pb.KeyType_Secp256k1 {
		return nil, fmt.Errorf("%w: %s holds a key of type %s, souk needs Secp256k1; `souk init` in an empty data directory makes one", ErrKind, path, key.Type())
	}
	return key, nil
}

func unseal(path string, text []byte, passphrase func() (string, error)) (crypto.PrivKey, error) {
	if err := affordable(path, text); err != nil {
		return nil, err
	}
	pass, err := passphrase()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNoPassphrase, path, err)
	}
	raw, err := decrypt(text, pass)
	if errors.Is(err, errMAC) {
		return nil, fmt.Errorf("%w: %s", ErrPassphrase, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not a keystore v3 file: %w", ErrUnreadable, path, err)
	}
	key, err := crypto.PrivKeyUnmarshallers[pb.KeyType_Secp256k1](raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %s holds no key: %w", ErrUnreadable, path, err)
	}
	return key, nil
}
