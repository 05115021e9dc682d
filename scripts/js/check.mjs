// Recomputes every vector of protocol/testdata with libraries from npm, and
// says how many of each it checked. It ends with 1 at the first that differs.
import { computeChannelId } from "@x402/evm/batch-settlement/client";
import { readFileSync } from "node:fs";
import * as data from "./data.mjs";
import { digest, keccak256, noChain, signer, typeHash } from "./eip712.mjs";
import * as peers from "./peers.mjs";

const { equal } = peers;
const file = (path) => readFileSync(new URL(`../../protocol/${path}`, import.meta.url));
const json = (path) => JSON.parse(file(path).toString());

// typed are single documents, with digest, signature and CID.
async function typed(vectors) {
  for (const v of vectors) {
    const chain = { id: v.chain.ID, contract: v.chain.Contract };
    const hash = digest(v.type, v.message, chain);
    equal(`digest of ${v.name}`, hash, v.digest);
    equal(`type of ${v.name}`, v.preimage.slice(0, 64), typeHash(v.type).slice(2));
    equal(`hash of the struct of ${v.name}`, keccak256(`0x${v.preimage}`).slice(2), v.hashStruct.replace(/^0x/, ""));
    equal(`CID of ${v.name}`, data.keccakCID(v.hashStruct), v.cid);
    equal(`signer of ${v.name}`, await signer(hash, Buffer.from(v.signature, "hex")), v.signer);
  }
  return vectors.length;
}

// channels are compared with what x402's own client computes, where there is a chain.
function channels(vectors) {
  for (const v of vectors) {
    if (v.chainId === 0) equal("contract without a chain", noChain(v.network).contract, v.contract);
    else equal("channel by x402", computeChannelId(v.config, v.chainId), v.channel);
    equal("channel", digest("ChannelConfig", v.config, { id: v.chainId, contract: v.contract }), v.channel);
  }
  return vectors.length;
}

const checks = [
  ["keys", () => peers.keys(json("testdata/keys.json"))],
  ["keys of the DHT", () => peers.advertised(json("testdata/advertise.json"))],
  ["frames", () => peers.frames(json("testdata/frames.json"))],
  ["signatures of an offer", () => peers.offer(json("testdata/offer.json"))],
  ["DAG-JSON documents", () => data.documents(json("testdata/documents.json"))],
  ["files and folders", () => data.unixfs(json("testdata/unixfs.json"))],
  ["EIP-712 documents", () => typed(json("market/testdata/eip712.json"))],
  ["channel IDs", () => channels(json("testdata/channels.json"))],
  ["signatures of a lease", () => data.lease(file("testdata/lease.car"))],
];
for (const [what, check] of checks) {
  try {
    const n = await check();
    if (!(n > 0)) throw new Error("there was nothing to check");
    console.log(`${String(n).padStart(3)} ${what}`);
  } catch (error) {
    console.error(`${what}: ${error.message}`);
    process.exit(1);
  }
}
