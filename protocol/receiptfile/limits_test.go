package receiptfile_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"souk/internal/limit/limittest"
	"souk/protocol/market"
	"souk/protocol/receiptfile"
)

// overLimit keeps the errors that a limit makes: what is read here is no
// receipt file otherwise either.
func overLimit(err error) error {
	if errors.Is(err, receiptfile.ErrTooLarge) {
		return err
	}
	return nil
}

func TestLimits(t *testing.T) {
	head := car(t, `{}`)
	limittest.Run(t, receiptfile.LimitRows(), map[string]limittest.Probe{
		"receipt file": func(t *testing.T, n int64) error {
			block := section(t, `"`+strings.Repeat("x", 1<<19)+`"`)
			_, err := receiptfile.Read(io.LimitReader(io.MultiReader(bytes.NewReader(head), endless(block)), n))
			require.Error(t, err)
			return overLimit(err)
		},
		"blocks in a receipt file": func(t *testing.T, n int64) error {
			small := section(t, `{}`)
			_, err := receiptfile.Read(io.MultiReader(bytes.NewReader(head), io.LimitReader(endless(small), (n-1)*int64(len(small)))))
			require.Error(t, err)
			return overLimit(err)
		},
		"block of a receipt file, with its CID": func(t *testing.T, n int64) error {
			const name = 37 // bytes of a CID of dag-json with sha2-256
			_, err := receiptfile.Read(bytes.NewReader(car(t, `{}`, `"`+strings.Repeat("x", int(n)-name-2)+`"`)))
			require.Error(t, err)
			return limittest.Refused(!strings.Contains(err.Error(), "can't be read on from block 2"))
		},
		"receipts in a receipt file": func(_ *testing.T, n int64) error {
			return receiptfile.Countable(market.Bundle{Receipts: make([]market.SignedReceipt, n)})
		},
		"vouchers in a receipt file": func(_ *testing.T, n int64) error {
			return receiptfile.Countable(market.Bundle{Vouchers: make([]market.SignedVoucher, n)})
		},
	})
}
