// DAG-JSON documents, files and folders, and a whole lease.
import { CarReader } from "@ipld/car";
import * as dagJSON from "@ipld/dag-json";
import { MemoryBlockstore } from "blockstore-core";
import { importer } from "ipfs-unixfs-importer";
import { fixedSize } from "ipfs-unixfs-importer/chunker";
import { balanced } from "ipfs-unixfs-importer/layout";
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import * as Digest from "multiformats/hashes/digest";
import { sha256 } from "multiformats/hashes/sha2";
import { decode, digest, keccak256, noChain, signer, toHex } from "./eip712.mjs";
import { equal } from "./peers.mjs";

const keccakCode = 0x1b;
export const keccakCID = (structHash) => CID.createV1(raw.code, Digest.create(keccakCode, Buffer.from(structHash.slice(2), "hex"))).toString();

export async function documents(vectors) {
  for (const v of vectors) {
    equal(v.name, Buffer.from(dagJSON.encode(dagJSON.decode(Buffer.from(v.block)))).toString(), v.block);
    const sum = await sha256.digest(Buffer.from(v.block));
    equal(`hash of ${v.name}`, toHex(sum.digest), v.hash);
    equal(`CID of ${v.name}`, CID.createV1(dagJSON.code, sum).toString(), v.cid);
  }
  return vectors.length;
}

const content = (size) => Uint8Array.from({ length: size }, (_, i) => (i * 7 + Math.floor(i / 256)) & 0xff);

export async function unixfs(vectors) {
  for (const v of vectors) {
    const files = Object.entries(v.files).map(([path, size]) => ({ path, content: content(size) }));
    const single = files.length === 1 && files[0].path === "data";
    const options = {
      cidVersion: 1, rawLeaves: true, reduceSingleLeafToSelf: true, wrapWithDirectory: !single,
      chunker: fixedSize({ chunkSize: 262_144 }), layout: balanced({ maxChildrenPerNode: 174 }),
    };
    let root;
    for await (const entry of importer(files, new MemoryBlockstore(), options)) root = entry.cid;
    equal(v.name, root.toString(), v.cid);
  }
  return vectors.length;
}

// lease checks each block's CID, then each signature, from the manifest on.
export async function lease(file) {
  const car = await CarReader.fromBytes(file);
  const blocks = new Map();
  for await (const { cid, bytes } of car.blocks()) {
    const sum = cid.multihash.code === keccakCode ? Digest.create(keccakCode, Buffer.from(keccak256(bytes).slice(2), "hex")) : await sha256.digest(bytes);
    equal("CID of a block", CID.createV1(cid.code, sum).toString(), cid.toString());
    blocks.set(cid.toString(), bytes);
  }
  const get = (cid) => blocks.get(cid.toString()) ?? equal("block", "missing", cid.toString());
  const m = dagJSON.decode(get((await car.getRoots())[0]));
  const chain = { id: m.chain.id, contract: m.chain.contract };
  if (chain.id === 0) equal("contract without a chain", noChain(m.network).contract, chain.contract);
  const lower = (a) => a.toLowerCase();
  let signatures = 0;
  const check = async (type, cid, by, signature) => {
    const doc = decode(type, get(cid));
    equal(`CID of a ${type}`, keccakCID(doc.structHash), cid.toString());
    if (signature) {
      equal(`signer of a ${type}`, await signer(digest(type, doc.message, chain), signature), by);
      signatures++;
    }
    return doc;
  };
  const quote = await check("Quote", m.quote.document);
  const provider = lower(quote.message.provider), client = lower(quote.message.client);
  await check("Quote", m.quote.document, provider, m.quote.provider);
  equal("request's hash", toHex(m.request.multihash.digest), quote.message.requestHash);
  equal("terms' hash", toHex(m.terms.multihash.digest), quote.message.termsHash);
  equal("channel", digest("ChannelConfig", decode("ChannelConfig", get(m.channelConfig)).message, chain), quote.message.channelId);
  const agreed = await check("Lease", m.lease.document, client, m.lease.client);
  await check("Lease", m.lease.document, provider, m.lease.provider);
  equal("quote's hash", agreed.message.quoteHash, quote.structHash);
  equal("job's hash", toHex(m.job.multihash.digest), agreed.message.jobHash);
  let previous = `0x${"00".repeat(32)}`;
  for (const page of m.receipts) {
    for (const r of dagJSON.decode(get(page)).receipts) {
      const doc = await check("Receipt", r.document, provider, r.provider);
      if (r.client) await check("Receipt", r.document, client, r.client);
      equal("lease of a receipt", doc.message.leaseHash, agreed.structHash);
      equal("receipt before", doc.message.previous, previous);
      if (r.body) equal("body's hash", toHex(r.body.multihash.digest), doc.message.bodyHash);
      previous = doc.structHash;
    }
  }
  for (const page of m.vouchers) for (const v of dagJSON.decode(get(page)).vouchers) await check("Voucher", v.document, client, v.client);
  return signatures;
}
