package identity

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	ethcrypto "github.com/ethereum/go-ethereum/crypto"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/stretchr/testify/require"
)

func noPassphrase() (string, error) { return "", errors.New("none was given") }

func TestAKeyComesBackAsItWasMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made, err := Create(path, "")
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	read, err := Load(path, noPassphrase)
	require.NoError(t, err)
	require.True(t, made.Equals(read))
}

func TestASealedKeyOpensWithItsPassphraseOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made, err := Create(path, "correct horse")
	require.NoError(t, err)
	read, err := Load(path, func() (string, error) { return "correct horse", nil })
	require.NoError(t, err)
	require.True(t, made.Equals(read))
	_, err = Load(path, func() (string, error) { return "wrong", nil })
	require.ErrorIs(t, err, ErrPassphrase)
	_, err = Load(path, noPassphrase)
	require.ErrorIs(t, err, ErrNoPassphrase)
	require.NotErrorIs(t, err, ErrPassphrase, "nobody tried one")
}

// What wallets read is what their own package says.
func TestWalletsReadASealedKey(t *testing.T) {
	made, _, err := crypto.GenerateSecp256k1Key(nil)
	require.NoError(t, err)
	text, err := seal(made, "correct horse", 2)
	require.NoError(t, err)
	read, err := keystore.DecryptKey(text, "correct horse")
	require.NoError(t, err)
	raw, err := made.Raw()
	require.NoError(t, err)
	require.Equal(t, raw, ethcrypto.FromECDSA(read.PrivateKey))
	var f struct{ Address string }
	require.NoError(t, json.Unmarshal(text, &f))
	require.Equal(t, hex.EncodeToString(ethcrypto.PubkeyToAddress(read.PrivateKey.PublicKey).Bytes()), f.Address)
}

// The example of the format's definition, by PBKDF2.
func TestAKeyOfAnotherWalletOpens(t *testing.T) {
	const text = `{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
		"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
		"kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
		"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}`
	key, err := unseal("key", []byte(text), func() (string, error) { return "testpassword", nil })
	require.NoError(t, err)
	raw, err := key.Raw()
	require.NoError(t, err)
	require.Equal(t, "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d", hex.EncodeToString(raw))
}

func TestAKeyIsNeverOverwritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made, err := Create(path, "")
	require.NoError(t, err)
	_, err = Create(path, "")
	require.ErrorIs(t, err, ErrExists)
	read, err := Load(path, noPassphrase)
	require.NoError(t, err)
	require.True(t, made.Equals(read))
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file stays")
}

func TestBadKeyFilesSayWhatIsWrong(t *testing.T) {
	ed, _, err := crypto.GenerateEd25519Key(nil)
	require.NoError(t, err)
	other, err := crypto.MarshalPrivateKey(ed)
	require.NoError(t, err)

	cases := map[string]struct {
		text []byte
		mode os.FileMode
		want error
	}{
		"another kind":   {[]byte(base64.StdEncoding.EncodeToString(other)), 0o600, ErrKind},
		"not base64":     {[]byte("hello"), 0o600, ErrUnreadable},
		"cut short":      {[]byte("CAIS"), 0o600, ErrUnreadable},
		"empty":          {nil, 0o600, ErrUnreadable},
		"huge":           {make([]byte, maxFile+1), 0o600, ErrUnreadable},
		"open to others": {[]byte("x"), 0o644, ErrOpen},
		"bad keystore":   {[]byte("{}"), 0o600, ErrUnreadable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			require.NoError(t, os.WriteFile(path, c.text, 0o600))
			require.NoError(t, os.Chmod(path, c.mode))
			_, err := Load(path, func() (string, error) { return "wrong", nil })
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, path)
		})
	}
	_, err = Load(filepath.Join(t.TempDir(), "none"), noPassphrase)
	require.ErrorIs(t, err, ErrNoKey)
}
