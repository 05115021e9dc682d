package market_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"
	ethmath "github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"
	"github.com/stretchr/testify/require"

	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

var update = flag.Bool("update", false, "write the golden vectors anew")

// vector is one document in every form that another implementation can check.
type vector struct {
	Name       string                    `json:"name"`
	Type       string                    `json:"type"`
	Domain     string                    `json:"domain"`
	Chain      market.Chain              `json:"chain"`
	Message    apitypes.TypedDataMessage `json:"message"`
	Preimage   string                    `json:"preimage"`
	HashStruct market.Hash               `json:"hashStruct"`
	CID        string                    `json:"cid"`
	Digest     market.Hash               `json:"digest"`
	Signer     market.Address            `json:"signer"`
	Signature  string                    `json:"signature"`
}

type document interface {
	Encode() []byte
	Hash() market.Hash
}

const (
	soukDomain = "souk"
	x402Domain = "x402 Batch Settlement"
)

func vectors() (all []vector) {
	big128 := markettest.Must(market.ParseAmount("340282366920938463463374607431768211455"))
	chains := map[string]market.Chain{"none": market.NoChain("souk-golden"), "base": {ID: 8453, Contract: address(0x40)}}
	for _, on := range []string{"none", "base"} {
		c := chains[on]
		cfg := market.ChannelConfig{
			Payer: address(1), PayerAuthorizer: markettest.Signer(2).Address(), Receiver: address(3),
			ReceiverAuthorizer: markettest.Signer(1).Address(), Token: address(5), WithdrawDelay: 1<<40 - 1, Salt: hash(6),
		}
		q := market.Quote{
			RequestHash: hash(1), TermsHash: hash(2), Provider: markettest.Signer(1).Address(), Client: markettest.Signer(2).Address(),
			Channel: c.ChannelID(cfg), Unit: market.UnitMeter, TickUnits: 60_000, TickPrice: market.NewAmount(6667), MaxTicks: 600,
			MinCharge: market.NewAmount(5), MaxMillis: 36_000_000, StartBy: 1_767_225_660_000, ExpiresAt: 1_767_225_630_000, Nonce: hash(3),
		}
		largest := market.Quote{
			Unit: math.MaxUint8, TickUnits: math.MaxUint64, TickPrice: big128, MaxTicks: math.MaxUint32, MinCharge: big128,
			MaxMillis: math.MaxUint64, StartBy: math.MaxUint64, ExpiresAt: math.MaxUint64,
		}
		l := market.Lease{QuoteHash: q.Hash(), JobHash: hash(4)}
		r := market.Receipt{Lease: l.Hash(), Seq: 1, Units: 60_000, Charged: market.NewAmount(6667), BodyHash: hash(5)}
		end := market.Receipt{Lease: l.Hash(), Seq: 2, Previous: r.Hash(), Units: 61_234, Charged: big128, Outcome: market.Expired, BodyHash: hash(7)}
		v := market.Voucher{Channel: q.Channel, Max: big128}
		for _, d := range []struct {
			name, kind string
			doc        document
			key        byte
		}{
			{"quote", "Quote", q, 1}, {"quote-largest", "Quote", largest, 1}, {"lease", "Lease", l, 2}, {"receipt", "Receipt", r, 1},
			{"receipt-end", "Receipt", end, 1}, {"voucher", "Voucher", v, 2}, {"channel", "ChannelConfig", cfg, 2},
		} {
			all = append(all, newVector(on+"-"+d.name, d.kind, c, d.doc, d.key))
		}
	}
	return all
}

func newVector(name, kind string, c market.Chain, doc document, key byte) vector {
	s := markettest.Signer(key)
	v := vector{
		Name: name, Type: kind, Domain: soukDomain, Chain: c, Message: message(doc), Preimage: hex.EncodeToString(doc.Encode()),
		HashStruct: doc.Hash(), CID: doc.Hash().CID().String(), Digest: c.Digest(doc.Hash()), Signer: s.Address(),
	}
	switch d := doc.(type) {
	case market.Voucher:
		v.Domain, v.Digest = x402Domain, c.VoucherDigest(d)
	case market.ChannelConfig:
		v.Domain, v.Digest = x402Domain, c.ChannelID(d)
	}
	sig := markettest.Sign(s, v.Digest)
	v.Signature = hex.EncodeToString(sig[:])
	return v
}

