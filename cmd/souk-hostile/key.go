package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
)

// loadKey reads a secp256k1 key in the form that souk keeps one in (base64 of
// libp2p's encoding), or makes one there. An empty path is a key for once.
func loadKey(path string) (crypto.PrivKey, error) {
	if path == "" {
		return newKey()
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(path)
	}
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("the key file %s isn't base64: name one that this program or souk wrote without a passphrase", path)
	}
	return crypto.UnmarshalPrivateKey(raw)
}

func createKey(path string) (crypto.PrivKey, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(raw)+"\n"), 0o600)
}

func newKey() (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	return key, err
}
