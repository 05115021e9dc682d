package identity

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"

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
	require.ErrorIs(t, err, ErrPassphrase)
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