// message is a document as a wallet would be shown it.
func message(doc document) apitypes.TypedDataMessage {
	n := func(u uint64) string { return new(big.Int).SetUint64(u).String() }
	switch d := doc.(type) {
	case market.Quote:
		return apitypes.TypedDataMessage{
			"requestHash": d.RequestHash.String(), "termsHash": d.TermsHash.String(), "provider": d.Provider.String(),
			"client": d.Client.String(), "channelId": d.Channel.String(), "unit": n(uint64(d.Unit)), "tickUnits": n(d.TickUnits),
			"tickPrice": d.TickPrice.String(), "maxTicks": n(uint64(d.MaxTicks)), "minCharge": d.MinCharge.String(),
			"maxMillis": n(d.MaxMillis), "startBy": n(d.StartBy), "expiresAt": n(d.ExpiresAt), "nonce": d.Nonce.String(),
		}
	case market.Lease:
		return apitypes.TypedDataMessage{"quoteHash": d.QuoteHash.String(), "jobHash": d.JobHash.String()}
	case market.Receipt:
		return apitypes.TypedDataMessage{
			"leaseHash": d.Lease.String(), "seq": n(uint64(d.Seq)), "previous": d.Previous.String(), "units": n(d.Units),
			"charged": d.Charged.String(), "outcome": n(uint64(d.Outcome)), "bodyHash": d.BodyHash.String(),
		}
	case market.Voucher:
		return apitypes.TypedDataMessage{"channelId": d.Channel.String(), "maxClaimableAmount": d.Max.String()}
	case market.ChannelConfig:
		return apitypes.TypedDataMessage{
			"payer": d.Payer.String(), "payerAuthorizer": d.PayerAuthorizer.String(), "receiver": d.Receiver.String(),
			"receiverAuthorizer": d.ReceiverAuthorizer.String(), "token": d.Token.String(),
			"withdrawDelay": n(d.WithdrawDelay), "salt": d.Salt.String(),
		}
	}
	panic("no such document")
}

// types are those of DESIGN §5, written down a second time on purpose.
func types() apitypes.Types {
	t := func(pairs ...string) (fields []apitypes.Type) {
		for i := 0; i < len(pairs); i += 2 {
			fields = append(fields, apitypes.Type{Type: pairs[i], Name: pairs[i+1]})
		}
		return fields
	}
	return apitypes.Types{
		"EIP712Domain": t("string", "name", "string", "version", "uint256", "chainId", "address", "verifyingContract"),
		"Quote": t("bytes32", "requestHash", "bytes32", "termsHash", "address", "provider", "address", "client", "bytes32", "channelId",
			"uint8", "unit", "uint64", "tickUnits", "uint128", "tickPrice", "uint32", "maxTicks", "uint128", "minCharge",
			"uint64", "maxMillis", "uint64", "startBy", "uint64", "expiresAt", "bytes32", "nonce"),
		"Lease": t("bytes32", "quoteHash", "bytes32", "jobHash"),
		"Receipt": t("bytes32", "leaseHash", "uint32", "seq", "bytes32", "previous", "uint64", "units", "uint128", "charged",
			"uint8", "outcome", "bytes32", "bodyHash"),
		"Voucher": t("bytes32", "channelId", "uint128", "maxClaimableAmount"),
		"ChannelConfig": t("address", "payer", "address", "payerAuthorizer", "address", "receiver", "address", "receiverAuthorizer",
			"address", "token", "uint40", "withdrawDelay", "bytes32", "salt"),
	}
}

const goldenFile = "eip712.json"

func TestGoldenVectors(t *testing.T) {
	made, err := json.MarshalIndent(vectors(), "", "  ")
	require.NoError(t, err)
	made = append(made, '\n')
	path := filepath.Join("testdata", goldenFile)
	if *update {
		require.NoError(t, os.WriteFile(path, made, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(made))
}

// go-ethereum hashes typed data by code of its own, from the message alone.
func TestGoldenVectorsAgreeWithGoEthereum(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", goldenFile))
	require.NoError(t, err)
	var all []vector
	require.NoError(t, json.Unmarshal(raw, &all))
	require.Len(t, all, 14)
	for _, v := range all {
		data := apitypes.TypedData{
			Types: types(), PrimaryType: v.Type, Message: v.Message,
			Domain: apitypes.TypedDataDomain{
				Name: v.Domain, Version: "1", ChainId: (*ethmath.HexOrDecimal256)(new(big.Int).SetUint64(v.Chain.ID)),
				VerifyingContract: v.Chain.Contract.String(),
			},
		}
		preimage, err := data.EncodeData(v.Type, v.Message, 1)
		require.NoError(t, err, v.Name)
		require.Equal(t, v.Preimage, hex.EncodeToString(preimage), v.Name)
		structHash, err := data.HashStruct(v.Type, v.Message)
		require.NoError(t, err, v.Name)
		require.Equal(t, v.HashStruct[:], []byte(structHash), v.Name)
		digest, _, err := apitypes.TypedDataAndHash(data)
		require.NoError(t, err, v.Name)
		require.Equal(t, v.Digest[:], digest, v.Name)

		sig, err := market.SignatureFrom(hexutil.MustDecode("0x" + v.Signature))
		require.NoError(t, err)
		require.NoError(t, sig.Verify(v.Digest, v.Signer), v.Name)
	}
}

func address(b byte) (a market.Address) {
	for i := range a {
		a[i] = b + byte(i)
	}
	return a
}

func hash(b byte) (h market.Hash) {
	for i := range h {
		h[i] = b + byte(i)
	}
	return h
}
