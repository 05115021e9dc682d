// Keys, peer IDs, keys of the DHT, signed envelopes and frames.
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { base58btc } from "multiformats/bases/base58";
import { CID } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import * as Digest from "multiformats/hashes/digest";
import { sha256 } from "multiformats/hashes/sha2";
import { fileURLToPath } from "node:url";
import protobuf from "protobufjs";
import { publicKeyToAddress } from "viem/accounts";
import { toHex } from "viem";

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));
const hex = (b) => Buffer.from(b).toString("hex");
const join = (...parts) => Uint8Array.from(Buffer.concat(parts.map((p) => Uint8Array.from(p))));
export const equal = (what, got, want) => {
  if (got !== want) throw new Error(`${what}: recomputed ${got}, the vector says ${want}`);
};

const souk = await protobuf.load(fileURLToPath(new URL("../../protocol/pb/souk.proto", import.meta.url)));
const libp2p = protobuf.parse(`syntax = "proto3";
  message PublicKey { int32 type = 1; bytes data = 2; }
  message Envelope { PublicKey public_key = 1; bytes payload_type = 2; bytes payload = 3; bytes signature = 5; }`, { keepCase: true }).root;

const secp256k1Type = 2;
const keyMessage = (compressed) => join([0x08, secp256k1Type, 0x12, compressed.length], compressed);
const peerBytes = (compressed) => Digest.create(0, keyMessage(compressed)).bytes;
const peerID = (compressed) => base58btc.encode(peerBytes(compressed)).slice(1);

export function keys(vectors) {
  for (const v of vectors) {
    const compressed = secp256k1.getPublicKey(bytes(v.private), true);
    equal("public key", hex(compressed), v.public);
    equal("peer ID", peerID(compressed), v.peer);
    equal("address", publicKeyToAddress(toHex(secp256k1.getPublicKey(bytes(v.private), false))).toLowerCase(), v.address);
  }
  return vectors.length;
}

export async function advertised(vectors) {
  for (const v of vectors) {
    equal(v.key, CID.createV1(raw.code, await sha256.digest(Buffer.from(v.key))).toString(), v.cid);
    const [, depth, shard] = v.key.match(/\/(\d+)\/(\d+)$/);
    const sum = (await sha256.digest(base58btc.decode("z" + v.peer))).digest;
    equal(`shard of ${v.key}`, String(((sum[0] << 8) | sum[1]) >> (16 - Number(depth))), shard);
  }
  return vectors.length;
}

const readFrame = (type, frame) => {
  const reader = protobuf.Reader.create(frame);
  const size = reader.uint32();
  equal("length of the frame", frame.length - reader.pos, size);
  return type.decode(frame.subarray(reader.pos));
};

export function frames(vectors) {
  for (const v of vectors) {
    const type = souk.lookupType(`souk.v1.${v.type}`);
    equal(v.name, hex(type.encodeDelimited(type.fromObject(v.message)).finish()), v.frame);
    equal(`${v.name}, read`, hex(type.encodeDelimited(readFrame(type, bytes(v.frame))).finish()), v.frame);
  }
  return vectors.length;
}

const varint = (n) => protobuf.Writer.create().uint32(n).finish();
const withLength = (b) => join(varint(b.length), b);
const verified = (signature, message, key) => secp256k1.verify(signature, message, key, { format: "der", lowS: false });

export function offer(v) {
  const e = libp2p.lookupType("Envelope").decode(bytes(v.envelope));
  equal("key type", e.public_key.type, secp256k1Type);
  const key = e.public_key.data;
  equal("peer of the envelope", peerID(key), v.peer);
  equal("payload type", Buffer.from(e.payload_type).toString(), v.codec);
  const signed = join(withLength(Buffer.from(v.domain)), withLength(e.payload_type), withLength(e.payload));
  equal("envelope's signature holds", verified(e.signature, signed, key), true);
  const o = souk.lookupType("souk.v1.Offer").decode(e.payload);
  equal("peer of the offer", hex(o.peer), hex(peerBytes(key)));
  equal("network", o.network, v.network);
  equal("sequence", Number(o.sequence), v.sequence);
  equal("expiry", Number(o.expiresAt), v.expiresAt);
  const measurements = o.devices.flatMap((d) => d.measured.map((m) => [d, m]));
  for (const [d, m] of measurements) equal("measurement's signature holds", verified(m.signature, measurement(v.network, o.peer, d, m), key), true);
  return 1 + measurements.length;
}

// measurement is what the provider signed of its own devices.
function measurement(network, peer, device, m) {
  const text = (b) => join([b.length >>> 24, b.length >>> 16, b.length >>> 8, b.length], b);
  const number = (n) => {
    const b = Buffer.alloc(8);
    b.writeBigUInt64BE(BigInt(n.toString()));
    return b;
  };
  return join(...["souk-measurement-1", network].map((s) => text(Buffer.from(s))), text(peer), text(Buffer.from(device.slug)), text(peer),
    ...[m.count, m.mops, m.mbps, m.touched, m.at].map(number));
}
