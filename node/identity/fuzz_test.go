package identity

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	ethcrypto "github.com/ethereum/go-ethereum/crypto"

	"souk/internal/fuzztest"
)

// light is a sealed key that costs little to open.
func light(t testing.TB) []byte {
	key, err := ethcrypto.GenerateKey()
	require.NoError(t, err)
	text, err := keystore.EncryptKey(&keystore.Key{Id: uuid.New(), PrivateKey: key, Address: ethcrypto.PubkeyToAddress(key.PublicKey)}, "pass", 2, 1)
	require.NoError(t, err)
	return text
}

// costing is a sealed key whose derivation is said to cost that.
func costing(t testing.TB, params map[string]any) []byte {
	var f map[string]any
	require.NoError(t, json.Unmarshal(light(t), &f))
	crypto, _ := f["crypto"].(map[string]any)
	for k, v := range params {
		if all, ok := crypto["kdfparams"].(map[string]any); ok {
			all[k] = v
		}
	}
	text, err := json.Marshal(f)
	require.NoError(t, err)
	return text
}

func TestAKeyFileCannotAskForAllMemory(t *testing.T) {
	pass := func() (string, error) { return "pass", nil }
	_, err := unseal("key", light(t), pass)
	require.NoError(t, err)
	for name, params := range map[string]map[string]any{
		"memory": {"n": 1 << 19, "r": 8}, "wide blocks": {"r": 1 << 30}, "passes": {"p": 1 << 30}, "a long key": {"dklen": 1 << 40},
	} {
		asked := false
		_, err := unseal("key", costing(t, params), func() (string, error) {
			asked = true
			return "", errors.New("not needed")
		})
		require.ErrorIs(t, err, ErrUnreadable, name)
		require.False(t, asked, "a passphrase would change nothing")
	}
	require.NoError(t, affordable("key", costing(t, map[string]any{"n": keystore.StandardScryptN, "r": 8, "p": 1})))
}

// FuzzKeyFile reads any text as a key file; those that cost much to open are left out.
func FuzzKeyFile(f *testing.F) {
	f.Add(light(f))
	f.Add(costing(f, map[string]any{"n": 1 << 40}))
	f.Add([]byte("CAISIB=="))
	f.Add([]byte(`{"crypto":{"kdf":"pbkdf2","kdfparams":{"c":3,"prf":"hmac-sha256","dklen":32,"salt":""}},"version":3}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		fuzztest.Bound(t)
		if len(text) > maxFile {
			return
		}
		if _, err := decode("key", text); err == nil {
			return
		}
		var cost struct {
			Crypto struct {
				Params map[string]any `json:"kdfparams"`
			} `json:"crypto"`
		}
		if json.Unmarshal(text, &cost) == nil && number(cost.Crypto.Params["n"])*number(cost.Crypto.Params["r"])*128 > 1<<20 {
			require.NotPanics(t, func() { _ = affordable("key", text) })
			return
		}
		_, _ = unseal("key", text, func() (string, error) { return "pass", nil })
	})
}
