package main

import (
	"context"

	"souk/protocol/market"
	"souk/protocol/market/markettest"
)

type channelVector struct {
	Network  string         `json:"network"` // of souk; says the contract where chainId is 0
	ChainID  uint64         `json:"chainId"`
	Contract market.Address `json:"contract"`
	Config   channelConfig  `json:"config"`
	Channel  market.Hash    `json:"channel"`
}

// channelConfig is market.ChannelConfig with the names of its EIP-712 type.
type channelConfig struct {
	Payer              market.Address `json:"payer"`
	PayerAuthorizer    market.Address `json:"payerAuthorizer"`
	Receiver           market.Address `json:"receiver"`
	ReceiverAuthorizer market.Address `json:"receiverAuthorizer"`
	Token              market.Address `json:"token"`
	WithdrawDelay      uint64         `json:"withdrawDelay"`
	Salt               market.Hash    `json:"salt"`
}

// settled is the contract of x402's batch settlement, the same on each chain.
const settled = "0x4020074e9dF2ce1deE5A9C1b5c3f541D02a10003"

// channels are those of a network without a chain, and of one that settles on Base.
func channels(context.Context) (any, error) {
	base := market.Chain{ID: 8453}
	if err := base.Contract.UnmarshalText([]byte(settled)); err != nil {
		return nil, err
	}
	var all []channelVector
	for _, c := range []market.Chain{market.NoChain(netName), base} {
		cfg := markettest.Config(c, markettest.Standard())
		all = append(all, channelVector{netName, c.ID, c.Contract, channelConfig(cfg), c.ChannelID(cfg)})
	}
	return all, nil
}
