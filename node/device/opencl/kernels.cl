// What internal/modmath specifies, in OpenCL C 1.2.

#define P 0x7fffffffu
#define GOLDEN 0x9e3779b97f4a7c15ul
#define TILE 64  // rows and columns of the product that a work-group computes
#define DEPTH 16 // of the factors' tiles that it holds at a time
#define BLOCK 8192
#define LANES 128

ulong fold(ulong x) { return (x & P) + (x >> 31); }

uint reduce(ulong x) {
  x = fold(fold(x));
  return (uint)(x >= P ? x - P : x);
}

ulong mix(ulong z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ul;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebul;
  return z ^ (z >> 31);
}

ulong4 fold4(ulong4 x) { return (x & P) + (x >> 31); }

// put writes four sums as entries of row, from column on.
void put(__global uint *out, uint n, uint row, uint column, ulong4 sum) {
  const ulong four[4] = {sum.x, sum.y, sum.z, sum.w};
  for (uint j = 0; j < 4 && row < n && column + j < n; j++)
    out[(ulong)row * n + column + j] = reduce(four[j]);
}

// entries makes a matrix of count entries, four in each work-item.
__kernel void entries(__global uint *m, ulong count, uint k0, uint k1, uint c1, uint c2, uint c3) {
  const ulong at = get_global_id(0);
  if (at * 4 >= count)
    return;
  uint c0 = (uint)at;
  for (int round = 0; round < 10; round++) {
    const uint high0 = mul_hi(0xd2511f53u, c0), low0 = 0xd2511f53u * c0;
    const uint high1 = mul_hi(0xcd9e8d57u, c2), low1 = 0xcd9e8d57u * c2;
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  const uint four[4] = {c0, c1, c2, c3};
  for (ulong i = 0; i < 4 && at * 4 + i < count; i++)
    m[at * 4 + i] = reduce(four[i]);
}

// multiply computes rows first, first+1, ... of out = left·right, all of order n:
// 64 × 64 entries in each work-group, 4 rows × 4 columns in each work-item.
__kernel __attribute__((reqd_work_group_size(16, 16, 1))) void
multiply(__global const uint *left, __global const uint *right, __global uint *out, uint n, uint first) {
  __local uint a[DEPTH][TILE + 1];
  __local uint b[DEPTH][TILE];
  const uint tx = get_local_id(0), ty = get_local_id(1), item = ty * 16 + tx;
  const uint row0 = first + get_group_id(1) * TILE, column0 = get_group_id(0) * TILE;
  ulong4 sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;

  for (uint k0 = 0; k0 < n; k0 += DEPTH) {
    for (uint e = item; e < TILE * DEPTH; e += 256) {
      const uint row = row0 + e / DEPTH, ka = k0 + e % DEPTH;
      a[e % DEPTH][e / DEPTH] = row < n && ka < n ? left[(ulong)row * n + ka] : 0;
      const uint column = column0 + e % TILE, kb = k0 + e / TILE;
      b[e / TILE][e % TILE] = column < n && kb < n ? right[(ulong)kb * n + column] : 0;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int k = 0; k < DEPTH; k += 4) {
      // Four products and a folded sum stay under 2^64.
      sum0 = fold4(sum0);
      sum1 = fold4(sum1);
      sum2 = fold4(sum2);
      sum3 = fold4(sum3);
      for (int l = k; l < k + 4; l++) {
        const ulong4 four = convert_ulong4(vload4(tx, b[l]));
        sum0 += four * (ulong4)a[l][ty * 4];
        sum1 += four * (ulong4)a[l][ty * 4 + 1];
        sum2 += four * (ulong4)a[l][ty * 4 + 2];
        sum3 += four * (ulong4)a[l][ty * 4 + 3];
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  const uint row = row0 + ty * 4, column = column0 + tx * 4;
  put(out, n, row, column, sum0);
  put(out, n, row + 1, column, sum1);
  put(out, n, row + 2, column, sum2);
  put(out, n, row + 3, column, sum3);
}

// fill makes count blocks from number first on, one in each work-item. They stand in memory from block at on.
__kernel void fill(__global ulong *memory, ulong at, ulong first, ulong count, ulong s0, ulong s1, ulong s2,
                   ulong s3) {
  const ulong i = get_global_id(0);
  if (i >= count)
    return;
  __global ulong *w = memory + (at + i) * BLOCK;
  ulong x = mix(mix(mix(mix(first + i + s0) ^ s1) ^ s2) ^ s3);
  w[0] = x;
  for (ulong j = 1; j < BLOCK; j++) {
    const ulong far = ((x >> 32) * j) >> 32, near = ((x & 0xffffffffu) * j) >> 32;
    x = mix(x + w[far] * GOLDEN + w[near] + j);
    w[j] = x;
  }
}

// sweep sums up one block in each work-group, from block at of memory on.
__kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
sweep(__global const ulong *memory, ulong at, __global ulong *sums, ulong nonce) {
  __local ulong part[LANES];
  const uint t = get_local_id(0);
  __global const ulong *w = memory + (at + get_group_id(0)) * BLOCK;
  const ulong by = mix(nonce ^ GOLDEN) | 1;
  ulong a = mix(nonce + t * GOLDEN);
  for (uint j = t; j < BLOCK; j += LANES) {
    a = (a ^ w[j]) * by;
    a ^= a >> 32;
  }
  part[t] = mix(a + t);
  for (uint half_of = LANES / 2; half_of > 0; half_of /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (t < half_of)
      part[t] += part[t + half_of];
  }
  if (t == 0)
    sums[get_group_id(0)] = part[0];
}

// chase walks through up to eight pieces of memory, each of chunk blocks, in one work-item.
__kernel void chase(__global const ulong *m0, __global const ulong *m1, __global const ulong *m2,
                    __global const ulong *m3, __global const ulong *m4, __global const ulong *m5,
                    __global const ulong *m6, __global const ulong *m7, ulong chunk, ulong blocks,
                    __global ulong *words, uint steps, ulong nonce, ulong start) {
  __global const ulong *pieces[8] = {m0, m1, m2, m3, m4, m5, m6, m7};
  ulong previous = start;
  for (uint k = 0; k < steps; k++) {
    const ulong h = mix(mix(nonce + k * GOLDEN) ^ previous);
    const ulong block = ((h >> 32) * blocks) >> 32;
    previous = pieces[block / chunk][(block % chunk) * BLOCK + (h & (BLOCK - 1))];
    words[k] = previous;
  }
}
