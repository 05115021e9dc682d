package identity

import (
	"encoding/json"
	"fmt"
)

// What opening a sealed key may cost: as much as Create makes it.
const (
	maxScryptBytes = 128 * scryptN * scryptR
	maxRounds      = 10_000_000 // of PBKDF2, or of scrypt's p
	maxKeyBytes    = 1024       // that are derived
)

// affordable refuses a keystore file that would take all memory or time before
// it turns out to be wrong.
func affordable(path string, text []byte) error {
	var f struct {
		Crypto struct {
			Params map[string]any `json:"kdfparams"`
		} `json:"crypto"`
	}
	if json.Unmarshal(text, &f) != nil {
		return nil // what is wrong with it, the decoder says
	}
	n, r, p, c, size := number(f.Crypto.Params["n"]), number(f.Crypto.Params["r"]), number(f.Crypto.Params["p"]), number(f.Crypto.Params["c"]), number(f.Crypto.Params["dklen"])
	if 128*n*r > maxScryptBytes || 128*p*r > maxScryptBytes || n*r*p > maxRounds || c > maxRounds || size > maxKeyBytes {
		return fmt.Errorf("%w: %s asks for more memory or time than any key file made by souk or geth", ErrUnreadable, path)
	}
	return nil
}

func number(v any) float64 {
	n, _ := v.(float64)
	return n
}
