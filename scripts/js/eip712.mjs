// The documents of DESIGN §5 as EIP-712 types, written down once more.
import { concat, decodeAbiParameters, hashTypedData, keccak256, recoverAddress, slice, toBytes, toHex } from "viem";

const fields = (text) => text.split(",").map((f) => ({ type: f.split(" ")[0], name: f.split(" ")[1] }));

export const types = {
  Quote: fields("bytes32 requestHash,bytes32 termsHash,address provider,address client,bytes32 channelId,uint8 unit,uint64 tickUnits,uint128 tickPrice,uint32 maxTicks,uint128 minCharge,uint64 maxMillis,uint64 startBy,uint64 expiresAt,bytes32 nonce"),
  Lease: fields("bytes32 quoteHash,bytes32 jobHash"),
  Receipt: fields("bytes32 leaseHash,uint32 seq,bytes32 previous,uint64 units,uint128 charged,uint8 outcome,bytes32 bodyHash"),
  Voucher: fields("bytes32 channelId,uint128 maxClaimableAmount"),
  ChannelConfig: fields("address payer,address payerAuthorizer,address receiver,address receiverAuthorizer,address token,uint40 withdrawDelay,bytes32 salt"),
};

const domainName = (type) => (type === "Voucher" || type === "ChannelConfig" ? "x402 Batch Settlement" : "souk");

export const typeHash = (type) => keccak256(toBytes(`${type}(${types[type].map((f) => `${f.type} ${f.name}`).join(",")})`));

// digest is what is signed for a message, by viem's own encoding.
export const digest = (type, message, chain) =>
  hashTypedData({
    domain: { name: domainName(type), version: "1", chainId: Number(chain.id), verifyingContract: chain.contract },
    types: { [type]: types[type] },
    primaryType: type,
    message,
  });

// decode reads a block: the type's hash and a word for each field.
export function decode(type, block) {
  const hex = toHex(block);
  if (slice(hex, 0, 32) !== typeHash(type)) throw new Error(`not a block of ${type}`);
  const values = decodeAbiParameters(types[type], slice(hex, 32));
  const message = Object.fromEntries(types[type].map((f, i) => [f.name, values[i]]));
  return { message, structHash: keccak256(hex) };
}

// noChain is the chain of a network that has none.
export const noChain = (network) => ({ id: 0, contract: slice(keccak256(toBytes(`souk/none/${network}`)), 12) });

export const signer = async (hash, signature) => (await recoverAddress({ hash, signature: toHex(signature) })).toLowerCase();

export { concat, keccak256, toHex };
