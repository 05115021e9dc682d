package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/crypto/keccak"
	"github.com/google/uuid"
	"golang.org/x/crypto/scrypt"
)

// The keystore v3 format, as Ethereum wallets write it. It is written out here
// because their package brings 10 MB of others into every souk process.
const (
	keystoreVersion = 3
	cipherName      = "aes-128-ctr"
	scryptN         = 1 << 18
	scryptR         = 8
	scryptP         = 1
	derivedSize     = 32 // bytes: 16 for the cipher, 16 for the check
	saltSize        = 32
)

var errMAC = errors.New("the passphrase is another one")

type sealedKey struct {
	Address string       `json:"address"`
	Crypto  sealedCrypto `json:"crypto"`
	ID      string       `json:"id"`
	Version int          `json:"version"`
}

type sealedCrypto struct {
	Cipher       string       `json:"cipher"`
	CipherText   string       `json:"ciphertext"`
	CipherParams sealedCipher `json:"cipherparams"`
	KDF          string       `json:"kdf"`
	KDFParams    sealedKDF    `json:"kdfparams"`
	MAC          string       `json:"mac"`
}

type sealedCipher struct {
	IV string `json:"iv"`
}

// sealedKDF has the fields of both: n, r and p are scrypt's, c and prf PBKDF2's.
type sealedKDF struct {
	DKLen int    `json:"dklen"`
	N     int    `json:"n,omitempty"`
	R     int    `json:"r,omitempty"`
	P     int    `json:"p,omitempty"`
	C     int    `json:"c,omitempty"`
	PRF   string `json:"prf,omitempty"`
	Salt  string `json:"salt"`
}

// encrypt seals a key that signs for an address; n is scrypt's cost.
func encrypt(key []byte, address, passphrase string, n int) ([]byte, error) {
	random := make([]byte, saltSize+aes.BlockSize)
	_, _ = rand.Read(random) // never fails
	salt, iv := random[:saltSize], random[saltSize:]
	kdf := sealedKDF{DKLen: derivedSize, N: n, R: scryptR, P: scryptP, Salt: hex.EncodeToString(salt)}
	derived, err := kdf.derive("scrypt", passphrase)
	if err != nil {
		return nil, err
	}
	text, err := crypt(derived, iv, key)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealedKey{Address: address, ID: id.String(), Version: keystoreVersion, Crypto: sealedCrypto{
		Cipher: cipherName, CipherText: hex.EncodeToString(text), CipherParams: sealedCipher{IV: hex.EncodeToString(iv)},
		KDF: "scrypt", KDFParams: kdf, MAC: hex.EncodeToString(macOf(derived, text)),
	}})
}

// decrypt gives the key; errMAC where the passphrase is another one.
func decrypt(text []byte, passphrase string) ([]byte, error) {
	var k sealedKey
	if err := json.Unmarshal(text, &k); err != nil {
		return nil, err
	}
	c := k.Crypto
	if k.Version != keystoreVersion || c.Cipher != cipherName {
		return nil, fmt.Errorf("it has version %d and the cipher %q", k.Version, c.Cipher)
	}
	sealed, err1 := hex.DecodeString(c.CipherText)
	iv, err2 := hex.DecodeString(c.CipherParams.IV)
	mac, err3 := hex.DecodeString(c.MAC)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	derived, err := c.KDFParams.derive(c.KDF, passphrase)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(mac, macOf(derived, sealed)) != 1 {
		return nil, errMAC
	}
	return crypt(derived, iv, sealed)
}

// derive makes the key of the cipher and of the check out of a passphrase.
func (k sealedKDF) derive(name, passphrase string) ([]byte, error) {
	salt, err := hex.DecodeString(k.Salt)
	if err != nil {
		return nil, err
	}
	switch {
	case k.DKLen < derivedSize:
		return nil, fmt.Errorf("it derives %d bytes, and %d are needed", k.DKLen, derivedSize)
	case name == "scrypt" && k.R > 0 && k.P > 0: // scrypt.Key divides by them
		return scrypt.Key([]byte(passphrase), salt, k.N, k.R, k.P, k.DKLen)
	case name == "pbkdf2" && k.PRF == "hmac-sha256" && k.C > 0:
		return pbkdf2.Key(sha256.New, passphrase, salt, k.C, k.DKLen)
	}
	return nil, fmt.Errorf("it derives its key by %q %s in a way that isn't known", name, k.PRF)
}

// crypt seals what is open and opens what is sealed.
func crypt(derived, iv, in []byte) ([]byte, error) {
	block, err := aes.NewCipher(derived[:16])
	if err != nil {
		return nil, err
	}
	if len(iv) != block.BlockSize() {
		return nil, fmt.Errorf("its IV has %d bytes, not %d", len(iv), block.BlockSize())
	}
	out := make([]byte, len(in))
	cipher.NewCTR(block, iv).XORKeyStream(out, in)
	return out, nil
}

func macOf(derived, sealed []byte) []byte {
	h := keccak.NewLegacyKeccak256()
	_, _ = h.Write(derived[16:32])
	_, _ = h.Write(sealed)
	return h.Sum(nil)
}
